//! Commits.

use exomonad_schema::effects::git::{GitCommit, GitCreateCommit};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{Commit, Oid, RepositoryState};

use super::head_file::{self, Head};
use super::index::LockedIndex;
use super::refs::{self, Before};
use super::{Writing, author, stage};
use crate::git::task::Task;
use crate::git::{head, history, small_file};

/// Commits what is staged, after staging what the request names. Hooks do not
/// run, and nothing is signed.
///
/// # Errors
/// `conflict` when nothing is staged or a merge is undecided, `not_configured`
/// without an author.
pub(in crate::git) fn create(
    writing: &Writing<'_>,
    request: &GitCreateCommit,
) -> Result<GitCommit, EffectError> {
    writing.opened.work_dir()?;
    let message = message(writing.task(), &request.message)?;
    let who = author::signature(writing)?;
    let mut locked = LockedIndex::take(writing, writing.opened.git_dir(), writing.repository())?;
    locked.check_no_conflicts(writing)?;
    if request.all || !request.paths.is_empty() {
        let wanted = stage::Wanted {
            paths: &request.paths,
            rest: stage::Rest::of(request.all),
        };
        stage::into(writing, &mut locked, &wanted)?;
    }
    let repository = writing.repository();
    let fail = |error: git2::Error| writing.git_error(&error);
    let head = head::find(&writing.opened)?;
    let state = repository.state();
    let mut parents: Vec<_> = head.commit.into_iter().collect();
    if state == RepositoryState::Merge {
        parents.extend(merged(writing)?);
    }
    let parents = parents
        .into_iter()
        .map(|id| repository.find_commit(id))
        .collect::<Result<Vec<_>, _>>()
        .map_err(fail)?;
    let tree = locked.index.write_tree_to(repository).map_err(fail)?;
    check_not_empty(writing, request, &parents, tree)?;
    let tree = repository.find_tree(tree).map_err(fail)?;
    let id = repository
        .commit(
            None,
            &who,
            &who,
            &message,
            &tree,
            &parents.iter().collect::<Vec<_>>(),
        )
        .map_err(fail)?;
    // In this order a host killed in between leaves changes staged, not undone.
    locked.finish(writing)?;
    move_head(writing, &head, id, &message, parents.len())?;
    if matches!(
        state,
        RepositoryState::Merge | RepositoryState::CherryPick | RepositoryState::Revert
    ) {
        // The commit is made; a note that a merge is under way would be wrong.
        repository.cleanup_state().map_err(fail)?;
    }
    repository
        .find_commit(id)
        .map(|commit| history::read(&commit))
        .map_err(fail)
}

/// The branch that is checked out moves on, or HEAD where there is none.
fn move_head(
    writing: &Writing<'_>,
    head: &head::Head,
    id: Oid,
    message: &str,
    parents: usize,
) -> Result<(), EffectError> {
    let what = match parents {
        0 => "commit (initial)",
        1 => "commit",
        _ => "commit (merge)",
    };
    let log = format!("{what}: {}", message.lines().next().unwrap_or_default());
    match &head.reference {
        None => head_file::set(writing, Head::Detached, head.commit, id, &log),
        Some(branch) => {
            let branch = std::str::from_utf8(branch).map_err(|_| {
                writing.task().error(
                    ErrorCode::Unsupported,
                    "the name of the branch that is checked out is no UTF-8 text; rename it with `git branch -m`",
                )
            })?;
            let before = head.commit.map_or(Before::Absent, Before::At);
            refs::set(writing, branch, before, id, &log)?;
            head_file::log(writing, head.commit, id, &log)
        }
    }
}

/// The commits a merge that is under way brings in.
fn merged(writing: &Writing<'_>) -> Result<Vec<Oid>, EffectError> {
    let heads = small_file::read(&writing.opened.git_dir().join("MERGE_HEAD")).unwrap_or_default();
    String::from_utf8_lossy(&heads)
        .lines()
        .map(|line| {
            Oid::from_str(line.trim())
                .map_err(|_| writing.task().damaged("`MERGE_HEAD` holds no commit's id"))
        })
        .collect()
}

fn check_not_empty(
    writing: &Writing<'_>,
    request: &GitCreateCommit,
    parents: &[Commit<'_>],
    tree: Oid,
) -> Result<(), EffectError> {
    let is_empty = match parents {
        [] => writing
            .repository()
            .find_tree(tree)
            .is_ok_and(|tree| tree.is_empty()),
        [parent] => parent.tree_id() == tree,
        // A merge says something even when it changes nothing.
        _ => false,
    };
    if is_empty && !request.allow_empty {
        return Err(nothing_staged(writing.task()));
    }
    Ok(())
}

/// A commit would change nothing.
pub(in crate::git) fn nothing_staged(task: &Task) -> EffectError {
    task.error(
        ErrorCode::Conflict,
        "nothing is staged; name `paths`, or set `all` to commit every change, or \
         `allowEmpty` for a commit without one",
    )
}

/// A message as git keeps it: no white space at the ends of lines, one newline at the end.
pub(in crate::git) fn message(task: &Task, message: &str) -> Result<String, EffectError> {
    let refuse =
        |what: &str| EffectError::invalid_input(format!("{}: the message {what}", task.kind()));
    if message.contains('\0') {
        return Err(refuse("holds a NUL character"));
    }
    let message =
        git2::message_prettify(message, None).map_err(|_| refuse("is no text git takes"))?;
    if message.trim().is_empty() {
        return Err(refuse("is empty; say what has changed and why"));
    }
    Ok(message)
}
