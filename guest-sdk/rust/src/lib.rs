//! Write exomonad plugins in Rust.
//!
//! A plugin decides, the host acts. A tool is a plain function; it requests effects
//! from the host, by one function per effect ([`git`], [`github`], [`kv`], …).
//!
//! ```
//! use exomonad_guest::prelude::*;
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Branch {
//!     /// The branch that is checked out; absent when HEAD is detached.
//!     name: Option<String>,
//! }
//!
//! /// Reports the current branch.
//! #[tool(read_only)]
//! fn current_branch() -> Result<Branch, ToolError> {
//!     let branch = git::get_branch(&GitGetBranch::default())?;
//!     Ok(Branch { name: branch.branch })
//! }
//!
//! plugin! { name: "example", tools: [current_branch] }
//! # fn main() {}
//! ```
//!
//! | module | subject |
//! |---|---|
//! | [`types`] and the service modules | generated from the contract |
//! | [`tool`], [`resource`](mod@resource), [`prompt`](mod@prompt), [`hook`], [`workflow`](mod@workflow), [`plugin`](mod@plugin) | the parts of a plugin |
//! | [`client`] | the client that made the call: progress, forms, its model |
//! | [`effect`] | requests to the host |
//! | [`export`](mod@export) | entry points of your own |
//! | [`log`](mod@log) | `log_info` and friends |
//! | [`testing`] | a host for native unit tests |
//!
//! The same source builds natively, for tests, and to `wasm32-unknown-unknown`.

mod abi;
mod encoding;
mod error;
// Long, since the contract has one type per request and answer.
#[rustfmt::skip]
mod generated;
mod json;

pub mod client;
pub mod effect;
pub mod export;
pub mod hook;
pub mod log_lines;
pub mod plugin;
pub mod prompt;
pub mod resource;
pub mod tool;
pub mod workflow;

#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use abi::{config, set_variable, variable};
pub use error::{Result, ToolError};
pub use exomonad_guest_macros::{export, hook, prompt, resource, tool, workflow};
pub use generated::{clock, docker, git, github, http, kv, log, mcp, random, temporal};
pub use json::{Base64, Json};
pub use log_lines::{log_debug, log_error, log_info, log_trace, log_warn};

/// The contract's types: requests, answers, and the messages of tools and hooks.
pub mod types {
    pub use crate::generated::*;
}

/// The names that most plugins use.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};

    pub use crate::types::*;
    pub use crate::workflow::WorkflowError;
    pub use crate::{
        Base64, Json, ToolError, hook, log_debug, log_error, log_info, log_trace, log_warn, plugin,
        prompt, resource, tool, workflow,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsTested;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/workflows.md")]
struct WorkflowsPageIsTested;
