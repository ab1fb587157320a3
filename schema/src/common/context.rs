//! What a guest knows of its call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::{CallId, RoleName};

/// What a guest knows of its call; it has no environment to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// The role the plugin runs as.
    pub role: RoleName,
    /// The call, unique on this host.
    pub call_id: CallId,
    /// Who made the call, as far as it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The W3C trace context of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}
