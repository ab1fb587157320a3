//! A role: what the operator grants it, the version of its plugin that serves, and its calls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use exomonad_config::{Config, InstanceMode, PluginRef};
use exomonad_engine::{Engine, Limits};
use exomonad_schema::{Bounds, CallContext, CallId, EffectHandler, EffectKind, RoleName};
use exomonad_services::Http;
use tokio::sync::Semaphore;

use crate::effects;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::plugins::version::Version;
use crate::telemetry::Metrics;

/// What a role is by configuration. It does not change while the host runs.
pub struct RoleSettings {
    /// The role's name.
    pub name: RoleName,
    /// Where its plugin is looked for.
    pub plugin: PluginRef,
    /// The configuration its guest can read.
    pub config: BTreeMap<String, String>,
    /// Sends its HTTP requests.
    pub http: Arc<Http>,
    /// What is counted and timed.
    pub metrics: Arc<Metrics>,
    /// The bounds that services hold its effects to.
    pub bounds: Arc<Bounds>,
    /// The limits of each call.
    pub limits: Limits,
    /// Fresh sandboxes, or warm ones.
    pub instance: InstanceMode,
    /// The engine with the role's stack size.
    pub engine: Engine,
    /// The pipeline that its effects go through.
    pub effects: Arc<dyn EffectHandler>,
    /// The capabilities that it is granted.
    pub granted: Vec<&'static str>,
    /// The keys that set its grants and its limits, for messages: `role.tl.` or `defaults.`.
    pub key_prefix: String,
}

impl RoleSettings {
    /// The key of one of its limits, for messages.
    pub fn limit_key(&self, limit: &str) -> String {
        format!("{}limits.{limit}", self.key_prefix)
    }

    /// The context of a new call.
    pub fn call(
        &self,
        id: CallId,
        caller: Option<String>,
        traceparent: Option<String>,
    ) -> CallContext {
        CallContext {
            role: self.name.clone(),
            call_id: id,
            caller,
            traceparent,
            bounds: self.bounds.clone(),
        }
    }
}

/// What lies behind a role: what performs its effects and sends its requests.
#[derive(Clone)]
pub struct Behind {
    /// The services, or what takes their place.
    pub effects: Arc<dyn EffectHandler>,
    /// For Extism's `http_request`, which is no effect of the table.
    pub http: Arc<Http>,
    /// What is counted and timed.
    pub metrics: Arc<Metrics>,
}

/// Why a role's plugin, or its newest version, does not serve.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The file, or files, that it is about.
    pub files: Vec<PathBuf>,
    /// What is wrong.
    pub message: String,
    /// Since when.
    pub since: SystemTime,
}

/// A role as it runs.
pub struct Role {
    /// What it is by configuration.
    pub settings: Arc<RoleSettings>,
    /// Lets its calls in.
    pub gate: Gate,
    version: RwLock<Option<Arc<Version>>>,
    problem: Mutex<Option<Problem>>,
}

impl Role {
    /// The role `name` as the configuration has it, without a plugin yet.
    pub fn new(
        name: &RoleName,
        config: &Config,
        role: &exomonad_config::Role,
        engine: Engine,
        services: &Behind,
        sandboxes: Arc<Semaphore>,
    ) -> Self {
        let key = |field: &str| config.role_key(name, field);
        let kinds = EffectKind::ALL.iter().map(|kind| kind.capability());
        let limits = &role.limits;
        let settings = RoleSettings {
            name: name.clone(),
            plugin: role.plugin_for(name),
            config: role.config.clone(),
            http: services.http.clone(),
            metrics: services.metrics.clone(),
            bounds: Arc::new(Bounds {
                paths: role.paths.clone(),
                repos: role.repos.iter().map(ToString::to_string).collect(),
                hosts: role.hosts.iter().map(ToString::to_string).collect(),
                private_hosts: role.private_hosts.iter().map(ToString::to_string).collect(),
                secrets: role.secrets.clone(),
                labels: role.labels.iter().map(ToString::to_string).collect(),
                networks: role.networks.clone(),
            }),
            limits: Limits {
                wall_time: limits.wall_time.get(),
                memory: limits.memory.get(),
                table_elements: limits.table_elements.into(),
                input: limits.input.get(),
                output: limits.output.get(),
                effects: limits.effects.into(),
                log_bytes: limits.log_bytes.get(),
                vars: limits.vars.get(),
                http_response: limits.http_response.get(),
            },
            instance: role.instance,
            engine,
            effects: effects::pipeline(
                |capability| role.grants(capability),
                key("effects"),
                services.effects.clone(),
                services.metrics.clone(),
            ),
            granted: kinds.filter(|capability| role.grants(capability)).collect(),
            key_prefix: key(""),
        };
        Self {
            settings: Arc::new(settings),
            gate: Gate::new(limits.concurrent_calls, limits.queue, sandboxes),
            version: RwLock::new(None),
            problem: Mutex::new(None),
        }
    }

    /// The role's name.
    pub fn name(&self) -> &RoleName {
        &self.settings.name
    }

    /// The version that serves now. A call keeps the one it began with.
    pub fn version(&self) -> Option<Arc<Version>> {
        self.version
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The version that serves now.
    ///
    /// # Errors
    /// If there is none, with the reason.
    pub fn serving(&self) -> Result<Arc<Version>, Failure> {
        self.version().ok_or_else(|| Failure::PluginNotLoaded {
            role: self.name().to_string(),
            reason: self.problem().map_or_else(
                || "it is still loading".to_owned(),
                |problem| problem.message,
            ),
        })
    }

    /// Why the role, or its newest version, does not serve.
    pub fn problem(&self) -> Option<Problem> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets a version serve from the next call on.
    pub fn serve(&self, version: Option<Arc<Version>>) {
        *self.version.write().unwrap_or_else(PoisonError::into_inner) = version;
    }

    /// Records a problem, or that there is none any more. The same problem keeps its time.
    pub fn set_problem(&self, problem: Option<(Vec<PathBuf>, String)>) {
        let mut current = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        *current = problem.map(|(files, message)| {
            let same = current
                .as_ref()
                .filter(|known| known.message == message && known.files == files);
            let since = same.map_or_else(SystemTime::now, |known| known.since);
            Problem {
                files,
                message,
                since,
            }
        });
    }
}
