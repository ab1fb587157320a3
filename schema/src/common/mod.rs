//! Messages between host and plugin other than effects: tools, hooks and the
//! plugin's description.
//!
//! | guest export | input | output |
//! |---|---|---|
//! | `handle_list_tools` | [`ListToolsInput`] | [`ListToolsResult`] |
//! | `handle_mcp_call` | [`ToolCallInput`] | [`CallToolResult`] |
//! | `handle_pre_tool_use`, … ([`HookEvent::export`]) | [`HookInput`] | [`HookOutput`] |
//! | `describe` (optional) | nothing | [`PluginDescription`] |

mod context;
mod hook;
mod plugin;
mod tool;

pub use context::Context;
pub use hook::{HookDecision, HookEvent, HookInput, HookOutput};
pub use plugin::PluginDescription;
pub use tool::{
    CallToolResult, Content, EmbeddedResource, ListToolsInput, ListToolsResult, Tool,
    ToolAnnotations, ToolCallInput,
};

/// The guest export that handles a tool call.
pub const HANDLE_MCP_CALL: &str = "handle_mcp_call";

/// The guest export that lists the plugin's tools.
pub const HANDLE_LIST_TOOLS: &str = "handle_list_tools";

/// The optional guest export that describes the plugin.
pub const DESCRIBE: &str = "describe";
