//! `[http]` and `[secret.<name>]`: requests of guests, and what they may carry.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::SecretSource;
use exomonad_core::values::{HostPattern, TimeSpan};

/// HTTP requests of guests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// How long one request may take, redirects and the whole answer included.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub time_limit: TimeSpan,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            time_limit: TimeSpan::secs(60),
        }
    }
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
}

impl SecretConfig {
    /// Where the secret is.
    pub fn source(&self) -> Option<SecretSource> {
        SecretSource::of(self.file.as_deref(), self.env.as_deref())
    }
}
