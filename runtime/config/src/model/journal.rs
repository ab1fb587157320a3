//! `[journal]`: how much of the calls' records is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::{ByteSize, TimeSpan};

/// The journal of calls: a record of each, with the effects that it asked for and their answers, in the state
/// folder. Which calls are recorded is a key of roles, `journal`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// How much all records may take on disk; the oldest make room for new ones.
    #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "1TiB"))]
    pub max_size: ByteSize,
    /// How long records are kept. They go file by file, so that some stay a quarter longer.
    #[schemars(extend("x-minimum" = "1m", "x-maximum" = "3650d"))]
    pub max_age: TimeSpan,
    /// How much one record may take: a quarter its input, a quarter its output, and half its effects with their
    /// answers. At most a quarter of `max_size`. A record that would take more is cut, and says so.
    #[schemars(extend("x-minimum" = "4KiB", "x-maximum" = "32MiB"))]
    pub max_record: ByteSize,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            max_size: ByteSize::mib(256),
            max_age: TimeSpan::secs(7 * 24 * 3600),
            max_record: ByteSize::mib(1),
        }
    }
}
