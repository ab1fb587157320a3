//! The addresses that a remote's host has at this moment.
//!
//! Hosts that the operator names are reached wherever they are. Others are only allowed by a `*`, and
//! their names come from a configuration that an agent can write: these are reached at public
//! addresses alone, at those that were checked here, and not under a name that hides GitHub from a role's `repos`.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use exomonad_core::address::is_public;
use exomonad_core::patterns::is_loopback;
use exomonad_schema::{EffectError, ErrorCode};

use super::address::RemoteAddress;
use crate::GitConfig;
use crate::effect_context::EffectContext;

/// The checked addresses to connect to; none where the name may be resolved again.
pub(super) type Pinned = Vec<SocketAddr>;

/// Resolves and checks a remote's host.
///
/// # Errors
/// `forbidden` for what is not public or hides GitHub, `unavailable` when the name is unknown.
pub(super) async fn check(
    context: &EffectContext,
    config: &GitConfig,
    address: &RemoteAddress,
) -> Result<Pinned, EffectError> {
    let Some(host) = &address.host else {
        return Ok(Pinned::new());
    };
    if is_named(config, &host.name, host.port) {
        return Ok(Pinned::new());
    }
    let shown = &host.name;
    let refuse = |what: &str| {
        Err(context.error(
            ErrorCode::Forbidden,
            format_args!(
                "the remote's host {shown:?} {what}; if it is meant, name it in `git.remote_hosts` in \
                 exomonad.toml: `*` there stands for names with public addresses only"
            ),
        ))
    };
    if is_loopback(shown) || is_numeric(shown) {
        return refuse("is this machine, or an address in place of a name");
    }
    let found = match resolve(shown, host.port).await {
        Ok(found) => found,
        // The proxy resolves it.
        Err(_) if is_proxied(address) => return Ok(Pinned::new()),
        Err(error) => {
            return Err(context.error(
                ErrorCode::Unavailable,
                format_args!("the remote's host {shown:?} cannot be found: {error}; check the remote's URL, and try again"),
            ));
        }
    };
    let public: Pinned = found
        .into_iter()
        .filter(|found| is_public(found.ip()))
        .collect();
    if public.is_empty() {
        return refuse("has no public address");
    }
    if is_github_by_another_name(config, shown, &public).await {
        return refuse("is GitHub by another name, so that the role's `repos` cannot be held");
    }
    if is_proxied(address) {
        return Ok(Pinned::new());
    }
    Ok(public)
}

/// True if the configuration names a host, and not only by a pattern.
fn is_named(config: &GitConfig, host: &str, port: u16) -> bool {
    let with_port = format!("{host}:{port}");
    [
        &config.remote_hosts,
        &config.plain_http_hosts,
        &config.token_hosts,
    ]
    .into_iter()
    .flatten()
    .any(|named| named.eq_ignore_ascii_case(host) || named.eq_ignore_ascii_case(&with_port))
}

/// True for an IP address, in any of the spellings that resolvers take (`2130706433`, `0x7f.1`).
fn is_numeric(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    host.starts_with('[') || last.starts_with(|letter: char| letter.is_ascii_digit())
}

async fn resolve(host: &str, port: u16) -> std::io::Result<HashSet<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

async fn is_github_by_another_name(config: &GitConfig, host: &str, found: &[SocketAddr]) -> bool {
    let Some(github) = &config.github_host else {
        return false;
    };
    let names = crate::github::names(github);
    if names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return false;
    }
    for name in names {
        let theirs = resolve(&name, 443).await.unwrap_or_default();
        let theirs: HashSet<IpAddr> = theirs.iter().map(SocketAddr::ip).collect();
        if found.iter().any(|found| theirs.contains(&found.ip())) {
            return true;
        }
    }
    false
}

/// True if git will go through a proxy, which resolves names itself.
fn is_proxied(address: &RemoteAddress) -> bool {
    address.protocol == "https"
        && ["HTTPS_PROXY", "https_proxy"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use exomonad_core::roots::Roots;
    use exomonad_schema::EffectKind;

    use super::*;
    use crate::transport::address;

    async fn reached(url: &str, remote_hosts: &[&str]) -> Result<Pinned, ErrorCode> {
        let config = GitConfig {
            remote_hosts: remote_hosts.iter().map(|host| (*host).to_owned()).collect(),
            plain_http_hosts: vec!["*".to_owned()],
            ..GitConfig::default()
        };
        let context = EffectContext::for_tests(EffectKind::GitFetch);
        let parsed = address::parse(&context, url, &config, &Roots::new(&[])).unwrap();
        check(&context, &config, &parsed).await.map_err(|error| {
            assert!(error.message.contains("`git.remote_hosts`"), "{error}");
            error.code
        })
    }

    #[tokio::test]
    async fn a_star_stands_for_public_names_alone() {
        for url in [
            "http://127.0.0.1:1/r",
            "http://localhost/r",
            "http://LOCALHOST./r",
            "https://[::1]/r",
            "https://[::ffff:10.0.0.1]/r",
            "https://10.0.0.1/r",
            "https://169.254.169.254/r",
            "https://169.254.169.254./r",
            "https://2130706433/r",
            "https://0x7f000001/r",
            "https://0x7f.1/r",
            "https://127.1/r",
            "https://8.8.8.8/r",
            "git@127.0.0.1:r",
            "ssh://git@[::1]:22/r",
        ] {
            assert_eq!(
                reached(url, &["*"]).await,
                Err(ErrorCode::Forbidden),
                "{url}"
            );
        }
    }

    #[tokio::test]
    async fn a_host_that_is_named_is_reached_wherever_it_is() {
        for (url, name) in [
            ("http://127.0.0.1:1/r", "127.0.0.1:1"),
            ("http://127.0.0.1:1/r", "127.0.0.1"),
            ("https://10.0.0.1/r", "10.0.0.1"),
            ("git@localhost:r", "localhost"),
            ("https://[::1]/r", "[::1]"),
        ] {
            assert_eq!(reached(url, &["*", name]).await, Ok(vec![]), "{url}");
        }
    }
}
