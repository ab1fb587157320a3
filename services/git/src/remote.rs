//! Remotes.

use exomonad_schema::effects::git::{GitRemote, GitRemoteUrl};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Repository;

use super::GitConfig;
use super::effect_context::EffectContext;
use super::github;
use super::open::OpenRepo;
use super::url::without_credentials;

/// The URL of one remote.
///
/// # Errors
/// `not_found` when there is no such remote, or it has no URL.
pub(super) fn url_of(
    repo: &OpenRepo,
    config: &GitConfig,
    name: &str,
) -> Result<GitRemoteUrl, EffectError> {
    // libgit2's own error would quote what stands in the configuration.
    match url(repo.git2(), name) {
        Some(url) => Ok(answer(config, url)),
        None => Err(unknown(repo, name)),
    }
}

/// The answer about a remote with this URL.
pub(super) fn answer(config: &GitConfig, url: String) -> GitRemoteUrl {
    GitRemoteUrl {
        github_repo: github::repo_of_url(config, &url),
        url,
    }
}

/// The error for an unknown remote, which names the others.
pub(super) fn unknown(repo: &OpenRepo, name: &str) -> EffectError {
    let known = match names(repo) {
        Ok(known) => known,
        Err(error) => return error,
    };
    unknown_among(repo.context(), name, &known)
}

/// As [`unknown`], where the others are known.
pub(super) fn unknown_among(context: &EffectContext, name: &str, known: &[String]) -> EffectError {
    let known = if known.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    };
    context.error(
        ErrorCode::NotFound,
        format_args!("no remote {name:?} with a URL; {known}"),
    )
}

/// All remotes, by name.
pub(super) fn all(repo: &OpenRepo) -> Result<Vec<GitRemote>, EffectError> {
    Ok(names(repo)?
        .into_iter()
        .map(|name| GitRemote {
            url: url(repo.git2(), &name).unwrap_or_default(),
            name,
        })
        .collect())
}

fn names(repo: &OpenRepo) -> Result<Vec<String>, EffectError> {
    let remotes = repo
        .git2()
        .remotes()
        .map_err(|error| repo.git_error(&error))?;
    let mut names: Vec<String> = remotes
        .iter_bytes()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    Ok(names)
}

fn url(repository: &Repository, name: &str) -> Option<String> {
    let remote = repository.find_remote(name).ok()?;
    // Of several libgit2 takes the last, and git fetches from the first.
    let first = first_url(repository, name).and_then(|url| repository.remote_anonymous(&url).ok());
    let remote = first.unwrap_or(remote);
    let url = String::from_utf8_lossy(remote.url_bytes()).into_owned();
    (!url.is_empty()).then(|| without_credentials(&url))
}

/// The first URL of a remote that has several.
fn first_url(repository: &Repository, name: &str) -> Option<String> {
    let config = repository.config().ok()?;
    let mut urls = config.multivar(&format!("remote.{name}.url"), None).ok()?;
    let first = urls.next()?.ok()?.value().ok()?.to_owned();
    urls.next().map(|_| first)
}
