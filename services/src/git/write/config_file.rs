//! What git keeps beside references: the configuration, and where history was cut off.

use std::fs;
use std::io;

use exomonad_schema::{EffectError, ErrorCode};
use git2::Config;

use super::Writing;

/// Has a local branch follow a remote's.
pub(in crate::git) fn set_upstream(
    writing: &Writing<'_>,
    branch: &str,
    remote: &str,
    merge: &str,
) -> Result<(), EffectError> {
    let target = writing.opened.common_dir().join("config");
    if target.is_symlink() {
        return Err(writing
            .task()
            .forbidden("`config` in the git folder is a link, which may lead"));
    }
    let lock = writing.lock(&target)?;
    // libgit2 would lock and write the file itself; it gets a copy.
    let copy = writing.session().folder().join("config");
    let copied = match fs::copy(&target, &copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::write(&copy, ""),
        other => other.map(|_| ()),
    };
    copied.map_err(|error| {
        writing.task().error(
            ErrorCode::Unavailable,
            format_args!("the repository's configuration cannot be copied: {error}"),
        )
    })?;
    Config::open(&copy)
        .and_then(|mut config| {
            config.set_str(&format!("branch.{branch}.remote"), remote)?;
            config.set_str(&format!("branch.{branch}.merge"), merge)
        })
        .map_err(|error| writing.git_error(&error))?;
    lock.replace_by(writing.task(), &copy)
}

/// Writes down at which commits history is cut off, when that has changed.
///
/// # Errors
/// `conflict` when it is not as it was `before`: commits that were got for one
/// end of history do not reach to another.
pub(in crate::git) fn set_shallow(
    writing: &Writing<'_>,
    before: Option<&[u8]>,
    commits: Option<&[u8]>,
) -> Result<(), EffectError> {
    if before == commits {
        return Ok(());
    }
    let target = writing.opened.common_dir().join("shallow");
    if target.is_symlink() {
        return Err(writing
            .task()
            .forbidden("`shallow` in the git folder is a link, which may lead"));
    }
    let lock = writing.lock(&target)?;
    if fs::read(&target).ok().as_deref() != before {
        return Err(writing.task().error(
            ErrorCode::Conflict,
            "where history is cut off has changed during the fetch; fetch once more",
        ));
    }
    match commits {
        Some(commits) => lock.write(writing.task(), commits),
        None => lock.remove(writing.task()),
    }
}
