//! Messages between host and plugin other than effects: tools, hooks, workflows and the
//! plugin's description.
//!
//! | guest export | input | output |
//! |---|---|---|
//! | `handle_list_tools` | [`ListToolsInput`] | [`ListToolsResult`] |
//! | `handle_mcp_call` | [`ToolCallInput`] | [`CallToolResult`] |
//! | `handle_pre_tool_use`, … ([`HookEvent::export`]) | [`HookInput`] | [`HookOutput`] |
//! | `handle_list_workflows` | [`ListWorkflowsInput`] | [`ListWorkflowsResult`] |
//! | `handle_workflow` | [`WorkflowInput`] | [`WorkflowOutcome`] |
//! | `handle_query` (optional) | [`WorkflowQueryInput`] | [`WorkflowQueryResult`] |
//! | `handle_migrate` (optional) | [`WorkflowMigrateInput`] | [`WorkflowMigrateResult`] |
//! | `describe` (optional) | nothing | [`PluginDescription`] |

mod context;
mod hook;
mod plugin;
mod tool;
mod workflow;

pub use context::Context;
pub use hook::{AgentEvent, HookDecision, HookEvent, HookInput, HookOutput};
pub use plugin::PluginDescription;
pub use tool::{
    CallToolResult, Content, EmbeddedResource, ListToolsInput, ListToolsResult, Tool,
    ToolAnnotations, ToolCallInput,
};
pub use workflow::{
    ListWorkflowsInput, ListWorkflowsResult, WorkflowDefinition, WorkflowEnd, WorkflowFailure,
    WorkflowInput, WorkflowMessage, WorkflowMigrateInput, WorkflowMigrateResult, WorkflowOutcome,
    WorkflowQueryInput, WorkflowQueryResult,
};

/// The guest export that handles a tool call.
pub const HANDLE_MCP_CALL: &str = "handle_mcp_call";

/// The guest export that lists the plugin's tools.
pub const HANDLE_LIST_TOOLS: &str = "handle_list_tools";

/// The guest export that lists the plugin's workflows.
pub const HANDLE_LIST_WORKFLOWS: &str = "handle_list_workflows";

/// The guest export that runs a workflow.
pub const HANDLE_WORKFLOW: &str = "handle_workflow";

/// The optional guest export that answers queries about a workflow's state.
pub const HANDLE_QUERY: &str = "handle_query";

/// The optional guest export that brings a workflow's state into a newer version.
pub const HANDLE_MIGRATE: &str = "handle_migrate";

/// The optional guest export that describes the plugin.
pub const DESCRIBE: &str = "describe";
