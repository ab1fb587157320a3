//! Configuration of the GitHub service.

use std::time::Duration;

use super::base_url::{BaseUrl, BaseUrlError};
use exomonad_core::Secret;

/// Address of GitHub's API, token and limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitHubConfig {
    /// Where GitHub's REST API begins: `https://api.github.com`, or
    /// `https://HOST/api/v3` of a GitHub Enterprise Server.
    pub base_url: String,
    /// The host's token. Without it every effect answers
    /// `unauthenticated` and says what to set.
    pub token: Option<Secret>,
    /// How long one effect may take, with its retries and all waiting.
    pub time_limit: Duration,
    /// How long to wait for a TCP connection.
    pub connect_timeout: Duration,
    /// How long one answer's body may be, in bytes.
    pub max_response_bytes: usize,
    /// How often a request that only reads is sent again when it failed for a
    /// passing reason. One that writes never is.
    pub max_retries: u32,
    /// How long to wait before the first retry when GitHub does not say; twice
    /// as long before each further one.
    pub retry_delay: Duration,
    /// How many bytes of answers are kept to be asked for conditionally; 0 keeps none.
    pub cache_bytes: usize,
    /// How many requests are under way at once; the rest wait.
    pub max_concurrent: usize,
}

impl Default for GitHubConfig {
    /// github.com without a token; 30 s an effect, 10 s a connection, 16 MiB an
    /// answer, 2 retries from 250 ms on, 16 MiB of cache, 16 requests at once.
    fn default() -> Self {
        Self {
            base_url: "https://api.github.com".to_owned(),
            token: None,
            time_limit: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            max_response_bytes: 16 << 20,
            max_retries: 2,
            retry_delay: Duration::from_millis(250),
            cache_bytes: 16 << 20,
            max_concurrent: 16,
        }
    }
}

impl GitHubConfig {
    /// Checks the settings, without asking anyone.
    ///
    /// # Errors
    /// When a limit is zero, or the base URL is none.
    pub fn check(&self) -> Result<(), GitHubConfigError> {
        self.checked().map(drop)
    }

    pub(super) fn checked(&self) -> Result<BaseUrl, GitHubConfigError> {
        let zero = [
            ("time_limit", self.time_limit.is_zero()),
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("max_response_bytes", self.max_response_bytes == 0),
            ("max_concurrent", self.max_concurrent == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(GitHubConfigError::Zero(name)),
            None if self
                .token
                .as_ref()
                .is_some_and(|token| !token.fits_header()) =>
            {
                Err(GitHubConfigError::Token)
            }
            None => Ok(BaseUrl::parse(&self.base_url)?),
        }
    }
}

/// An error in the GitHub service's configuration.
#[derive(Debug, thiserror::Error)]
pub enum GitHubConfigError {
    /// A limit that would let nothing through.
    #[error(
        "the GitHub service's `{0}` is zero, which lets no effect through; set it to 1 or more"
    )]
    Zero(&'static str),
    /// The token cannot be sent. It is not quoted.
    #[error(
        "the GitHub service's token is empty or holds characters that no token has; check what `github.token_file` \
         or `github.token_env` names"
    )]
    Token,
    /// The base URL is none. It is not quoted: it may hold a password.
    #[error(
        "`github.base_url` {0}; write `https://api.github.com`, or `https://HOST/api/v3` for GitHub Enterprise Server"
    )]
    BaseUrl(#[from] BaseUrlError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let config = GitHubConfig {
            max_concurrent: 0,
            ..GitHubConfig::default()
        };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("`max_concurrent` is zero"), "{message}");
        assert!(GitHubConfig::default().check().is_ok());
    }

    #[test]
    fn a_token_that_cannot_be_sent_is_refused_and_not_quoted() {
        for bad in ["", "ghp_planted\nAuthorization: x", "ghp_planted\u{e9}"] {
            let config = GitHubConfig {
                token: Some(Secret::new(bad)),
                ..GitHubConfig::default()
            };
            let error = config.check().unwrap_err();
            let shown = format!("{error} {error:?} {config:?}");
            assert!(shown.contains("`github.token_file`"), "{shown}");
            assert!(!shown.contains("planted"), "{shown}");
        }
    }

    #[test]
    fn a_base_url_with_a_password_is_refused_and_not_quoted() {
        let config = GitHubConfig {
            base_url: "https://me:hunter2@ghe.example/api/v3".to_owned(),
            ..GitHubConfig::default()
        };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("`github.base_url`"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
