//! The services that need nothing but the process: [`log`], [`clock`], [`random`], [`mcp`], which talks to the
//! client of a call, and [`workflow`], which passes requests on to the host.

pub mod clock;
pub mod log;
pub mod mcp;
pub mod random;
#[cfg(test)]
mod test_call;
pub mod workflow;

pub use clock::Clock;
pub use log::{Event, Log, LogConfig};
pub use mcp::Mcp;
pub use random::Random;
pub use workflow::{Workflow, WorkflowBackend};
