//! Submodules.
//!
//! A submodule's state is part of its repository's status, so libgit2 opens the
//! submodule too, and the ones in it, wherever their `.git` files lead. Before
//! it does, each is authorized as the repository itself is.

use exomonad_schema::{EffectError, ErrorCode};

use super::open::OpenRepo;
use super::small_file::path_from;
use exomonad_core::roots::Location;

/// The mode of a submodule's index entry.
const GITLINK: u32 = 0o160_000;

/// Depth of submodules in submodules; more is a cycle.
const MAX_DEPTH: usize = 16;

/// The paths of the submodules that the index records, also those that
/// `.gitmodules` does not describe. A bare repository has no index.
pub(super) fn paths(repo: &OpenRepo) -> Result<Vec<Vec<u8>>, EffectError> {
    let index = repo
        .git2()
        .index()
        .map_err(|error| repo.git_error(&error))?;
    Ok(index
        .iter()
        .filter(|entry| entry.mode == GITLINK)
        .map(|entry| entry.path)
        .collect())
}

/// Authorizes the working tree, and every submodule that is checked out.
///
/// # Errors
/// `forbidden` when one leads outside, naming it.
pub(super) fn authorize_all(repo: &OpenRepo) -> Result<(), EffectError> {
    authorize_below(repo, 0)
}

fn authorize_below(repo: &OpenRepo, depth: usize) -> Result<(), EffectError> {
    let work_dir = repo.work_dir()?;
    repo.check_work_tree()?;
    for path in paths(repo)? {
        let name = String::from_utf8_lossy(&path);
        let folder = match repo.roots().locate(&work_dir.join(path_from(&path))) {
            Location::Inside(folder) => folder,
            Location::Missing => continue,
            Location::Outside => {
                return Err(repo
                    .context()
                    .forbidden(format_args!("the submodule {name:?} is")));
            }
        };
        // One that is not checked out is an empty folder.
        if folder.join(".git").symlink_metadata().is_err() {
            continue;
        }
        if depth == MAX_DEPTH {
            return Err(repo.context().error(
                ErrorCode::Unsupported,
                format_args!("submodules are nested more than {MAX_DEPTH} deep, at {name:?}"),
            ));
        }
        let submodule = repo.open_submodule(folder).map_err(|error| EffectError {
            message: format!("{} (in its submodule {name:?})", error.message),
            ..error
        })?;
        authorize_below(&submodule, depth + 1)?;
    }
    Ok(())
}
