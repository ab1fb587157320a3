//! Authorization of a repository: all of its parts have to be within the role's paths.
//!
//! A repository is more than its folder: a `.git` file names a git folder
//! elsewhere, that one names a common folder, that one more object stores, and
//! each may be a link. An agent that can write into an allowed folder could point
//! any of these at a foreign repository.

//!
//! | module | subject |
//! |---|---|
//! | `walk` | everything in a git folder that libgit2 may open by name |
//! | `alternates` | the object stores a repository borrows from |
//! | `config` | the files that a configuration names |
//! | `ignore_file` | files of ignore patterns that libgit2 cannot read |
//! | `work_tree` | the files in the working tree that libgit2 reads for itself |

mod alternates;
pub(super) mod config;
pub(super) mod ignore_file;
mod walk;
pub(super) mod work_tree;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use exomonad_core::roots::Roots;
use exomonad_schema::EffectError;
use git2::Config;

use super::blocking::Job;
use super::discover::Discovered;
use super::effect_context::EffectContext;
use super::memory;
use super::small_file;
use walk::Walk;
pub(super) use walk::is_unread;

/// A repository all of whose parts may be read.
#[derive(Debug)]
pub(super) struct AuthorizedRepo {
    /// The folder to open: the one that holds `.git`, or the git folder itself.
    pub(super) open_at: PathBuf,
    /// Its git folder; a linked worktree has its own.
    pub(super) git_dir: PathBuf,
    /// The git folder that its worktrees share.
    pub(super) common_dir: PathBuf,
    /// The role's folders, and the common folder where a linked worktree brings it in.
    pub(super) roots: Roots,
}

/// Follows a repository's parts to each other and checks each.
///
/// # Errors
/// `forbidden` when one leads outside, `unsupported` when they lead nowhere.
pub(super) fn repository(
    context: &EffectContext,
    job: &Job,
    found: Discovered,
    roots: &Roots,
) -> Result<AuthorizedRepo, EffectError> {
    let (open_at, git_dir, worktree) = match found {
        Discovered::GitDir(folder) => (folder.clone(), folder, None),
        Discovered::DotGit(folder) => {
            let git_dir = git_dir_of(context, &folder.join(".git"), &folder)?;
            (folder.clone(), git_dir, Some(folder))
        }
    };
    let commondir = git_dir.join("commondir");
    let common_dir = match small_file::read_line(&commondir) {
        Some(path) => git_dir
            .join(small_file::path_from(&path))
            .canonicalize()
            .map_err(|_| context.damaged("its `commondir` names a folder that is not there"))?,
        // libgit2 would read whatever is there.
        None if commondir.symlink_metadata().is_ok() => {
            return Err(context.damaged("its `commondir` is not one line with a path"));
        }
        None => git_dir.clone(),
    };
    let roots = if roots.contain(&git_dir) && roots.contain(&common_dir) {
        roots.clone()
    } else if worktree.is_some_and(|folder| is_registered(&folder, &git_dir, &common_dir)) {
        roots.with([common_dir.clone()])
    } else {
        return Err(context.forbidden(
            "the repository's git folder, which `.git` leads to, is not that of a worktree registered for this folder and is",
        ));
    };
    let authorized = AuthorizedRepo {
        open_at,
        git_dir,
        common_dir,
        roots,
    };
    authorized.check_entries(context, job)?;
    authorized.check_config(context)?;
    Ok(authorized)
}

/// The git folder that `.git` leads to: a folder or a link is it, a file names it.
fn git_dir_of(
    context: &EffectContext,
    dot_git: &Path,
    folder: &Path,
) -> Result<PathBuf, EffectError> {
    let named = if dot_git.is_file() {
        // Only a link leads a `.git` file elsewhere, and git makes none.
        if dot_git.is_symlink() {
            return Err(context.forbidden("`.git` is a link to a file, which may lie"));
        }
        let content = small_file::read_line(dot_git).unwrap_or_default();
        let Some(path) = content.strip_prefix(b"gitdir:") else {
            return Err(context.damaged("its `.git` file does not begin with `gitdir:`"));
        };
        folder.join(small_file::path_from(path.trim_ascii()))
    } else if dot_git.is_dir() || dot_git.is_symlink() {
        dot_git.to_owned()
    } else {
        return Err(context.damaged("its `.git` is neither a folder nor a file"));
    };
    named
        .canonicalize()
        // The error does not reveal whether something is there.
        .map_err(|_| context.forbidden("what `.git` leads to is missing or"))
}

/// True if the common folder knows `git_dir` as the worktree at `folder`:
/// `git worktree add` leaves marks on both sides, and only one is in the folder.
fn is_registered(folder: &Path, git_dir: &Path, common_dir: &Path) -> bool {
    let registered_at = small_file::read_path(&git_dir.join("gitdir"), git_dir)
        .and_then(|dot_git| dot_git.parent()?.canonicalize().ok());
    git_dir.parent() == Some(common_dir.join("worktrees").as_path())
        && registered_at.as_deref() == Some(folder)
}

impl AuthorizedRepo {
    /// Makes room for git's own files that are read whole.
    pub(super) fn allow_files(&self) {
        for file in [
            self.git_dir.join("index"),
            self.common_dir.join("packed-refs"),
        ] {
            memory::allow_file(file.metadata().map_or(0, |found| found.len()));
        }
    }

    /// Walks everything that libgit2 may open in the git folders and object stores.
    fn check_entries(&self, context: &EffectContext, job: &Job) -> Result<(), EffectError> {
        let mut walk = Walk {
            context,
            roots: &self.roots,
            job,
            seen: HashSet::new(),
        };
        walk.git_dir(&self.common_dir)?;
        // That of a linked worktree lies in the common folder, and was seen there.
        if self.git_dir != self.common_dir
            && self.git_dir.parent() != Some(self.common_dir.join("worktrees").as_path())
        {
            walk.git_dir(&self.git_dir)?;
        }
        let objects = self.common_dir.join("objects");
        let stores = alternates::stores(context, &self.roots, &objects)?;
        stores
            .iter()
            .filter(|store| **store != objects)
            .try_for_each(|store| walk.object_store(store))
    }

    /// Checks what the configuration includes, before libgit2 opens it.
    fn check_config(&self, context: &EffectContext) -> Result<(), EffectError> {
        [
            self.common_dir.join("config"),
            self.git_dir.join("config"),
            self.git_dir.join("config.worktree"),
            self.common_dir.join("config.worktree"),
        ]
        .iter()
        .try_for_each(|file| config::check_file(context, &self.roots, file))
    }

    /// Checks the ignore patterns that hold for the whole repository, before libgit2 looks at a working tree.
    pub(super) fn check_ignore_patterns(
        &self,
        context: &EffectContext,
        config: &Config,
    ) -> Result<(), EffectError> {
        ignore_file::check(context, &self.common_dir.join("info/exclude"))?;
        match config.get_entry("core.excludesFile") {
            Ok(value) => ignore_file::check(context, &config::expand(value.value_bytes())),
            Err(_) => Ok(()),
        }
    }

    /// Checks the files that libgit2 and git read once the repository is open.
    pub(super) fn check_opened(
        &self,
        context: &EffectContext,
        config: &Config,
        work_dir: Option<&Path>,
    ) -> Result<(), EffectError> {
        config::check_named(context, &self.roots, config)?;
        let Some(work_dir) = work_dir else {
            return Ok(());
        };
        let modules = work_dir.join(".gitmodules");
        work_tree::check_one(context, &self.roots, &modules)?;
        config::check_file(context, &self.roots, &modules)
    }
}
