//! `[http]` and `[secret.<name>]`: configuration of the HTTP service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use exomonad_core::values::{HostPattern, TimeSpan};
use exomonad_core::{Secret, SecretSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// HTTP requests of guests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// How long one request may take, redirects and the whole answer included.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub time_limit: TimeSpan,
    /// Time limit for opening a connection.
    #[serde(skip)]
    pub connect_timeout: Duration,
    /// Largest body of a response that is kept, in bytes, whatever a request says.
    #[serde(skip)]
    pub max_response_bytes: u64,
}

/// A secret that HTTP requests of guests may carry. The guest writes `{{secret:<name>}}`; the host
/// fills it in on the way out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretConfig {
    /// The hosts it may be sent to, without ports; `*` stands for any run of characters.
    pub hosts: Vec<HostPattern>,
    /// File with the secret. Read once at start; blanks around it are dropped.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/weather-key")]
    pub file: Option<PathBuf>,
    /// Environment variable with the secret, instead of `file`.
    #[schemars(extend("format" = "environment-variable"), example = &"WEATHER_KEY")]
    pub env: Option<String>,
    /// The secret itself, read from `file` or `env`.
    #[serde(skip)]
    pub value: Option<Secret>,
}

/// The secrets by name.
pub type Secrets = BTreeMap<String, SecretConfig>;

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            time_limit: TimeSpan::secs(60),
            connect_timeout: Duration::from_secs(10),
            max_response_bytes: 16 << 20,
        }
    }
}

impl SecretConfig {
    /// The source of the secret, if one is named.
    pub fn source(&self) -> Option<SecretSource> {
        SecretSource::of(self.file.as_deref(), self.env.as_deref())
    }
}

impl HttpConfig {
    pub(super) fn check(&self, secrets: &Secrets) -> Result<(), HttpConfigError> {
        let zero = [
            ("connect_timeout", self.connect_timeout.is_zero()),
            ("time_limit", self.time_limit.get().is_zero()),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(HttpConfigError::Zero(name));
        }
        let empty = |(name, secret): (&String, &SecretConfig)| {
            let value = secret.value.as_ref()?;
            value.expose().is_empty().then(|| name.clone())
        };
        match secrets.iter().find_map(empty) {
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
    #[error(
        "the HTTP client cannot start: {0}; if certificates are missing, install the package ca-certificates, or name \
         a file of them in SSL_CERT_FILE"
    )]
    Client(String),
}
