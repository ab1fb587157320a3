//! Access: the Host and Origin of a request, and its token.
//!
//! A web page that a user visits can make the browser send requests to loopback, and by rebinding its
//! name even read the answers. Checking Host and Origin stops both.

use axum::http::{HeaderMap, Uri, header};
use exomonad_config::{ServerConfig, Tokens};
use exomonad_core::patterns::is_loopback;
use exomonad_schema::RoleName;

use crate::error::RequestError;

/// Checks each request before anything else does.
pub struct Guard {
    config: ServerConfig,
    tokens: Tokens,
}

/// The part of the host that a request uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// One role.
    Role(&'a RoleName),
    /// The whole host.
    Operator,
}

impl Guard {
    /// A guard with these names and tokens.
    pub fn new(config: ServerConfig, tokens: Tokens) -> Self {
        Self { config, tokens }
    }

    /// True if these are the tokens that it checks.
    pub fn has(&self, tokens: &Tokens) -> bool {
        self.tokens == *tokens
    }

    /// Checks the names that a request uses for this server, and the page it comes from.
    ///
    /// # Errors
    /// If one of them is not allowed.
    pub fn check_names(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), RequestError> {
        let text = |name| {
            headers
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let host = uri
            .authority()
            .map(ToString::to_string)
            .or_else(|| text(header::HOST))
            .unwrap_or_default();
        let name = host_name(&host);
        let listen = self.config.listen.get().ip();
        let own = is_loopback(name)
            || name.parse().is_ok_and(|ip: std::net::IpAddr| ip == listen)
            || self
                .config
                .allowed_hosts
                .iter()
                .any(|allowed| allowed.matches(name));
        if !own {
            return Err(RequestError::HostNotAllowed(host));
        }
        match text(header::ORIGIN) {
            None => Ok(()),
            Some(origin)
                if self
                    .config
                    .allowed_origins
                    .iter()
                    .any(|allowed| allowed.as_str() == origin) =>
            {
                Ok(())
            }
            // A page that this very server delivered.
            Some(origin) if origin.strip_prefix("http://") == Some(&host) => Ok(()),
            Some(origin) => Err(RequestError::OriginNotAllowed(origin)),
        }
    }

    /// Checks the token of a request for what it wants to use.
    ///
    /// # Errors
    /// If there is none, or one that does not open this.
    pub fn check_token(
        &self,
        access: &Access<'_>,
        headers: &HeaderMap,
    ) -> Result<(), RequestError> {
        let presented = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let presented = presented.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let admitted = match access {
            Access::Operator => self.tokens.admit_operator(presented),
            Access::Role(role) => role
                .as_str()
                .parse()
                .is_ok_and(|role| self.tokens.admit(&role, presented)),
        };
        if admitted {
            Ok(())
        } else {
            Err(RequestError::Unauthorized)
        }
    }
}

/// The host without its port; IPv6 without its brackets.
fn host_name(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    authority
        .rsplit_once(':')
        .map_or(authority, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> Result<(), RequestError> {
        let config = exomonad_config::Config::load(None, |_| None, &[])
            .unwrap()
            .config;
        let tokens = Tokens::read(&config, |_| None).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        Guard::new(config.server, tokens).check_names(&Uri::from_static("/health"), &headers)
    }

    #[test]
    fn loopback_names_are_answered_and_rebound_ones_are_not() {
        for host in [
            "localhost:7432",
            "LOCALHOST",
            "127.0.0.1:7432",
            "127.0.0.5",
            "[::1]:7432",
        ] {
            assert!(check(host, None).is_ok(), "{host}");
        }
        for host in [
            "evil.example:7432",
            "localhost.evil.example",
            "10.0.0.1:7432",
            "",
            "[::2]",
        ] {
            assert!(
                matches!(check(host, None), Err(RequestError::HostNotAllowed(_))),
                "{host}"
            );
        }
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        assert!(check("localhost:7432", Some("http://localhost:7432")).is_ok());
        for origin in [
            "https://evil.example",
            "http://localhost:3000",
            "null",
            "https://localhost:7432",
        ] {
            assert!(
                matches!(
                    check("localhost:7432", Some(origin)),
                    Err(RequestError::OriginNotAllowed(_))
                ),
                "{origin}"
            );
        }
    }
}
