//! Creates commits.

use exomonad_schema::effects::git::{GitCommit, GitCreateCommit};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{Commit, Oid, RepositoryState};

use super::head_file::{self, Head};
use super::index::LockedIndex;
use super::refs::{self, ExpectedOld};
use super::sign::Signer;
use super::{RepoWriter, author, stage};
use crate::effect_context::EffectContext;
use crate::{head, history, small_file};

/// Commits what is staged, after staging what the request names. Hooks do not
/// run. Where the repository asks for that, the commit is signed with the operator's key.
///
/// # Errors
/// `conflict` when nothing is staged or a merge is undecided, `not_configured`
/// without an author.
pub(crate) fn create(
    writer: &RepoWriter<'_>,
    request: &GitCreateCommit,
) -> Result<GitCommit, EffectError> {
    writer.repo.work_dir()?;
    let message = message(writer.context(), &request.message)?;
    let signer = Signer::wanted(writer, &["commit.gpgSign"], "commits")?;
    let who = author::signature(writer)?;
    let mut locked = LockedIndex::take(writer, writer.repo.git_dir(), writer.git2())?;
    locked.check_no_conflicts(writer)?;
    if request.all || !request.paths.is_empty() {
        let wanted = stage::Wanted {
            paths: &request.paths,
            rest: stage::Rest::of(request.all),
        };
        stage::into(writer, &mut locked, &wanted)?;
    }
    let repository = writer.git2();
    let fail = |error: git2::Error| writer.git_error(&error);
    let head = head::find(&writer.repo)?;
    let state = repository.state();
    let mut parents: Vec<_> = head.commit.into_iter().collect();
    if state == RepositoryState::Merge {
        parents.extend(merged(writer)?);
    }
    let parents = parents
        .into_iter()
        .map(|id| repository.find_commit(id))
        .collect::<Result<Vec<_>, _>>()
        .map_err(fail)?;
    let tree = locked.index.write_tree_to(repository).map_err(fail)?;
    check_not_empty(writer, request, &parents, tree)?;
    let tree = repository.find_tree(tree).map_err(fail)?;
    let id = store(writer, signer, &who, &message, &tree, &parents)?;
    // In this order a host killed in between leaves changes staged, not undone.
    locked.finish(writer)?;
    move_head(writer, &head, id, &message, parents.len())?;
    if matches!(
        state,
        RepositoryState::Merge | RepositoryState::CherryPick | RepositoryState::Revert
    ) {
        // The merge is complete with this commit.
        repository.cleanup_state().map_err(fail)?;
    }
    repository
        .find_commit(id)
        .map(|commit| history::read(&commit))
        .map_err(fail)
}

/// Stores the commit, to which nothing leads yet.
fn store(
    writer: &RepoWriter<'_>,
    signer: Option<Signer<'_>>,
    who: &git2::Signature<'_>,
    message: &str,
    tree: &git2::Tree<'_>,
    parents: &[Commit<'_>],
) -> Result<Oid, EffectError> {
    let repository = writer.git2();
    let fail = |error: git2::Error| writer.git_error(&error);
    let parents: Vec<_> = parents.iter().collect();
    let Some(signer) = signer else {
        return repository
            .commit(None, who, who, message, tree, &parents)
            .map_err(fail);
    };
    let content = repository
        .commit_create_buffer(who, who, message, tree, &parents)
        .map_err(fail)?;
    let signature = signer.sign(&content)?;
    let content = std::str::from_utf8(&content)
        .map_err(|_| writer.context().damaged("its author is no UTF-8 text"))?;
    repository
        .commit_signed(content, signature.trim_end(), None)
        .map_err(fail)
}

/// Moves the branch that is checked out, or HEAD where there is none.
fn move_head(
    writer: &RepoWriter<'_>,
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
        None => head_file::set(writer, Head::Detached, head.commit, id, &log),
        Some(branch) => {
            let branch = std::str::from_utf8(branch).map_err(|_| {
                writer.context().error(
                    ErrorCode::Unsupported,
                    "the name of the branch that is checked out is no UTF-8 text; rename it with `git branch -m`",
                )
            })?;
            let before = head.commit.map_or(ExpectedOld::Absent, ExpectedOld::At);
            refs::set(writer, branch, before, id, &log)?;
            head_file::log(writer, head.commit, id, &log)
        }
    }
}

/// The other parents of a merge that is under way.
fn merged(writer: &RepoWriter<'_>) -> Result<Vec<Oid>, EffectError> {
    let heads = small_file::read(&writer.repo.git_dir().join("MERGE_HEAD")).unwrap_or_default();
    String::from_utf8_lossy(&heads)
        .lines()
        .map(|line| {
            Oid::from_str(line.trim()).map_err(|_| {
                writer
                    .context()
                    .damaged("`MERGE_HEAD` holds no commit's id")
            })
        })
        .collect()
}

fn check_not_empty(
    writer: &RepoWriter<'_>,
    request: &GitCreateCommit,
    parents: &[Commit<'_>],
    tree: Oid,
) -> Result<(), EffectError> {
    let is_empty = match parents {
        [] => writer
            .git2()
            .find_tree(tree)
            .is_ok_and(|tree| tree.is_empty()),
        [parent] => parent.tree_id() == tree,
        // A merge commit records its parents even when it changes nothing.
        _ => false,
    };
    if is_empty && !request.allow_empty {
        return Err(nothing_staged(writer.context()));
    }
    Ok(())
}

/// The error for a commit that would change nothing.
pub(crate) fn nothing_staged(context: &EffectContext) -> EffectError {
    context.error(
        ErrorCode::Conflict,
        "nothing is staged; name `paths`, or set `all` to commit every change, or \
         `allowEmpty` for a commit without one",
    )
}

/// Checks a message and formats it as git does: no white space at the ends of lines, one newline at the end.
pub(crate) fn message(context: &EffectContext, message: &str) -> Result<String, EffectError> {
    let refuse =
        |what: &str| EffectError::invalid_input(format!("{}: the message {what}", context.kind()));
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
