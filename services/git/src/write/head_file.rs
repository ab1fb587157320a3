//! Writes HEAD of this worktree, and reads those of the others.

use std::fs;

use exomonad_schema::EffectError;
use git2::Oid;

use super::refs::check_path;
use super::{RepoWriter, author, reflog};
use crate::small_file;

/// Sets HEAD of this worktree to a branch or a commit, with a line in its reflog.
pub(super) fn set(
    writer: &RepoWriter<'_>,
    head: Head<'_>,
    old: Option<Oid>,
    new: Oid,
    message: &str,
) -> Result<(), EffectError> {
    let git_dir = writer.repo.git_dir();
    check_path(&writer.repo, git_dir, "HEAD")?;
    let lock = writer.lock(&git_dir.join("HEAD"))?;
    log(writer, old, new, message)?;
    let content = match head {
        Head::Branch(name) => format!("ref: {name}\n"),
        Head::Detached => format!("{new}\n"),
    };
    lock.write(writer.context(), content.as_bytes())
}

/// The new value of HEAD.
pub(super) enum Head<'n> {
    /// A branch, by its full name.
    Branch(&'n str),
    /// A commit.
    Detached,
}

/// Adds a line to HEAD's reflog, as when its branch moves.
pub(super) fn log(
    writer: &RepoWriter<'_>,
    old: Option<Oid>,
    new: Oid,
    message: &str,
) -> Result<(), EffectError> {
    let git_dir = writer.repo.git_dir();
    check_path(&writer.repo, git_dir, "HEAD")?;
    let who = author::for_reflog(writer)?;
    let entry = reflog::Entry {
        old,
        new,
        who: &who,
        message,
    };
    reflog::append(writer, &reflog::path(git_dir, "HEAD"), false, &entry)
}

/// The name of another worktree of the repository in which a branch is checked out.
pub(super) fn worktree_of(writer: &RepoWriter<'_>, branch: &str) -> Option<String> {
    let common_dir = writer.repo.common_dir();
    let linked = fs::read_dir(common_dir.join("worktrees"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    std::iter::once(common_dir.to_owned())
        .chain(linked)
        .filter(|git_dir| git_dir != writer.repo.git_dir())
        // HEAD of a bare repository only says which branch is the default.
        .filter(|git_dir| git_dir != common_dir || !is_bare(writer))
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

fn is_bare(writer: &RepoWriter<'_>) -> bool {
    writer
        .git2()
        .config()
        .and_then(|config| config.get_bool("core.bare"))
        .unwrap_or(false)
}
