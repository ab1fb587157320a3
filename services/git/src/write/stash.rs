//! The stash: changes put aside as commits, newest in `refs/stash`, the others
//! in its reflog.

use std::collections::HashSet;
use std::fs;

use exomonad_schema::effects::git::{GitPoppedStash, GitStashEntry, GitStashed, GitStashes};
use exomonad_schema::{EffectError, ErrorCode};
use git2::build::CheckoutBuilder;
use git2::{CheckoutNotificationType, Commit, Index, Oid, StashApplyOptions};

use super::index::{self, LockedIndex};
use super::refs::{self, ExpectedOld};
use super::stage::{self, Rest, Wanted};
use super::{RepoWriter, author, branch, reflog, target_tree};
use crate::open::OpenRepo;
use crate::{head, submodule};

const STASH: &str = "refs/stash";

/// Lists the stashes, newest first.
pub(crate) fn list(repo: &OpenRepo) -> Result<GitStashes, EffectError> {
    refs::check_path(repo, repo.common_dir(), STASH)?;
    let lines = reflog::read(repo, &reflog::path(repo.common_dir(), STASH))?;
    Ok(GitStashes {
        stashes: lines
            .into_iter()
            .rev()
            .map(|line| GitStashEntry {
                commit: line.new.to_string(),
                message: line.message,
                unix_millis: line.seconds.saturating_mul(1000),
            })
            .collect(),
    })
}

/// Stashes changes: the index as one commit, untracked files as another on
/// request, and the working tree as a merge of them with HEAD, as `git stash` does.
pub(crate) fn save(
    writer: &RepoWriter<'_>,
    message: &str,
    include_untracked: bool,
) -> Result<GitStashed, EffectError> {
    writer.repo.work_dir()?;
    let who = author::signature(writer)?;
    let mut locked = LockedIndex::take(writer, writer.repo.git_dir(), writer.git2())?;
    locked.check_no_conflicts(writer)?;
    locked.check_not_sparse(writer)?;
    let repository = writer.git2();
    let fail = |error: git2::Error| writer.git_error(&error);
    let head = head::find(&writer.repo)?;
    let id = head
        .commit
        .ok_or_else(|| branch::no_commit(writer.context()))?;
    let commit = repository.find_commit(id).map_err(fail)?;

    let staged = locked.index.write_tree_to(repository).map_err(fail)?;
    let take = |locked: &mut LockedIndex<'_>, rest| {
        stage::into(writer, locked, &Wanted { paths: &[], rest })
    };
    take(&mut locked, Rest::Tracked)?;
    let changed = locked.index.write_tree_to(repository).map_err(fail)?;
    let untracked = if include_untracked {
        let tracked: HashSet<_> = locked.index.iter().map(|entry| entry.path).collect();
        take(&mut locked, Rest::All)?;
        untracked_tree(writer, &locked.index, &tracked)?
    } else {
        None
    };
    let is_clean = [staged, changed]
        .iter()
        .all(|tree| *tree == commit.tree_id());
    if is_clean && untracked.is_none() {
        return Ok(GitStashed::default());
    }

    let on = match &head.reference {
        Some(reference) => head::short_name(reference),
        None => "(no branch)".to_owned(),
    };
    let last = format!("{on}: {} {}", &id.to_string()[..7], summary(&commit));
    let make = |message: &str, tree: Oid, parents: &[&Commit<'_>]| {
        repository
            .find_tree(tree)
            .and_then(|tree| repository.commit(None, &who, &who, message, &tree, parents))
            .and_then(|id| repository.find_commit(id))
            .map_err(fail)
    };
    let index_commit = make(&format!("index on {last}\n"), staged, &[&commit])?;
    let untracked_commit = untracked
        .map(|tree| make(&format!("untracked files on {last}\n"), tree, &[]))
        .transpose()?;
    let called = match message.trim() {
        "" => format!("WIP on {last}"),
        message => format!("On {on}: {}", message.replace(['\n', '\r', '\0'], " ")),
    };
    let parents: Vec<_> = [
        Some(&commit),
        Some(&index_commit),
        untracked_commit.as_ref(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let stash = make(&format!("{called}\n"), changed, &parents)?;
    // The working tree changes only when the stash can be restored.
    refs::set(writer, STASH, ExpectedOld::Anything, stash.id(), &called)?;
    locked.index.write().map_err(fail)?;
    repository
        .checkout_tree(commit.as_object(), Some(CheckoutBuilder::new().force()))
        .map_err(fail)?;
    locked.finish(writer)?;
    Ok(GitStashed {
        commit: Some(stash.id().to_string()),
    })
}

fn summary(commit: &Commit<'_>) -> String {
    let message = String::from_utf8_lossy(commit.message_bytes());
    message.lines().next().unwrap_or_default().to_owned()
}

/// A tree of the files that are in the index only now.
fn untracked_tree(
    writer: &RepoWriter<'_>,
    index: &Index,
    tracked: &HashSet<Vec<u8>>,
) -> Result<Option<Oid>, EffectError> {
    let fail = |error: git2::Error| writer.git_error(&error);
    let mut only = Index::new().map_err(fail)?;
    for entry in index.iter().filter(|entry| !tracked.contains(&entry.path)) {
        only.add(&entry).map_err(fail)?;
    }
    if only.is_empty() {
        return Ok(None);
    }
    only.write_tree_to(writer.git2()).map(Some).map_err(fail)
}

/// Restores a stash, and removes it from the list unless there are conflicts.
///
/// # Errors
/// `not_found` when there is no such stash, `conflict` when changes that are not
/// committed are in its way.
pub(crate) fn pop(writer: &RepoWriter<'_>, number: u64) -> Result<GitPoppedStash, EffectError> {
    writer.repo.work_dir()?;
    let stashes = list(&writer.repo)?.stashes;
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let commit = match stashes.get(number) {
        Some(stash) => stash.commit.clone(),
        None => {
            return Err(writer.context().error(
                ErrorCode::NotFound,
                format_args!("there is no stash {number}; there are {}", stashes.len()),
            ));
        }
    };
    submodule::authorize_all(&writer.repo)?;
    check_trees(writer, &commit)?;
    let mut repository = writer.repo.reopen()?;
    let mut locked = LockedIndex::take(writer, writer.repo.git_dir(), &repository)?;
    locked.check_no_conflicts(writer)?;
    locked.check_not_sparse(writer)?;
    let mut in_the_way = Vec::new();
    let applied = {
        let mut checkout = CheckoutBuilder::new();
        checkout
            .safe()
            .notify_on(CheckoutNotificationType::CONFLICT)
            .notify(|_, path, _, _, _| {
                in_the_way.extend(path.map(|path| path.to_string_lossy().into_owned()));
                true
            });
        let mut options = StashApplyOptions::new();
        options.checkout_options(checkout);
        repository.stash_apply(number, Some(&mut options))
    };
    applied.map_err(|error| match error.code() {
        git2::ErrorCode::Conflict | git2::ErrorCode::Uncommitted => {
            let files = match index::listed(&in_the_way) {
                files if files.is_empty() => "staged changes".to_owned(),
                files => files,
            };
            writer.context().error(
                ErrorCode::Conflict,
                format_args!(
                    "the stash meets what is not committed: {files}; commit or stash that first; \
                     the stash is still in the list"
                ),
            )
        }
        _ => writer.git_error(&error),
    })?;
    let conflicts = index::conflicts(&locked.index).map_err(|error| writer.git_error(&error))?;
    locked.finish(writer)?;
    if conflicts.is_empty() {
        drop_from_list(writer, number, &commit)?;
    }
    Ok(GitPoppedStash { commit, conflicts })
}

/// Checks the trees that a stash would write to the working tree: its own, and that of untracked files.
fn check_trees(writer: &RepoWriter<'_>, stash: &str) -> Result<(), EffectError> {
    let repository = writer.git2();
    let fail = |error: git2::Error| writer.git_error(&error);
    let stash = Oid::from_str(stash)
        .and_then(|id| repository.find_commit(id))
        .map_err(fail)?;
    let head = head::tree(&writer.repo)?;
    let untracked = stash.parent(2).ok();
    let all = [(Some(stash), head), (untracked, None)];
    for (commit, old) in all {
        let Some(new) = commit
            .map(|commit| commit.tree())
            .transpose()
            .map_err(fail)?
        else {
            continue;
        };
        target_tree::check(writer, repository, old.as_ref(), &new)?;
        target_tree::check_paths(writer, repository, old.as_ref(), &new)?;
    }
    Ok(())
}

/// Removes a stash from the list, if it is still the one with this commit.
fn drop_from_list(writer: &RepoWriter<'_>, number: usize, commit: &str) -> Result<(), EffectError> {
    let git_dir = writer.repo.common_dir();
    let log = reflog::path(git_dir, STASH);
    let lock = writer.lock(&git_dir.join(STASH))?;
    let lines = reflog::read(&writer.repo, &log)?;
    let found = lines
        .len()
        .checked_sub(number + 1)
        .filter(|at| lines[*at].new.to_string() == commit);
    let Some(dropped) = found else {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            "the stash is back, but the list changed meanwhile, so that it is still there",
        ));
    };
    if lines.len() == 1 {
        drop(lock);
        return refs::remove(writer, STASH, lines[dropped].new);
    }
    let mut kept = Vec::new();
    let mut old = Oid::ZERO_SHA1;
    let mut last = old;
    for (at, line) in lines.iter().enumerate() {
        if at != dropped {
            // Each line names the one before it, so the gap is closed.
            let before = if at == dropped + 1 { old } else { line.old };
            kept.extend(line.with_old(before));
            last = line.new;
        }
        old = line.old;
    }
    let content = writer.session().folder().join("log");
    fs::write(&content, kept)
        .and_then(|()| fs::rename(&content, &log))
        .map_err(|error| {
            writer.context().error(
                ErrorCode::Unavailable,
                format_args!("the list of stashes cannot be written: {error}; the stash is back and still in it"),
            )
        })?;
    lock.write(writer.context(), format!("{last}\n").as_bytes())
}
