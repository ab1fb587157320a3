//! A scratch repository, in which git runs in place of the real one.
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

use crate::effect_context::EffectContext;
use crate::open::OpenRepo;

/// References by their full names, which need not be text.
pub(crate) type References = BTreeMap<Vec<u8>, Oid>;

/// A bare repository in a temporary folder, removed with it.
#[derive(Debug)]
pub(crate) struct ScratchRepo {
    folder: TempDir,
    objects: PathBuf,
}

impl ScratchRepo {
    /// Creates one that shares the objects of `opened` and has these references.
    pub(crate) fn new(repo: &OpenRepo, references: &References) -> Result<Self, EffectError> {
        create(references)
            .and_then(|mut scratch| {
                scratch.objects = repo.common_dir().join("objects");
                let shallow = repo.common_dir().join("shallow");
                if shallow.is_file() {
                    fs::copy(shallow, scratch.git_dir().join("shallow"))?;
                }
                Ok(scratch)
            })
            .map_err(|error| failed(repo.context(), &error))
    }

    /// Creates one with an empty object store of its own.
    pub(crate) fn empty(context: &EffectContext) -> Result<Self, EffectError> {
        create(&References::new()).map_err(|error| failed(context, &error))
    }

    /// Cuts history off at those of these commits that are in its object store.
    pub(crate) fn cut_off_at(
        &self,
        context: &EffectContext,
        commits: &[String],
    ) -> Result<(), EffectError> {
        let repository = self.open(context)?;
        let objects = repository.odb().map_err(|error| context.git(&error))?;
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
        fs::write(self.git_dir().join("shallow"), lines).map_err(|error| failed(context, &error))
    }

    /// Opens it.
    pub(crate) fn open(&self, context: &EffectContext) -> Result<Repository, EffectError> {
        Repository::open_bare(self.git_dir()).map_err(|error| context.git(&error))
    }

    pub(crate) fn git_dir(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn objects(&self) -> &Path {
        &self.objects
    }

    /// The commits at which history was cut off; `None` when it was not.
    pub(crate) fn shallow(&self) -> Option<Vec<u8>> {
        fs::read(self.git_dir().join("shallow")).ok()
    }

    /// The references, as git has left them.
    pub(crate) fn references(&self, context: &EffectContext) -> Result<References, EffectError> {
        all(&self.open(context)?).map_err(|error| context.git(&error))
    }
}

fn failed(context: &EffectContext, error: &io::Error) -> EffectError {
    context.error(
        ErrorCode::Unavailable,
        format_args!("a temporary folder cannot be made: {error}; check that the disk has room"),
    )
}

fn create(references: &References) -> io::Result<ScratchRepo> {
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
    Ok(ScratchRepo {
        objects: path.join("objects"),
        folder,
    })
}

/// The references of a repository whose objects exist.
pub(crate) fn references_of(repo: &OpenRepo) -> Result<References, EffectError> {
    let repository = repo.git2();
    let fail = |error: git2::Error| repo.git_error(&error);
    let objects = repository.odb().map_err(fail)?;
    let mut references = all(repository).map_err(fail)?;
    // git would stop at a broken one.
    references.retain(|_, id| objects.exists(*id));
    Ok(references)
}

fn all(repository: &Repository) -> Result<References, git2::Error> {
    let mut references = References::new();
    for reference in repository.references()? {
        // A symbolic one is there under its target's name.
        let Ok(reference) = reference else { continue };
        if let Some(id) = reference.target() {
            references.insert(reference.name_bytes().to_vec(), id);
        }
    }
    Ok(references)
}
