//! Messages between host and plugin other than effects: tools, resources, prompts, hooks, workflows and
//! the plugin's description.
//!
//! | guest export | input | output |
//! |---|---|---|
//! | `handle_list_tools` | [`ListToolsInput`] | [`ListToolsResult`] |
//! | `handle_mcp_call` | [`ToolCallInput`] | [`CallToolResult`] |
//! | `handle_list_resources` (optional) | [`ListResourcesInput`] | [`ListResourcesResult`] |
//! | `handle_list_resource_templates` (optional) | [`ListResourceTemplatesInput`] | [`ListResourceTemplatesResult`] |
//! | `handle_read_resource` (optional) | [`ReadResourceInput`] | [`ReadResourceResult`] |
//! | `handle_list_prompts` (optional) | [`ListPromptsInput`] | [`ListPromptsResult`] |
//! | `handle_get_prompt` (optional) | [`GetPromptInput`] | [`GetPromptResult`] |
//! | `handle_complete` (optional) | [`CompleteInput`] | [`CompleteResult`] |
//! | `handle_pre_tool_use`, … ([`HookEvent::export`]) | [`HookInput`] | [`HookOutput`] |
//! | `handle_list_workflows` | [`ListWorkflowsInput`] | [`ListWorkflowsResult`] |
//! | `handle_workflow` | [`WorkflowInput`] | [`WorkflowOutcome`] |
//! | `handle_query` (optional) | [`WorkflowQueryInput`] | [`WorkflowQueryResult`] |
//! | `handle_migrate` (optional) | [`WorkflowMigrateInput`] | [`WorkflowMigrateResult`] |
//! | `describe` (optional) | nothing | [`PluginDescription`] |

mod context;
mod hook;
mod plugin;
mod prompt;
mod resource;
mod tool;
mod workflow;

pub use context::Context;
pub use hook::{AgentEvent, HookDecision, HookEvent, HookInput, HookOutput};
pub use plugin::PluginDescription;
pub use prompt::{
    CompleteInput, CompleteResult, Completion, GetPromptInput, GetPromptResult, ListPromptsInput,
    ListPromptsResult, MessageRole, Prompt, PromptArgument, PromptMessage,
};
pub use resource::{
    ListResourceTemplatesInput, ListResourceTemplatesResult, ListResourcesInput,
    ListResourcesResult, ReadResourceInput, ReadResourceResult, Resource, ResourceTemplate,
};
pub use tool::{
    CallToolResult, Content, EmbeddedResource, Icon, IconTheme, ListToolsInput, ListToolsResult,
    Tool, ToolAnnotations, ToolCallInput,
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

/// The optional guest export that lists the plugin's resources.
pub const HANDLE_LIST_RESOURCES: &str = "handle_list_resources";

/// The optional guest export that lists the templates of the plugin's resources.
pub const HANDLE_LIST_RESOURCE_TEMPLATES: &str = "handle_list_resource_templates";

/// The optional guest export that reads a resource.
pub const HANDLE_READ_RESOURCE: &str = "handle_read_resource";

/// The optional guest export that lists the plugin's prompts.
pub const HANDLE_LIST_PROMPTS: &str = "handle_list_prompts";

/// The optional guest export that gives the messages of a prompt.
pub const HANDLE_GET_PROMPT: &str = "handle_get_prompt";

/// The optional guest export that completes an argument of a prompt, or a variable of a template.
pub const HANDLE_COMPLETE: &str = "handle_complete";

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
