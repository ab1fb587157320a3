//! Writes git's configuration and its list of shallow commits.

use std::fs;
use std::io;

use exomonad_schema::{EffectError, ErrorCode};
use git2::Config;

use super::RepoWriter;

/// Sets the upstream of a local branch.
pub(crate) fn set_upstream(
    writer: &RepoWriter<'_>,
    branch: &str,
    remote: &str,
    merge: &str,
) -> Result<(), EffectError> {
    let target = writer.repo.common_dir().join("config");
    if target.is_symlink() {
        return Err(writer
            .context()
            .forbidden("`config` in the git folder is a link, which may lead"));
    }
    let lock = writer.lock(&target)?;
    // libgit2 would lock and write the file itself; it gets a copy.
    let copy = writer.session().folder().join("config");
    let copied = match fs::copy(&target, &copy) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::write(&copy, ""),
        other => other.map(|_| ()),
    };
    copied.map_err(|error| {
        writer.context().error(
            ErrorCode::Unavailable,
            format_args!("the repository's configuration cannot be copied: {error}"),
        )
    })?;
    Config::open(&copy)
        .and_then(|mut config| {
            config.set_str(&format!("branch.{branch}.remote"), remote)?;
            config.set_str(&format!("branch.{branch}.merge"), merge)
        })
        .map_err(|error| writer.git_error(&error))?;
    lock.replace_by(writer.context(), &copy)
}

/// Writes the commits at which history is cut off, if they have changed.
///
/// # Errors
/// `conflict` when they are not as they were `before`: the fetched commits fit
/// only that end of history.
pub(crate) fn set_shallow(
    writer: &RepoWriter<'_>,
    before: Option<&[u8]>,
    commits: Option<&[u8]>,
) -> Result<(), EffectError> {
    if before == commits {
        return Ok(());
    }
    let target = writer.repo.common_dir().join("shallow");
    if target.is_symlink() {
        return Err(writer
            .context()
            .forbidden("`shallow` in the git folder is a link, which may lead"));
    }
    let lock = writer.lock(&target)?;
    if fs::read(&target).ok().as_deref() != before {
        return Err(writer.context().error(
            ErrorCode::Conflict,
            "where history is cut off has changed during the fetch; fetch once more",
        ));
    }
    match commits {
        Some(commits) => lock.write(writer.context(), commits),
        None => lock.remove(writer.context()),
    }
}
