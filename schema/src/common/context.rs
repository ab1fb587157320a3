//! The context of a call, as a guest sees it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::{CallId, RoleName};

/// The context of a call: all that a guest knows about its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Context {
    /// The role the plugin runs as.
    pub role: RoleName,
    /// The call, unique on this host.
    pub call_id: CallId,
    /// The caller's name: that of its token, or as the caller calls itself where the token is of nobody by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The caller as the host has authenticated it, which no caller can make up: `token:NAME`, `oauth:ISSUER#SUBJECT`,
    /// `operator`, or `role:NAME` for the token of a role. Absent where the role asks for no token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The W3C trace context of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}
