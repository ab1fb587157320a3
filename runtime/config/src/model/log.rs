//! `[log]`: the host's own log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The host's own log, written to standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The lines that are logged: a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), or levels by
    /// target as `RUST_LOG` has them: `info,exomonad_engine=debug`.
    pub filter: String,
    /// How it is written.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Pretty,
        }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: one line an event, coloured on a terminal.
    Pretty,
    /// For machines: one JSON object a line.
    Json,
}
