//! HEAD, of this worktree and of the others.

use std::fs;

use exomonad_schema::EffectError;
use git2::Oid;

use super::refs::check_way;
use super::{Writing, author, reflog};
use crate::git::small_file;

/// Has HEAD of this worktree stand for a branch, or a commit, with a line in its reflog.
pub(super) fn set(
    writing: &Writing<'_>,
    head: Head<'_>,
    old: Option<Oid>,
    new: Oid,
    message: &str,
) -> Result<(), EffectError> {
    let git_dir = writing.opened.git_dir();
    check_way(&writing.opened, git_dir, "HEAD")?;
    let lock = writing.lock(&git_dir.join("HEAD"))?;
    log(writing, old, new, message)?;
    let content = match head {
        Head::Branch(name) => format!("ref: {name}\n"),
        Head::Detached => format!("{new}\n"),
    };
    lock.write(writing.task(), content.as_bytes())
}

/// What HEAD is to be.
pub(super) enum Head<'n> {
    /// A branch, by its full name.
    Branch(&'n str),
    /// A commit.
    Detached,
}

/// Adds a line to HEAD's reflog, as when the branch it stands for moves.
pub(super) fn log(
    writing: &Writing<'_>,
    old: Option<Oid>,
    new: Oid,
    message: &str,
) -> Result<(), EffectError> {
    let git_dir = writing.opened.git_dir();
    check_way(&writing.opened, git_dir, "HEAD")?;
    let who = author::for_reflog(writing)?;
    let entry = reflog::Entry {
        old,
        new,
        who: &who,
        message,
    };
    reflog::append(writing, &reflog::path(git_dir, "HEAD"), false, &entry)
}

/// Whether a branch is checked out in some worktree of the repository; where.
pub(super) fn worktree_of(writing: &Writing<'_>, branch: &str) -> Option<String> {
    let common_dir = writing.opened.common_dir();
    let linked = fs::read_dir(common_dir.join("worktrees"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    std::iter::once(common_dir.to_owned())
        .chain(linked)
        .filter(|git_dir| git_dir != writing.opened.git_dir())
        // HEAD of a bare repository only says which branch is the default.
        .filter(|git_dir| git_dir != common_dir || !is_bare(writing))
        .find(|git_dir| {
            small_file::read(&git_dir.join("HEAD"))
                .and_then(|head| {
                    Some(head.strip_prefix(b"ref:")?.trim_ascii() == branch.as_bytes())
                })
                .unwrap_or(false)
        })
        .map(|git_dir| {
            let name = git_dir.file_name().unwrap_or_default().to_string_lossy();
            if git_dir == common_dir {
                "the main worktree".to_owned()
            } else {
                format!("the worktree {name:?}")
            }
        })
}

fn is_bare(writing: &Writing<'_>) -> bool {
    writing
        .repository()
        .config()
        .and_then(|config| config.get_bool("core.bare"))
        .unwrap_or(false)
}
