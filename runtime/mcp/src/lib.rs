//! The Model Context Protocol, at `/role/{role}/mcp`: <https://modelcontextprotocol.io/specification>.
//!
//! Revisions up to 2025-11-25 have sessions, from 2026-07-28 on each request stands for itself. Both are
//! spoken on one URL, by two thin codecs over one table of methods:
//!
//! | module | subject |
//! |---|---|
//! | [`message`] | JSON-RPC messages, read from raw JSON |
//! | [`revision`] | the revisions, and what is different in each |
//! | [`methods`] | the table of methods, whatever the era |
//! | [`guest_methods`] | those that an export of the guest answers: resources, prompts, completion |
//! | [`lists`] | the lists that may change, and what clients know of them |
//! | [`capabilities`] | the capabilities that a client declares |
//! | [`client`] | the line from a call to its client: progress, lines of the log, questions |
//! | [`kept_answers`] | results that are too large for a client, as resources that it reads in pages |
//! | [`tasks`] | workflows as tasks that clients follow |
//! | [`request_state`] | what a call did until it asked its client, sealed, in the client's hands |
//! | [`answer`] | a guest's JSON within a response, as it was written |
//! | [`rpc_error`] | errors: their codes and HTTP statuses |
//! | [`http`] | [`Endpoint`]: Streamable HTTP |
//! | [`headers`] | the headers of the stateless era |
//! | [`sessions`] | the sessions of the sessionful era |
//! | [`streams`] | server-sent events |
//! | [`answer_log`] | what is said during a request, for a client that comes back for it |
//! | [`stdio`] | lines on standard input and output, over an endpoint that is reached by HTTP or lies here |
//!
//! It checks neither Host and Origin nor tokens: whoever mounts it has.

pub mod answer;
mod answer_log;
pub mod capabilities;
pub mod client;
#[cfg(test)]
mod fuzz;
mod guest_methods;
pub mod headers;
pub mod http;
pub mod kept_answers;
pub mod lists;
pub mod message;
pub mod methods;
pub mod request_state;
pub mod revision;
pub mod rpc_error;
pub mod sessions;
pub mod stdio;
pub mod streams;
mod tasks;

use std::path::PathBuf;
use std::sync::Arc;

use axum::http::HeaderMap;
use exomonad_config::McpConfig;
use exomonad_core::mcp::RoleChanges;
use exomonad_host::{Caller, Role};
use exomonad_schema::RoleName;
use tokio::sync::watch;

pub use http::{Endpoint, NeededScope};
pub use message::Body;
pub use rpc_error::RpcError;

/// The roles as they are now: streams outlive a configuration.
pub trait Roles: Send + Sync {
    /// The role of this name.
    fn role(&self, name: &RoleName) -> Option<Arc<Role>>;

    /// Changes when a role may serve another version.
    fn versions(&self) -> watch::Receiver<()>;

    /// The news of a role for its clients.
    fn changes(&self, role: &RoleName) -> watch::Receiver<RoleChanges>;

    /// The configuration in force.
    fn config(&self) -> McpConfig;

    /// The folder of the host's state.
    fn state_dir(&self) -> PathBuf;
}

/// A request that may use its role.
pub struct HttpRequest<'a> {
    /// All roles.
    pub roles: &'a Arc<dyn Roles>,
    /// The role that it is for.
    pub role: Arc<Role>,
    /// The caller, by the headers.
    pub caller: Caller,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// False once the caller's token does not open the role any more; streams ask it.
    pub is_permitted: Arc<dyn Fn() -> bool + Send + Sync>,
}
