//! Log lines and events.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BoundedText, RawJson};

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Log {
    /// How much it matters.
    pub level: LogLevel,
    /// What happened.
    pub message: String,
    /// More about it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, RawJson>,
}

/// How much a log line matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// Something odd that did no harm.
    Warn,
    /// Something failed.
    Error,
}

/// An event for whoever watches the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmitEvent {
    /// What kind of event, such as `review.requested`.
    pub name: BoundedText<1, 128>,
    /// What is to be known about it: any JSON.
    #[serde(default)]
    pub payload: RawJson,
}
