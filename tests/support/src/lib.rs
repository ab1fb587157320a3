//! The tests' common ground: servers, processes, folders, and the binary under test.
//!
//! Of any crate:
//! - [`GitServer`], [`SshServer`], [`MockServer`], [`WebServer`], [`Prism`]: servers on loopback;
//! - [`Collector`]: an OTLP collector that nobody here wrote;
//! - [`TemporalServer`]: Temporal's dev server, its CLI and a worker;
//! - [`ChildGuard`]: a process that ends with the test;
//! - [`RmcpEcho`]: a server of MCP that nobody here wrote;
//! - [`LineProcess`]: a process that is talked to in lines of JSON;
//! - [`FakeModel`]: a language model for coding agents, whose every answer a test has chosen;
//! - [`required_or_skip`]: the one rule for tests that need a tool;
//! - [`free_port`], [`RefusingAddress`]: ports that stay as they are;
//! - [`fuzz`]: mutations of a corpus;
//! - [`eventually`]: waits for what is bound to happen, and says what didn't;
//! - [`arbitrary`]: values of the contract's types.
//!
//! Of the end-to-end tests:
//! - [`Project`]: a temporary folder with a git repository, a home, a configuration and plugins, in which
//!   the binary is run;
//! - [`Host`]: `exomonad serve`, running in a project;
//! - [`Response`]: what came back over HTTP, with checks for what every response has to be;
//! - [`Guest`]: a plugin written by a test, as WebAssembly text;
//! - [`Load`]: connections that call without a pause;
//! - [`mcp`]: messages, sessions and streams of the Model Context Protocol, by hand;
//! - [`Connection`]: bytes on a socket, for clients that don't behave;
//! - [`Deployment`]: the whole of it by docker compose, on a real engine.
//!
//! The binary is `$EXOMONAD_BIN`, otherwise the one that lies beside the tests' own build, of the same profile.
//! With `$EXOMONAD_PLUGINS` the plugins of that folder serve in place of those inside the binary. The tests share
//! what is compiled of plugins, in `target/tmp/compiled`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

pub mod arbitrary;
mod collector;
mod command;
mod compose;
mod connection;
mod fake_model;
mod fuzz;
mod git_server;
mod guest;
mod host;
mod lines;
mod load;
pub mod mcp;
mod mock_server;
mod oauth;
mod other_disk;
mod ports;
mod prism;
mod process;
mod project;
mod response;
mod rmcp_server;
mod skip;
mod ssh_server;
mod temporal;
mod waiting;
mod web_server;

use std::path::{Path, PathBuf};

pub use collector::{Collector, TelemetryItem, parsed_metrics};
pub use command::{CommandOutput, binary};
pub use compose::Deployment;
pub use connection::Connection;
pub use fake_model::{FakeModel, ModelApi, ToolUse};
pub use fuzz::{JSON_WORDS, fuzz};
pub use git_server::{GitServer, GitServerMode};
pub use guest::{BEGUN, Guest, OWN_TEXT, haskell_plugin, shipped_plugin, tool_named};
pub use host::Host;
pub use lines::LineProcess;
pub use load::Load;
pub use mock_server::{MockResponse, MockServer, ReceivedRequest, header};
pub use oauth::AuthorizationServer;
pub use ports::{RefusingAddress, free_port};
pub use prism::Prism;
pub use process::{ChildGuard, end_with_parent, signal};
pub use project::Project;
pub use response::{Response, ToolResult};
pub use rmcp_server::RmcpEcho;
pub use skip::{installed_by, installed_by_with, required_or_skip};
pub use ssh_server::{SshAgent, SshServer, SshServerMode, make_key};
pub use temporal::TemporalServer;
pub use waiting::{PATIENCE, eventually, never_within};
pub use web_server::WebServer;

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
