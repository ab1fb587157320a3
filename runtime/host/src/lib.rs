//! The host: roles, the plugins that serve them, and executions of these.
//!
//! | module | subject |
//! |---|---|
//! | [`runtime`] | [`Runtime`]: the engines, the services and the roles of one process |
//! | [`role`] | a role: its grants, bounds and limits, and the version of its plugin that serves |
//! | [`plugins`] | the plugin folder, loading, and replacing a version by another |
//! | [`schema`] | JSON Schemas of tools, checked in bounded time |
//! | [`execution`] | [`Execution`]: one call of a role, owned by whoever waits for it |
//! | [`client`] | [`ClientCall`]: the line from a call to the client that made it |
//! | [`caller_limits`] | how often, and how often at once, one caller may call |
//! | [`audit`] | a line for each call, in the log and in a file |
//! | [`admission`] | how many calls run at once, and how many wait |
//! | [`answer_memory`] | how much memory unread answers may take |
//! | [`pipeline`] | the layers between a guest and the services |
//! | [`record`] | the record of a call, for the journal |
//! | [`replay`] | a guest runs again, and the record of a call answers it |
//! | [`workflows`] | durable workflows: runs that outlive the process |
//! | [`error`] | errors with stable codes; transports map codes to statuses |
//! | [`report`] | the state of the host, as `/health` and `/roles` show it |
//! | [`json`] | JSON that every guest language reads in the same way |
//!
//! It knows no transport: neither HTTP nor the command line.

pub mod admission;
pub mod agents;
pub mod answer_memory;
pub mod audit;
pub mod caller_limits;
pub mod client;
pub mod error;
pub mod execution;
mod gauges;
pub mod json;
pub mod pipeline;
pub mod plugins;
pub mod record;
pub mod replay;
pub mod report;
pub mod role;
pub mod runtime;
pub mod schema;
pub mod workflows;

pub use client::ClientCall;
pub use error::{HostError, Violation};
pub use execution::{Caller, Execution, ExportAnswer, ToolAnswer};
pub use exomonad_engine::UserKey;
pub use exomonad_journal::RequestHash;
pub use exomonad_services::Event as EmittedEvent;
pub use role::Role;
pub use runtime::{Runtime, capabilities};
pub use workflows::Workflows;
