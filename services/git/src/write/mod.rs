//! Writes to repositories of the host.
//!
//! libgit2 makes the objects and changes the working tree; it runs no hook,
//! filter or program. The index, HEAD, branches and the configuration are written
//! here, each file under git's own lock for it, taken *before* the file is read, so
//! that no change of another program in between is lost. (libgit2 by itself locks
//! the index only to write it.)
//!
//! Before the first byte is written, beyond the checks before reading:
//!
//! 1. `repo_locks`: one writer per repository in this host;
//! 2. `lock_session`: git's lock files, so that other programs wait too, and those
//!    of a killed host are removed;
//! 3. `refs`, `paths`: no link in the git folder or the working tree may lead a
//!    write outside.
//!
//! A program that `.gitattributes` names (`filter=`, as Git LFS) never runs: it is
//! refused when staging, since the unfiltered content would be stored in its
//! place, and skipped when checking out.

pub(super) mod author;
pub(super) mod branch;
pub(super) mod commit;
mod config_file;
mod head_file;
pub(super) mod index;
mod lock;
pub(super) mod lock_session;
pub(super) mod paths;
mod reflog;
pub(super) mod refs;
pub(super) mod repo_locks;
mod sign;
mod stage;
mod stale_locks;
mod stash;
mod switch;
mod tag;
mod target_tree;
mod worktree;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use exomonad_core::PathBounds;
use exomonad_schema::EffectError;
use git2::Repository;

pub use author::Author;
pub(crate) use branch::create as create_branch;
pub(crate) use commit::create as create_commit;
pub(crate) use config_file::{set_shallow, set_upstream};
pub(crate) use stage::stage;
pub(crate) use stash::{list as list_stashes, pop as pop_stash, save as stash};
pub(crate) use switch::switch as switch_branch;
pub(crate) use tag::create as create_tag;
pub(crate) use worktree::{add as add_worktree, remove as remove_worktree};

use super::GitConfig;
use super::blocking::Job;
use super::effect_context::EffectContext;
use super::open::OpenRepo;
use super::working_dir;
use exomonad_core::roots::Roots;
use lock_session::LockSession;

/// A repository that is being written to.
pub(crate) struct RepoWriter<'w> {
    pub(crate) repo: OpenRepo,
    pub(crate) job: &'w Job,
    pub(crate) config: &'w GitConfig,
    /// The role's own folders; [`OpenRepo::roots`] may have a common git folder as well.
    pub(crate) role_roots: Roots,
    /// The folder the guest named, canonical.
    folder: PathBuf,
    session: LockSession,
    /// The author, once he was looked for.
    author: OnceCell<Option<Author>>,
}

impl<'w> RepoWriter<'w> {
    /// Opens the repository around an effect's folder, to write to it.
    pub(crate) fn begin(
        context: &EffectContext,
        bounds: &PathBounds,
        job: &'w Job,
        config: &'w GitConfig,
    ) -> Result<Self, EffectError> {
        let repo = OpenRepo::open(context, bounds, job)?;
        let role_roots = bounds.roots();
        let folder = working_dir::resolve(context, bounds)?;
        let session = LockSession::begin(context, repo.common_dir())?;
        Ok(Self {
            repo,
            job,
            config,
            role_roots,
            folder,
            session,
            author: OnceCell::new(),
        })
    }

    pub(crate) fn context(&self) -> &EffectContext {
        self.repo.context()
    }

    pub(crate) fn git2(&self) -> &Repository {
        self.repo.git2()
    }

    fn session(&self) -> &LockSession {
        &self.session
    }

    fn lock(&self, target: &Path) -> Result<lock_session::Lock<'_>, EffectError> {
        self.session.lock(self.context(), self.job, target)
    }

    fn git_error(&self, error: &git2::Error) -> EffectError {
        self.repo.git_error(error)
    }
}
