//! `[state]`: what the host keeps between starts.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state that the host keeps between starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateConfig {
    /// The folder for the key-value store of the roles and the journal of calls. Made when it is first needed.
    #[schemars(extend("format" = "path"))]
    pub dir: PathBuf,
}

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from(".exomonad/state"),
        }
    }
}
