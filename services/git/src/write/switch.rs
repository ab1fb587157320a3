//! Checks branches out.

use exomonad_schema::effects::git::GitBranch;
use exomonad_schema::{EffectError, ErrorCode};
use git2::CheckoutNotificationType;
use git2::build::CheckoutBuilder;

use super::RepoWriter;
use super::head_file::{self, Head};
use super::index::{self, LockedIndex};
use super::{refs, target_tree};
use crate::{head, submodule};

/// Checks a branch out.
///
/// # Errors
/// `conflict`, naming the files, when changes would be lost, and when another
/// worktree has the branch; `not_found` when there is no such branch.
pub(crate) fn switch(writer: &RepoWriter<'_>, branch: &str) -> Result<GitBranch, EffectError> {
    writer.repo.work_dir()?;
    let name = refs::full_name(writer, "refs/heads/", branch)?;
    let id = refs::current(writer, &name)?.ok_or_else(|| {
        writer.context().error(
            ErrorCode::NotFound,
            format_args!("there is no branch {branch:?}; make it first, from `ref` when it is to follow another"),
        )
    })?;
    if let Some(other) = head_file::worktree_of(writer, &name) {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            format_args!("the branch {branch:?} is checked out in {other}"),
        ));
    }
    submodule::authorize_all(&writer.repo)?;
    let mut locked = LockedIndex::take(writer, writer.repo.git_dir(), writer.git2())?;
    locked.check_no_conflicts(writer)?;
    locked.check_not_sparse(writer)?;
    let before = head::find(&writer.repo)?;
    let commit = writer
        .git2()
        .find_commit(id)
        .map_err(|error| writer.git_error(&error))?;
    let fail = |error: git2::Error| writer.git_error(&error);
    let old = head::tree(&writer.repo)?;
    let new = commit.tree().map_err(fail)?;
    target_tree::check(writer, writer.git2(), old.as_ref(), &new)?;
    target_tree::check_paths(writer, writer.git2(), old.as_ref(), &new)?;
    check_out(writer, commit.as_object())?;
    locked.finish(writer)?;
    let from = match &before.reference {
        Some(reference) => head::short_name(reference),
        None => before.commit.map(|id| id.to_string()).unwrap_or_default(),
    };
    let message = format!("checkout: moving from {from} to {branch}");
    head_file::set(writer, Head::Branch(&name), before.commit, id, &message)?;
    head::read(&writer.repo)
}

/// Updates the working tree from HEAD to a commit, if no change gets lost.
fn check_out(writer: &RepoWriter<'_>, commit: &git2::Object<'_>) -> Result<(), EffectError> {
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
        writer.git2().checkout_tree(commit, Some(&mut builder))
    };
    result.map_err(|error| {
        if in_the_way.is_empty() && error.code() != git2::ErrorCode::Conflict {
            return writer.git_error(&error);
        }
        in_the_way.sort();
        writer.context().error(
            ErrorCode::Conflict,
            format_args!(
                "changes would be lost in {}; commit or stash them first",
                index::listed(&in_the_way)
            ),
        )
    })
}
