//! Checking a branch out.

use exomonad_schema::effects::git::GitBranch;
use exomonad_schema::{EffectError, ErrorCode};
use git2::CheckoutNotificationType;
use git2::build::CheckoutBuilder;

use super::Writing;
use super::head_file::{self, Head};
use super::index::{self, LockedIndex};
use super::refs;
use crate::git::{head, submodule};

/// Checks a branch out.
///
/// # Errors
/// `conflict`, naming the files, when changes would be lost, and when another
/// worktree has the branch; `not_found` when there is no such branch.
pub(in crate::git) fn switch(
    writing: &Writing<'_>,
    branch: &str,
) -> Result<GitBranch, EffectError> {
    writing.opened.work_dir()?;
    let name = refs::full_name(writing, "refs/heads/", branch)?;
    let id = refs::current(writing, &name)?.ok_or_else(|| {
        writing.task().error(
            ErrorCode::NotFound,
            format_args!("there is no branch {branch:?}; make it first, from `ref` when it is to follow another"),
        )
    })?;
    if let Some(place) = head_file::worktree_of(writing, &name) {
        return Err(writing.task().error(
            ErrorCode::Conflict,
            format_args!("the branch {branch:?} is checked out in {place}"),
        ));
    }
    submodule::admit_all(&writing.opened)?;
    let mut locked = LockedIndex::take(writing, writing.opened.git_dir(), writing.repository())?;
    locked.check_no_conflicts(writing)?;
    locked.check_not_sparse(writing)?;
    let before = head::find(&writing.opened)?;
    let commit = writing
        .repository()
        .find_commit(id)
        .map_err(|error| writing.git_error(&error))?;
    check_out(writing, commit.as_object())?;
    locked.finish(writing)?;
    let from = match &before.reference {
        Some(reference) => head::short_name(reference),
        None => before.commit.map(|id| id.to_string()).unwrap_or_default(),
    };
    let message = format!("checkout: moving from {from} to {branch}");
    head_file::set(writing, Head::Branch(&name), before.commit, id, &message)?;
    head::read(&writing.opened)
}

/// Brings the working tree from HEAD to a commit, when no change gets lost.
fn check_out(writing: &Writing<'_>, commit: &git2::Object<'_>) -> Result<(), EffectError> {
    let mut in_the_way = Vec::new();
    let result = {
        let mut builder = CheckoutBuilder::new();
        builder
            .safe()
            .overwrite_ignored(false)
            .notify_on(CheckoutNotificationType::CONFLICT)
            .notify(|_, path, _, _, _| {
                in_the_way.extend(path.map(|path| path.to_string_lossy().into_owned()));
                true
            });
        writing
            .repository()
            .checkout_tree(commit, Some(&mut builder))
    };
    result.map_err(|error| {
        if in_the_way.is_empty() && error.code() != git2::ErrorCode::Conflict {
            return writing.git_error(&error);
        }
        in_the_way.sort();
        writing.task().error(
            ErrorCode::Conflict,
            format_args!(
                "changes would be lost in {}; commit or stash them first",
                index::listed(&in_the_way)
            ),
        )
    })
}
