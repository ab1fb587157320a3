//! The folder an effect works in.

use std::path::PathBuf;

use exomonad_core::PathBounds;
use exomonad_schema::{EffectError, ErrorCode};

use super::effect_context::EffectContext;
use exomonad_core::roots::Location;

/// Resolves the folder an effect works in.
///
/// # Errors
/// `forbidden` when it is not within the bounds, `not_found` when there is no such
/// folder, `invalid_input` when it is no path.
pub(super) fn resolve(
    context: &EffectContext,
    bounds: &PathBounds,
) -> Result<PathBuf, EffectError> {
    if context.working_dir().contains('\0') {
        return Err(EffectError::invalid_input(format!(
            "{}: workingDir holds a NUL character; give the path of a folder",
            context.kind()
        )));
    }
    let Some(first) = bounds.paths.first() else {
        return Err(context.forbidden("no folder is allowed, so this one is"));
    };
    match bounds.roots().locate(&first.join(context.working_dir())) {
        Location::Inside(folder) if folder.is_dir() => Ok(folder),
        Location::Inside(_) => Err(context.error(
            ErrorCode::NotFound,
            "this is a file; give the folder it is in",
        )),
        Location::Missing => Err(context.error(
            ErrorCode::NotFound,
            "there is no such folder; a relative one is taken from the role's first allowed path",
        )),
        Location::Outside if !first.is_dir() => Err(context.error(
            ErrorCode::NotFound,
            "the role's first allowed path is not there; create it or correct `paths` in exomonad.toml",
        )),
        Location::Outside => Err(context.forbidden("this folder is")),
    }
}
