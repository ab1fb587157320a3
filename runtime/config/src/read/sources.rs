//! Where each effective value comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::key::KeyPath;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It is the default.
    Default,
    /// The file says so on this line, from 1.
    File {
        /// The line.
        line: usize,
    },
    /// An environment variable says so.
    Variable(&'static str),
}

/// Where each value comes from, by its key.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    file: PathBuf,
    written: BTreeMap<KeyPath, Source>,
}

impl Sources {
    pub(super) fn new(file: PathBuf, written: BTreeMap<KeyPath, Source>) -> Self {
        Self { file, written }
    }

    /// The file that [`Source::File`] means.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where the value of the key comes from, its names given outermost first:
    /// `["role", "tl", "limits", "memory"]`. A role's key that is written in `[defaults]` only comes
    /// from there.
    pub fn of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Source {
        let names: Vec<&str> = names.into_iter().collect();
        let written = |names: &[&str]| {
            self.written
                .get(&KeyPath::of(names.iter().copied()))
                .copied()
        };
        if let Some(source) = written(&names) {
            return source;
        }
        match names.as_slice() {
            ["role", _, key @ ..] => {
                let inherited: Vec<&str> = std::iter::once("defaults")
                    .chain(key.iter().copied())
                    .collect();
                written(&inherited).unwrap_or(Source::Default)
            }
            _ => Source::Default,
        }
    }
}
