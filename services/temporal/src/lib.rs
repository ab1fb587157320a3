//! The Temporal service: the host as a client of a Temporal server.
//!
//! Each effect is one or a few requests of Temporal's gRPC API (<https://api-docs.temporal.io>), by the client
//! of Temporal's own SDK for Rust. It is used below its handles and data converters, at the level of requests:
//! payloads are JSON that the host passes on as it is written, and a handle would hide the status codes that
//! effects tell apart.
//!
//! - **Connection**: one, opened by the first effect; a server that is away is an error of effects, not of the
//!   host. It opens itself again after a break, is shared by all effects, and closes with the service. A reload of
//!   the configuration makes another service, and so takes a new API key and new headers.
//! - **Retries** are the SDK's: with growing waits, for the status codes that are worth it, within
//!   `temporal.retry_time` and the effect's time limit. Each write carries an id by which the server knows a
//!   repetition, where its API has one.
//! - **Bounds**: the namespace and, for what starts workflows, type and task queue are held against the role's
//!   lists before anything is sent. Of a workflow that exists the type is looked up first, and the run that was
//!   looked at is the one that is reached; a workflow of another type does not exist for the role.
//! - **The API key** is in no error, log line or `Debug`, and errors of a server that repeats it are redacted.
//!
//! | module | subject |
//! |---|---|
//! | `config` | configuration |
//! | `policy` | decisions by a role's bounds |
//! | `connection` | the connection |
//! | `effect_context` | one effect under way |
//! | `server_error` | errors of the server and of the connection, as the contract's |
//! | `payload` | JSON, times and failures in Temporal's messages |
//! | `proto_json` | Temporal's messages as its own programs print them |
//! | `perform` | effects by their requests |
//! | `workflows`, `schedules`, `namespaces`, `activities` | the effects |
//! | `codec` | payloads that are compressed or encrypted |
//! | `without_client` | the service of a host that is built without the client |

#![cfg_attr(
    feature = "client",
    expect(
        clippy::field_reassign_with_default,
        reason = "Temporal's messages are non-exhaustive: no literal of one can be written"
    )
)]

mod config;
mod policy;

#[cfg(feature = "client")]
mod activities;
#[cfg(feature = "client")]
pub mod codec;
#[cfg(feature = "client")]
mod connection;
#[cfg(feature = "client")]
mod effect_context;
#[cfg(feature = "client")]
mod namespaces;
#[cfg(feature = "client")]
pub mod payload;
#[cfg(feature = "client")]
mod perform;
#[cfg(feature = "client")]
pub mod proto_json;
#[cfg(feature = "client")]
mod schedules;
#[cfg(feature = "client")]
mod server_error;
#[cfg(feature = "client")]
mod workflows;

#[cfg(not(feature = "client"))]
mod without_client;

pub use config::{
    PayloadCompression, TemporalConfig, TemporalConfigError, TemporalVersioning,
    TemporalWorkerConfig,
};
pub use policy::{TemporalBounds, decide};

#[cfg(feature = "client")]
pub use connection::{Connection, ConnectionError};
#[cfg(feature = "client")]
pub use workflows::retry_policy;

/// The Temporal service. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Temporal {
    config: TemporalConfig,
    #[cfg(feature = "client")]
    connection: connection::LazyConnection,
    #[cfg(feature = "client")]
    codec: std::sync::Arc<codec::Codec>,
}

impl Temporal {
    /// Prepares the service. Nothing is sent: a server that is away shows with the first effect.
    ///
    /// # Errors
    /// When a setting is invalid.
    pub fn new(config: TemporalConfig) -> Result<Self, TemporalConfigError> {
        config.check()?;
        Ok(Self {
            #[cfg(feature = "client")]
            connection: connection::LazyConnection::default(),
            #[cfg(feature = "client")]
            codec: std::sync::Arc::new(codec::Codec::new(&config)),
            config,
        })
    }

    /// The form of values on the way to the server.
    #[cfg(feature = "client")]
    pub fn codec(&self) -> &std::sync::Arc<codec::Codec> {
        &self.codec
    }

    /// The settings.
    pub fn config(&self) -> &TemporalConfig {
        &self.config
    }
}
