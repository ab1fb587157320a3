//! `[github]`: configuration of the GitHub service.

use std::path::PathBuf;
use std::time::Duration;

use exomonad_core::values::TimeSpan;
use exomonad_core::{Secret, SecretSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base_url::{BaseUrl, BaseUrlError};

/// GitHub: where its API is, and the host's token for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GitHubConfig {
    /// Where the REST API begins: `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise
    /// Server.
    pub base_url: String,
    /// File with the token. Read once at start; blanks around it are dropped.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/github-token")]
    pub token_file: Option<PathBuf>,
    /// Environment variable with the token, instead of `token_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"GITHUB_TOKEN")]
    pub token_env: Option<String>,
    /// How long one effect may take, with its retries.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub time_limit: TimeSpan,
    /// The host's token. Without it every effect answers `unauthenticated` and says what to set.
    #[serde(skip)]
    pub token: Option<Secret>,
    /// Time limit for opening a TCP connection.
    #[serde(skip)]
    pub connect_timeout: Duration,
    /// Largest body of a response, in bytes.
    #[serde(skip)]
    pub max_response_bytes: usize,
    /// Number of retries of a read after a transient failure. A write is never sent again.
    #[serde(skip)]
    pub max_retries: u32,
    /// Wait before the first retry when GitHub gives none; it doubles with each further one.
    #[serde(skip)]
    pub retry_delay: Duration,
    /// Bytes of responses that are cached for conditional requests; 0 caches none.
    #[serde(skip)]
    pub cache_bytes: usize,
    /// Number of requests under way at once; the rest wait.
    #[serde(skip)]
    pub max_concurrent: usize,
}

impl Default for GitHubConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.github.com".to_owned(),
            token_file: None,
            token_env: None,
            time_limit: TimeSpan::secs(30),
            token: None,
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
    /// The source of the token, if one is named.
    pub fn token_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.token_file.as_deref(), self.token_env.as_deref())
    }

    /// The host of GitHub's repositories, by the address of its API.
    pub fn repository_host(&self) -> Option<String> {
        let base = BaseUrl::parse(&self.base_url).ok()?;
        match base.host() {
            "api.github.com" => Some("github.com".to_owned()),
            _ => Some(base.host_and_port()),
        }
    }

    /// Checks the settings, without asking anyone.
    ///
    /// # Errors
    /// When a limit is zero, or the base URL is none.
    pub fn check(&self) -> Result<(), GitHubConfigError> {
        self.checked().map(drop)
    }

    pub(super) fn checked(&self) -> Result<BaseUrl, GitHubConfigError> {
        let zero = [
            ("time_limit", self.time_limit.get().is_zero()),
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
