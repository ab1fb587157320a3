//! Log lines and events.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BoundedText, RawJson};

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Log {
    /// Its severity.
    pub level: LogLevel,
    /// The message.
    pub message: String,
    /// Structured fields, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, RawJson>,
}

/// The severity of a log line.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Single steps, for tracing.
    Trace,
    /// Details for debugging.
    Debug,
    /// Normal operation.
    Info,
    /// Something unexpected that did no harm.
    Warn,
    /// A failure.
    Error,
}

/// An event for the subscribers of the host's event stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmitEvent {
    /// The kind of event, such as `review.requested`.
    pub name: BoundedText<1, 128>,
    /// The event's content: any JSON.
    #[serde(default)]
    pub payload: RawJson,
}
