//! Names of commits.

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Commit, Object, ObjectType, Tree};

use super::open::Opened;
use super::task::Task;

/// The commit a guest names.
pub(super) fn commit<'r>(opened: &'r Opened, name: &str) -> Result<Commit<'r>, EffectError> {
    find(opened, name)?
        .peel_to_commit()
        .map_err(|error| not_a(opened, name, ObjectType::Commit, &error))
}

/// The tree of the commit, or of the tree, a guest names.
pub(super) fn tree<'r>(opened: &'r Opened, name: &str) -> Result<Tree<'r>, EffectError> {
    find(opened, name)?
        .peel_to_tree()
        .map_err(|error| not_a(opened, name, ObjectType::Tree, &error))
}

fn find<'r>(opened: &'r Opened, name: &str) -> Result<Object<'r>, EffectError> {
    let task = opened.task();
    check(task, name)?;
    opened
        .repository()
        .revparse_single(name)
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => unknown(task, name),
            git2::ErrorCode::Ambiguous => ambiguous(task, name),
            git2::ErrorCode::InvalidSpec => malformed(task, name),
            _ if error.class() == git2::ErrorClass::None || name.contains('\0') => {
                malformed(task, name)
            }
            _ => opened.git_error(&error),
        })
}

fn not_a(opened: &Opened, name: &str, wanted: ObjectType, error: &git2::Error) -> EffectError {
    match error.code() {
        git2::ErrorCode::Peel | git2::ErrorCode::InvalidSpec | git2::ErrorCode::Ambiguous => {
            is_no(opened.task(), name, wanted.str())
        }
        git2::ErrorCode::NotFound => opened.task().damaged(format_args!(
            "what {name:?} leads to is missing ({})",
            error.message()
        )),
        _ => opened.git_error(error),
    }
}

/// Refuses a search through all messages by a pattern of the guest's: nothing bounds it.
pub(super) fn check(task: &Task, name: &str) -> Result<(), EffectError> {
    if name.contains(":/") || name.contains("^{/") {
        return Err(task.error(
            ErrorCode::Unsupported,
            format_args!("{name:?} searches commit messages, which is not supported; name a branch, a tag or an id"),
        ));
    }
    Ok(())
}

pub(super) fn unknown(task: &Task, name: &str) -> EffectError {
    task.error(
        ErrorCode::NotFound,
        format_args!("there is no branch, tag or commit {name:?}, or what it leads to is missing; `git log --all` shows what there is"),
    )
}

pub(super) fn ambiguous(task: &Task, name: &str) -> EffectError {
    task.error(
        ErrorCode::InvalidInput,
        format_args!("{name:?} begins several ids; give more of it"),
    )
}

pub(super) fn malformed(task: &Task, name: &str) -> EffectError {
    task.error(
        ErrorCode::InvalidInput,
        format_args!(
            "{name:?} names no single commit; give a branch, a tag, an id or such as `HEAD~2`"
        ),
    )
}

/// It names something else than a `commit` or a `tree`.
pub(super) fn is_no(task: &Task, name: &str, wanted: &str) -> EffectError {
    task.error(
        ErrorCode::InvalidInput,
        format_args!("{name:?} is there, but it is no {wanted}"),
    )
}
