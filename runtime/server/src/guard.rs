//! Access: the Host and Origin of a request, and its token.
//!
//! A web page that a user visits can make the browser send requests to loopback, and by rebinding its
//! name even read the answers. Checking Host and Origin stops both.

use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};
use exomonad_access::{Access, Authenticator, Credentials, JwtError, OAuth, TokensProblem};
use exomonad_config::{Config, ServerConfig, Tokens};
use exomonad_core::Principal;
use exomonad_core::patterns::is_loopback;
use exomonad_schema::RoleName;
use reqwest::Client;

use crate::error::RequestError;

/// Checks each request before anything else does.
pub struct Guard {
    config: ServerConfig,
    authenticator: Authenticator,
}

impl Guard {
    /// A guard with these names and tokens.
    pub fn new(config: ServerConfig, authenticator: Authenticator) -> Self {
        Self {
            config,
            authenticator,
        }
    }

    /// The authenticator of the same host under another configuration.
    pub fn reconfigured(
        &self,
        config: &Config,
        tokens: Option<Tokens>,
        client: &Client,
    ) -> Authenticator {
        self.authenticator.reconfigured(config, tokens, client)
    }

    /// The reason why the tokens that were given out open nothing, if they do not.
    pub fn tokens_problem(&self) -> Option<TokensProblem> {
        self.authenticator.tokens_problem()
    }

    /// The reason why a token of an authorization server does not open a role; without a role, why it opens nothing.
    pub fn jwt_problem(
        &self,
        role: Option<&RoleName>,
        credentials: &Credentials,
    ) -> Option<JwtError> {
        self.authenticator.jwt_problem(role, credentials)
    }

    /// True if these are the tokens of the configuration that it checks.
    pub fn has(&self, tokens: &Option<Tokens>) -> bool {
        self.authenticator.has(tokens)
    }

    /// Checks the names that a request uses for this server, and the page it comes from.
    ///
    /// # Errors
    /// If one of them is not allowed.
    pub fn check_names(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), RequestError> {
        // Of several names, somebody in between may have checked another one: that list is no name.
        let text = |name| {
            let values = headers.get_all(name).iter();
            let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
            values.reduce(|all, value| all + ", " + value)
        };
        let host = uri
            .authority()
            .map(|authority| authority.to_string().into())
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
            return Err(RequestError::HostNotAllowed(host.into_owned()));
        }
        match text(header::ORIGIN) {
            None => Ok(()),
            Some(origin) if self.allows_origin(origin.as_bytes()) => Ok(()),
            // A page that this very server delivered.
            Some(origin) if origin.strip_prefix("http://") == Some(&*host) => Ok(()),
            Some(origin) => Err(RequestError::OriginNotAllowed(origin.into_owned())),
        }
    }

    /// True for pages of this origin that may call the host.
    pub fn allows_origin(&self, origin: &[u8]) -> bool {
        let mut allowed = self.config.allowed_origins.iter();
        allowed.any(|allowed| allowed.as_str().as_bytes() == origin)
    }

    /// The credentials that a request presents.
    ///
    /// # Errors
    /// If they are in its address, where logs and histories keep them.
    pub async fn credentials(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Credentials, RequestError> {
        let query = uri.query().unwrap_or_default();
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        match parameters.any(|(name, _)| name == "access_token") {
            true => Err(RequestError::TokenInQuery),
            false => Ok(self.authenticator.credentials(headers).await),
        }
    }

    /// The authorization servers, if there are any.
    pub fn oauth(&self) -> Option<&OAuth> {
        self.authenticator.oauth()
    }

    /// Checks that a request may use something. Gives who it is; `None` where nobody is asked for a token.
    ///
    /// # Errors
    /// If it may not.
    pub fn check(
        &self,
        access: Access<'_>,
        credentials: &Credentials,
    ) -> Result<Option<Arc<Principal>>, RequestError> {
        let checked = self.authenticator.check(access, credentials);
        Ok(checked?.map(Arc::new))
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
        let client = exomonad_services::http::client().unwrap();
        let authenticator = Authenticator::new(&config, Some(Tokens::default()), &client);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        Guard::new(config.server, authenticator).check_names(&Uri::from_static("/health"), &headers)
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
