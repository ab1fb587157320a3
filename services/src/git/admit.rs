//! Whether everything a repository consists of may be read.
//!
//! A repository is more than its folder: a `.git` file names a git folder
//! elsewhere, that one names a common folder, that one more object stores, and
//! each may be a link. Whoever can write into an allowed folder, an agent for
//! one, could point any of these at a foreign repository.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use exomonad_schema::{EffectError, ErrorCode};

use super::discover::Found;
use super::roots::{Place, Roots};
use super::small_file;
use super::task::Task;

/// Git follows alternates of alternates this far.
const MAX_ALTERNATES_DEPTH: usize = 5;

/// A repository all of whose parts may be read.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The folder to open: the one that holds `.git`, or the git folder itself.
    pub(super) open_at: PathBuf,
    /// Its git folder; a linked worktree has its own.
    pub(super) git_dir: PathBuf,
    /// The git folder that its worktrees share.
    pub(super) common_dir: PathBuf,
    /// The role's folders, and the common folder where a linked worktree brings it in.
    pub(super) roots: Roots,
}

/// Follows a repository's files to each other.
///
/// # Errors
/// `forbidden` when one leads outside, `unsupported` when they lead nowhere.
pub(super) fn repository(
    task: &Task,
    found: Found,
    roots: &Roots,
) -> Result<Admitted, EffectError> {
    let (open_at, git_dir, worktree) = match found {
        Found::GitDir(folder) => (folder.clone(), folder, None),
        Found::DotGit(folder) => {
            let git_dir = git_dir_of(task, &folder.join(".git"), &folder)?;
            (folder.clone(), git_dir, Some(folder))
        }
    };
    let common_dir = match small_file::read_path(&git_dir.join("commondir"), &git_dir) {
        Some(path) => path
            .canonicalize()
            .map_err(|_| task.damaged("its `commondir` names a folder that is not there"))?,
        None => git_dir.clone(),
    };
    let roots = if roots.contain(&git_dir) && roots.contain(&common_dir) {
        roots.clone()
    } else if worktree.is_some_and(|folder| is_registered(&folder, &git_dir, &common_dir)) {
        roots.with([common_dir.clone()])
    } else {
        return Err(task.forbidden(
            "the repository's git folder, which `.git` leads to, is not that of a worktree registered for this folder and is",
        ));
    };
    let admitted = Admitted {
        open_at,
        git_dir,
        common_dir,
        roots,
    };
    admitted.check_links(task)?;
    admitted.check_object_store(task, &admitted.common_dir.join("objects"), 0)?;
    Ok(admitted)
}

/// Where `.git` leads: a folder or a link is the git folder, a file names it.
fn git_dir_of(task: &Task, dot_git: &Path, folder: &Path) -> Result<PathBuf, EffectError> {
    let named = if dot_git.is_file() {
        // Only a link leads a `.git` file elsewhere, and git makes none.
        if dot_git.is_symlink() {
            return Err(task.forbidden("`.git` is a link to a file, which may lie"));
        }
        let content = small_file::read(dot_git).unwrap_or_default();
        let Some(path) = content.strip_prefix(b"gitdir:") else {
            return Err(task.damaged("its `.git` file does not begin with `gitdir:`"));
        };
        folder.join(small_file::path_from(path.trim_ascii()))
    } else {
        dot_git.to_owned()
    };
    named
        .canonicalize()
        // Whether something is there is not told apart from whether it may be read.
        .map_err(|_| task.forbidden("what `.git` leads to is missing or"))
}

/// Whether the common folder knows `git_dir` as the worktree at `folder`:
/// `git worktree add` leaves marks on both sides, and only one is in the folder.
fn is_registered(folder: &Path, git_dir: &Path, common_dir: &Path) -> bool {
    let registered_at = small_file::read_path(&git_dir.join("gitdir"), git_dir)
        .and_then(|dot_git| dot_git.parent()?.canonicalize().ok());
    git_dir.parent() == Some(common_dir.join("worktrees").as_path())
        && registered_at.as_deref() == Some(folder)
}

impl Admitted {
    /// Looks at the folders whose entries libgit2 opens by name.
    fn check_links(&self, task: &Task) -> Result<(), EffectError> {
        self.check_entries(task, &self.git_dir)?;
        if self.common_dir != self.git_dir {
            self.check_entries(task, &self.common_dir)?;
        }
        ["refs", "info"].iter().try_for_each(|folder| {
            self.check_entries(task, &self.git_dir.join(folder))?;
            self.check_entries(task, &self.common_dir.join(folder))
        })
    }

    fn check_object_store(
        &self,
        task: &Task,
        objects: &Path,
        depth: usize,
    ) -> Result<(), EffectError> {
        for folder in [
            objects.to_owned(),
            objects.join("info"),
            objects.join("pack"),
        ] {
            self.check_entries(task, &folder)?;
        }
        let Some(alternates) = small_file::read(&objects.join("info/alternates")) else {
            return Ok(());
        };
        if depth == MAX_ALTERNATES_DEPTH {
            return Err(task.damaged("its alternates go in circles or too deep"));
        }
        alternates
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
            .try_for_each(|line| match self.roots.place(&objects.join(small_file::path_from(line))) {
                Place::Inside(store) => self.check_object_store(task, &store, depth + 1),
                Place::Missing => Ok(()),
                Place::Outside => Err(task.forbidden(
                    "the repository borrows objects (`objects/info/alternates`) from a place that is",
                )),
            })
    }

    /// No entry of a folder is a link to outside, or a pipe that would keep its reader waiting.
    fn check_entries(&self, task: &Task, folder: &Path) -> Result<(), EffectError> {
        // A folder that is not there holds nothing; one that cannot be read
        // libgit2 cannot read either.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let name = entry.file_name();
            if kind.is_symlink() && self.roots.place(&entry.path()) == Place::Outside {
                return Err(
                    task.forbidden(format_args!("the link {name:?} in the git folder leads"))
                );
            }
            if kind.is_fifo() || kind.is_char_device() || kind.is_block_device() {
                return Err(task.error(
                    ErrorCode::Unsupported,
                    format_args!("{name:?} in the git folder is a pipe or a device; remove it"),
                ));
            }
        }
        Ok(())
    }
}
