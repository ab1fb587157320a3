//! The files of a working tree that libgit2 reads for itself: `.gitignore` and
//! `.gitattributes` in each folder.
//!
//! libgit2 opens them without a look at what they are: a pipe would keep its thread for
//! ever, and a link would have it read a file elsewhere. Other files of the working
//! tree it looks at first, and reads a link as a link.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use exomonad_core::roots::{Location, Roots};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Repository;

use super::ignore_file;
use super::walk::is_blocking;
use crate::blocking::Job;
use crate::effect_context::EffectContext;
use crate::small_file::path_from;

/// The files that libgit2 reads in each folder.
const READ: [&str; 2] = [".gitattributes", ".gitignore"];

/// Checks one such file: not there, or a file within the roots that libgit2 can read.
pub(super) fn check_one(
    context: &EffectContext,
    roots: &Roots,
    path: &Path,
) -> Result<(), EffectError> {
    let Ok(found) = path.symlink_metadata() else {
        return Ok(());
    };
    let mut kind = found.file_type();
    let name = path.file_name().unwrap_or_default();
    if kind.is_symlink() {
        match roots.locate(path) {
            Location::Inside(target) => match target.metadata() {
                Ok(found) => kind = found.file_type(),
                Err(_) => return Ok(()),
            },
            Location::Missing => return Ok(()),
            Location::Outside => {
                return Err(
                    context.forbidden(format_args!("the link {name:?} in the working tree leads"))
                );
            }
        }
    }
    if is_blocking(kind) {
        return Err(context.error(
            ErrorCode::Unsupported,
            format_args!("{name:?} in the working tree is a pipe or a device; remove it"),
        ));
    }
    if name == ".gitignore" {
        ignore_file::check(context, path)?;
    }
    Ok(())
}

/// Checks these files in the folders from the root of a working tree down to each of `paths`.
pub(crate) fn check_above<'p>(
    context: &EffectContext,
    roots: &Roots,
    work_dir: &Path,
    paths: impl Iterator<Item = &'p [u8]>,
) -> Result<(), EffectError> {
    let mut seen = HashSet::new();
    for path in paths {
        for folder in path_from(path).ancestors().skip(1) {
            if !seen.insert(folder) {
                break;
            }
            for name in READ {
                check_one(context, roots, &work_dir.join(folder).join(name))?;
            }
        }
    }
    Ok(())
}

/// Checks these files in each folder of a working tree that libgit2 enters: all but
/// ignored ones, unless something in them is tracked, and other repositories.
pub(crate) fn check_all(
    context: &EffectContext,
    job: &Job,
    roots: &Roots,
    repository: &Repository,
    work_dir: &Path,
) -> Result<(), EffectError> {
    let index = repository.index().map_err(|error| context.git(&error))?;
    // Made when there is a first folder to ask about.
    let mut tracked: Option<HashSet<Vec<u8>>> = None;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        job.check(context)?;
        let full = work_dir.join(&folder);
        for name in READ {
            check_one(context, roots, &full.join(name))?;
        }
        for entry in fs::read_dir(&full).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) || is_dot_git(&entry.file_name())
            {
                continue;
            }
            let inner = folder.join(entry.file_name());
            let tracked = tracked.get_or_insert_with(|| folders_of(&index));
            let is_entered = tracked.contains(inner.as_os_str().as_bytes())
                || (entry.path().join(".git").symlink_metadata().is_err()
                    // Everything that decides about this has been checked by now.
                    && !repository.is_path_ignored(&inner).unwrap_or(false));
            if is_entered {
                folders.push(inner);
            }
        }
    }
    Ok(())
}

fn is_dot_git(name: &OsStr) -> bool {
    name.eq_ignore_ascii_case(".git")
}

/// The folders with something tracked in them.
fn folders_of(index: &git2::Index) -> HashSet<Vec<u8>> {
    let mut folders = HashSet::new();
    for entry in index.iter() {
        for folder in path_from(&entry.path).ancestors().skip(1) {
            if !folders.insert(folder.as_os_str().as_bytes().to_vec()) {
                break;
            }
        }
    }
    folders
}
