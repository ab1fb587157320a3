//! Revisions: names of commits.

use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Commit, Object, ObjectType, Oid, Tree};

use super::authorize::is_unread;
use super::effect_context::EffectContext;
use super::object_size;
use super::open::OpenRepo;

/// The commit a guest names.
pub(super) fn commit<'r>(repo: &'r OpenRepo, name: &str) -> Result<Commit<'r>, EffectError> {
    find(repo, name)?
        .peel_to_commit()
        .map_err(|error| not_a(repo, name, ObjectType::Commit, &error))
}

/// The tree of the commit, or of the tree, a guest names.
pub(super) fn tree<'r>(repo: &'r OpenRepo, name: &str) -> Result<Tree<'r>, EffectError> {
    find(repo, name)?
        .peel_to_tree()
        .map_err(|error| not_a(repo, name, ObjectType::Tree, &error))
}

fn find<'r>(repo: &'r OpenRepo, name: &str) -> Result<Object<'r>, EffectError> {
    let context = repo.context();
    check(context, name)?;
    check_is_read(context, [repo.git_dir(), repo.common_dir()], name)?;
    check_size(repo, name)?;
    repo.git2()
        .revparse_single(name)
        .map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => unknown(context, name),
            git2::ErrorCode::Ambiguous => ambiguous(context, name),
            git2::ErrorCode::InvalidSpec => malformed(context, name),
            _ if error.class() == git2::ErrorClass::None || name.contains('\0') => {
                malformed(context, name)
            }
            _ => repo.git_error(&error),
        })
}

/// Checks the size of the object that a reference's name or an id leads to, with what follows
/// its name left out.
fn check_size(repo: &OpenRepo, name: &str) -> Result<(), EffectError> {
    let base = &name[..name.find(['^', '~', ':']).unwrap_or(name.len())];
    let id = Oid::from_str(base).ok().filter(|_| base.len() == 40);
    let id = id.or_else(|| {
        let found = repo.git2().resolve_reference_from_short_name(base).ok()?;
        found.resolve().ok()?.target()
    });
    id.map_or(Ok(()), |id| object_size::check(repo, id))
}

/// Refuses a name that libgit2 and git would look for among files of the git folders that are no
/// references and were not checked.
pub(super) fn check_is_read(
    context: &EffectContext,
    git_dirs: [&Path; 2],
    name: &str,
) -> Result<(), EffectError> {
    if !is_unread(name.as_bytes()) {
        return Ok(());
    }
    let ends = name
        .match_indices(['^', '~', '@', ':', '{'])
        .map(|(end, _)| end)
        .chain([name.len()]);
    for end in ends {
        let is_there = git_dirs.iter().any(|folder| {
            let found = folder.join(&name[..end]).metadata();
            found.is_ok_and(|found| !found.is_dir())
        });
        if is_there {
            return Err(unknown(context, name));
        }
    }
    Ok(())
}

fn not_a(repo: &OpenRepo, name: &str, wanted: ObjectType, error: &git2::Error) -> EffectError {
    match error.code() {
        git2::ErrorCode::Peel | git2::ErrorCode::InvalidSpec | git2::ErrorCode::Ambiguous => {
            is_no(repo.context(), name, wanted.str())
        }
        git2::ErrorCode::NotFound => repo.context().damaged(format_args!(
            "what {name:?} leads to is missing ({})",
            error.message()
        )),
        _ => repo.git_error(error),
    }
}

/// Refuses a search through all messages by a guest's pattern: it is unbounded.
pub(super) fn check(context: &EffectContext, name: &str) -> Result<(), EffectError> {
    if name.contains(":/") || name.contains("^{/") {
        return Err(context.error(
            ErrorCode::Unsupported,
            format_args!("{name:?} searches commit messages, which is not supported; name a branch, a tag or an id"),
        ));
    }
    Ok(())
}

pub(super) fn unknown(context: &EffectContext, name: &str) -> EffectError {
    context.error(
        ErrorCode::NotFound,
        format_args!("there is no branch, tag or commit {name:?}, or what it leads to is missing; `git log --all` shows what there is"),
    )
}

pub(super) fn ambiguous(context: &EffectContext, name: &str) -> EffectError {
    context.error(
        ErrorCode::InvalidInput,
        format_args!("{name:?} begins several ids; give more of it"),
    )
}

pub(super) fn malformed(context: &EffectContext, name: &str) -> EffectError {
    context.error(
        ErrorCode::InvalidInput,
        format_args!(
            "{name:?} names no single commit; give a branch, a tag, an id or such as `HEAD~2`"
        ),
    )
}

/// The error for a name of something else than a `commit` or a `tree`.
pub(super) fn is_no(context: &EffectContext, name: &str, wanted: &str) -> EffectError {
    context.error(
        ErrorCode::InvalidInput,
        format_args!("{name:?} is there, but it is no {wanted}"),
    )
}
