//! Reading and replacing files of the project. No link leads out of it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use exomonad_core::replace_file;

use super::CommandError;

/// The bytes of the largest file that is edited.
const LARGEST: u64 = 4 << 20;

/// The folder of a project.
pub struct Project {
    root: PathBuf,
}

/// A file's text before and after; `None` for no file.
pub struct Replacement {
    /// Its path in the project.
    pub path: &'static str,
    /// The text before.
    pub before: Option<String>,
    /// The text after.
    pub after: Option<String>,
}

impl Replacement {
    /// True if it changes anything.
    pub fn is_change(&self) -> bool {
        self.before != self.after
    }
}

impl Project {
    /// The project in a folder.
    pub fn open(folder: &Path) -> Result<Self, CommandError> {
        let root = folder
            .canonicalize()
            .map_err(|error| CommandError::Usage(format!("{}: {error}", folder.display())))?;
        Ok(Self { root })
    }

    /// True if there is a file or folder of this name.
    pub fn has(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok()
    }

    /// A file's text; `None` if it is not there.
    pub fn read(&self, path: &str) -> Result<Option<String>, CommandError> {
        let failed = |error: io::Error| CommandError::Usage(format!("{path}: {error}"));
        let file = match self.resolve(path)?.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(found) if found.is_file() && found.len() <= LARGEST => {
                fs::File::open(self.root.join(path)).map_err(failed)?
            }
            Ok(_) => {
                return Err(CommandError::Usage(format!(
                    "{path} is no regular file of at most {LARGEST} bytes"
                )));
            }
        };
        let mut text = String::new();
        file.take(LARGEST)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Ok(Some(text))
    }

    /// Replaces a file as a whole, or removes it.
    pub fn replace(&self, replacement: &Replacement) -> Result<(), CommandError> {
        let path = self.resolve(replacement.path)?;
        let failed =
            |error: io::Error| CommandError::Unavailable(format!("{}: {error}", replacement.path));
        let Some(text) = &replacement.after else {
            return fs::remove_file(path).map_err(failed);
        };
        let folder = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(folder).map_err(failed)?;
        replace_file::replace(&path, text.as_bytes(), replace_file::Mode::Kept).map_err(failed)
    }

    /// The path of a file whose folders, as far as they are there, are folders of the project.
    fn resolve(&self, path: &str) -> Result<PathBuf, CommandError> {
        let mut resolved = self.root.clone();
        for part in Path::new(path) {
            resolved.push(part);
            if resolved.is_symlink() {
                return Err(CommandError::Usage(format!(
                    "{path}: {} is a link: write it by hand, or make it a file",
                    resolved.display()
                )));
            }
        }
        Ok(resolved)
    }
}
