//! Authorization of a repository: all of its parts have to be within the role's paths.
//!
//! A repository is more than its folder: a `.git` file names a git folder
//! elsewhere, that one names a common folder, that one more object stores, and
//! each may be a link. An agent that can write into an allowed folder could point
//! any of these at a foreign repository.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use exomonad_schema::{EffectError, ErrorCode};

use super::discover::Discovered;
use super::effect_context::EffectContext;
use super::small_file;
use exomonad_core::roots::{Location, Roots};

/// Depth to which git follows alternates of alternates.
const MAX_ALTERNATES_DEPTH: usize = 5;

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
    let common_dir = match small_file::read_path(&git_dir.join("commondir"), &git_dir) {
        Some(path) => path
            .canonicalize()
            .map_err(|_| context.damaged("its `commondir` names a folder that is not there"))?,
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
    authorized.check_links(context)?;
    authorized.check_object_store(context, &authorized.common_dir.join("objects"), 0)?;
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
        let content = small_file::read(dot_git).unwrap_or_default();
        let Some(path) = content.strip_prefix(b"gitdir:") else {
            return Err(context.damaged("its `.git` file does not begin with `gitdir:`"));
        };
        folder.join(small_file::path_from(path.trim_ascii()))
    } else {
        dot_git.to_owned()
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
    /// Checks the folders whose entries libgit2 opens by name.
    fn check_links(&self, context: &EffectContext) -> Result<(), EffectError> {
        self.check_entries(context, &self.git_dir)?;
        if self.common_dir != self.git_dir {
            self.check_entries(context, &self.common_dir)?;
        }
        ["refs", "info"].iter().try_for_each(|folder| {
            self.check_entries(context, &self.git_dir.join(folder))?;
            self.check_entries(context, &self.common_dir.join(folder))
        })
    }

    fn check_object_store(
        &self,
        context: &EffectContext,
        objects: &Path,
        depth: usize,
    ) -> Result<(), EffectError> {
        for folder in [
            objects.to_owned(),
            objects.join("info"),
            objects.join("pack"),
        ] {
            self.check_entries(context, &folder)?;
        }
        let Some(alternates) = small_file::read(&objects.join("info/alternates")) else {
            return Ok(());
        };
        if depth == MAX_ALTERNATES_DEPTH {
            return Err(context.damaged("its alternates go in circles or too deep"));
        }
        alternates
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            .try_for_each(|line| match self.roots.locate(&objects.join(small_file::path_from(line))) {
                Location::Inside(store) => self.check_object_store(context, &store, depth + 1),
                Location::Missing => Ok(()),
                Location::Outside => Err(context.forbidden(
                    "the repository borrows objects (`objects/info/alternates`) from a place that is",
                )),
            })
    }

    /// Checks that no entry of a folder is a link to outside, or a pipe, which would block its reader.
    fn check_entries(&self, context: &EffectContext, folder: &Path) -> Result<(), EffectError> {
        // A folder that is not there holds nothing; one that cannot be read
        // libgit2 cannot read either.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let name = entry.file_name();
            if kind.is_symlink() && self.roots.locate(&entry.path()) == Location::Outside {
                return Err(
                    context.forbidden(format_args!("the link {name:?} in the git folder leads"))
                );
            }
            if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
                return Err(context.error(
                    ErrorCode::Unsupported,
                    format_args!("{name:?} in the git folder is a pipe or a device; remove it"),
                ));
            }
        }
        Ok(())
    }
}
