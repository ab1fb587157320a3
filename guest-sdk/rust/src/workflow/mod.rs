//! Workflows: functions with `#[workflow]`, whose runs outlive the host's process.
//!
//! A workflow is a function of the same effects as a tool. Each effect is a step: the host records its answer, and
//! a run that is resumed, after a wait of weeks or a crash, is called from its beginning and given the recorded
//! answers. So its code has to request the same effects in the same order each time: time, randomness and
//! everything else that may differ come from effects.
//!
//! ```
//! use std::time::Duration;
//!
//! use exomonad_guest::prelude::*;
//! use exomonad_guest::workflow::Run;
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Reminder {
//!     text: String,
//!     days: u64,
//! }
//!
//! /// Logs a text, days later.
//! #[workflow]
//! fn remind(input: Reminder, run: &Run) -> Result<(), WorkflowError> {
//!     run.sleep(Duration::from_secs(input.days * 86_400))?;
//!     log_info(input.text);
//!     Ok(())
//! }
//!
//! plugin! { name: "example", tools: [], workflows: [remind] }
//! # fn main() {}
//! ```
//!
//! | | |
//! |---|---|
//! | [`Run`] | what a workflow does beyond effects: sleep, signals, state, children, compensation |
//! | [`Step`], [`Handle`] | effects with retries, and beside each other |
//! | [`Select`] | waiting for whatever comes first |
//! | [`start_child`], [`signal`], [`get`] | for tools and hooks, too |

mod entry;
mod error;
mod handle;
mod message;
mod run;
mod select;
mod step;

pub use entry::{Migrate, WorkflowEntry, WorkflowFunction, WorkflowReturn};
pub use error::WorkflowError;
pub use handle::Handle;
pub use message::{Query, QueryEntry, SignalEntry};
pub use run::Run;
pub use select::{First, Select};
pub use step::{Child, Step};

pub use crate::generated::workflow::*;

#[doc(hidden)]
pub use entry::{input_schema, migrate, output_schema, run_body, state_schema};
#[doc(hidden)]
pub use message::{answer_query, query_schema, signal_schema};
#[doc(hidden)]
pub use run::Published;
