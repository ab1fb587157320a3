//! `[defaults]` and `[role.<name>]`: what a role runs, may do and may use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Limits;
use exomonad_core::values::{EffectPattern, PluginRef, RoleName};
use exomonad_core::{PathBounds, SecretSource};
use exomonad_services::RoleBounds;

/// A role: its plugin, its grants, its bounds and its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Role {
    /// The plugin: a name in the plugin folder, or the path of a `.wasm` file. By default the
    /// plugin of the role's name. Set it for a role, not in `[defaults]`.
    #[schemars(example = &"tl")]
    pub plugin: Option<PluginRef>,
    /// The effects the role may use, by name or by pattern; every other effect is refused. `*`
    /// stands for any run of characters. By default what reads and logs, and nothing that writes.
    pub effects: Vec<EffectPattern>,
    /// The bounds of its effects.
    #[serde(flatten)]
    pub bounds: RoleBounds,
    /// The sandbox of a call: a fresh one, or one that an earlier call of the role has used.
    pub instance: InstanceMode,
    /// The start of a sandbox: a copy of the plugin as it is after its initialisation, or the initialisation. With
    /// "when_safe" it is the copy, unless the plugin draws random numbers meanwhile and does not renew them in each
    /// sandbox; with "always" it is the copy even then, for plugins whose random numbers do not matter. There is no
    /// copy if `plugins.snapshot` is false.
    pub snapshot: SnapshotMode,
    /// The calls that are recorded, with everything they did; `exomonad calls` shows them.
    pub journal: JournalMode,
    /// Where runs of its workflows are kept: in the host's state folder, or on the Temporal server of `[temporal]`,
    /// whose worker the host then is.
    pub workflow_backend: WorkflowBackend,
    /// The task queue of the role's workflows and effects on the Temporal server. By default the role's name.
    #[schemars(extend("format" = "task-queue"), example = &"tl")]
    pub temporal_task_queue: Option<String>,
    /// File with a bearer token that opens this role. Read once at start; blanks around the token
    /// are dropped. Once set, the role is not served without it or the operator token.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/exomonad-tl-token")]
    pub token_file: Option<PathBuf>,
    /// Environment variable with the role's token, instead of `token_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"EXOMONAD_TL_TOKEN")]
    pub token_env: Option<String>,
    /// If true, the role is not served without a token, also before there is one: for roles whose tokens
    /// `exomonad token new` makes.
    pub require_token: bool,
    /// Audiences (`aud`) of the tokens of authorization servers that open this role, in the place of those of
    /// `[oauth]`.
    pub token_audience: Vec<String>,
    /// Texts that the guest can read by name. It sees them all: no secrets here.
    pub config: BTreeMap<String, String>,
    /// Limits of a call. A call that needs more is ended, and its error names the limit
    /// and the key that sets it.
    pub limits: Limits,
}

/// The effects that read and log. They are listed one by one where a service also has, or may come to
/// have, ones that write.
const READING_EFFECTS: [&str; 13] = [
    "log.*",
    "clock.*",
    "random.*",
    "git.get_*",
    "git.status",
    "git.diff",
    "git.repo_info",
    "kv.get",
    "kv.list",
    "mcp.get_client",
    "mcp.progress",
    "mcp.log",
    "mcp.notify",
];

impl Default for Role {
    fn default() -> Self {
        Self {
            plugin: None,
            effects: READING_EFFECTS
                .iter()
                .filter_map(|pattern| pattern.parse().ok())
                .collect(),
            bounds: RoleBounds {
                files: PathBounds {
                    paths: vec![PathBuf::from(".")],
                },
                ..RoleBounds::default()
            },
            instance: InstanceMode::Fresh,
            snapshot: SnapshotMode::WhenSafe,
            journal: JournalMode::Failed,
            workflow_backend: WorkflowBackend::Sqlite,
            temporal_task_queue: None,
            token_file: None,
            token_env: None,
            require_token: false,
            token_audience: Vec::new(),
            config: BTreeMap::new(),
            limits: Limits::default(),
        }
    }
}

impl Role {
    /// The plugin that the role of this name runs.
    pub fn plugin_for(&self, name: &RoleName) -> PluginRef {
        self.plugin
            .clone()
            .unwrap_or_else(|| PluginRef::Named(name.clone()))
    }

    /// True if the role may use the effect of this capability.
    pub fn grants(&self, capability: &str) -> bool {
        self.effects
            .iter()
            .any(|pattern| pattern.matches(capability))
    }

    /// The task queue of the role of this name on a Temporal server.
    pub fn task_queue(&self, name: &RoleName) -> String {
        let named = self.temporal_task_queue.clone();
        named.unwrap_or_else(|| name.to_string())
    }

    /// Where the role's token is, if one is asked for.
    pub fn token_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.token_file.as_deref(), self.token_env.as_deref())
    }
}

/// The start of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotMode {
    /// Each sandbox initialises itself.
    Never,
    /// A copy of the initialised plugin, if it draws no random numbers meanwhile or renews them in each sandbox.
    WhenSafe,
    /// A copy of the initialised plugin.
    Always,
}

/// Which sandbox a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstanceMode {
    /// A new sandbox for every call: nothing of one call is there in the next.
    Fresh,
    /// A sandbox that is kept for the next call: the guest's memory and variables stay. Faster, for
    /// guests that are trusted with it.
    Pooled,
}

/// The calls that are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JournalMode {
    /// None.
    Off,
    /// Those that fail.
    Failed,
    /// All.
    All,
}

/// Where runs of workflows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowBackend {
    /// In the host's state folder.
    Sqlite,
    /// On a Temporal server.
    Temporal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_pattern_is_valid() {
        assert_eq!(Role::default().effects.len(), READING_EFFECTS.len());
    }

    #[test]
    fn nothing_that_writes_is_granted_by_default() {
        let role = Role::default();
        for capability in [
            "git.status",
            "git.get_branch",
            "log.write",
            "kv.get",
            "mcp.log",
        ] {
            assert!(role.grants(capability), "{capability}");
        }
        for capability in [
            "kv.set",
            "kv.delete",
            "git.commit",
            "github.create_pr",
            "docker.exec",
            "http.request",
            "mcp.elicit",
            "mcp.sample",
            "mcp.list_roots",
            "mcp.ask",
        ] {
            assert!(!role.grants(capability), "{capability}");
        }
    }
}
