//! Submodules.
//!
//! A submodule's state is part of its repository's status, so libgit2 opens the
//! submodule too, and the ones in it, wherever their `.git` files lead. Before
//! it does, each goes through the same admission as the repository itself.

use exomonad_schema::{EffectError, ErrorCode};

use super::open::Opened;
use super::roots::Place;
use super::small_file::path_from;

/// The mode of an index entry that stands for a submodule.
const GITLINK: u32 = 0o160_000;

/// Submodules in submodules; more is a circle.
const MAX_DEPTH: usize = 16;

/// The paths of the submodules: what the index records as one, whether or not
/// `.gitmodules` describes it. A bare repository has no index.
pub(super) fn paths(opened: &Opened) -> Result<Vec<Vec<u8>>, EffectError> {
    let index = opened
        .repository()
        .index()
        .map_err(|error| opened.git_error(&error))?;
    Ok(index
        .iter()
        .filter(|entry| entry.mode == GITLINK)
        .map(|entry| entry.path)
        .collect())
}

/// Makes sure that every submodule that is checked out may be read.
///
/// # Errors
/// `forbidden` when one leads outside, naming it.
pub(super) fn admit_all(opened: &Opened) -> Result<(), EffectError> {
    admit_below(opened, 0)
}

fn admit_below(opened: &Opened, depth: usize) -> Result<(), EffectError> {
    let work_dir = opened.work_dir()?;
    for path in paths(opened)? {
        let name = String::from_utf8_lossy(&path);
        let folder = match opened.roots().place(&work_dir.join(path_from(&path))) {
            Place::Inside(folder) => folder,
            Place::Missing => continue,
            Place::Outside => {
                return Err(opened
                    .task()
                    .forbidden(format_args!("the submodule {name:?} is")));
            }
        };
        // One that is not checked out is an empty folder.
        if folder.join(".git").symlink_metadata().is_err() {
            continue;
        }
        if depth == MAX_DEPTH {
            return Err(opened.task().error(
                ErrorCode::Unsupported,
                format_args!("submodules are nested more than {MAX_DEPTH} deep, at {name:?}"),
            ));
        }
        let submodule = opened.open_submodule(folder).map_err(|error| EffectError {
            message: format!("{} (in its submodule {name:?})", error.message),
            ..error
        })?;
        admit_below(&submodule, depth + 1)?;
    }
    Ok(())
}
