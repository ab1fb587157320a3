//! The configuration's model: one struct a section, each field documented where it is defined.
//!
//! These types are at once the shape of the file, the source of its JSON Schema and of every
//! description a user sees, and the effective configuration the host reads. Their `Default` is the
//! built-in default, with paths still relative.

mod audit;
mod engine;
mod journal;
mod limits;
mod log;
mod mcp;
mod oauth;
mod plugins;
mod role;
mod server;
mod state;
mod telemetry;
mod workflows;

pub use audit::AuditConfig;
pub use engine::EngineConfig;
pub use journal::JournalConfig;
pub use limits::Limits;
pub use log::{LogConfig, LogFormat};
pub use mcp::McpConfig;
pub use oauth::{JwtAlgorithm, OauthConfig};
pub use plugins::PluginsConfig;
pub use role::{InstanceMode, JournalMode, Role, SnapshotMode, WorkflowBackend};
pub use server::ServerConfig;
pub use state::StateConfig;
pub use telemetry::{OtlpProtocol, Signal, TelemetryConfig};
pub use workflows::WorkflowsConfig;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::RoleKeys;
use exomonad_core::values::RoleName;
use exomonad_services::{KvConfig, ServicesConfig};

/// The effective configuration: file, environment and defaults merged, paths absolute.
///
/// Made by [`Config::load`]. Holds no secret: a token is named by its file or environment variable,
/// see [`crate::Tokens`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// Authorization servers whose tokens open roles.
    pub oauth: OauthConfig,
    /// The Model Context Protocol at `/role/{role}/mcp`.
    pub mcp: McpConfig,
    /// Where plugins come from.
    pub plugins: PluginsConfig,
    /// The sandboxes that plugins run in, and the compiler that makes them.
    pub engine: EngineConfig,
    /// The state that the host keeps between starts.
    pub state: StateConfig,
    /// The journal of calls: a record of each, with the effects that it asked for and their answers, in the
    /// state folder. Which calls are recorded is a key of roles, `journal`.
    pub journal: JournalConfig,
    /// Durable workflows: how many run at once, how often one that traps is started again, how long ended ones
    /// are kept.
    pub workflows: WorkflowsConfig,
    /// The host's own log, written to standard error.
    pub log: LogConfig,
    /// A line for each call: who has called what, with which outcome. It is in the log, and in a file if one is named.
    pub audit: AuditConfig,
    /// Traces, logs and metrics for a collector of the OpenTelemetry protocol (OTLP). Nothing is sent,
    /// and no span is made, while there is no `endpoint`; `GET /metrics` is there in any case.
    pub telemetry: TelemetryConfig,
    /// The services' sections: `[git]`, `[github]`, `[docker]`, `[http]`, `[temporal]`,
    /// `[secret.<name>]`.
    #[serde(flatten)]
    pub services: ServicesConfig,
    /// The settings that every role begins with; a role's own keys override these. Lists are replaced, the
    /// tables `config` and `limits` are merged key by key.
    pub defaults: Role,
    /// The roles by name. As soon as one is listed, plugins that are not listed are no longer
    /// served, unless `plugins.unlisted_roles` says so.
    #[serde(rename = "role")]
    // A name's own pattern would hide what the keys are: the reader explains names by their format.
    #[schemars(with = "BTreeMap<String, Role>", extend("x-key-format" = "role-name"))]
    pub roles: BTreeMap<RoleName, Role>,
    /// The keys of the roles' settings, for messages.
    #[serde(skip)]
    pub role_keys: BTreeMap<RoleName, RoleKeys>,
    /// The file that was read, or that would be if it were there: for messages that say what to write.
    #[serde(skip)]
    pub file: PathBuf,
}

impl Config {
    /// The configuration of the services, with what they have to know of the roles and the state folder.
    pub fn services(&self) -> ServicesConfig {
        let roles = self.roles.values().chain([&self.defaults]);
        let mut services = self
            .services
            .clone()
            .with_roles(roles.map(|role| &role.bounds));
        services.kv = KvConfig::in_dir(&self.state.dir);
        services
    }

    /// The settings of the role of this name: its own table, or `[defaults]` if it is not listed and
    /// unlisted roles are served. `None` means that there is no such role, whatever the plugin
    /// folder holds.
    pub fn role(&self, name: &RoleName) -> Option<&Role> {
        match self.roles.get(name) {
            Some(role) => Some(role),
            None if self.plugins.unlisted_roles => Some(&self.defaults),
            None => None,
        }
    }

    /// The keys that set the fields of a role, for messages.
    pub fn keys_of(&self, name: &RoleName) -> RoleKeys {
        match self.role_keys.get(name) {
            Some(keys) => keys.clone(),
            None if self.plugins.unlisted_roles && !self.roles.contains_key(name) => {
                RoleKeys::of_unlisted()
            }
            None => RoleKeys::default(),
        }
    }

    /// The full key that sets `field` for a role, for messages: `role.tl.effects`, or
    /// `defaults.effects` for a role that is served without being listed, or where that table alone says so.
    pub fn role_key(&self, name: &RoleName, field: &str) -> String {
        self.keys_of(name).key(name, field)
    }

    /// How to grant one more effect to a role: a block for the configuration file that can be pasted and
    /// keeps what the role is granted now. `{capability}` stands where the effect's capability goes.
    pub fn grant_hint(&self, name: &RoleName) -> String {
        let granted = self.role(name).map_or(&[][..], |role| &role.effects);
        let mut effects: Vec<String> = granted
            .iter()
            .map(|pattern| format!("{:?}", pattern.as_str()))
            .collect();
        effects.push("\"{capability}\"".to_owned());
        // A listed role gets a list of its own: `[defaults]` would grant it to others, too.
        let table = match self.plugins.unlisted_roles && !self.roles.contains_key(name) {
            true => "defaults".to_owned(),
            false => format!("role.{name}"),
        };
        format!(
            "to grant it, write in {} (the list replaces the one that holds now):\n\n[{table}]\neffects = [{}]\n",
            self.file.display(),
            effects.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use exomonad_core::values::EffectPattern;

    use super::*;

    #[test]
    fn a_message_names_the_table_that_a_role_gets_its_keys_from() {
        let mut config = Config::default();
        let tl: RoleName = "tl".parse().unwrap();
        let dev: RoleName = "dev".parse().unwrap();
        config.roles.insert(tl.clone(), Role::default());

        config.plugins.unlisted_roles = true;
        assert_eq!(config.role_key(&tl, "effects"), "role.tl.effects");
        assert_eq!(config.role_key(&dev, "effects"), "defaults.effects");
        assert!(config.role(&dev).is_some());

        config.plugins.unlisted_roles = false;
        assert_eq!(config.role_key(&dev, "effects"), "role.dev.effects");
        assert!(config.role(&dev).is_none());
    }

    #[test]
    fn a_grant_hint_can_be_pasted_and_keeps_what_is_granted() {
        let mut config = Config {
            file: PathBuf::from("p.toml"),
            ..Config::default()
        };
        config.plugins.unlisted_roles = true;
        let tl: RoleName = "tl".parse().unwrap();
        let hint = config.grant_hint(&tl).replace("{capability}", "kv.set");
        let (before, block) = hint.split_once("\n\n").unwrap();
        assert!(before.contains(" p.toml "), "{before}");
        let pasted: toml::Table = toml::from_str(block).unwrap();
        let effects: Vec<&str> = pasted["defaults"]["effects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|effect| effect.as_str().unwrap())
            .collect();
        let mut expected: Vec<&str> = config
            .defaults
            .effects
            .iter()
            .map(EffectPattern::as_str)
            .collect();
        expected.push("kv.set");
        assert_eq!(effects, expected);

        config.roles.insert(tl.clone(), Role::default());
        assert!(config.grant_hint(&tl).contains("\n[role.tl]\n"));
    }
}
