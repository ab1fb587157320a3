//! Bounds on the size of single objects, looked at before they are read.
//!
//! [`memory`](crate::memory) bounds what libgit2 reads on its own; here an error can name the object.

use std::collections::HashSet;

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Commit, ObjectType, Oid, Repository};

use super::open::OpenRepo;

/// The largest commit or tag that is read.
pub(super) const MAX_COMMIT: usize = 1 << 20;

/// The largest tree that is read: some half a million entries in one folder.
const MAX_TREE: usize = 32 << 20;

/// Checks an object's header. One that is missing or damaged is left to its reader.
///
/// # Errors
/// `limit_exceeded`, naming the object, when it is larger than objects of its kind may be.
pub(super) fn check(repo: &OpenRepo, id: Oid) -> Result<(), EffectError> {
    let Ok((size, kind)) = repo.git2().odb().and_then(|odb| odb.read_header(id)) else {
        return Ok(());
    };
    let max = match kind {
        ObjectType::Commit | ObjectType::Tag => MAX_COMMIT,
        ObjectType::Tree => MAX_TREE,
        _ => return Ok(()),
    };
    if size <= max {
        return Ok(());
    }
    Err(repo.context().error(
        ErrorCode::LimitExceeded,
        format_args!(
            "the {kind} {id} has {size} bytes, and the host reads {kind}s of up to {max}; \
             `git cat-file {kind} {id}` there shows it"
        ),
    ))
}

/// Reads a commit whose header was checked.
pub(super) fn commit<'r>(
    repo: &OpenRepo,
    repository: &'r Repository,
    id: Oid,
) -> Result<Result<Commit<'r>, git2::Error>, EffectError> {
    check(repo, id)?;
    Ok(repository.find_commit(id))
}

/// The error for the commit that a walk through history could not read for its size, if there is one.
pub(super) fn too_large_among(repo: &OpenRepo, starts: &[Oid]) -> Option<EffectError> {
    let mut seen: HashSet<Oid> = starts.iter().copied().collect();
    let mut next = starts.to_vec();
    while let Some(id) = next.pop() {
        repo.job().check(repo.context()).ok()?;
        match commit(repo, repo.history(), id) {
            Err(error) => return Some(error),
            Ok(Ok(commit)) => next.extend(commit.parent_ids().filter(|id| seen.insert(*id))),
            Ok(Err(_)) => {}
        }
    }
    None
}
