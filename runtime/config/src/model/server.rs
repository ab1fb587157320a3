//! `[server]`: the HTTP server.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::SecretSource;
use exomonad_core::values::{ByteSize, HostPattern, ListenAddress, Origin, TimeSpan};

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port to listen on. Any address that other machines can reach needs tokens: an
    /// operator token here, or one for each role.
    pub listen: ListenAddress,
    /// Host names accepted in a request's `Host` header, besides `localhost`, loopback addresses
    /// and the listen address. Without ports; `*` stands for any run of characters. Behind a proxy
    /// or in docker compose, name the host that clients use.
    pub allowed_hosts: Vec<HostPattern>,
    /// Origins of web pages that may call the host from a browser. A request that carries an
    /// `Origin` not listed here is refused.
    pub allowed_origins: Vec<Origin>,
    /// The largest request body.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "4GiB"))]
    pub max_body: ByteSize,
    /// How long a request may take, from its first byte to the last byte of its answer.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "7d"))]
    pub request_timeout: TimeSpan,
    /// How long running calls may go on after the host is told to stop; then they are cancelled.
    #[schemars(extend("x-maximum" = "1d"))]
    pub shutdown_grace: TimeSpan,
    /// If true, `POST /call` runs any export of any loaded plugin, around tools and their schemas.
    pub raw_calls: bool,
    /// File with the operator token, a bearer token that opens every role. Read once at start;
    /// blanks around the token are dropped. Once set, no call is answered without a token.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/exomonad-token")]
    pub token_file: Option<PathBuf>,
    /// Environment variable with the operator token, instead of `token_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"EXOMONAD_TOKEN")]
    pub token_env: Option<String>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: ListenAddress::from(std::net::SocketAddr::from(([127, 0, 0, 1], 7432))),
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_body: ByteSize::mib(16),
            request_timeout: TimeSpan::secs(60),
            shutdown_grace: TimeSpan::secs(30),
            raw_calls: false,
            token_file: None,
            token_env: None,
        }
    }
}

impl ServerConfig {
    /// Where the operator token is, if one is asked for.
    pub fn token_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.token_file.as_deref(), self.token_env.as_deref())
    }
}
