//! A plugin's description of itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The output of the optional export `describe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginDescription {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The capabilities it needs, such as `git.get_branch` or `git.*`. The host reports
    /// missing ones before anything runs.
    #[serde(default)]
    pub effects: Vec<String>,
    /// The SDK it was built with, such as `rust/0.1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<String>,
}
