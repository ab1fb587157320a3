//! Plugins: tools, resources, prompts, hooks and workflows under a name, with the exports that dispatch to them.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::ToolError;
use crate::hook::HookEntry;
use crate::prompt::{self, PromptEntry};
use crate::resource::{self, ResourceEntry, Variables};
use crate::tool::{ToolEntry, failure};
use crate::types::{
    CallToolResult, CompleteInput, CompleteResult, Context, GetPromptInput, GetPromptResult,
    ListResourcesResult, ListToolsResult, ListWorkflowsResult, PluginDescription,
    ReadResourceInput, ReadResourceResult, WorkflowInput, WorkflowMigrateInput,
    WorkflowMigrateResult, WorkflowOutcome, WorkflowQueryInput, WorkflowQueryResult,
};
use crate::workflow::WorkflowEntry;

/// A plugin, as [`plugin!`](crate::plugin!) declares it.
pub struct Plugin {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its tools, as they are listed.
    pub tools: &'static [ToolEntry],
    /// Its hooks.
    pub hooks: &'static [HookEntry],
    /// Its workflows.
    pub workflows: &'static [WorkflowEntry],
    /// Its resources.
    pub resources: &'static [ResourceEntry],
    /// Its prompts.
    pub prompts: &'static [PromptEntry],
}

/// The input of `handle_mcp_call`, borrowed.
#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    context: Context,
}

impl Plugin {
    /// Its tools as the host lists them.
    pub fn list_tools(&self) -> ListToolsResult {
        ListToolsResult {
            tools: self.tools.iter().map(ToolEntry::listing).collect(),
        }
    }

    /// Calls a tool with its arguments' JSON. A failure is a result too.
    pub fn call_tool(&self, name: &str, arguments: &str, context: &Context) -> CallToolResult {
        let outcome = match self.tools.iter().find(|tool| tool.name == name) {
            Some(tool) => (tool.call)(arguments, context),
            None => Err(self.no_such_tool(name)),
        };
        outcome.unwrap_or_else(|error| failure(&error))
    }

    /// The plugin's description. The effects it needs are the host functions it
    /// imports, so that no list has to be maintained.
    pub fn description(&self) -> PluginDescription {
        PluginDescription {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            effects: Vec::new(),
            sdk: Some(concat!("rust/", env!("CARGO_PKG_VERSION")).to_owned()),
        }
    }

    fn no_such_tool(&self, name: &str) -> ToolError {
        let known: Vec<_> = self.tools.iter().map(|tool| tool.name).collect();
        ToolError::new(format!("no tool `{name}`; there are {}", known.join(", ")))
    }

    /// `handle_list_tools`: its tools, as JSON.
    ///
    /// # Errors
    /// Never in practice: a tool list always has JSON.
    pub fn handle_list_tools(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.list_tools())?)
    }

    /// `handle_mcp_call`: from a `ToolCallInput` to a `CallToolResult`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `ToolCallInput`. A tool's own failure is a result.
    pub fn handle_mcp_call(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        let call: ToolCall<'_> = serde_json::from_str(std::str::from_utf8(input)?)?;
        let arguments = call.arguments.map_or("{}", RawValue::get);
        Ok(serde_json::to_vec(&self.call_tool(
            &call.name,
            arguments,
            &call.context,
        ))?)
    }

    /// Its workflows as the host lists them.
    pub fn list_workflows(&self) -> ListWorkflowsResult {
        ListWorkflowsResult {
            workflows: self.workflows.iter().map(WorkflowEntry::listing).collect(),
        }
    }

    /// Runs a workflow from its beginning to the end of the run.
    ///
    /// # Errors
    /// If there is no such workflow, or the output has no JSON. A failure of the workflow is an outcome.
    pub fn run_workflow(&self, input: WorkflowInput) -> Result<WorkflowOutcome, ToolError> {
        (self.workflow(&input.workflow)?.call)(input)
    }

    /// Answers a query from the state that a run has published.
    ///
    /// # Errors
    /// If there is no such workflow or query, or the state or the arguments do not fit.
    pub fn query_workflow(
        &self,
        input: &WorkflowQueryInput,
    ) -> Result<WorkflowQueryResult, ToolError> {
        let workflow = self.workflow(&input.workflow)?;
        let found = workflow
            .queries
            .iter()
            .find(|query| query.name == input.query);
        let Some(query) = found else {
            let known: Vec<_> = workflow.queries.iter().map(|query| query.name).collect();
            return Err(ToolError::new(format!(
                "the workflow `{}` has no query `{}`; there are {}",
                workflow.name,
                input.query,
                known.join(", ")
            )));
        };
        let value = (query.call)(&input.state, &input.arguments)?;
        Ok(WorkflowQueryResult { value })
    }

    /// Brings a published state to the workflow's current version.
    ///
    /// # Errors
    /// If there is no such workflow, it has another version or no `migrate`, or that fails.
    pub fn migrate_workflow(
        &self,
        input: &WorkflowMigrateInput,
    ) -> Result<WorkflowMigrateResult, ToolError> {
        let workflow = self.workflow(&input.workflow)?;
        let migrate = workflow
            .migrate
            .filter(|_| input.to_version == workflow.state_version);
        let Some(migrate) = migrate else {
            return Err(ToolError::new(format!(
                "the workflow `{}` cannot bring its state from version {} to {}; its version is {}",
                workflow.name, input.from_version, input.to_version, workflow.state_version
            )));
        };
        let state = migrate(input.from_version, &input.state)?;
        Ok(WorkflowMigrateResult { state })
    }

    fn workflow(&self, name: &str) -> Result<&WorkflowEntry, ToolError> {
        let found = self.workflows.iter().find(|workflow| workflow.name == name);
        found.ok_or_else(|| {
            let known: Vec<_> = self
                .workflows
                .iter()
                .map(|workflow| workflow.name)
                .collect();
            ToolError::new(format!(
                "no workflow `{name}`; there are {}",
                known.join(", ")
            ))
        })
    }

    /// `handle_list_workflows`: its workflows, as JSON.
    ///
    /// # Errors
    /// Never in practice: a list always has JSON.
    pub fn handle_list_workflows(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.list_workflows())?)
    }

    /// `handle_workflow`: from a `WorkflowInput` to a `WorkflowOutcome`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `WorkflowInput`, and as [`run_workflow`](Self::run_workflow).
    pub fn handle_workflow(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.run_workflow(decode(input)?)?)?)
    }

    /// `handle_query`: from a `WorkflowQueryInput` to a `WorkflowQueryResult`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `WorkflowQueryInput`, and as [`query_workflow`](Self::query_workflow).
    pub fn handle_query(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.query_workflow(&decode(input)?)?)?)
    }

    /// `handle_migrate`: from a `WorkflowMigrateInput` to a `WorkflowMigrateResult`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `WorkflowMigrateInput`, and as [`migrate_workflow`](Self::migrate_workflow).
    pub fn handle_migrate(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(
            &self.migrate_workflow(&decode(input)?)?,
        )?)
    }

    /// Its resources as the host lists them.
    pub fn list_resources(&self) -> ListResourcesResult {
        resource::list(self.resources)
    }

    /// Reads a resource. A failure is in the result.
    pub fn read_resource(&self, uri: &str, context: &Context) -> ReadResourceResult {
        resource::read(self.resources, uri, context)
    }

    /// Gives the messages of a prompt. A failure is in the result.
    pub fn get_prompt(
        &self,
        name: &str,
        arguments: &Variables,
        context: &Context,
    ) -> GetPromptResult {
        prompt::get(self.prompts, name, arguments, context)
    }

    /// Completes an argument of a prompt, or a variable of a resource.
    pub fn complete(&self, input: &CompleteInput) -> CompleteResult {
        prompt::complete(self.prompts, self.resources, input)
    }

    /// `handle_list_resources`: its resources, as JSON.
    ///
    /// # Errors
    /// Never in practice: a list always has JSON.
    pub fn handle_list_resources(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.list_resources())?)
    }

    /// `handle_list_resource_templates`: the templates of its resources, as JSON.
    ///
    /// # Errors
    /// Never in practice: a list always has JSON.
    pub fn handle_list_resource_templates(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&resource::list_templates(
            self.resources,
        ))?)
    }

    /// `handle_read_resource`: from a `ReadResourceInput` to a `ReadResourceResult`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `ReadResourceInput`.
    pub fn handle_read_resource(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        let input: ReadResourceInput = decode(input)?;
        let read = self.read_resource(&input.uri, &input.context);
        Ok(serde_json::to_vec(&read)?)
    }

    /// `handle_list_prompts`: its prompts, as JSON.
    ///
    /// # Errors
    /// Never in practice: a list always has JSON.
    pub fn handle_list_prompts(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&prompt::list(self.prompts))?)
    }

    /// `handle_get_prompt`: from a `GetPromptInput` to a `GetPromptResult`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `GetPromptInput`.
    pub fn handle_get_prompt(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        let input: GetPromptInput = decode(input)?;
        let got = self.get_prompt(&input.name, &input.arguments, &input.context);
        Ok(serde_json::to_vec(&got)?)
    }

    /// `handle_complete`: from a `CompleteInput` to a `CompleteResult`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `CompleteInput`.
    pub fn handle_complete(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.complete(&decode(input)?))?)
    }

    /// `describe`: the plugin's description, as JSON.
    ///
    /// # Errors
    /// Never in practice: a description always has JSON.
    pub fn describe(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.description())?)
    }
}

fn decode<T: DeserializeOwned>(input: &[u8]) -> Result<T, ToolError> {
    Ok(serde_json::from_str(std::str::from_utf8(input)?)?)
}

/// Declares the plugin: its tools, and if it has some its hooks, workflows, resources and prompts, by the names of
/// their functions.
///
/// ```ignore
/// plugin! {
///     name: "tl",
///     tools: [repo_status, recent_work],
///     hooks: [guard_commands],
///     workflows: [ship_pr],
///     resources: [notes],
///     prompts: [review],
/// }
/// ```
///
/// Defines `PLUGIN`, for tests, and in WebAssembly the exports `handle_list_tools`,
/// `handle_mcp_call` and `describe`, and with workflows `handle_list_workflows`,
/// `handle_workflow`, `handle_query` and `handle_migrate`, with resources or prompts those of their lists, of reading
/// one, and `handle_complete`. Use it once per crate.
#[macro_export]
macro_rules! plugin {
    (
        name: $name:expr,
        tools: [$($tool:path),* $(,)?]
        $(, hooks: [$($hook:path),* $(,)?])?
        $(, workflows: [$($workflow:path),+ $(,)?])?
        $(, resources: [$($resource:path),+ $(,)?])?
        $(, prompts: [$($prompt:path),+ $(,)?])?
        $(,)?
    ) => {
        /// This plugin.
        pub static PLUGIN: $crate::plugin::Plugin = $crate::plugin::Plugin {
            name: $name,
            version: env!("CARGO_PKG_VERSION"),
            tools: &[$(<$tool as $crate::tool::ToolFunction>::ENTRY),*],
            hooks: &[$($(<$hook as $crate::hook::HookFunction>::ENTRY),*)?],
            workflows: &[$($(<$workflow as $crate::workflow::WorkflowFunction>::ENTRY),+)?],
            resources: &[$($(<$resource as $crate::resource::ResourceFunction>::ENTRY),+)?],
            prompts: &[$($(<$prompt as $crate::prompt::PromptFunction>::ENTRY),+)?],
        };

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export has a name that the linker sees")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn handle_list_tools() -> i32 {
                $crate::export::run(|_| PLUGIN.handle_list_tools())
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_mcp_call() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_mcp_call(input))
            }

            #[unsafe(no_mangle)]
            extern "C" fn describe() -> i32 {
                $crate::export::run(|_| PLUGIN.describe())
            }
        };

        $($crate::__workflow_exports! { $($workflow)+ })?
        $crate::__mcp_exports! { resources [$($($resource)+)?] prompts [$($($prompt)+)?] }
    };
}

/// The exports of a plugin that has these resources and prompts.
#[doc(hidden)]
#[macro_export]
macro_rules! __mcp_exports {
    (resources [] prompts []) => {};
    (resources [$($resource:path)+] prompts []) => {
        $crate::__resource_exports! {}
        $crate::__completion_exports! {}
    };
    (resources [] prompts [$($prompt:path)+]) => {
        $crate::__prompt_exports! {}
        $crate::__completion_exports! {}
    };
    (resources [$($resource:path)+] prompts [$($prompt:path)+]) => {
        $crate::__resource_exports! {}
        $crate::__prompt_exports! {}
        $crate::__completion_exports! {}
    };
}

/// The exports of a plugin that has resources.
#[doc(hidden)]
#[macro_export]
macro_rules! __resource_exports {
    () => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export has a name that the linker sees")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn handle_list_resources() -> i32 {
                $crate::export::run(|_| PLUGIN.handle_list_resources())
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_list_resource_templates() -> i32 {
                $crate::export::run(|_| PLUGIN.handle_list_resource_templates())
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_read_resource() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_read_resource(input))
            }
        };
    };
}

/// The exports of a plugin that has prompts.
#[doc(hidden)]
#[macro_export]
macro_rules! __prompt_exports {
    () => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export has a name that the linker sees")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn handle_list_prompts() -> i32 {
                $crate::export::run(|_| PLUGIN.handle_list_prompts())
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_get_prompt() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_get_prompt(input))
            }
        };
    };
}

/// The export of a plugin that completes arguments.
#[doc(hidden)]
#[macro_export]
macro_rules! __completion_exports {
    () => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export has a name that the linker sees")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn handle_complete() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_complete(input))
            }
        };
    };
}

/// The exports of a plugin that has these workflows.
#[doc(hidden)]
#[macro_export]
macro_rules! __workflow_exports {
    ($($workflow:path)+) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export has a name that the linker sees")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn handle_list_workflows() -> i32 {
                $crate::export::run(|_| PLUGIN.handle_list_workflows())
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_workflow() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_workflow(input))
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_query() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_query(input))
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_migrate() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_migrate(input))
            }
        };
    };
}
