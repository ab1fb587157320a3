//! Workflows: functions of a plugin whose runs outlive the host's process.
//!
//! A run's code is called from its beginning each time it is resumed. The host answers the effects that it has
//! answered before from the run's history, so the code comes to the same place with the same values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Context, Icon};
use crate::value::RawJson;

/// The input of the export `handle_list_workflows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListWorkflowsInput {
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_list_workflows`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListWorkflowsResult {
    /// The plugin's workflows; each name once.
    pub workflows: Vec<WorkflowDefinition>,
}

/// A workflow that a plugin has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowDefinition {
    /// The name by which it is started.
    pub name: String,
    /// A display name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of its input; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<RawJson>,
    /// The JSON Schema of its output; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<RawJson>,
    /// The JSON Schema of the state that it publishes; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_schema: Option<RawJson>,
    /// The version of that state. A state of an older version passes `handle_migrate` first.
    #[serde(default)]
    pub state_version: u32,
    /// The signals that it takes. Any, when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<WorkflowMessage>,
    /// The queries that it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<WorkflowMessage>,
    /// Pictures of it for people, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub icons: Vec<Icon>,
    /// True if MCP clients may start it as a tool.
    #[serde(default)]
    pub is_tool: bool,
    /// True if that tool is for clients that have tasks: it takes too long for a call that waits.
    #[serde(default)]
    pub needs_task: bool,
}

/// A signal or a query of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowMessage {
    /// Its name.
    pub name: String,
    /// Its purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of its payload or arguments; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<RawJson>,
}

/// The input of the export `handle_workflow`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowInput {
    /// The workflow's name.
    pub workflow: String,
    /// Its input, which matches its schema.
    #[serde(default)]
    pub input: RawJson,
    /// The state that the run before this one has published, if that was continued as new; else `null`.
    #[serde(default)]
    pub state: RawJson,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// The call. Its id is the run's, however often that is resumed.
    pub context: Context,
}

/// The output of the export `handle_workflow`: the end of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowOutcome {
    /// Its end.
    pub end: WorkflowEnd,
    /// The output of a completed run.
    #[serde(default)]
    pub output: RawJson,
    /// The failure of a failed run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<WorkflowFailure>,
    /// The input of the run that goes on.
    #[serde(default)]
    pub input: RawJson,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowEnd {
    /// It has done its work.
    Completed,
    /// It has failed.
    Failed,
    /// It was asked to cancel, and has.
    Cancelled,
    /// It goes on as a new run with an empty history.
    ContinueAsNew,
}

/// The failure of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowFailure {
    /// The kind of failure, for programs.
    pub code: String,
    /// The message for a person.
    pub message: String,
    /// Details for a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<RawJson>,
}

/// The input of the export `handle_query`, which has no effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowQueryInput {
    /// The workflow's name.
    pub workflow: String,
    /// The query's name.
    pub query: String,
    /// Its arguments.
    #[serde(default)]
    pub arguments: RawJson,
    /// The state that the run has published; `null` if none.
    #[serde(default)]
    pub state: RawJson,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_query`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowQueryResult {
    /// The answer.
    #[serde(default)]
    pub value: RawJson,
}

/// The input of the export `handle_migrate`, which has no effects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowMigrateInput {
    /// The workflow's name.
    pub workflow: String,
    /// The state as an older version of the plugin has published it.
    pub state: RawJson,
    /// The version of that state.
    pub from_version: u32,
    /// The version that is wanted.
    pub to_version: u32,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_migrate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowMigrateResult {
    /// The state in the version that was wanted.
    pub state: RawJson,
}
