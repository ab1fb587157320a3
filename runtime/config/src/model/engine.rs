//! `[engine]`: the sandboxes that plugins run in, and the compiler that makes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::{ByteSize, TimeSpan};

/// The sandboxes that plugins run in, and the compiler that makes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// How many sandboxes exist at once, over all roles. Each reserves address space for the
    /// largest memory and stack that any role may have, which costs no memory until it is used.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sandboxes: u32,
    /// How much of what a call has used of a sandbox's memory is kept mapped, and cleared by hand,
    /// when it is reused. More saves page faults for large payloads and costs that much real memory
    /// for each sandbox that has had one.
    #[schemars(extend("x-maximum" = "64MiB"))]
    pub keep_resident: ByteSize,
    /// How long compiling one plugin may take; a large one may take as long again for each MiB, up to four
    /// times as long. A plugin that needs longer does not load.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub compile_time: TimeSpan,
    /// How much memory the compiler of one plugin may use; up to four run at once.
    #[schemars(extend("x-minimum" = "64MiB", "x-maximum" = "1TiB"))]
    pub compile_memory: ByteSize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            sandboxes: 12_000,
            keep_resident: ByteSize::kib(256),
            compile_time: TimeSpan::secs(30),
            compile_memory: ByteSize::mib(2048),
        }
    }
}
