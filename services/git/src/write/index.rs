//! The index, locked for a change.
//!
//! libgit2 locks the index when it writes it, not when it reads it. So here the
//! lock is taken first, libgit2 works on a copy, and the copy is renamed into
//! place; whatever libgit2 writes on its own goes to the copy too.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use exomonad_schema::effects::git::{ChangeKind, GitChange};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{Delta, Index, Repository, Tree};

use super::RepoWriter;
use super::lock_session::Lock;
use crate::effect_context::EffectContext;
use crate::status::is_left_out;

/// Number of names an error lists.
const MAX_NAMES: usize = 20;

/// The index of one worktree, locked.
pub(super) struct LockedIndex<'w> {
    lock: Lock<'w>,
    copy: PathBuf,
    pub(super) index: Index,
}

impl<'w> LockedIndex<'w> {
    /// Locks the index and has `repository` use a copy of it.
    pub(super) fn take(
        writer: &'w RepoWriter<'_>,
        git_dir: &Path,
        repository: &Repository,
    ) -> Result<Self, EffectError> {
        let lock = writer.lock(&git_dir.join("index"))?;
        let copy = writer.session().folder().join("index");
        copy_with_time(lock.target(), &copy).map_err(|error| {
            writer.context().error(
                ErrorCode::Unavailable,
                format_args!("the index cannot be copied: {error}; check that the disk has room"),
            )
        })?;
        let mut index = Index::open(&copy).map_err(|error| writer.git_error(&error))?;
        repository
            .set_index(&mut index)
            .map_err(|error| writer.git_error(&error))?;
        Ok(Self { lock, copy, index })
    }

    /// Replaces the index. It stays locked.
    pub(super) fn finish(&mut self, writer: &RepoWriter<'_>) -> Result<(), EffectError> {
        self.index
            .write()
            .map_err(|error| writer.git_error(&error))?;
        self.lock.replace_by(writer.context(), &self.copy)
    }

    /// Refuses while there are merge conflicts.
    pub(super) fn check_no_conflicts(&self, writer: &RepoWriter<'_>) -> Result<(), EffectError> {
        let conflicts = conflicts(&self.index).map_err(|error| writer.git_error(&error))?;
        if conflicts.is_empty() {
            return Ok(());
        }
        Err(undecided(writer.context(), &conflicts))
    }

    /// Refuses a sparse checkout: libgit2 takes what is left out for deleted.
    pub(super) fn check_not_sparse(&self, writer: &RepoWriter<'_>) -> Result<(), EffectError> {
        if self.left_out().is_empty() {
            return Ok(());
        }
        Err(writer.context().error(
            ErrorCode::Unsupported,
            "files are left out of the working tree on purpose (a sparse checkout, or \
             `git update-index --assume-unchanged`), which would be lost; use git itself here",
        ))
    }

    /// The paths that are missing from the working tree on purpose.
    pub(super) fn left_out(&self) -> Vec<Vec<u8>> {
        self.index
            .iter()
            .filter(|entry| is_left_out(&self.index, &entry.path))
            .map(|entry| entry.path)
            .collect()
    }
}

/// Copies the index with its time: libgit2 takes a file that is not older than
/// the index for one that may have changed unnoticed.
fn copy_with_time(index: &Path, copy: &Path) -> io::Result<()> {
    let time = match fs::metadata(index) {
        Ok(found) => found.modified()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::remove_file(copy) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        Err(error) => return Err(error),
    };
    fs::copy(index, copy)?;
    File::options()
        .write(true)
        .open(copy)?
        .set_times(FileTimes::new().set_modified(time))
}

/// The paths with merge conflicts, each once.
pub(super) fn conflicts(index: &Index) -> Result<Vec<String>, git2::Error> {
    let mut paths = Vec::new();
    if !index.has_conflicts() {
        return Ok(paths);
    }
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        if let Some(entry) = entry {
            paths.push(String::from_utf8_lossy(&entry.path).into_owned());
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

/// The changes the next commit would make.
pub(super) fn staged(
    writer: &RepoWriter<'_>,
    head: Option<&Tree<'_>>,
    index: &Index,
) -> Result<Vec<GitChange>, EffectError> {
    let diff = writer
        .git2()
        .diff_tree_to_index(head, Some(index), None)
        .map_err(|error| writer.git_error(&error))?;
    let mut changes: Vec<_> = diff
        .deltas()
        .filter_map(|delta| {
            let kind = match delta.status() {
                Delta::Added => ChangeKind::Added,
                Delta::Deleted => ChangeKind::Deleted,
                Delta::Modified => ChangeKind::Modified,
                Delta::Typechange => ChangeKind::TypeChanged,
                Delta::Conflicted => ChangeKind::Conflicted,
                _ => return None,
            };
            let path = delta
                .new_file()
                .path_bytes()
                .or(delta.old_file().path_bytes())?;
            Some(GitChange::new(path, kind))
        })
        .collect();
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    changes.dedup();
    Ok(changes)
}

/// The error for merge conflicts.
pub(crate) fn undecided(context: &EffectContext, conflicts: &[String]) -> EffectError {
    context.error(
        ErrorCode::Conflict,
        format_args!(
            "a merge has left files undecided: {}; resolve them and stage each by its path",
            listed(conflicts)
        ),
    )
}

/// Some names for an error, and how many more there are.
pub(crate) fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(MAX_NAMES)
        .map(|name| format!("{name:?}"))
        .collect();
    match names.len().saturating_sub(MAX_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
