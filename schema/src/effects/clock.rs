//! Time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::BoundedInt;

/// Asks for the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClockNow {}

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClockTime {
    /// Milliseconds since 1970-01-01T00:00:00Z; negative before.
    pub unix_millis: i64,
    /// The same moment as text, in UTC with milliseconds: `2026-01-31T12:00:00.000Z` (RFC 3339).
    pub iso8601: String,
    /// Nanoseconds since an arbitrary moment before the host started: never goes back,
    /// has no meaning outside this host.
    pub monotonic_nanos: u64,
}

/// Asks to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sleep {
    /// The time, in milliseconds; at most a day. The call's own time limit keeps running.
    pub millis: BoundedInt<0, 86_400_000>,
}
