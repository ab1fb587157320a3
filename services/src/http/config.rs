//! Configuration of the HTTP service.

use std::collections::BTreeMap;
use std::time::Duration;

use exomonad_core::Secret;

/// Limits of the HTTP service, and the secrets it fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Time limit for opening a connection.
    pub connect_timeout: Duration,
    /// Time limit of one request, redirects and the body included.
    pub time_limit: Duration,
    /// Largest body of a response that is kept, in bytes, whatever a request says.
    pub max_response_bytes: u64,
    /// The secrets by name.
    pub secrets: BTreeMap<String, HttpSecret>,
}

/// A secret that requests may use by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSecret {
    /// Its text.
    pub value: Secret,
    /// The hosts that it may be sent to; `*` matches any text.
    pub hosts: Vec<String>,
}

impl Default for HttpConfig {
    /// 10 s to connect, 60 s in all, 16 MiB, no secrets.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            time_limit: Duration::from_secs(60),
            max_response_bytes: 16 << 20,
            secrets: BTreeMap::new(),
        }
    }
}

impl HttpConfig {
    pub(super) fn check(&self) -> Result<(), HttpConfigError> {
        let zero = [
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("time_limit", self.time_limit.is_zero()),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(HttpConfigError::Zero(name));
        }
        let empty = |(name, secret): (&String, &HttpSecret)| {
            secret.value.expose().is_empty().then(|| name.clone())
        };
        match self.secrets.iter().find_map(empty) {
            Some(name) => Err(HttpConfigError::EmptySecret(name)),
            None => Ok(()),
        }
    }
}

/// An error in the HTTP service's configuration.
#[derive(Debug, thiserror::Error)]
pub enum HttpConfigError {
    /// A limit that would let nothing through.
    #[error("the HTTP service's `{0}` is zero, which lets no request through; set it to 1 or more")]
    Zero(&'static str),
    /// A secret without a text would be found everywhere.
    #[error("the secret `{0}` is empty")]
    EmptySecret(String),
    /// TLS or the resolver cannot be set up.
    #[error("the HTTP client cannot start: {0}")]
    Client(String),
}
