//! The harness of the end-to-end tests: the real binary in a folder of its own.
//!
//! - [`Place`]: a temporary folder with a git repository, a home, a configuration and plugins, in which
//!   the binary is run;
//! - [`Host`]: `exomonad serve`, running in a place;
//! - [`Answer`]: what came back over HTTP, with checks for what every answer has to be;
//! - [`Guest`]: a plugin written by a test, as WebAssembly text;
//! - [`Load`]: connections that call without a pause;
//! - [`Connection`]: bytes on a socket, for clients that don't behave;
//! - [`Receiver`]: an OTLP receiver that nobody here wrote;
//! - [`WebServer`]: something for a guest to reach over HTTP;
//! - [`Deployment`]: the whole of it by docker compose, on a real engine;
//! - [`eventually`]: waits for what is bound to happen, and says what didn't.
//!
//! The binary is `$EXOMONAD_BIN`, otherwise the one that lies beside the tests' own build. With
//! `$EXOMONAD_PLUGINS` the plugins of that folder serve in place of those inside the binary. What is compiled is
//! kept from test to test in `$EXOMONAD_TEST_CACHE`, if that is set; each test compiles for itself otherwise.

mod answer;
mod compose;
mod connection;
mod guest;
mod host;
mod load;
mod place;
mod program;
mod receiver;
mod small_disk;
mod waiting;
mod web_server;

pub use answer::{Answer, ToolResult};
pub use compose::Deployment;
pub use connection::Connection;
pub use guest::{BEGUN, Guest, OWN_TEXT, haskell_plugin, shipped_plugin, tool_named};
pub use host::Host;
pub use load::Load;
pub use place::Place;
pub use program::{Ran, binary};
pub use receiver::{Received, Receiver, parsed_metrics};
pub use waiting::{PATIENCE, eventually, never_within};
pub use web_server::WebServer;
