//! Stages files.

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;

use exomonad_schema::effects::git::GitStaged;
use exomonad_schema::{EffectError, ErrorCode};
use git2::{IndexAddOption, Repository};

use super::index::{self, LockedIndex};
use super::{RepoWriter, paths};
use crate::content::{self, Conversion};
use crate::small_file::path_from;
use crate::{head, submodule};

/// The mode of a submodule's index entry.
const GITLINK: u32 = 0o160_000;

/// Stages changes of files below `paths`, or all of them.
///
/// # Errors
/// `not_found` for a path that is neither there nor tracked, `invalid_input` for
/// one that is ignored, `unsupported` for a file that a filter would change.
pub(crate) fn stage(
    writer: &RepoWriter<'_>,
    paths: &[String],
    all: bool,
) -> Result<GitStaged, EffectError> {
    if paths.is_empty() && !all {
        return Err(EffectError::invalid_input(format!(
            "{}: nothing to stage is named; give `paths`, or `all`",
            writer.context().kind()
        )));
    }
    writer.repo.work_dir()?;
    let mut locked = LockedIndex::take(writer, writer.repo.git_dir(), writer.git2())?;
    into(
        writer,
        &mut locked,
        &Wanted {
            paths,
            rest: Rest::of(all),
        },
    )?;
    let head = head::tree(&writer.repo)?;
    let staged = index::staged(writer, head.as_ref(), &locked.index)?;
    if staged.len() > writer.config.max_files as usize {
        return Err(writer.context().error(
            ErrorCode::LimitExceeded,
            format_args!(
                "{} files would be staged, and an answer lists {} at most (`max_files` of the host's \
                 git service); nothing was staged; name fewer paths",
                staged.len(),
                writer.config.max_files as usize
            ),
        ));
    }
    locked.finish(writer)?;
    Ok(GitStaged { staged })
}

/// Files to stage.
pub(super) struct Wanted<'p> {
    /// Files and folders, as a guest names them.
    pub(super) paths: &'p [String],
    /// Further files.
    pub(super) rest: Rest,
}

/// Files to stage beyond the paths that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Nothing,
    /// Files that git knows.
    Tracked,
    /// All files that are not ignored.
    All,
}

impl Rest {
    pub(super) fn of(all: bool) -> Self {
        if all { Self::All } else { Self::Nothing }
    }
}

/// Stages files in a locked index.
pub(super) fn into(
    writer: &RepoWriter<'_>,
    locked: &mut LockedIndex<'_>,
    what: &Wanted<'_>,
) -> Result<(), EffectError> {
    submodule::authorize_all(&writer.repo)?;
    let mut wanted = Vec::new();
    for path in what.paths {
        let path = paths::in_work_dir(writer, path)?;
        check_there(writer, locked, &path)?;
        wanted.push(path);
    }
    if what.rest != Rest::Nothing {
        wanted.push(String::new());
    }
    let left_out: HashSet<_> = locked.left_out().into_iter().collect();
    let gitlinks: HashSet<_> = locked
        .index
        .iter()
        .filter(|entry| entry.mode == GITLINK)
        .map(|entry| entry.path)
        .collect();
    let tracked: Option<HashSet<_>> =
        (what.rest == Rest::Tracked).then(|| locked.index.iter().map(|entry| entry.path).collect());
    let modes = modes_to_keep(writer, locked);
    let work_dir = writer.repo.work_dir()?;
    let refusal = RefCell::new(None);
    // libgit2 would read patterns into the paths, so it is given none: this
    // decides on each file that differs.
    let mut decide = |path: &Path, _: &[u8]| -> i32 {
        let path = path.as_os_str().as_encoded_bytes();
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if !wanted.iter().any(|wanted| is_at_or_below(path, wanted))
            || left_out.contains(path)
            || tracked
                .as_ref()
                .is_some_and(|tracked| !tracked.contains(path))
        {
            return 1;
        }
        let checked = writer.job.check(writer.context()).and_then(|()| {
            if gitlinks.contains(path) {
                return Ok(());
            }
            check_no_repository(writer, &work_dir.join(path_from(path)), path)?;
            check_no_filter(writer, writer.git2(), path)
        });
        match checked {
            Ok(()) => 0,
            Err(error) => {
                *refusal.borrow_mut() = Some(error);
                -1
            }
        }
    };
    let added = locked
        .index
        .add_all(["*"], IndexAddOption::DEFAULT, Some(&mut decide));
    if let Some(error) = refusal.into_inner() {
        return Err(error);
    }
    added.map_err(|error| writer.git_error(&error))?;
    if let Some(modes) = modes {
        restore_modes(writer, locked, &modes)?;
    }
    Ok(())
}

pub(super) fn is_at_or_below(path: &[u8], wanted: &str) -> bool {
    wanted.is_empty()
        || path
            .strip_prefix(wanted.as_bytes())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Checks that a path exists, or is tracked, and is not ignored.
fn check_there(
    writer: &RepoWriter<'_>,
    locked: &LockedIndex<'_>,
    path: &str,
) -> Result<(), EffectError> {
    let is_tracked = path.is_empty()
        || locked
            .index
            .iter()
            .any(|entry| is_at_or_below(&entry.path, path));
    if is_tracked {
        return Ok(());
    }
    if writer
        .repo
        .work_dir()?
        .join(path)
        .symlink_metadata()
        .is_err()
    {
        return Err(writer.context().error(
            ErrorCode::NotFound,
            format_args!("there is no file {path:?}, and git knows of none; paths are relative to the repository's root"),
        ));
    }
    match writer.git2().status_should_ignore(Path::new(path)) {
        Ok(true) => Err(EffectError::invalid_input(format!(
            "{}: {path:?} is ignored by a `.gitignore`; it cannot be staged",
            writer.context().kind()
        ))),
        Ok(false) => Ok(()),
        Err(error) => Err(writer.git_error(&error)),
    }
}

/// Refuses a repository in the working tree: it would be recorded as a submodule without a
/// description, and libgit2 would open it wherever it leads.
fn check_no_repository(
    writer: &RepoWriter<'_>,
    full: &Path,
    path: &[u8],
) -> Result<(), EffectError> {
    if !full.is_symlink() && full.join(".git").symlink_metadata().is_ok() {
        return Err(writer.context().error(
            ErrorCode::Unsupported,
            format_args!(
                "{:?} is a repository of its own; add it with `git submodule add`, or have `.gitignore` name it",
                String::from_utf8_lossy(path)
            ),
        ));
    }
    Ok(())
}

/// Refuses a file that git would convert.
pub(super) fn check_no_filter(
    writer: &RepoWriter<'_>,
    repository: &Repository,
    path: &[u8],
) -> Result<(), EffectError> {
    match content::conversion(writer.context(), repository, path)? {
        Conversion::Encoding => Err(content::has_encoding(writer.context(), path)),
        Conversion::Lfs | Conversion::Filter => Err(writer.context().error(
            ErrorCode::Unsupported,
            format_args!(
                "{:?} goes through a filter (`filter=` in `.gitattributes`, as Git LFS has it), which \
                 the host does not run; leave it out, or use git itself",
                String::from_utf8_lossy(path)
            ),
        )),
        Conversion::None => Ok(()),
    }
}

/// The file modes to restore with `core.fileMode` off, when those of the file system
/// are ignored; the copy of the index does not know of that setting.
fn modes_to_keep(
    writer: &RepoWriter<'_>,
    locked: &LockedIndex<'_>,
) -> Option<std::collections::HashMap<Vec<u8>, u32>> {
    let is_on = writer
        .git2()
        .config()
        .and_then(|config| config.get_bool("core.fileMode"))
        .unwrap_or(true);
    (!is_on).then(|| {
        locked
            .index
            .iter()
            .map(|entry| (entry.path, entry.mode))
            .collect()
    })
}

fn restore_modes(
    writer: &RepoWriter<'_>,
    locked: &mut LockedIndex<'_>,
    modes: &std::collections::HashMap<Vec<u8>, u32>,
) -> Result<(), EffectError> {
    const FILE: u32 = 0o100_644;
    const PROGRAM: u32 = 0o100_755;
    let is_file = |mode: u32| mode == FILE || mode == PROGRAM;
    let entries: Vec<_> = locked.index.iter().collect();
    for mut entry in entries {
        let mode = match modes.get(&entry.path) {
            Some(mode) if is_file(*mode) => *mode,
            _ => FILE,
        };
        if is_file(entry.mode) && entry.mode != mode {
            entry.mode = mode;
            locked
                .index
                .add(&entry)
                .map_err(|error| writer.git_error(&error))?;
        }
    }
    Ok(())
}
