//! One version of a role's plugin, checked from end to end before it serves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use exomonad_engine::{
    CallError, CompileCache, CompileLimits, Host, LoadError, LoadOptions, Manifest, Plugin, closest,
};
use exomonad_schema::common::{
    DESCRIBE, HANDLE_LIST_TOOLS, HANDLE_LIST_WORKFLOWS, HANDLE_MCP_CALL, HANDLE_WORKFLOW,
    HookEvent, ListToolsInput, ListToolsResult, ListWorkflowsResult, PluginDescription, Tool,
};
use exomonad_schema::{CallId, EffectKind, Service};

use super::folder::Source;
use super::instance_pool::InstancePool;
use super::tool::{CheckedTool, RefusedTool, ToolFault};
use crate::execution::Caller;
use crate::pipeline::{CallHost, effect_functions};
use crate::role::RoleSettings;
use crate::workflows::definition::CheckedWorkflow;
use exomonad_telemetry::CallSeries;

/// The effects by which a guest asks its client.
pub(crate) const ASKING: [EffectKind; 4] = [
    EffectKind::McpElicit,
    EffectKind::McpSample,
    EffectKind::McpListRoots,
    EffectKind::McpAsk,
];

/// The module that has the functions of effects.
const EFFECTS: &str = "extism:host/user::";

/// The reason why a plugin file does not become a version.
#[derive(Debug, thiserror::Error)]
pub enum PluginLoadError {
    /// The engine refuses it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It begins with more memory or table elements than the role's calls may have.
    #[error("{0}")]
    InitialSize(String),
    /// It has no entry point that a role could use.
    #[error(
        "it is no role plugin: it exports neither `{HANDLE_LIST_TOOLS}` and `{HANDLE_MCP_CALL}` nor a hook such as `{}`; it exports {}",
        HookEvent::PreToolUse.export(),
        if .0.is_empty() { "nothing" } else { .0 }
    )]
    NoEntryPoint(String),
    /// It has one half of the tool interface.
    #[error("it exports `{0}` but not `{1}`: it needs both")]
    HalfOfTools(&'static str, &'static str),
    /// A call to one of its describing exports failed.
    #[error("`{export}` failed: {reason}")]
    Describe {
        /// The export.
        export: &'static str,
        /// The failure.
        reason: String,
    },
    /// It could not be asked, for a reason that passes.
    #[error("`{export}` could not be called: {reason}; it is tried again")]
    Busy {
        /// The export.
        export: &'static str,
        /// The reason.
        reason: String,
    },
    /// It fails where the version that serves did not.
    #[error("{0}")]
    Replay(String),
    /// A workflow cannot be offered.
    #[error("workflow `{workflow}`: {reason}")]
    Workflow {
        /// Its name.
        workflow: String,
        /// The reason.
        reason: String,
    },
    /// A tool cannot be offered.
    #[error("tool `{tool}`: {reason}")]
    Tool {
        /// Its name.
        tool: String,
        /// The reason.
        reason: String,
    },
}

impl PluginLoadError {
    /// True if the same file may load the next time.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}

/// One version of a role's plugin.
pub struct PluginVersion {
    /// Compiled and connected.
    pub plugin: Plugin,
    /// Where it came from.
    pub source: Source,
    /// When it began to serve.
    pub loaded_at: SystemTime,
    /// Its tools in the order it lists them.
    pub tools: Vec<CheckedTool>,
    /// The tools that it lists and the role does not offer.
    pub refused_tools: Vec<RefusedTool>,
    /// The list as JSON: `{"tools":[…]}`.
    pub tools_json: Bytes,
    /// Its description of itself.
    pub description: Option<PluginDescription>,
    /// The capabilities that it needs and the role does not have.
    pub missing_grants: Vec<String>,
    /// True if it may ask its clients something: it imports one of these effects, and the role is granted it.
    pub asks_client: bool,
    /// True if it may talk to the client of a call.
    pub talks_to_client: bool,
    /// True if it may write to its clients' log.
    pub logs_to_client: bool,
    /// True if it may tell its clients of changes.
    pub notifies_clients: bool,
    /// Its workflows.
    workflows: Vec<CheckedWorkflow>,
    /// The reason why no runs can start: its modules are not kept for them.
    pub not_kept: Option<String>,
    by_name: HashMap<String, usize>,
    /// The series of its tools, in their order.
    tool_series: Vec<CallSeries>,
    /// The series of its hooks.
    hook_series: Vec<(HookEvent, CallSeries)>,
    /// Used sandboxes, if the role asks for those.
    pub instances: InstancePool,
}

impl std::fmt::Debug for PluginVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginVersion")
            .field("source", &self.source)
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

impl PluginVersion {
    /// Loads the plugin and asks it for its tools, without effects.
    ///
    /// # Errors
    /// Everything that keeps it from serving.
    pub async fn load(
        role: &Arc<RoleSettings>,
        source: Source,
        cache: Option<&CompileCache>,
        compile: CompileLimits,
    ) -> Result<Self, PluginLoadError> {
        let opened = source.clone();
        let manifest = tokio::task::spawn_blocking(move || open(&opened));
        let manifest = manifest
            .await
            .map_err(|error| LoadError::Prepare(error.to_string()))??;
        let options = LoadOptions {
            effects: effect_functions(),
            wasi: true,
            snapshot: role.snapshot,
            cache: cache.cloned(),
            limits: Some(role.limits),
            compile,
        };
        let plugin = role.engine.load(&manifest, &options).await;
        let plugin = plugin.map_err(|error| match error {
            // The engine names the limit; which role it is set for is known here.
            LoadError::InitialSize(size) => {
                PluginLoadError::InitialSize(size.set_by(&role.limit_key(size.limit.key())))
            }
            error => error.into(),
        })?;
        check_entry_points(&plugin)?;
        let (mut tools, mut refused_tools) = if plugin.has(HANDLE_LIST_TOOLS) {
            list_tools(role, &plugin).await?
        } else {
            (Vec::new(), Vec::new())
        };
        let workflows = if plugin.has(HANDLE_LIST_WORKFLOWS) {
            list_workflows(role, &plugin).await?
        } else {
            Vec::new()
        };
        add_workflow_tools(&workflows, &mut tools, &mut refused_tools)?;
        let not_kept = match role.workflows.as_ref().filter(|_| !workflows.is_empty()) {
            Some(all) => {
                let folder = all.kept_dir.join(plugin.digest());
                keep(&manifest, &folder).await.err()
            }
            None => None,
        };
        if let Some(reason) = &not_kept {
            tracing::error!(role = %role.name, reason, "no run of its workflows can start");
        }
        let description = if plugin.has(DESCRIBE) {
            Some(ask(role, &plugin, DESCRIBE).await?)
        } else {
            None
        };
        let needs = needs(&plugin, description.as_ref());
        let missing = needs
            .into_iter()
            .filter(|needed| !role.granted.contains(&needed.as_str()));
        let may = |kinds: &[EffectKind]| {
            kinds.iter().any(|kind| {
                role.granted.contains(&kind.capability()) && imports_effect(&plugin, *kind)
            })
        };
        let asks_client = may(&ASKING);
        let of_client = EffectKind::ALL.iter().copied();
        let of_client = of_client.filter(|kind| kind.service() == Service::Mcp);
        let talks_to_client = may(&of_client.collect::<Vec<_>>());
        let logs_to_client = may(&[EffectKind::McpLog]);
        let notifies_clients = may(&[EffectKind::McpNotify]);
        let listed: Vec<&Tool> = tools.iter().map(|tool| &tool.tool).collect();
        Ok(Self {
            tools_json: serde_json::to_vec(&BTreeMap::from([("tools", listed)]))
                .unwrap_or_default()
                .into(),
            missing_grants: missing.collect(),
            asks_client,
            talks_to_client,
            logs_to_client,
            notifies_clients,
            by_name: tools
                .iter()
                .enumerate()
                .map(|(nth, tool)| (tool.tool.name.clone(), nth))
                .collect(),
            tool_series: tools
                .iter()
                .map(|tool| role.metrics.tool(&role.name, &tool.tool.name))
                .collect(),
            hook_series: HookEvent::ALL
                .iter()
                .filter(|event| plugin.has(event.export()))
                .map(|event| (*event, role.metrics.hook(&role.name, event.name())))
                .collect(),
            workflows,
            not_kept,
            plugin,
            source,
            loaded_at: SystemTime::now(),
            tools,
            refused_tools,
            description,
            instances: InstancePool::default(),
        })
    }

    /// The tool of this name, or the name that was probably meant.
    pub fn tool(&self, name: &str) -> Result<(&CheckedTool, &CallSeries), Option<&str>> {
        let find = |nth: &usize| Some((self.tools.get(*nth)?, self.tool_series.get(*nth)?));
        match self.by_name.get(name).and_then(find) {
            Some(found) => Ok(found),
            None => Err(closest(
                name,
                self.tools.iter().map(|tool| tool.tool.name.as_str()),
            )),
        }
    }

    /// The workflow of this name.
    pub fn workflow(&self, name: &str) -> Option<&CheckedWorkflow> {
        let mut workflows = self.workflows.iter();
        workflows.find(|workflow| workflow.definition.name == name)
    }

    /// The workflows, as the plugin lists them.
    pub fn workflows(&self) -> &[CheckedWorkflow] {
        &self.workflows
    }

    /// The names of the workflows.
    pub fn workflow_names(&self) -> impl Iterator<Item = &str> {
        let workflows = self.workflows.iter();
        workflows.map(|workflow| workflow.definition.name.as_str())
    }

    /// The events that the plugin handles.
    pub fn hooks(&self) -> impl Iterator<Item = HookEvent> {
        self.hook_series.iter().map(|(event, _)| *event)
    }

    /// The series of a hook, if the plugin handles its event.
    pub fn hook(&self, event: HookEvent) -> Option<&CallSeries> {
        let mut all = self.hook_series.iter();
        all.find(|(handled, _)| *handled == event)
            .map(|(_, series)| series)
    }
}

fn open(source: &Source) -> Result<Manifest, LoadError> {
    match source {
        Source::File(path) => Manifest::open(path),
        Source::Embedded(name) => match super::embedded::find(name) {
            Some(wasm) => Ok(Manifest::of_module(wasm.to_vec())),
            None => Err(LoadError::Manifest(format!(
                "there is no embedded plugin `{name}`"
            ))),
        },
    }
}

fn check_entry_points(plugin: &Plugin) -> Result<(), PluginLoadError> {
    let has_workflows = match (
        plugin.has(HANDLE_LIST_WORKFLOWS),
        plugin.has(HANDLE_WORKFLOW),
    ) {
        (true, false) => {
            let (one, other) = (HANDLE_LIST_WORKFLOWS, HANDLE_WORKFLOW);
            return Err(PluginLoadError::HalfOfTools(one, other));
        }
        (false, true) => {
            let (one, other) = (HANDLE_WORKFLOW, HANDLE_LIST_WORKFLOWS);
            return Err(PluginLoadError::HalfOfTools(one, other));
        }
        (both, _) => both,
    };
    match (plugin.has(HANDLE_LIST_TOOLS), plugin.has(HANDLE_MCP_CALL)) {
        (true, true) => Ok(()),
        (true, false) => Err(PluginLoadError::HalfOfTools(
            HANDLE_LIST_TOOLS,
            HANDLE_MCP_CALL,
        )),
        (false, true) => Err(PluginLoadError::HalfOfTools(
            HANDLE_MCP_CALL,
            HANDLE_LIST_TOOLS,
        )),
        (false, false) if has_workflows => Ok(()),
        (false, false)
            if HookEvent::ALL
                .iter()
                .any(|event| plugin.has(event.export())) =>
        {
            Ok(())
        }
        (false, false) => {
            let exports: Vec<&str> = plugin.entry_points().collect();
            Err(PluginLoadError::NoEntryPoint(exports.join(", ")))
        }
    }
}

/// True if a plugin imports the function of an effect.
fn imports_effect(plugin: &Plugin, kind: EffectKind) -> bool {
    let is_it = |import: &String| import.strip_prefix(EFFECTS) == Some(kind.function());
    plugin.imports().iter().any(is_it)
}

/// The capabilities that a plugin needs: of the effects it imports, and those it says itself.
fn needs(plugin: &Plugin, description: Option<&PluginDescription>) -> BTreeSet<String> {
    let imported = plugin
        .imports()
        .iter()
        .filter_map(|import| EffectKind::from_function(import.strip_prefix(EFFECTS)?))
        .map(|kind| kind.capability().to_owned());
    let described = description
        .into_iter()
        .flat_map(|description| description.effects.iter().cloned());
    imported.chain(described).collect()
}

/// Calls an export that describes the plugin, and reads its answer.
async fn ask<T: serde::de::DeserializeOwned + schemars::JsonSchema + 'static>(
    role: &Arc<RoleSettings>,
    plugin: &Plugin,
    export: &'static str,
) -> Result<T, PluginLoadError> {
    let failed = |reason: String| PluginLoadError::Describe { export, reason };
    let call = role.call(CallId::random(), Caller::default());
    let input = serde_json::to_vec(&ListToolsInput {
        context: call.guest_view(),
    })
    .map_err(|error| failed(error.to_string()))?;
    let host: Arc<dyn Host> = Arc::new(CallHost::new(call, role.describing.clone()));
    let output = plugin
        .call(host, role.limits, export, &input)
        .await
        .map_err(|error| match error {
            CallError::Busy(reason) => PluginLoadError::Busy { export, reason },
            CallError::Limit(hit) => failed(hit.set_by(&role.limit_key(hit.limit.key()))),
            _ => failed(error.to_string()),
        })?;
    exomonad_schema::from_slice(&output.bytes)
        .map_err(|error| failed(format!("its answer does not fit the contract: {error}")))
}

async fn list_tools(
    role: &Arc<RoleSettings>,
    plugin: &Plugin,
) -> Result<(Vec<CheckedTool>, Vec<RefusedTool>), PluginLoadError> {
    let listed: ListToolsResult = ask(role, plugin, HANDLE_LIST_TOOLS).await?;
    // Schemas may be megabytes.
    let checked = tokio::task::spawn_blocking(move || check_tools(listed.tools));
    checked.await.map_err(|error| PluginLoadError::Describe {
        export: HANDLE_LIST_TOOLS,
        reason: format!("the tools could not be checked: {error}"),
    })?
}

/// Keeps a plugin's modules, since its runs may outlive the file. The error is for an operator.
async fn keep(manifest: &Manifest, folder: &std::path::Path) -> Result<(), String> {
    let (manifest, to) = (manifest.clone(), folder.to_owned());
    let saved = match tokio::task::spawn_blocking(move || manifest.save(&to)).await {
        Ok(saved) => saved.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    saved.map_err(|reason| {
        format!(
            "the plugin's modules cannot be kept in {}, where its runs need them: {reason}",
            folder.display()
        )
    })
}

async fn list_workflows(
    role: &Arc<RoleSettings>,
    plugin: &Plugin,
) -> Result<Vec<CheckedWorkflow>, PluginLoadError> {
    let listed: ListWorkflowsResult = ask(role, plugin, HANDLE_LIST_WORKFLOWS).await?;
    let mut names = BTreeSet::new();
    let mut states = crate::schema::STATES;
    let checked = listed.workflows.into_iter().map(|workflow| {
        let name = workflow.name.clone();
        let wrong = |reason: String| PluginLoadError::Workflow {
            workflow: name.clone(),
            reason,
        };
        if !names.insert(name.clone()) {
            return Err(wrong("it is listed twice".to_owned()));
        }
        CheckedWorkflow::new(workflow, &mut states).map_err(wrong)
    });
    checked.collect()
}

/// Offers workflows as tools that say so.
fn add_workflow_tools(
    workflows: &[CheckedWorkflow],
    tools: &mut Vec<CheckedTool>,
    refused: &mut Vec<RefusedTool>,
) -> Result<(), PluginLoadError> {
    let mut states = crate::schema::STATES;
    for workflow in workflows {
        let Some(tool) = workflow.as_tool() else {
            continue;
        };
        let name = tool.name.clone();
        let wrong = |reason: String| PluginLoadError::Workflow {
            workflow: name.clone(),
            reason,
        };
        if tools.iter().any(|known| known.tool.name == name) {
            return Err(wrong("there is a tool of this name".to_owned()));
        }
        match CheckedTool::new(tool, &mut states) {
            Ok(tool) => tools.push(CheckedTool {
                is_workflow: true,
                needs_task: workflow.definition.needs_task,
                ..tool
            }),
            Err(ToolFault::Plugin(reason)) => return Err(wrong(reason)),
            Err(ToolFault::Tool(reason)) => refused.push(RefusedTool { name, reason }),
        }
    }
    Ok(())
}

fn check_tools(listed: Vec<Tool>) -> Result<(Vec<CheckedTool>, Vec<RefusedTool>), PluginLoadError> {
    let mut checked = Vec::with_capacity(listed.len());
    let mut refused = Vec::new();
    let mut names = BTreeSet::new();
    let mut states = crate::schema::STATES;
    for tool in listed {
        let name = tool.name.clone();
        let wrong = |reason: String| PluginLoadError::Tool {
            tool: name.clone(),
            reason,
        };
        if !names.insert(tool.name.clone()) {
            return Err(wrong("it is listed twice".to_owned()));
        }
        match CheckedTool::new(tool, &mut states) {
            Ok(tool) => checked.push(tool),
            Err(ToolFault::Plugin(reason)) => return Err(wrong(reason)),
            Err(ToolFault::Tool(reason)) => refused.push(RefusedTool { name, reason }),
        }
    }
    Ok((checked, refused))
}
