//! Remotes.

use exomonad_schema::effects::git::{GitRemote, GitRemoteUrl};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Repository;

use super::open::Opened;
use super::task::Task;
use super::url::without_credentials;

/// The URL of one remote.
///
/// # Errors
/// `not_found` when there is no such remote, or it has no URL.
pub(super) fn url_of(opened: &Opened, name: &str) -> Result<GitRemoteUrl, EffectError> {
    // libgit2's own error would quote what stands in the configuration.
    match url(opened.repository(), name) {
        Some(url) => Ok(GitRemoteUrl { url }),
        None => Err(unknown(opened, name)),
    }
}

/// There is no such remote; which there are.
pub(super) fn unknown(opened: &Opened, name: &str) -> EffectError {
    let known = match names(opened) {
        Ok(known) => known,
        Err(error) => return error,
    };
    unknown_among(opened.task(), name, &known)
}

/// As [`unknown`], where the others are known.
pub(super) fn unknown_among(task: &Task, name: &str, known: &[String]) -> EffectError {
    let known = if known.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    };
    task.error(
        ErrorCode::NotFound,
        format_args!("no remote {name:?} with a URL; {known}"),
    )
}

/// All remotes, by name.
pub(super) fn all(opened: &Opened) -> Result<Vec<GitRemote>, EffectError> {
    Ok(names(opened)?
        .into_iter()
        .map(|name| GitRemote {
            url: url(opened.repository(), &name).unwrap_or_default(),
            name,
        })
        .collect())
}

fn names(opened: &Opened) -> Result<Vec<String>, EffectError> {
    let remotes = opened
        .repository()
        .remotes()
        .map_err(|error| opened.git_error(&error))?;
    let mut names: Vec<String> = remotes
        .iter_bytes()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn url(repository: &Repository, name: &str) -> Option<String> {
    let remote = repository.find_remote(name).ok()?;
    let url = String::from_utf8_lossy(remote.url_bytes()).into_owned();
    (!url.is_empty()).then(|| without_credentials(&url))
}
