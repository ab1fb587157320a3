//! The repository that git is shown in place of the real one.
//!
//! `git` obeys the configuration of the repository it runs in: it would rewrite
//! URLs, go through a proxy, ask a credential helper, run hooks. So it runs in
//! an empty repository made for one command, which only shares the objects.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Oid, Repository};
use tempfile::TempDir;

use crate::git::open::Opened;
use crate::git::task::Task;

/// References by their full names, which need not be text.
pub(super) type References = BTreeMap<Vec<u8>, Oid>;

/// A bare repository in a temporary folder, removed with it.
#[derive(Debug)]
pub(super) struct Shadow {
    folder: TempDir,
    objects: PathBuf,
}

impl Shadow {
    /// Makes one that shares the objects of `opened` and has these references.
    pub(super) fn new(opened: &Opened, references: &References) -> Result<Self, EffectError> {
        make(opened, references).map_err(|error| {
            opened.task().error(
                ErrorCode::Unavailable,
                format_args!(
                    "a temporary folder cannot be made: {error}; check that the disk has room"
                ),
            )
        })
    }

    pub(super) fn git_dir(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn objects(&self) -> &Path {
        &self.objects
    }

    /// The commits at which history was cut off; `None` when it was not.
    pub(super) fn shallow(&self) -> Option<Vec<u8>> {
        fs::read(self.git_dir().join("shallow")).ok()
    }

    /// What git has made of the references.
    pub(super) fn references(&self, task: &Task) -> Result<References, EffectError> {
        let repository = Repository::open_bare(self.git_dir()).map_err(|error| task.git(&error))?;
        all(&repository).map_err(|error| task.git(&error))
    }
}

fn make(opened: &Opened, references: &References) -> io::Result<Shadow> {
    let folder = tempfile::Builder::new().prefix("exomonad-git-").tempdir()?;
    let path = folder.path();
    fs::create_dir(path.join("objects"))?;
    fs::create_dir(path.join("refs"))?;
    fs::write(path.join("HEAD"), "ref: refs/heads/none\n")?;
    fs::write(
        path.join("config"),
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
    )?;
    let mut packed = Vec::new();
    for (name, id) in references {
        packed.extend_from_slice(id.to_string().as_bytes());
        packed.push(b' ');
        packed.extend_from_slice(name);
        packed.push(b'\n');
    }
    fs::write(path.join("packed-refs"), packed)?;
    let shallow = opened.common_dir().join("shallow");
    if shallow.is_file() {
        fs::copy(shallow, path.join("shallow"))?;
    }
    Ok(Shadow {
        objects: opened.common_dir().join("objects"),
        folder,
    })
}

/// The references of the repository whose objects are there.
pub(super) fn references_of(opened: &Opened) -> Result<References, EffectError> {
    let repository = opened.repository();
    let fail = |error: git2::Error| opened.git_error(&error);
    let objects = repository.odb().map_err(fail)?;
    let mut references = all(repository).map_err(fail)?;
    // git would stop at one that is broken.
    references.retain(|_, id| objects.exists(*id));
    Ok(references)
}

fn all(repository: &Repository) -> Result<References, git2::Error> {
    let mut references = References::new();
    for reference in repository.references()? {
        // One that names another is there under that name.
        let Ok(reference) = reference else { continue };
        if let Some(id) = reference.target() {
            references.insert(reference.name_bytes().to_vec(), id);
        }
    }
    Ok(references)
}
