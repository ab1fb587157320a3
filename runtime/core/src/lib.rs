//! Definitions that the services and the host share.
//!
//! | module | subject |
//! |---|---|
//! | [`call`] | the call that an effect belongs to, and the bounds of its role |
//! | [`handler`] | [`EffectHandler`]: from request JSON to answer JSON |
//! | [`mcp`] | the client of a call that comes by MCP, and what a role's clients are told of |
//! | [`services`] | one trait a service, made from the contract's table |
//! | [`principal`] | who makes a request, and the scopes of its token |
//! | [`policy`] | decisions about a request, for enforcement and for `policy explain` alike |
//! | [`patterns`] | names with `*`, as grants have them |
//! | [`role_keys`] | the keys that set what a role may do, for messages |
//! | [`roots`] | the folders a role may reach |
//! | [`regular_file`] | opening files that a configuration names |
//! | [`replace_file`] | replacing a file as a whole |
//! | [`secret`], [`secret_source`] | texts that are used and never shown, and where they are kept |
//! | [`shared_bounds`] | bounds that several services share: folders, repositories |
//! | [`values`] | sizes, durations, patterns and other values that are written as text |
//! | [`span`] | spans, and how a trace goes on in requests that leave the host |
//!
//! It knows the contract and nothing else of the workspace: no service, no engine, no configuration file.

pub mod address;
mod aside;
pub mod bounds;
pub mod call;
pub mod handler;
pub mod headers;
pub mod mcp;
pub mod patterns;
pub mod policy;
pub mod principal;
pub mod regular_file;
pub mod replace_file;
pub mod role_keys;
pub mod roots;
pub mod secret;
pub mod secret_source;
pub mod services;
pub mod shared_bounds;
pub mod span;
pub mod values;

pub use aside::{CancelOnDrop, aside};
pub use bounds::BoundsMap;
pub use call::{CallContext, KvWriter};
pub use handler::{BoxFuture, EffectHandler, EncodedAnswer};
pub use mcp::{CallClient, Changes};
pub use policy::{Ruling, Verdict};
pub use principal::{Principal, Scopes};
pub use role_keys::RoleKeys;
pub use secret::Secret;
pub use secret_source::{SecretError, SecretSource, header_pairs, named_keys};
pub use services::{
    ClockService, DockerService, GitHubService, GitService, HttpService, KvService, LogService,
    McpService, RandomService, Services, TemporalService, WorkflowService,
};
pub use shared_bounds::{PathBounds, RepoBounds};
