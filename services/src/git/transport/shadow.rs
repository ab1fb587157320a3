//! The repository that git is shown in place of the real one.
//!
//! `git` obeys the configuration of the repository it runs in: it would rewrite
//! URLs, go through a proxy, ask a credential helper, run hooks. So it runs in
//! an empty repository made for one command, which only shares the objects, or,
//! for a repository in a container, holds those that the container sent.

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
pub(in crate::git) type References = BTreeMap<Vec<u8>, Oid>;

/// A bare repository in a temporary folder, removed with it.
#[derive(Debug)]
pub(in crate::git) struct Shadow {
    folder: TempDir,
    objects: PathBuf,
}

impl Shadow {
    /// Makes one that shares the objects of `opened` and has these references.
    pub(in crate::git) fn new(
        opened: &Opened,
        references: &References,
    ) -> Result<Self, EffectError> {
        make(references)
            .and_then(|mut shadow| {
                shadow.objects = opened.common_dir().join("objects");
                let shallow = opened.common_dir().join("shallow");
                if shallow.is_file() {
                    fs::copy(shallow, shadow.git_dir().join("shallow"))?;
                }
                Ok(shadow)
            })
            .map_err(|error| failed(opened.task(), &error))
    }

    /// Makes one with a store of its own, in which there is nothing yet.
    pub(in crate::git) fn empty(task: &Task) -> Result<Self, EffectError> {
        make(&References::new()).map_err(|error| failed(task, &error))
    }

    /// Cuts history off at those of these commits that are in its own store.
    pub(in crate::git) fn cut_off_at(
        &self,
        task: &Task,
        commits: &[String],
    ) -> Result<(), EffectError> {
        let repository = self.open(task)?;
        let objects = repository.odb().map_err(|error| task.git(&error))?;
        let is_here = |id: &&String| Oid::from_str(id).is_ok_and(|id| objects.exists(id));
        let mut here: Vec<_> = commits.iter().filter(is_here).collect();
        here.sort();
        here.dedup();
        if here.is_empty() {
            return Ok(());
        }
        let lines: String = here
            .into_iter()
            .flat_map(|id| [id.as_str(), "\n"])
            .collect();
        fs::write(self.git_dir().join("shallow"), lines).map_err(|error| failed(task, &error))
    }

    /// Opens it.
    pub(in crate::git) fn open(&self, task: &Task) -> Result<Repository, EffectError> {
        Repository::open_bare(self.git_dir()).map_err(|error| task.git(&error))
    }

    pub(in crate::git) fn git_dir(&self) -> &Path {
        self.folder.path()
    }

    pub(in crate::git) fn objects(&self) -> &Path {
        &self.objects
    }

    /// The commits at which history was cut off; `None` when it was not.
    pub(in crate::git) fn shallow(&self) -> Option<Vec<u8>> {
        fs::read(self.git_dir().join("shallow")).ok()
    }

    /// What git has made of the references.
    pub(in crate::git) fn references(&self, task: &Task) -> Result<References, EffectError> {
        all(&self.open(task)?).map_err(|error| task.git(&error))
    }
}

fn failed(task: &Task, error: &io::Error) -> EffectError {
    task.error(
        ErrorCode::Unavailable,
        format_args!("a temporary folder cannot be made: {error}; check that the disk has room"),
    )
}

fn make(references: &References) -> io::Result<Shadow> {
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
    Ok(Shadow {
        objects: path.join("objects"),
        folder,
    })
}

/// The references of the repository whose objects are there.
pub(in crate::git) fn references_of(opened: &Opened) -> Result<References, EffectError> {
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
