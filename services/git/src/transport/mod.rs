//! Push and fetch.
//!
//! libgit2 as built here speaks neither TLS nor ssh, so the host's `git` talks to
//! the remote, and does nothing else: the refs and the address are decided here,
//! and [`write`](super::write) changes the repository.
//!
//! 1. `address`: the remote's URL, taken from the repository's configuration as
//!    it stands there (no `insteadOf`), checked part by part;
//! 2. `reach`: the addresses that its host has now;
//! 3. `scratch_repo`: git runs in an empty repository that shares only the objects,
//!    so that the real one's configuration and hooks have no effect;
//! 4. `command`: with a cleared environment, one allowed protocol, no redirects,
//!    a time limit, and the host's token where the host's configuration says so;
//! 5. `git_error`: git's messages, redacted and with a code.
//!
//! The token is in the environment of the `git` process while it runs, where the
//! host's own user and root can see it, as they can see the host's memory.
//!
//! Objects go straight to the repository's store, where they are harmless until
//! a reference names them; that is the last step.

pub(super) mod address;
pub(super) mod command;
mod environment;
mod fetch;
pub(super) mod git_error;
pub(super) mod push;
mod reach;
pub(super) mod scratch_repo;
mod token;

use exomonad_core::{CallContext, RepoBounds};
use exomonad_schema::{EffectError, ErrorCode};

pub(super) use fetch::fetch;
pub(super) use push::push;

use super::GitConfig;
use super::effect_context::EffectContext;
use super::github;
use super::open::OpenRepo;
use super::remote;
use super::write::refs;
use address::RemoteAddress;
use exomonad_core::roots::Roots;

/// The use of a remote's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Fetch,
    Push,
}

/// The address of a remote, checked.
fn address_of(
    repo: &OpenRepo,
    config: &GitConfig,
    roots: &Roots,
    remote: &str,
    direction: Direction,
) -> Result<RemoteAddress, EffectError> {
    let url = match direction {
        Direction::Push => value(repo, remote, "pushurl").or_else(|| value(repo, remote, "url")),
        Direction::Fetch => value(repo, remote, "url"),
    };
    let is_name = refs::valid_name("refs/remotes/", remote).is_some();
    match url.filter(|_| is_name) {
        Some(url) => address::parse(repo.context(), &url, config, roots),
        None => Err(remote::unknown(repo, remote)),
    }
}

/// On GitHub a role reaches the repositories it is granted, by git as by the API, whatever the host's
/// credentials would open.
pub(super) fn check_repo(
    context: &EffectContext,
    config: &GitConfig,
    call: &CallContext,
    address: &RemoteAddress,
) -> Result<(), EffectError> {
    let Some((github, host)) = config.github_host.as_deref().zip(address.host.as_ref()) else {
        return Ok(());
    };
    if !github::is_github(config, host) {
        return Ok(());
    }
    let path = address.path.trim_matches('/');
    let repo = github::repo_of_path(path);
    if repo.is_some_and(|repo| {
        !call
            .bounds
            .get::<RepoBounds>()
            .decide(Some(&repo))
            .is_refusal()
    }) {
        return Ok(());
    }
    Err(context.error(
        ErrorCode::Forbidden,
        format_args!(
            "the remote is {path:?} on {github}, which is not among the repositories that role `{role}` may \
             reach; if it is meant, add it to `{key}` in exomonad.toml",
            role = call.role,
            key = call.key(RepoBounds::KEY)
        ),
    ))
}

/// The first value of a remote's setting, as it stands in the repository's
/// configuration; `Repository::find_remote` would rewrite it.
fn value(repo: &OpenRepo, remote: &str, key: &str) -> Option<String> {
    let config = repo.git2().config().ok()?;
    let mut values = config
        .multivar(&format!("remote.{remote}.{key}"), None)
        .ok()?;
    let first = values.next()?.ok()?;
    first.value().ok().map(str::to_owned)
}
