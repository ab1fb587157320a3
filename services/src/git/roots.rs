//! The folder a task works in.

use std::path::PathBuf;

use exomonad_core::Bounds;
use exomonad_schema::{EffectError, ErrorCode};

use super::task::Task;
pub(super) use exomonad_core::roots::{Place, Roots};

/// Finds the folder a task works in.
///
/// # Errors
/// `forbidden` when it is not within `roots`, `not_found` when there is no such
/// folder, `invalid_input` when it is no path.
pub(super) fn working_dir(
    task: &Task,
    bounds: &Bounds,
    roots: &Roots,
) -> Result<PathBuf, EffectError> {
    if task.working_dir().contains('\0') {
        return Err(EffectError::invalid_input(format!(
            "{}: workingDir holds a NUL character; give the path of a folder",
            task.kind()
        )));
    }
    let Some(first) = bounds.paths.first() else {
        return Err(task.forbidden("no folder is allowed, so this one is"));
    };
    match roots.place(&first.join(task.working_dir())) {
        Place::Inside(folder) if folder.is_dir() => Ok(folder),
        Place::Inside(_) => Err(task.error(
            ErrorCode::NotFound,
            "this is a file; give the folder it is in",
        )),
        Place::Missing => Err(task.error(
            ErrorCode::NotFound,
            "there is no such folder; a relative one is taken from the role's first allowed path",
        )),
        Place::Outside if !first.is_dir() => Err(task.error(
            ErrorCode::NotFound,
            "the role's first allowed path is not there; create it or correct `paths` in exomonad.toml",
        )),
        Place::Outside => Err(task.forbidden("this folder is")),
    }
}
