//! Addresses of remotes, parsed and checked.
//!
//! The URL is in the repository's configuration, which an agent can write. So it is
//! parsed here and built again from parts that were checked; user and password in it
//! are left out, since only the host's own credentials are used.

use std::path::PathBuf;

use exomonad_core::patterns::{is_loopback, matches_host};
use exomonad_schema::{EffectError, ErrorCode};

use crate::GitConfig;
use crate::effect_context::EffectContext;
use crate::url::without_credentials;
use exomonad_core::roots::{Location, Roots};

/// The address of a remote that git may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAddress {
    /// The URL that git is given.
    pub(crate) url: String,
    /// The one protocol it may use.
    pub(crate) protocol: &'static str,
    /// Its host; a folder of this machine has none.
    pub(crate) host: Option<RemoteHost>,
    /// The path of the repository there.
    pub(crate) path: String,
    /// `scheme://host[:port]/` when the host's token is for it.
    pub(crate) token_for: Option<String>,
}

/// The host of a remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteHost {
    /// Its name or address in lower case, without a final dot; an IPv6 address stands in brackets.
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) is_ssh: bool,
}

/// The host and the path of a URL as git reads it, whether or not git may reach it; `None` for a folder, and
/// for what is no URL.
pub(crate) fn host_and_path(url: &str) -> Option<(RemoteHost, String)> {
    let (scheme, authority, path) = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            (scheme.to_ascii_lowercase(), authority, path)
        }
        // In `helper::…` the first names a program, and a slash before the colon makes it a path.
        None => {
            let (authority, path) = url.split_once(':')?;
            if authority.contains('/') || path.starts_with(':') {
                return None;
            }
            ("ssh".to_owned(), authority, path)
        }
    };
    let default_port = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        "git" => 9418,
        "ssh" | "git+ssh" | "ssh+git" => SSH_PORT,
        _ => return None,
    };
    let (name, port) = host_and_port(authority.rsplit('@').next()?)?;
    let host = RemoteHost {
        name,
        port: port.unwrap_or(default_port),
        is_ssh: default_port == SSH_PORT,
    };
    Some((host, path.to_owned()))
}

/// Parses and checks a remote's URL.
///
/// # Errors
/// `unsupported` for a protocol that is not spoken, `forbidden` for a host
/// that may not be reached, `invalid_input` for what is no URL.
pub(crate) fn parse(
    context: &EffectContext,
    raw: &str,
    config: &GitConfig,
    roots: &Roots,
) -> Result<RemoteAddress, EffectError> {
    let shown = without_credentials(raw);
    let malformed = || {
        context.error(
            ErrorCode::InvalidInput,
            format_args!("the remote's URL {shown:?} is none that git can be given; correct it with `git remote set-url`"),
        )
    };
    let is_odd = raw.is_empty()
        || raw.starts_with('-')
        || raw
            .chars()
            .any(|letter| letter.is_control() || letter.is_whitespace());
    if is_odd && !raw.starts_with(['/', '.']) {
        return Err(malformed());
    }
    if let Some((scheme, rest)) = raw.split_once("://") {
        return match scheme.to_ascii_lowercase().as_str() {
            "https" => http(context, "https", rest, config).ok_or_else(malformed)?,
            "http" => http(context, "http", rest, config).ok_or_else(malformed)?,
            "ssh" | "git+ssh" | "ssh+git" => ssh(context, rest, config).ok_or_else(malformed)?,
            "file" => local(context, rest, config, roots),
            _ => Err(context.error(
                ErrorCode::Unsupported,
                format_args!("the remote {shown:?} is reached by neither https nor ssh; correct it with `git remote set-url`"),
            )),
        };
    }
    // `ext::sh -c …` has git run a program.
    if raw.contains("::") && !raw.starts_with(['/', '.', '[']) {
        return Err(context.error(
            ErrorCode::Unsupported,
            "the remote's URL names a program (`helper::…`), which the host does not run",
        ));
    }
    match raw.split_once(':') {
        Some((host, path)) if !host.contains('/') => {
            short_ssh(context, host, path, config).ok_or_else(malformed)?
        }
        _ => local(context, raw, config, roots),
    }
}

const SSH_PORT: u16 = 22;

/// `None` when it is malformed.
fn http(
    context: &EffectContext,
    scheme: &'static str,
    rest: &str,
    config: &GitConfig,
) -> Option<Result<RemoteAddress, EffectError>> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority.rsplit('@').next()?;
    let (host, port) = host_and_port(authority)?;
    let path = path.split(['?', '#']).next()?;
    let default_port = if scheme == "https" { 443 } else { 80 };
    let host_port = match port {
        Some(port) if port != default_port => format!("{host}:{port}"),
        _ => host.clone(),
    };
    let is_local = is_loopback(&host);
    if scheme == "http" && !is_local && !is_listed(&config.plain_http_hosts, &host_port) {
        return Some(Err(context.error(
            ErrorCode::Forbidden,
            format_args!(
                "the remote's host {host_port:?} is reached by plain http, which anybody on the way can read; \
                 use https, or name the host in `git.plain_http_hosts` in exomonad.toml"
            ),
        )));
    }
    if let Err(error) = check_host(context, config, &host, &host_port) {
        return Some(Err(error));
    }
    let base = format!("{scheme}://{host_port}");
    let has_token = config
        .token_hosts
        .iter()
        .any(|allowed| allowed.eq_ignore_ascii_case(&host_port));
    Some(Ok(RemoteAddress {
        url: format!("{base}{path}"),
        protocol: scheme,
        host: Some(RemoteHost {
            name: host,
            port: port.unwrap_or(default_port),
            is_ssh: false,
        }),
        path: path.to_owned(),
        token_for: (has_token && config.token.is_some()).then(|| format!("{base}/")),
    }))
}

fn ssh(
    context: &EffectContext,
    rest: &str,
    config: &GitConfig,
) -> Option<Result<RemoteAddress, EffectError>> {
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user_name(user)?), authority),
        None => (None, authority),
    };
    let (host, port) = host_and_port(authority)?;
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let shown_port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Some(
        check_host(context, config, &host, &host).map(|()| RemoteAddress {
            url: format!("ssh://{user}{host}{shown_port}{path}"),
            protocol: "ssh",
            path: path.to_owned(),
            host: Some(RemoteHost {
                name: host,
                port: port.unwrap_or(SSH_PORT),
                is_ssh: true,
            }),
            token_for: None,
        }),
    )
}

/// `git@github.com:owner/name`: the path begins at the user's home.
fn short_ssh(
    context: &EffectContext,
    host: &str,
    path: &str,
    config: &GitConfig,
) -> Option<Result<RemoteAddress, EffectError>> {
    let (user, host) = match host.rsplit_once('@') {
        Some((user, host)) => (format!("{}@", user_name(user)?), host),
        None => (String::new(), host),
    };
    let (host, _) = host_and_port(host)?;
    if path.is_empty() || path.starts_with('-') {
        return None;
    }
    Some(
        check_host(context, config, &host, &host).map(|()| RemoteAddress {
            url: format!("{user}{host}:{path}"),
            protocol: "ssh",
            path: path.to_owned(),
            host: Some(RemoteHost {
                name: host,
                port: SSH_PORT,
                is_ssh: true,
            }),
            token_for: None,
        }),
    )
}

fn local(
    context: &EffectContext,
    path: &str,
    config: &GitConfig,
    roots: &Roots,
) -> Result<RemoteAddress, EffectError> {
    if !config.local_remotes {
        return Err(context.error(
            ErrorCode::Forbidden,
            "the remote is a folder of this machine; set `git.local_remotes` in exomonad.toml to allow that",
        ));
    }
    let path = PathBuf::from(path);
    match roots.locate(&path) {
        Location::Inside(folder) if path.is_absolute() => match folder.to_str() {
            Some(folder) => Ok(RemoteAddress {
                url: format!("file://{folder}"),
                protocol: "file",
                host: None,
                path: folder.to_owned(),
                token_for: None,
            }),
            None => {
                Err(context.error(ErrorCode::Unsupported, "the remote's path is no UTF-8 text"))
            }
        },
        Location::Missing if path.is_absolute() => Err(context.error(
            ErrorCode::NotFound,
            "the folder the remote names is not there",
        )),
        _ if !path.is_absolute() => Err(context.error(
            ErrorCode::Unsupported,
            "the remote is a relative path; make it absolute with `git remote set-url`",
        )),
        _ => Err(context.forbidden("the folder the remote names is")),
    }
}

/// The user's name in an ssh URL, without a password.
fn user_name(user: &str) -> Option<&str> {
    let user = user.split(':').next()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (!user.is_empty() && !user.starts_with('-') && user.bytes().all(is_plain)).then_some(user)
}

/// A host name or address in lower case and without a final dot, and a port. Neither can be taken for an option.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        (format!("[{address}]"), rest.strip_prefix(':'))
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        // A name with the dot is the same name, and would be taken for another one.
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if host.is_empty()
            || host.ends_with('.')
            || host.starts_with('-')
            || !host.bytes().all(is_plain)
        {
            return None;
        }
        (host.to_ascii_lowercase(), port)
    };
    let port = match port {
        None | Some("") => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
    };
    Some((host, port))
}

fn check_host(
    context: &EffectContext,
    config: &GitConfig,
    host: &str,
    host_port: &str,
) -> Result<(), EffectError> {
    if is_listed(&config.remote_hosts, host) || is_listed(&config.remote_hosts, host_port) {
        return Ok(());
    }
    Err(context.error(
        ErrorCode::Forbidden,
        format_args!(
            "the remote's host {host_port:?} is not among those git may reach; if it is meant to, \
             add it to `git.remote_hosts` in exomonad.toml"
        ),
    ))
}

/// True if a list names a host.
fn is_listed(list: &[String], host: &str) -> bool {
    list.iter().any(|pattern| matches_host(pattern, host))
}

#[cfg(test)]
mod tests;
