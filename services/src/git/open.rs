//! From a request to an opened repository.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use exomonad_core::Bounds;
use exomonad_schema::{EffectError, ErrorCode};
use git2::{Repository, RepositoryOpenFlags};

use super::admit::{self, Admitted};
use super::discover::{self, Found};
use super::roots::{self, Roots};
use super::small_file;
use super::task::Task;

/// A repository that may be read, opened for one effect.
pub(super) struct Opened {
    task: Task,
    admitted: Admitted,
    repository: Repository,
    work_dir: Option<PathBuf>,
    /// The repository at the common folder, where histories have to be walked:
    /// libgit2 looks for the list of cut-off commits (`shallow`) in the git
    /// folder that was opened, and a linked worktree's has none.
    shallow_common: Option<Repository>,
}

impl Opened {
    /// Finds, checks and opens the repository a task works on.
    ///
    /// # Errors
    /// `forbidden` outside the role's paths, `not_found` without a repository,
    /// `unsupported` for one that is damaged or of a kind libgit2 does not know.
    pub(super) fn open(task: &Task, bounds: &Bounds) -> Result<Self, EffectError> {
        let roots = Roots::new(&bounds.paths);
        let folder = roots::working_dir(task, bounds, &roots)?;
        let found = discover::repository(&folder, &roots).ok_or_else(|| {
            task.error(
                ErrorCode::NotFound,
                "no git repository here or above, within the role's allowed paths; \
                 run `git init`, or name a folder in a repository",
            )
        })?;
        Self::open_found(task, found, &roots)
    }

    /// Opens the repository of a submodule whose working tree is at `folder`.
    pub(super) fn open_submodule(&self, folder: PathBuf) -> Result<Self, EffectError> {
        Self::open_found(&self.task, Found::DotGit(folder), &self.admitted.roots)
    }

    /// Opens a worktree at a canonical `folder` within `roots`.
    pub(super) fn open_worktree(
        task: &Task,
        folder: &Path,
        roots: &Roots,
    ) -> Result<Self, EffectError> {
        Self::open_found(task, Found::DotGit(folder.to_owned()), roots)
    }

    fn open_found(task: &Task, found: Found, roots: &Roots) -> Result<Self, EffectError> {
        let admitted = admit::repository(task, found, roots)?;
        let repository = exactly(task, &admitted.open_at)?;
        // libgit2 finds its way anew; it has to have come to the same place.
        let came_to = |path: &Path, expected: &Path| {
            path.canonicalize()
                .is_ok_and(|canonical| canonical == expected)
        };
        if !came_to(repository.path(), &admitted.git_dir)
            || !came_to(repository.commondir(), &admitted.common_dir)
        {
            return Err(
                task.forbidden("the repository changed while it was opened, or its parts lie")
            );
        }
        let work_dir = match repository.workdir() {
            None => None,
            // `core.worktree` may name any folder.
            Some(path) => match path.canonicalize() {
                Ok(canonical) if admitted.roots.contain(&canonical) => Some(canonical),
                _ => {
                    return Err(task.forbidden("the repository's working tree is missing or"));
                }
            },
        };
        let is_cut_off = small_file::read(&admitted.common_dir.join("shallow")).is_some();
        let shallow_common = if is_cut_off && admitted.common_dir != admitted.git_dir {
            Some(exactly(task, &admitted.common_dir)?)
        } else {
            None
        };
        Ok(Self {
            task: task.clone(),
            admitted,
            repository,
            work_dir,
            shallow_common,
        })
    }

    /// What is being done with it, for errors.
    pub(super) fn task(&self) -> &Task {
        &self.task
    }

    /// The repository, as seen from the worktree that was asked for.
    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The repository in which to walk from commit to commit.
    pub(super) fn history(&self) -> &Repository {
        self.shallow_common.as_ref().unwrap_or(&self.repository)
    }

    /// The root of the working tree.
    ///
    /// # Errors
    /// `unsupported` when the repository is bare.
    pub(super) fn work_dir(&self) -> Result<&Path, EffectError> {
        self.work_dir.as_deref().ok_or_else(|| self.task.bare())
    }

    /// The git folder of this worktree.
    pub(super) fn git_dir(&self) -> &Path {
        &self.admitted.git_dir
    }

    /// The git folder that all worktrees share.
    pub(super) fn common_dir(&self) -> &Path {
        &self.admitted.common_dir
    }

    /// What may be read.
    pub(super) fn roots(&self) -> &Roots {
        &self.admitted.roots
    }

    /// Whether this is a worktree made by `git worktree add`.
    pub(super) fn is_linked(&self) -> bool {
        self.git_dir() != self.common_dir()
    }

    /// The repository as seen from its main worktree.
    pub(super) fn open_main(&self) -> Result<Repository, EffectError> {
        exactly(&self.task, self.common_dir())
    }

    /// The same repository once more, for what libgit2 does only with one's own.
    pub(super) fn reopen(&self) -> Result<Repository, EffectError> {
        exactly(&self.task, &self.admitted.open_at)
    }

    /// What libgit2 could not do, as an error of the contract.
    pub(super) fn git_error(&self, error: &git2::Error) -> EffectError {
        self.task.git(error)
    }
}

/// Opens what is at `path`, without searching above it.
pub(super) fn exactly(task: &Task, path: &Path) -> Result<Repository, EffectError> {
    let no_ceilings: [&OsStr; 0] = [];
    Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, no_ceilings).map_err(|error| {
        if error.code() == git2::ErrorCode::NotFound {
            task.damaged("there is a git folder, but no valid HEAD, objects and refs in it")
        } else {
            task.git(&error)
        }
    })
}
