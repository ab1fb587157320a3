//! `[audit]`: a line for each call.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::ByteSize;

/// A line for each call: who has called what, when, for how long, with which outcome, and the SHA-256 of its
/// arguments. It is in the log (target `exomonad::audit`), and so goes to a collector; `file` keeps it on disk, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// File for the lines, one JSON object each. Others of its name and a number, `.1` for the latest, have the
    /// lines before.
    #[schemars(extend("format" = "path"), example = &"audit/calls.jsonl")]
    pub file: Option<PathBuf>,
    /// The size at which a new file is begun.
    #[schemars(extend("x-minimum" = "64KiB", "x-maximum" = "64GiB"))]
    pub max_file_size: ByteSize,
    /// How many files there are at most, the newest included. The oldest is deleted.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_files: u32,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            file: None,
            max_file_size: ByteSize::mib(16),
            max_files: 8,
        }
    }
}
