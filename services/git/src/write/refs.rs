//! Sets and removes references: branches, tags, the stash.

use std::fs;
use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Oid, Reference, ReferenceType};

use super::{RepoWriter, author, reflog};
use crate::effect_context::EffectContext;
use crate::open::OpenRepo;

/// The value a reference has to have before it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpectedOld {
    /// Not there yet.
    Absent,
    /// At this id.
    At(Oid),
    /// Any.
    Anything,
}

/// The full name of a branch or tag, from its short one.
///
/// # Errors
/// `invalid_input` when git does not allow such a name.
pub(crate) fn full_name(
    writer: &RepoWriter<'_>,
    folder: &str,
    short: &str,
) -> Result<String, EffectError> {
    name_for(writer.context(), folder, short)
}

/// As [`full_name`], without a writer.
pub(crate) fn name_for(
    context: &EffectContext,
    folder: &str,
    short: &str,
) -> Result<String, EffectError> {
    valid_name(folder, short).ok_or_else(|| {
        EffectError::invalid_input(format!(
            "{}: git allows no name such as {short:?}; see `git help check-ref-format`",
            context.kind()
        ))
    })
}

/// As [`full_name`]; `None` when git does not allow it.
pub(crate) fn valid_name(folder: &str, short: &str) -> Option<String> {
    let name = format!("{folder}{short}");
    // `git branch` refuses these two as well: on a command line they would be
    // taken for something else. A NUL would end the name early in libgit2.
    let is_misleading = short.starts_with('-') || short == "HEAD" || name.contains('\0');
    (!is_misleading && Reference::is_valid_name(&name)).then_some(name)
}

/// The id of a reference, if it exists.
///
/// # Errors
/// `unsupported` for a symbolic one.
pub(crate) fn current(writer: &RepoWriter<'_>, name: &str) -> Result<Option<Oid>, EffectError> {
    match writer.git2().find_reference(name) {
        Ok(found) if found.kind() == Some(ReferenceType::Symbolic) => Err(writer.context().error(
            ErrorCode::Unsupported,
            format_args!("{name:?} stands for another reference; name that one"),
        )),
        Ok(found) => Ok(found.target()),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(writer.git_error(&error)),
    }
}

/// Sets a reference, with a line in its reflog.
///
/// # Errors
/// `conflict` when it is not as `before` has it, or its name conflicts with another.
pub(crate) fn set(
    writer: &RepoWriter<'_>,
    name: &str,
    before: ExpectedOld,
    new: Oid,
    message: &str,
) -> Result<Option<Oid>, EffectError> {
    check_name_conflicts(writer, name)?;
    put(writer, name, before, new, message)
}

/// As [`set`], for one of many references that git has checked for conflicting
/// names.
pub(crate) fn put(
    writer: &RepoWriter<'_>,
    name: &str,
    before: ExpectedOld,
    new: Oid,
    message: &str,
) -> Result<Option<Oid>, EffectError> {
    let git_dir = writer.repo.common_dir();
    check_path(&writer.repo, git_dir, name)?;
    let target = git_dir.join(name);
    let lock = writer.lock(&target)?;
    let old = current(writer, name)?;
    let is_as_expected = match before {
        ExpectedOld::Absent => old.is_none(),
        ExpectedOld::At(expected) => old == Some(expected),
        ExpectedOld::Anything => true,
    };
    if !is_as_expected {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            match old {
                Some(id) if before == ExpectedOld::Absent => {
                    format!("{name:?} exists already, at {id}")
                }
                Some(id) => format!("{name:?} is at {id} by now; look at it and try again"),
                None => format!("{name:?} is gone by now; look at it and try again"),
            },
        ));
    }
    if old == Some(new) {
        return Ok(old);
    }
    // Where branches below this name were, empty folders may be left.
    remove_empty_folders(&target);
    let who = author::for_reflog(writer)?;
    let entry = reflog::Entry {
        old,
        new,
        who: &who,
        message,
    };
    let is_logged = ["refs/heads/", "refs/remotes/", "refs/notes/", "refs/stash"]
        .iter()
        .any(|folder| name.starts_with(folder));
    if is_logged {
        let log = reflog::path(git_dir, name);
        remove_empty_folders(&log);
        reflog::append(writer, &log, name == "refs/stash", &entry)?;
    }
    lock.write(writer.context(), format!("{new}\n").as_bytes())?;
    Ok(old)
}

/// Removes a reference and its reflog.
///
/// # Errors
/// `conflict` when it is not at `expected`.
pub(crate) fn remove(
    writer: &RepoWriter<'_>,
    name: &str,
    expected: Oid,
) -> Result<(), EffectError> {
    let git_dir = writer.repo.common_dir();
    check_path(&writer.repo, git_dir, name)?;
    let lock = writer.lock(&git_dir.join(name))?;
    if current(writer, name)? != Some(expected) {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            format_args!("{name:?} has changed by now; look at it and try again"),
        ));
    }
    // First the packed one: the other way round an old value would show again.
    remove_packed(writer, name)?;
    let log = reflog::path(git_dir, name);
    if log.is_file() {
        // Without its reference a log is litter; that it stays is no failure.
        let _ = fs::remove_file(log);
    }
    lock.remove(writer.context())
}

fn remove_packed(writer: &RepoWriter<'_>, name: &str) -> Result<(), EffectError> {
    let path = writer.repo.common_dir().join("packed-refs");
    if !path.is_file() {
        return Ok(());
    }
    let lock = writer.lock(&path)?;
    let packed = fs::read(&path).map_err(|error| {
        writer.context().error(
            ErrorCode::Unavailable,
            format_args!("`packed-refs` cannot be read: {error}"),
        )
    })?;
    let mut kept = Vec::with_capacity(packed.len());
    let mut is_removed = false;
    let mut is_dropping = false;
    for line in packed.split_inclusive(|byte| *byte == b'\n') {
        // A line that begins with `^` belongs to the one before.
        if !line.starts_with(b"^") {
            let of = line
                .splitn(2, |byte| *byte == b' ')
                .nth(1)
                .unwrap_or_default();
            is_dropping = of.trim_ascii_end() == name.as_bytes() && !line.starts_with(b"#");
        }
        is_removed |= is_dropping;
        if !is_dropping {
            kept.extend_from_slice(line);
        }
    }
    if is_removed {
        lock.write(writer.context(), &kept)?;
    }
    Ok(())
}

/// Checks for conflicting names: of `a` and `a/b` one would be a file, the other a folder.
fn check_name_conflicts(writer: &RepoWriter<'_>, name: &str) -> Result<(), EffectError> {
    let taken = |other: &str| {
        writer.context().error(
            ErrorCode::Conflict,
            format_args!("{name:?} cannot be made while there is {other:?}; choose another name"),
        )
    };
    let repository = writer.git2();
    let parents = name.match_indices('/').map(|(end, _)| &name[..end]);
    // `refs` and `refs/heads` are no references.
    for parent in parents.skip(2) {
        if repository.find_reference(parent).is_ok() {
            return Err(taken(parent));
        }
    }
    let mut references = repository
        .references()
        .map_err(|error| writer.git_error(&error))?;
    let below = format!("{name}/");
    for other in references.names() {
        match other {
            Ok(other) if other.starts_with(&below) => return Err(taken(other)),
            // One whose name is no text, or that is broken, is not below this.
            _ => {}
        }
    }
    Ok(())
}

/// Checks that no link or pipe is in the path of a reference or its reflog: git
/// creates none, and a write would follow it.
pub(super) fn check_path(repo: &OpenRepo, git_dir: &Path, name: &str) -> Result<(), EffectError> {
    for start in [git_dir.to_owned(), git_dir.join("logs")] {
        let mut path = start;
        check_kind(repo, &path, name)?;
        for part in name.split('/') {
            path.push(part);
            check_kind(repo, &path, name)?;
        }
    }
    Ok(())
}

fn check_kind(repo: &OpenRepo, path: &Path, name: &str) -> Result<(), EffectError> {
    let Ok(kind) = path.symlink_metadata().map(|found| found.file_type()) else {
        return Ok(());
    };
    let part = path.file_name().unwrap_or_default();
    if kind.is_symlink() {
        return Err(repo.context().forbidden(format_args!(
            "the link {part:?} on the way to {name:?} in the git folder may lead"
        )));
    }
    if !kind.is_file() && !kind.is_dir() {
        return Err(repo.context().error(
            ErrorCode::Unsupported,
            format_args!("{part:?} in the git folder is a pipe or a device; remove it"),
        ));
    }
    Ok(())
}

/// Removes a folder in which there are only folders; anything else stays.
fn remove_empty_folders(path: &Path) {
    let is_folder = |path: &Path| path.symlink_metadata().is_ok_and(|found| found.is_dir());
    if !is_folder(path) {
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if is_folder(&entry.path()) {
            remove_empty_folders(&entry.path());
        }
    }
    let _ = fs::remove_dir(path);
}
