//! Creates branches.

use exomonad_schema::effects::git::GitNewBranch;
use exomonad_schema::{EffectError, ErrorCode};
use git2::Oid;

use super::RepoWriter;
use super::refs::{self, ExpectedOld};
use crate::effect_context::EffectContext;
use crate::{head, revision};

/// Creates a branch.
///
/// # Errors
/// `conflict` when it exists already.
pub(crate) fn create(
    writer: &RepoWriter<'_>,
    branch: &str,
    start: Option<&str>,
) -> Result<GitNewBranch, EffectError> {
    let name = refs::full_name(writer, "refs/heads/", branch)?;
    let commit = start_commit(writer, start)?;
    let from = start.unwrap_or("HEAD");
    let message = format!("branch: Created from {from}");
    refs::set(writer, &name, ExpectedOld::Absent, commit, &message)?;
    Ok(GitNewBranch {
        branch: branch.to_owned(),
        commit: commit.to_string(),
    })
}

/// The commit a guest names, or the one that is checked out.
pub(super) fn start_commit(
    writer: &RepoWriter<'_>,
    start: Option<&str>,
) -> Result<Oid, EffectError> {
    match start {
        Some(start) => Ok(revision::commit(&writer.repo, start)?.id()),
        None => head::find(&writer.repo)?
            .commit
            .ok_or_else(|| no_commit(writer.context())),
    }
}

/// The error when there is no commit yet.
pub(crate) fn no_commit(context: &EffectContext) -> EffectError {
    context.error(
        ErrorCode::NotFound,
        "the branch that is checked out has no commit yet; commit something first",
    )
}
