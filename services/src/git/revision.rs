//! Names of commits.

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Commit, Object, ObjectType, Tree};

use super::open::Opened;

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
    // A search through all messages by a pattern of the guest's: nothing bounds it.
    if name.contains(":/") || name.contains("^{/") {
        return Err(opened.task().error(
            ErrorCode::Unsupported,
            format_args!("{name:?} searches commit messages, which is not supported; name a branch, a tag or an id"),
        ));
    }
    opened
        .repository()
        .revparse_single(name)
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => opened.task().error(
                ErrorCode::NotFound,
                format_args!("there is no branch, tag or commit {name:?}, or what it leads to is missing; `git log --all` shows what there is"),
            ),
            git2::ErrorCode::Ambiguous => opened.task().error(
                ErrorCode::InvalidInput,
                format_args!("{name:?} begins several ids; give more of it"),
            ),
            git2::ErrorCode::InvalidSpec => malformed(opened, name),
            _ if error.class() == git2::ErrorClass::None || name.contains('\0') => malformed(opened, name),
            _ => opened.git_error(&error),
        })
}

fn malformed(opened: &Opened, name: &str) -> EffectError {
    opened.task().error(
        ErrorCode::InvalidInput,
        format_args!(
            "{name:?} names no single commit; give a branch, a tag, an id or such as `HEAD~2`"
        ),
    )
}

fn not_a(opened: &Opened, name: &str, wanted: ObjectType, error: &git2::Error) -> EffectError {
    match error.code() {
        git2::ErrorCode::Peel | git2::ErrorCode::InvalidSpec | git2::ErrorCode::Ambiguous => {
            opened.task().error(
                ErrorCode::InvalidInput,
                format_args!("{name:?} is there, but it is no {}", wanted.str()),
            )
        }
        git2::ErrorCode::NotFound => opened.task().damaged(format_args!(
            "what {name:?} leads to is missing ({})",
            error.message()
        )),
        _ => opened.git_error(error),
    }
}
