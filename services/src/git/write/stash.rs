//! The stash: changes put aside as commits, newest in `refs/stash`, the others
//! in its reflog.

use std::collections::HashSet;
use std::fs;

use exomonad_schema::effects::git::{GitPoppedStash, GitStashEntry, GitStashed, GitStashes};
use exomonad_schema::{EffectError, ErrorCode};
use git2::build::CheckoutBuilder;
use git2::{CheckoutNotificationType, Commit, Index, Oid, StashApplyOptions};

use super::index::{self, LockedIndex};
use super::refs::{self, Before};
use super::stage::{self, Rest, Wanted};
use super::{Writing, author, branch, reflog};
use crate::git::open::Opened;
use crate::git::{head, submodule};

const STASH: &str = "refs/stash";

/// Lists the stashes, newest first.
pub(in crate::git) fn list(opened: &Opened) -> Result<GitStashes, EffectError> {
    refs::check_way(opened, opened.common_dir(), STASH)?;
    let lines = reflog::read(opened, &reflog::path(opened.common_dir(), STASH))?;
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

/// Puts changes aside: the index as one commit, untracked files as another when
/// asked, and the working tree as a merge of them with HEAD, as `git stash` does.
pub(in crate::git) fn save(
    writing: &Writing<'_>,
    message: &str,
    include_untracked: bool,
) -> Result<GitStashed, EffectError> {
    writing.opened.work_dir()?;
    let who = author::signature(writing)?;
    let mut locked = LockedIndex::take(writing, writing.opened.git_dir(), writing.repository())?;
    locked.check_no_conflicts(writing)?;
    locked.check_not_sparse(writing)?;
    let repository = writing.repository();
    let fail = |error: git2::Error| writing.git_error(&error);
    let head = head::find(&writing.opened)?;
    let id = head
        .commit
        .ok_or_else(|| branch::no_commit(writing.task()))?;
    let commit = repository.find_commit(id).map_err(fail)?;

    let staged = locked.index.write_tree_to(repository).map_err(fail)?;
    let take = |locked: &mut LockedIndex<'_>, rest| {
        stage::into(writing, locked, &Wanted { paths: &[], rest })
    };
    take(&mut locked, Rest::Tracked)?;
    let changed = locked.index.write_tree_to(repository).map_err(fail)?;
    let untracked = if include_untracked {
        let tracked: HashSet<_> = locked.index.iter().map(|entry| entry.path).collect();
        take(&mut locked, Rest::All)?;
        untracked_tree(writing, &locked.index, &tracked)?
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
    // Only when it can be had back does the working tree change.
    refs::set(writing, STASH, Before::Anything, stash.id(), &called)?;
    locked.index.write().map_err(fail)?;
    repository
        .checkout_tree(commit.as_object(), Some(CheckoutBuilder::new().force()))
        .map_err(fail)?;
    locked.finish(writing)?;
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
    writing: &Writing<'_>,
    index: &Index,
    tracked: &HashSet<Vec<u8>>,
) -> Result<Option<Oid>, EffectError> {
    let fail = |error: git2::Error| writing.git_error(&error);
    let mut only = Index::new().map_err(fail)?;
    for entry in index.iter().filter(|entry| !tracked.contains(&entry.path)) {
        only.add(&entry).map_err(fail)?;
    }
    if only.is_empty() {
        return Ok(None);
    }
    only.write_tree_to(writing.repository())
        .map(Some)
        .map_err(fail)
}

/// Brings a stash back, and takes it off the list unless files are left undecided.
///
/// # Errors
/// `not_found` when there is no such stash, `conflict` when it meets changes
/// that have not been committed.
pub(in crate::git) fn pop(
    writing: &Writing<'_>,
    number: u64,
) -> Result<GitPoppedStash, EffectError> {
    writing.opened.work_dir()?;
    let stashes = list(&writing.opened)?.stashes;
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    let commit = match stashes.get(number) {
        Some(stash) => stash.commit.clone(),
        None => {
            return Err(writing.task().error(
                ErrorCode::NotFound,
                format_args!("there is no stash {number}; there are {}", stashes.len()),
            ));
        }
    };
    submodule::admit_all(&writing.opened)?;
    let mut repository = writing.opened.reopen()?;
    let mut locked = LockedIndex::take(writing, writing.opened.git_dir(), &repository)?;
    locked.check_no_conflicts(writing)?;
    locked.check_not_sparse(writing)?;
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
            writing.task().error(
                ErrorCode::Conflict,
                format_args!(
                    "the stash meets what is not committed: {files}; commit or stash that first; \
                     the stash is still in the list"
                ),
            )
        }
        _ => writing.git_error(&error),
    })?;
    let conflicts = index::conflicts(&locked.index).map_err(|error| writing.git_error(&error))?;
    locked.finish(writing)?;
    if conflicts.is_empty() {
        drop_from_list(writing, number, &commit)?;
    }
    Ok(GitPoppedStash { commit, conflicts })
}

/// Takes a stash off the list, in which it is still the one with this commit.
fn drop_from_list(writing: &Writing<'_>, number: usize, commit: &str) -> Result<(), EffectError> {
    let git_dir = writing.opened.common_dir();
    let log = reflog::path(git_dir, STASH);
    let lock = writing.lock(&git_dir.join(STASH))?;
    let lines = reflog::read(&writing.opened, &log)?;
    let found = lines
        .len()
        .checked_sub(number + 1)
        .filter(|place| lines[*place].new.to_string() == commit);
    let Some(place) = found else {
        return Err(writing.task().error(
            ErrorCode::Conflict,
            "the stash is back, but the list changed meanwhile, so that it is still there",
        ));
    };
    if lines.len() == 1 {
        drop(lock);
        return refs::remove(writing, STASH, lines[place].new);
    }
    let mut kept = Vec::new();
    let mut old = Oid::ZERO_SHA1;
    let mut last = old;
    for (at, line) in lines.iter().enumerate() {
        if at != place {
            // Each line names the one before it, so the gap is closed.
            let before = if at == place + 1 { old } else { line.old };
            kept.extend(line.with_old(before));
            last = line.new;
        }
        old = line.old;
    }
    let content = writing.session().folder().join("log");
    fs::write(&content, kept)
        .and_then(|()| fs::rename(&content, &log))
        .map_err(|error| {
            writing.task().error(
                ErrorCode::Unavailable,
                format_args!("the list of stashes cannot be written: {error}; the stash is back and still in it"),
            )
        })?;
    lock.write(writing.task(), format!("{last}\n").as_bytes())
}
