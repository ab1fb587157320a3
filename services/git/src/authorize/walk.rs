//! A walk over everything in a git folder that libgit2 may open by name.
//!
//! Any path below a git folder can be a reference's name, so all of it is looked
//! at, not only what git itself puts there. Left out are a few folders that other
//! programs fill, often with very many files; [`is_unread`] keeps references out of these.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use exomonad_core::roots::{Location, Roots};
use exomonad_schema::{EffectError, ErrorCode};

use crate::blocking::Job;
use crate::effect_context::EffectContext;
use crate::small_file::path_from;

/// Folders of a git folder in which libgit2 opens nothing: programs, the objects of Git LFS and git-annex,
/// and the git folders of submodules, each of which is authorized when its submodule is.
const UNREAD: [&str; 4] = ["hooks", "lfs", "annex", "modules"];

/// The largest file that can be a reference.
const MAX_REFERENCE: u64 = 4096;

/// True if a name leads into a folder that is not looked at.
pub(crate) fn is_unread(name: &[u8]) -> bool {
    let first = name.split(|byte| *byte == b'/').next().unwrap_or_default();
    UNREAD
        .iter()
        .any(|unread| first.eq_ignore_ascii_case(unread.as_bytes()))
}

/// The meaning of a folder to git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A git folder itself.
    GitDir,
    /// A folder of references.
    References,
    /// The folder `worktrees`, in which each folder is a git folder.
    Worktrees,
    /// Any other.
    Other,
}

/// Checks that no entry in git folders and object stores is a link to outside, or a
/// pipe or device, which would block its reader, and that no reference leads where
/// nothing is checked.
pub(super) struct Walk<'w> {
    pub(super) context: &'w EffectContext,
    pub(super) roots: &'w Roots,
    pub(super) job: &'w Job,
    /// Device and inode of the folders that links lead to.
    pub(super) seen: HashSet<(u64, u64)>,
}

impl Walk<'_> {
    /// Walks a git folder.
    pub(super) fn git_dir(&mut self, folder: &Path) -> Result<(), EffectError> {
        self.walk(folder, Place::GitDir)
    }

    /// Walks an object store.
    pub(super) fn object_store(&mut self, folder: &Path) -> Result<(), EffectError> {
        self.walk(folder, Place::Other)
    }

    fn walk(&mut self, folder: &Path, place: Place) -> Result<(), EffectError> {
        let mut folders: Vec<(PathBuf, Place)> = vec![(folder.to_owned(), place)];
        while let Some((folder, place)) = folders.pop() {
            self.job.check(self.context)?;
            // A folder that is not there holds nothing; one that cannot be read
            // libgit2 cannot read either.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                let name = entry.file_name();
                let is_entered = place != Place::GitDir || !is_unread(name.as_bytes());
                if kind.is_dir() {
                    if is_entered {
                        folders.push((entry.path(), inner(place, name.as_bytes())));
                    }
                } else if kind.is_symlink() {
                    let target = self.follow(&entry.path(), name.as_bytes())?;
                    if let Some(target) = target.filter(|_| is_entered) {
                        folders.push((target, inner(place, name.as_bytes())));
                    }
                } else if is_blocking(kind) {
                    return Err(self.no_file(name.as_bytes()));
                }
                if !kind.is_dir() && matches!(place, Place::GitDir | Place::References) {
                    self.check_reference(&entry.path(), name.as_bytes())?;
                }
            }
        }
        Ok(())
    }

    /// Checks a link; the folder that it leads to, if it is one that is to be walked.
    fn follow(&mut self, link: &Path, name: &[u8]) -> Result<Option<PathBuf>, EffectError> {
        let target = match self.roots.locate(link) {
            Location::Inside(target) => target,
            Location::Missing => return Ok(None),
            Location::Outside => {
                return Err(self.context.forbidden(format_args!(
                    "the link {:?} in the git folder leads",
                    String::from_utf8_lossy(name)
                )));
            }
        };
        let Ok(found) = target.metadata() else {
            return Ok(None);
        };
        if is_blocking(found.file_type()) {
            return Err(self.no_file(name));
        }
        let is_new = found.is_dir() && self.seen.insert((found.dev(), found.ino()));
        Ok(is_new.then_some(target))
    }

    /// Checks that a file, if it is a symbolic reference, leads to where references are.
    fn check_reference(&self, path: &Path, name: &[u8]) -> Result<(), EffectError> {
        let Ok(found) = path.metadata() else {
            return Ok(());
        };
        // 40 hexadecimal digits, a newline: the id of nearly every reference.
        if !found.is_file() || found.len() == 41 {
            return Ok(());
        }
        let mut content = Vec::new();
        let read = File::open(path)
            .and_then(|file| file.take(MAX_REFERENCE + 1).read_to_end(&mut content));
        let Some(target) = read.ok().and_then(|_| content.strip_prefix(b"ref:")) else {
            return Ok(());
        };
        let target = target.trim_ascii();
        let is_odd = content.len() as u64 > MAX_REFERENCE
            || is_unread(target)
            || target.starts_with(b"/")
            || target.contains(&b'\n')
            || target.split(|byte| *byte == b'/').any(|part| part == b"..");
        if is_odd {
            return Err(self.context.damaged(format_args!(
                "the symbolic reference {:?} leads to no reference",
                String::from_utf8_lossy(name)
            )));
        }
        Ok(())
    }

    fn no_file(&self, name: &[u8]) -> EffectError {
        self.context.error(
            ErrorCode::Unsupported,
            format_args!(
                "{:?} in the git folder is a pipe or a device; remove it",
                path_from(name)
            ),
        )
    }
}

fn inner(place: Place, name: &[u8]) -> Place {
    match place {
        Place::GitDir if name == b"refs" => Place::References,
        Place::GitDir if name == b"worktrees" => Place::Worktrees,
        Place::References => Place::References,
        Place::Worktrees => Place::GitDir,
        Place::GitDir | Place::Other => Place::Other,
    }
}

/// True for what blocks whoever opens it. A socket fails at once; git's file monitor has one.
pub(super) fn is_blocking(kind: fs::FileType) -> bool {
    kind.is_fifo() || kind.is_char_device() || kind.is_block_device()
}
