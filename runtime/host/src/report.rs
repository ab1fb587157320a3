//! The state of the host, as `/health`, `/roles` and the command line show it.

use std::time::SystemTime;

use exomonad_schema::common::PluginDescription;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::role::Role;
use crate::runtime::Runtime;

/// The state of the host in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every plugin's newest version serves.
    Ok,
    /// The host serves, but some plugin's newest version does not, or its file of tokens cannot be used.
    Degraded,
    /// The host finishes its calls and ends.
    Draining,
}

/// The answer of `/health`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The state in a word.
    pub status: Status,
    /// The host's version.
    pub version: String,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Roles that serve.
    pub roles_serving: usize,
    /// Roles that there are.
    pub roles_total: usize,
    /// The problems, by role, and files in the plugin folder that cannot be plugins.
    pub problems: Vec<PluginProblem>,
    /// Tools that plugins list and their roles do not offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_tools: Vec<RefusedTool>,
    /// The runs of workflows.
    pub workflows: WorkflowsHealth,
    /// The reason why the tokens that were given out to callers open nothing, if they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokensHealth>,
}

/// The reason why the tokens that were given out to callers open nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TokensHealth {
    /// Its kind.
    pub code: TokensProblemCode,
    /// The message; not in answers to requests without a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The kind of reason why tokens open nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokensProblemCode {
    /// The file is gone: the roles that it guarded stay closed.
    Missing,
    /// The file cannot be read: every role is closed.
    Unreadable,
}

/// The runs of workflows that have not ended. A stuck one does not make the host `degraded`: the others go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowsHealth {
    /// Runs that have not ended, as they were counted some seconds ago.
    pub open: u64,
    /// Those among them that cannot go on without an operator.
    pub stuck: u64,
    /// The reason why this host runs none of the workflows in its state folder, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<WorkflowsProblem>,
}

/// The reason why a host runs no workflows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowsProblem {
    /// Its kind.
    pub code: WorkflowsProblemCode,
    /// The message; not in answers to requests without a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The kind of reason why a host runs no workflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowsProblemCode {
    /// Another host of the same state folder runs them, and this one takes over when that one ends.
    RunsElsewhere,
    /// The state file cannot be used.
    Unavailable,
}

impl WorkflowsHealth {
    fn of(runtime: &Runtime, detail: Detail) -> Self {
        let counts = runtime.workflows.counts();
        let problem = runtime.workflows.not_run().map(|reason| WorkflowsProblem {
            code: match reason.runs_elsewhere {
                true => WorkflowsProblemCode::RunsElsewhere,
                false => WorkflowsProblemCode::Unavailable,
            },
            message: (detail == Detail::Messages).then_some(reason.message),
        });
        Self {
            open: counts.open.values().sum(),
            stuck: counts.stuck(),
            problem,
        }
    }
}

/// A tool that a plugin lists and its role does not offer, while it offers the others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefusedTool {
    /// The role.
    pub role: String,
    /// The tool.
    pub tool: String,
    /// The reason; not in answers to requests without a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The reason why a role's newest plugin does not serve.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginProblem {
    /// The role; of a file that cannot be a plugin, its name.
    pub role: String,
    /// A stable code: `plugin_not_loaded`, or `file_ignored` for a file that cannot be a plugin.
    #[serde(default)]
    pub code: String,
    /// The error, and the file that it is about; not in answers to requests without a token, as an error may
    /// tell what is in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when, in RFC 3339.
    pub since: String,
    /// True if an older version serves meanwhile.
    pub old_version_serves: bool,
}

/// The answer of `/ready`.
#[derive(Serialize, JsonSchema)]
pub struct Ready {
    /// Always true: not being ready is a problem.
    pub ready: bool,
}

/// The answer of `/roles`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Roles {
    /// All of them, by name.
    pub roles: Vec<RoleReport>,
    /// Files in the plugin folder that look like plugins and cannot be one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<PluginProblem>,
}

/// The answer of `/role/{role}`: what the request may use of a role.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsableRole {
    /// The role.
    pub name: String,
    /// The names of the tools that may be called.
    pub tools: Vec<String>,
    /// The events that its plugin handles, if hooks may be asked.
    pub hooks: Vec<String>,
}

/// A role as it runs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleReport {
    /// The role.
    pub name: String,
    /// The plugin that serves, if one does.
    pub plugin: Option<PluginReport>,
    /// `fresh` or `pooled`.
    pub instance: String,
    /// The capabilities that the role is granted.
    pub granted: Vec<String>,
    /// The reason why the newest plugin does not serve.
    pub problem: Option<PluginProblem>,
}

/// A version of a plugin that serves.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginReport {
    /// The file, or `embedded:` and the name.
    pub source: String,
    /// The SHA-256 of its modules.
    pub digest: String,
    /// Since when it serves, in RFC 3339.
    pub loaded_at: String,
    /// Its snapshot after initialisation: `not_needed`, `taken`, `off` or the reason it was refused.
    pub snapshot: serde_json::Value,
    /// Its description of itself, if it has one.
    pub description: Option<PluginDescription>,
    /// The names of its tools.
    pub tools: Vec<String>,
    /// Tools that it lists and the role does not offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_tools: Vec<RefusedTool>,
    /// The names of its workflows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workflows: Vec<String>,
    /// The events that it handles.
    pub hooks: Vec<String>,
    /// Capabilities that it asks for and the role is not granted.
    pub missing_grants: Vec<String>,
}

/// How much a report tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Codes and names, for anybody.
    Codes,
    /// Messages too, for an operator.
    Messages,
}

/// The state of the host, whose file of tokens may have this problem.
pub fn health(
    runtime: &Runtime,
    is_draining: bool,
    tokens: Option<TokensHealth>,
    detail: Detail,
) -> Health {
    let roles = runtime.roles();
    let mut problems: Vec<_> = roles.values().filter_map(|role| problem(role)).collect();
    problems.extend(ignored(runtime));
    let mut refused_tools: Vec<_> = roles
        .values()
        .flat_map(|role| refused_tools(role))
        .collect();
    if detail == Detail::Codes {
        problems
            .iter_mut()
            .for_each(|problem| problem.message = None);
        refused_tools.iter_mut().for_each(|tool| tool.reason = None);
    }
    let tokens = tokens.map(|problem| TokensHealth {
        message: problem.message.filter(|_| detail == Detail::Messages),
        ..problem
    });
    Health {
        status: match (is_draining, problems.is_empty() && tokens.is_none()) {
            (true, _) => Status::Draining,
            (false, true) => Status::Ok,
            (false, false) => Status::Degraded,
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_seconds: runtime.started.elapsed().unwrap_or_default().as_secs(),
        roles_serving: roles
            .values()
            .filter(|role| role.version().is_some())
            .count(),
        roles_total: roles.len(),
        problems,
        refused_tools,
        workflows: WorkflowsHealth::of(runtime, detail),
        tokens,
    }
}

/// The roles with their plugins.
pub fn roles(runtime: &Runtime) -> Roles {
    Roles {
        roles: runtime.roles().values().map(|role| report(role)).collect(),
        ignored: ignored(runtime),
    }
}

/// The files in the plugin folder that cannot be plugins, as problems of the roles that they are not.
fn ignored(runtime: &Runtime) -> Vec<PluginProblem> {
    let problems = runtime.ignored().into_iter().map(|file| PluginProblem {
        role: file
            .path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        code: "file_ignored".to_owned(),
        message: Some(format!(
            "{} is ignored: {}",
            file.path.display(),
            file.reason
        )),
        since: rfc3339(file.since),
        old_version_serves: false,
    });
    problems.collect()
}

fn report(role: &Role) -> RoleReport {
    let plugin = role.version().map(|version| PluginReport {
        source: version.source.to_string(),
        digest: version.plugin.digest().to_owned(),
        loaded_at: rfc3339(version.loaded_at),
        snapshot: serde_json::to_value(version.plugin.snapshot()).unwrap_or_default(),
        description: version.description.clone(),
        tools: version
            .tools
            .iter()
            .map(|tool| tool.tool.name.clone())
            .collect(),
        refused_tools: refused_tools(role),
        workflows: version.workflow_names().map(str::to_owned).collect(),
        hooks: version
            .hooks()
            .map(|event| event.name().to_owned())
            .collect(),
        missing_grants: version.missing_grants.clone(),
    });
    RoleReport {
        name: role.name().to_string(),
        plugin,
        instance: match role.settings.instance {
            exomonad_config::InstanceMode::Fresh => "fresh".to_owned(),
            exomonad_config::InstanceMode::Pooled => "pooled".to_owned(),
        },
        granted: role
            .settings
            .granted
            .iter()
            .map(ToString::to_string)
            .collect(),
        problem: problem(role),
    }
}

fn problem(role: &Role) -> Option<PluginProblem> {
    role.problem().map(|problem| PluginProblem {
        role: role.name().to_string(),
        code: "plugin_not_loaded".to_owned(),
        message: Some(problem.message),
        since: rfc3339(problem.since),
        old_version_serves: role.version().is_some(),
    })
}

fn refused_tools(role: &Role) -> Vec<RefusedTool> {
    let version = role.version();
    let refused = version.iter().flat_map(|version| &version.refused_tools);
    let refused = refused.map(|tool| RefusedTool {
        role: role.name().to_string(),
        tool: tool.name.clone(),
        reason: Some(tool.reason.clone()),
    });
    refused.collect()
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
