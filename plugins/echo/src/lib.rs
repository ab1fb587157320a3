//! A plugin for tests and benchmarks, with well-behaved and harmful tools.
//!
//! | tool | |
//! |---|---|
//! | `echo` | gives its text back |
//! | `sleep` | waits in the host |
//! | `large_output` | gives as much text as asked for |
//! | `effects_loop`, `log_flood` | ask the host for much |
//! | `spin`, `allocate`, `recurse` | take all time, memory, stack |
//! | `trap`, `panic` | end the call |
//! | `fail` | fails, as a tool may |
//! | `invalid_json` | breaks the contract: the export's output is no JSON |
//!
//! Besides the entry points of every plugin there are `echo`, `count_vowels`,
//! `now` and `fail_raw`, which take and return bytes.

pub mod exports;
mod harmful;
mod harmless;

use exomonad_guest::plugin::Plugin;
use exomonad_guest::tool::ToolFunction;

/// This plugin. Declared by hand instead of by `plugin!`, since its
/// `handle_mcp_call` must be able to break the contract.
pub static PLUGIN: Plugin = Plugin {
    name: "echo",
    version: env!("CARGO_PKG_VERSION"),
    tools: &[
        harmless::echo::ENTRY,
        harmless::sleep::ENTRY,
        harmless::large_output::ENTRY,
        harmless::effects_loop::ENTRY,
        harmless::log_flood::ENTRY,
        harmful::spin::ENTRY,
        harmful::allocate::ENTRY,
        harmful::recurse::ENTRY,
        harmful::trap::ENTRY,
        harmful::panic::ENTRY,
        harmful::fail::ENTRY,
        harmful::invalid_json::ENTRY,
    ],
    hooks: &[],
    workflows: &[],
    resources: &[],
    prompts: &[],
};
