//! `[workflows]`: durable workflows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::{ByteSize, TimeSpan};

/// Durable workflows: how many run at once, how often one that traps is started again, how long ended ones are
/// kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkflowsConfig {
    /// How many runs have a sandbox at once. Runs that wait have none, and any number may wait.
    #[schemars(range(min = 1, max = 100_000))]
    pub running: u32,
    /// How often a run whose plugin traps or exceeds a limit is started again before it is stuck. What it has done
    /// stays done.
    #[schemars(range(min = 0, max = 1000))]
    pub restarts: u32,
    /// The pause before the first of these starts. It doubles with each.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1d"))]
    pub restart_delay: TimeSpan,
    /// How many entries the history of a run may have; the run fails beyond. A run that goes on for ever continues
    /// as a new one before.
    #[schemars(range(min = 100, max = 1_000_000))]
    pub max_history: u32,
    /// How much the history of a run may hold.
    #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "1GiB"))]
    pub max_history_size: ByteSize,
    /// How much state a run may publish.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "64MiB"))]
    pub max_state: ByteSize,
    /// How long runs that have ended are kept, with their histories.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "3650d"))]
    pub retention: TimeSpan,
}

impl Default for WorkflowsConfig {
    fn default() -> Self {
        Self {
            running: 256,
            restarts: 5,
            restart_delay: TimeSpan::secs(1),
            max_history: 50_000,
            max_history_size: ByteSize::mib(64),
            max_state: ByteSize::mib(1),
            retention: TimeSpan::secs(30 * 24 * 3600),
        }
    }
}
