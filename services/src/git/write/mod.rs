//! Writing to a repository.
//!
//! libgit2 makes the objects and changes the working tree; it runs no hook,
//! filter or program. What moves — the index, HEAD, branches, the configuration
//! — is written here, each file under git's own lock for it, taken *before* the
//! file is read, so that no change of another program in between is lost.
//! (libgit2 by itself locks the index only to write it.)
//!
//! Between the request and the first byte written stand, beyond what stands
//! before reading:
//!
//! 1. `turns`: one writer a repository in this host;
//! 2. `session`: git's lock files, so that other programs wait too, and a
//!    killed host's are cleared up;
//! 3. `refs`, `paths`: no link in the git folder or the working tree leads a
//!    write outside.
//!
//! What `.gitattributes` would have a program do (`filter=`, as Git LFS) is
//! refused when staging, since the unfiltered content would be stored in its
//! place, and left undone when checking out.

pub(super) mod author;
pub(super) mod branch;
pub(super) mod commit;
mod config_file;
mod dead;
mod head_file;
pub(super) mod index;
mod lock;
pub(super) mod paths;
mod reflog;
pub(super) mod refs;
pub(super) mod session;
mod stage;
mod stash;
mod switch;
mod tag;
pub(super) mod turns;
mod worktree;

use std::path::{Path, PathBuf};

use exomonad_core::Bounds;
use exomonad_schema::EffectError;
use git2::Repository;

pub use author::Author;
pub(in crate::git) use branch::create as create_branch;
pub(in crate::git) use commit::create as create_commit;
pub(in crate::git) use config_file::{set_shallow, set_upstream};
pub(in crate::git) use stage::stage;
pub(in crate::git) use stash::{list as list_stashes, pop as pop_stash, save as stash};
pub(in crate::git) use switch::switch as switch_branch;
pub(in crate::git) use tag::create as create_tag;
pub(in crate::git) use worktree::{add as add_worktree, remove as remove_worktree};

use super::GitConfig;
use super::job::Job;
use super::open::Opened;
use super::roots::{self, Roots};
use super::task::Task;
use session::Session;

/// A repository that is being written to.
pub(in crate::git) struct Writing<'w> {
    pub(in crate::git) opened: Opened,
    pub(in crate::git) job: &'w Job,
    pub(in crate::git) config: &'w GitConfig,
    /// The role's own folders; [`Opened::roots`] may have a common git folder more.
    pub(in crate::git) role_roots: Roots,
    /// The folder the guest named, canonical.
    folder: PathBuf,
    session: Session,
}

impl<'w> Writing<'w> {
    /// Opens the repository around a task's folder, to write to it.
    pub(in crate::git) fn begin(
        task: &Task,
        bounds: &Bounds,
        job: &'w Job,
        config: &'w GitConfig,
    ) -> Result<Self, EffectError> {
        let opened = Opened::open(task, bounds)?;
        let role_roots = Roots::new(&bounds.paths);
        let folder = roots::working_dir(task, bounds, &role_roots)?;
        let session = Session::begin(task, opened.common_dir())?;
        Ok(Self {
            opened,
            job,
            config,
            role_roots,
            folder,
            session,
        })
    }

    pub(in crate::git) fn task(&self) -> &Task {
        self.opened.task()
    }

    pub(in crate::git) fn repository(&self) -> &Repository {
        self.opened.repository()
    }

    fn session(&self) -> &Session {
        &self.session
    }

    fn lock(&self, target: &Path) -> Result<session::Lock<'_>, EffectError> {
        self.session.lock(self.task(), self.job, target)
    }

    fn git_error(&self, error: &git2::Error) -> EffectError {
        self.opened.git_error(error)
    }
}
