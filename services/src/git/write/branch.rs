//! New branches.

use exomonad_schema::effects::git::GitNewBranch;
use exomonad_schema::{EffectError, ErrorCode};
use git2::Oid;

use super::Writing;
use super::refs::{self, Before};
use crate::git::task::Task;
use crate::git::{head, revision};

/// Makes a branch.
///
/// # Errors
/// `conflict` when it exists already.
pub(in crate::git) fn create(
    writing: &Writing<'_>,
    branch: &str,
    start: Option<&str>,
) -> Result<GitNewBranch, EffectError> {
    let name = refs::full_name(writing, "refs/heads/", branch)?;
    let commit = start_commit(writing, start)?;
    let from = start.unwrap_or("HEAD");
    let message = format!("branch: Created from {from}");
    refs::set(writing, &name, Before::Absent, commit, &message)?;
    Ok(GitNewBranch {
        branch: branch.to_owned(),
        commit: commit.to_string(),
    })
}

/// The commit a guest names, or the one that is checked out.
pub(super) fn start_commit(writing: &Writing<'_>, start: Option<&str>) -> Result<Oid, EffectError> {
    match start {
        Some(start) => Ok(revision::commit(&writing.opened, start)?.id()),
        None => head::find(&writing.opened)?
            .commit
            .ok_or_else(|| no_commit(writing.task())),
    }
}

/// There is no commit yet to work from.
pub(in crate::git) fn no_commit(task: &Task) -> EffectError {
    task.error(
        ErrorCode::NotFound,
        "the branch that is checked out has no commit yet; commit something first",
    )
}
