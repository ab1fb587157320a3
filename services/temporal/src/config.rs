//! `[temporal]`: configuration of the Temporal service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use exomonad_core::patterns::is_loopback;
use exomonad_core::values::{TimeSpan, check, is_sendable_name};
use exomonad_core::{Secret, SecretError, SecretSource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Temporal server that the host is a client of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TemporalConfig {
    /// The server's address: `host:port`.
    #[schemars(extend("format" = "host-and-port"))]
    pub address: String,
    /// The namespace of effects and commands that name none.
    pub namespace: String,
    /// If true, the connection is encrypted, by the certificates that this machine trusts; a key `tls_*` says so,
    /// too.
    pub tls: bool,
    /// File with the certificates (PEM) of the authorities that have signed the server's, in the place of those
    /// that this machine trusts.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/temporal-ca.pem")]
    pub tls_ca_file: Option<PathBuf>,
    /// File with the host's own certificate (PEM), for a server that asks for one.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/temporal.pem")]
    pub tls_cert_file: Option<PathBuf>,
    /// File with the key (PEM) of `tls_cert_file`.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/temporal-key.pem")]
    pub tls_key_file: Option<PathBuf>,
    /// The name that the server's certificate has to have; that of `address` when absent.
    #[schemars(example = &"temporal.example.com")]
    pub tls_server_name: Option<String>,
    /// File with the API key. Read at start and when the configuration is reloaded; blanks around it are dropped.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/temporal-api-key")]
    pub api_key_file: Option<PathBuf>,
    /// Environment variable with the API key, instead of `api_key_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"TEMPORAL_API_KEY")]
    pub api_key_env: Option<String>,
    /// The form in which values go to the server. Its own limits count what it is given.
    pub payload_compression: PayloadCompression,
    /// File with the keys by which values are encrypted before they go to the server: `NAME=KEY`, separated by commas,
    /// each key 32 bytes in base64. The first one encrypts; all of them decrypt. Read at start and when the
    /// configuration is reloaded.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/temporal-keys")]
    pub payload_keys_file: Option<PathBuf>,
    /// Environment variable with these keys, instead of `payload_keys_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"TEMPORAL_PAYLOAD_KEYS")]
    pub payload_keys_env: Option<String>,
    /// Headers that go with every request, by their names in lower case. No secrets here.
    #[schemars(extend(
        "x-key-format" = "header-name",
        "additionalProperties" = { "type": "string", "format": "header-value" }
    ))]
    pub headers: BTreeMap<String, String>,
    /// The longest time of one effect, with its retries. Waiting for a result or an update may take longer, if its
    /// request says so.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub time_limit: TimeSpan,
    /// The time for which a request is sent again while the server is away, overloaded or in trouble.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub retry_time: TimeSpan,
    /// The workers of roles whose workflows are on the server (`workflow_backend = "temporal"`).
    pub worker: TemporalWorkerConfig,
    /// The API key.
    #[serde(skip)]
    pub api_key: Option<Secret>,
    /// The keys of payloads.
    #[serde(skip)]
    pub payload_keys: Option<Secret>,
    /// Time limit for opening a connection.
    #[serde(skip)]
    pub connect_timeout: Duration,
}

/// The workers of roles whose workflows are on the server. Each role has one of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TemporalWorkerConfig {
    /// Workflow tasks of a role at once.
    #[schemars(range(min = 2, max = 10_000))]
    pub workflow_tasks: u32,
    /// Activities of a role at once: the effects of its workflows, and those that others ask for.
    #[schemars(range(min = 1, max = 10_000))]
    pub activities: u32,
    /// Requests for workflow tasks that wait at the server at once.
    #[schemars(range(min = 2, max = 1_000))]
    pub workflow_pollers: u32,
    /// Requests for activities that wait at the server at once.
    #[schemars(range(min = 1, max = 1_000))]
    pub activity_pollers: u32,
    /// Runs of a role that stay in memory between two tasks; others are read again from their history.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub cached_runs: u32,
    /// The time after which the server gives up an activity whose host is silent. The host says three times as often
    /// that it is alive.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub heartbeat_timeout: TimeSpan,
    /// The longest time of an attempt at an effect of a workflow.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "365d"))]
    pub step_timeout: TimeSpan,
    /// The way in which runs and versions of a plugin belong together. `none`: any worker takes any run; `pinned`: a
    /// run stays on the version that it began with, by Temporal's worker deployments.
    pub versioning: TemporalVersioning,
}

/// The way in which runs and versions of a plugin belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TemporalVersioning {
    /// Any worker of the task queue takes any run: a change of a workflow needs `workflow.patched`.
    #[default]
    None,
    /// A run stays on the version that it began with, by worker deployments: the deployment is the role, the build
    /// id the plugin's digest. An operator makes a version current (`temporal worker deployment
    /// set-current-version`).
    Pinned,
}

/// The form in which values go to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PayloadCompression {
    /// As they are.
    #[default]
    None,
    /// Compressed, where that makes them smaller, as Temporal's SDK for Go does it (`binary/zlib`).
    Zlib,
}

impl Default for TemporalWorkerConfig {
    fn default() -> Self {
        Self {
            workflow_tasks: 100,
            activities: 100,
            workflow_pollers: 5,
            activity_pollers: 5,
            cached_runs: 1_000,
            heartbeat_timeout: TimeSpan::secs(30),
            step_timeout: TimeSpan::secs(24 * 3600),
            versioning: TemporalVersioning::None,
        }
    }
}

impl Default for TemporalConfig {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:7233".to_owned(),
            namespace: "default".to_owned(),
            tls: false,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            tls_server_name: None,
            api_key_file: None,
            api_key_env: None,
            payload_compression: PayloadCompression::None,
            payload_keys_file: None,
            payload_keys_env: None,
            headers: BTreeMap::new(),
            time_limit: TimeSpan::secs(30),
            retry_time: TimeSpan::secs(10),
            worker: TemporalWorkerConfig::default(),
            api_key: None,
            payload_keys: None,
            connect_timeout: Duration::from_secs(10),
        }
    }
}

impl TemporalConfig {
    /// The source of the API key, if one is named.
    pub fn api_key_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.api_key_file.as_deref(), self.api_key_env.as_deref())
    }

    /// The source of the keys of payloads, if one is named.
    pub fn payload_keys_source(&self) -> Option<SecretSource> {
        let file = self.payload_keys_file.as_deref();
        SecretSource::of(file, self.payload_keys_env.as_deref())
    }

    /// Reads the API key and the keys of payloads.
    ///
    /// # Errors
    /// If one cannot be read or used.
    pub fn read_secrets(
        &mut self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SecretError> {
        let api_key = self.api_key_source();
        self.api_key = api_key.map(|source| source.resolve(&env)).transpose()?;
        let keys = self.payload_keys_source();
        self.payload_keys = keys.map(|source| source.resolve_keys(&env)).transpose()?;
        Ok(())
    }

    /// True if the connection is encrypted.
    pub fn uses_tls(&self) -> bool {
        self.tls
            || self.tls_server_name.is_some()
            || [&self.tls_ca_file, &self.tls_cert_file, &self.tls_key_file]
                .iter()
                .any(|file| file.is_some())
    }

    /// True if what is sent can be read on the way: no TLS, to another machine.
    pub fn is_plain(&self) -> bool {
        let host = self.address.rsplit_once(':').map(|(host, _)| host);
        !self.uses_tls() && !host.is_some_and(is_loopback)
    }

    /// Checks the settings, without asking anyone.
    ///
    /// # Errors
    /// When a limit is zero, or an address, a name, a header or the API key is none.
    pub fn check(&self) -> Result<(), TemporalConfigError> {
        let zero = [
            ("time_limit", self.time_limit.get().is_zero()),
            ("retry_time", self.retry_time.get().is_zero()),
            ("connect_timeout", self.connect_timeout.is_zero()),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(TemporalConfigError::Zero(name));
        }
        check("host-and-port", &self.address)
            .map_err(|error| TemporalConfigError::Address(error.to_string()))?;
        if !is_sendable_name(&self.namespace) {
            return Err(TemporalConfigError::Namespace);
        }
        for (name, value) in &self.headers {
            check("header-name", name)
                .and_then(|()| check("header-value", value))
                .map_err(|error| TemporalConfigError::Header {
                    name: name.escape_debug().to_string(),
                    problem: error.to_string(),
                })?;
        }
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            return Err(TemporalConfigError::HalfIdentity);
        }
        if self.api_key.as_ref().is_some_and(|key| !key.fits_header()) {
            return Err(TemporalConfigError::ApiKey);
        }
        Ok(())
    }
}

/// An error in the Temporal service's configuration.
#[derive(Debug, thiserror::Error)]
pub enum TemporalConfigError {
    /// A limit that would let nothing through.
    #[error(
        "the Temporal service's `{0}` is zero, which lets no effect through; set it to 1 or more"
    )]
    Zero(&'static str),
    /// The address is none.
    #[error("`temporal.address`: {0}")]
    Address(String),
    /// The namespace cannot be sent.
    #[error(
        "`temporal.namespace` is empty or holds blanks or characters beyond ASCII; write a name such as \"default\""
    )]
    Namespace,
    /// A header cannot be sent. Its value is not quoted.
    #[error("`temporal.headers.{name}`: {problem}")]
    Header {
        /// The header's name.
        name: String,
        /// The problem.
        problem: String,
    },
    /// A certificate without a key, or a key without a certificate.
    #[error(
        "`temporal.tls_cert_file` and `temporal.tls_key_file` belong together; set both or none"
    )]
    HalfIdentity,
    /// The API key cannot be sent. It is not quoted.
    #[error(
        "the API key for Temporal is empty or holds characters that no key has; check what `temporal.api_key_file` \
         or `temporal.api_key_env` names"
    )]
    ApiKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_cannot_be_sent_is_refused_by_name_and_not_quoted() {
        let header = |name: &str, value: &str| TemporalConfig {
            headers: BTreeMap::from([(name.to_owned(), value.to_owned())]),
            ..TemporalConfig::default()
        };
        for (config, part) in [
            (
                header("x-tenant", "hunter2\nx: y"),
                "`temporal.headers.x-tenant`",
            ),
            (header("x-tenant", "hunter2\u{e9}"), "beyond ASCII"),
            (header("X Tenant", "hunter2"), "is not the name of a header"),
            (
                TemporalConfig {
                    api_key: Some(Secret::new("hunter2\nx")),
                    ..TemporalConfig::default()
                },
                "`temporal.api_key_file`",
            ),
            (
                TemporalConfig {
                    address: "http://a".to_owned(),
                    ..TemporalConfig::default()
                },
                "`temporal.address`",
            ),
            (
                TemporalConfig {
                    namespace: "a b".to_owned(),
                    ..TemporalConfig::default()
                },
                "`temporal.namespace`",
            ),
            (
                TemporalConfig {
                    tls_cert_file: Some("a".into()),
                    ..TemporalConfig::default()
                },
                "`temporal.tls_key_file`",
            ),
        ] {
            let error = config.check().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(part), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(TemporalConfig::default().check().is_ok());
    }

    #[test]
    fn a_connection_to_another_machine_is_plain_without_tls() {
        let at = |address: &str| TemporalConfig {
            address: address.to_owned(),
            ..TemporalConfig::default()
        };
        assert!(at("temporal.example:7233").is_plain());
        for local in ["127.0.0.1:1", "localhost:7233", "[::1]:7233"] {
            assert!(!at(local).is_plain(), "{local}");
        }
        let named = TemporalConfig {
            tls_server_name: Some("a".to_owned()),
            ..at("temporal.example:7233")
        };
        assert!(named.uses_tls() && !named.is_plain());
    }
}
