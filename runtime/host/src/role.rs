//! A role: its grants, bounds and limits, and the version of its plugin that serves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use exomonad_config::{
    Config, InstanceMode, JournalMode, PluginRef, SnapshotMode, WorkflowBackend,
};
use exomonad_core::{BoundsMap, CallContext, EffectHandler, RoleKeys};
use exomonad_engine::{Engine, Limits, SnapshotPolicy};
use exomonad_journal::Journal;
use exomonad_schema::{CallId, EffectKind, RoleName};
use exomonad_services::Http;
use exomonad_telemetry::Metrics;
use tokio::sync::{Semaphore, watch};

use crate::admission::{AdmissionQueue, HostSandboxes};
use crate::answer_memory::AnswerMemory;
use crate::audit::Audit;
use crate::caller_limits::CallerLimits;
use crate::error::HostError;
use crate::execution::Caller;
use crate::pipeline::{self, Grants, Layer, ServiceLayer};
use crate::plugins::version::PluginVersion;
use crate::record::{RecordSettings, configuration_hash};
use crate::workflows::Workflows;

/// Long checks of arguments that run at once for a role, so that the others have processors left.
const LONG_CHECKS: usize = 2;

/// Calls of a role that may wait for their clients, each with the record of what it did.
pub const ASKING: usize = 1_000;

/// The pause between two looks whether a plugin that loads has a problem.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A role as the configuration has it. It does not change while the host runs.
pub struct RoleSettings {
    /// The role's name.
    pub name: RoleName,
    /// Where its plugin is looked for.
    pub plugin: PluginRef,
    /// The metrics of the host.
    pub metrics: Arc<Metrics>,
    /// The bounds that services hold its effects to.
    pub bounds: Arc<BoundsMap>,
    /// The limits of each call.
    pub limits: Limits,
    /// Bytes of the largest result of a tool that an MCP client gets whole; 0 if all are.
    pub inline_answer: u64,
    /// Fresh sandboxes, or a pool of used ones.
    pub instance: InstanceMode,
    /// The plugins that begin with a snapshot.
    pub snapshot: SnapshotPolicy,
    /// The engine with the role's stack size.
    pub engine: Engine,
    /// The layers that a call's requests go through.
    pub layers: Arc<dyn Layer>,
    /// The layers for a plugin that describes itself: it has no effects.
    pub describing: Arc<dyn Layer>,
    /// How its calls are recorded; `None` if they are not.
    pub record: Option<RecordSettings>,
    /// The workflows of the host; `None` where none run.
    pub workflows: Option<Arc<Workflows>>,
    /// The task queue of its workflows on the Temporal server; `None` if they are in the host's own store.
    pub temporal_task_queue: Option<String>,
    /// The configuration that the guest can read.
    pub config: Arc<BTreeMap<String, String>>,
    /// A hash of what the guest can observe of the role's configuration.
    pub configuration: String,
    /// The capabilities that it is granted.
    pub granted: Vec<&'static str>,
    /// The keys that set its grants and its limits, for messages.
    pub keys: RoleKeys,
}

impl RoleSettings {
    /// The key of one of its limits, for messages.
    pub fn limit_key(&self, limit: &str) -> String {
        self.keys.key(&self.name, &format!("limits.{limit}"))
    }

    /// The context of a new call.
    pub fn call(&self, id: CallId, caller: Caller) -> CallContext {
        let proven = caller.principal.as_ref();
        let proven = proven.and_then(|principal| principal.name.as_deref());
        CallContext {
            role: self.name.clone(),
            call_id: id,
            caller: proven.map(str::to_owned).or(caller.name),
            principal: caller.principal,
            traceparent: caller.traceparent,
            bounds: self.bounds.clone(),
            kv_writer: None,
            client: None,
        }
    }
}

/// The services shared by all roles.
#[derive(Clone)]
pub struct SharedServices {
    /// Performs effects.
    pub effects: Arc<dyn EffectHandler>,
    /// Performs Extism's `http_request`, which is no effect of the table.
    pub http: Arc<Http>,
    /// The metrics of the host.
    pub metrics: Arc<Metrics>,
    /// Where calls are recorded; `None` where nothing is.
    pub journal: Option<Arc<Journal>>,
    /// The durable workflows; `None` where none run.
    pub workflows: Option<Arc<Workflows>>,
    /// Where the line of each call goes.
    pub audit: Arc<Audit>,
    /// Notified when a role serves another version of its plugin.
    pub versions: watch::Sender<()>,
}

/// The reason why a role's plugin, or its newest version, does not serve.
#[derive(Clone, Debug)]
pub struct PluginProblem {
    /// The file, or files, that it is about.
    pub files: Vec<PathBuf>,
    /// The error.
    pub message: String,
    /// When it was first seen.
    pub since: SystemTime,
}

/// A role as it runs.
pub struct Role {
    /// The role as the configuration has it.
    pub settings: Arc<RoleSettings>,
    /// Admits its calls.
    pub admission: AdmissionQueue,
    /// The calls of each of its callers.
    pub caller_limits: Arc<CallerLimits>,
    /// Where the line of each call goes.
    pub audit: Arc<Audit>,
    /// The threads that check long arguments of its calls.
    pub long_checks: Arc<Semaphore>,
    /// The calls that wait for what they have asked their clients.
    pub asking: Arc<Semaphore>,
    version: RwLock<Option<Arc<PluginVersion>>>,
    versions: watch::Sender<()>,
    problem: Mutex<Option<PluginProblem>>,
}

impl Role {
    /// The role `name` as the configuration has it, without a plugin yet.
    pub fn new(
        name: &RoleName,
        config: &Config,
        role: &exomonad_config::Role,
        engine: Engine,
        services: &SharedServices,
        sandboxes: Arc<HostSandboxes>,
    ) -> Self {
        let kinds = EffectKind::ALL.iter().map(|kind| kind.capability());
        let limits = &role.limits;
        let guest_config = Arc::new(role.config.clone());
        let innermost = ServiceLayer {
            effects: services.effects.clone(),
            http: services.http.clone(),
            config: guest_config.clone(),
        };
        let stack = |grants| pipeline::stack(grants, innermost.clone(), services.metrics.clone());
        let settings = RoleSettings {
            name: name.clone(),
            plugin: role.plugin_for(name),
            metrics: services.metrics.clone(),
            bounds: Arc::new(role.bounds.to_map().with(config.keys_of(name))),
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
            inline_answer: limits.inline_answer.get(),
            instance: role.instance,
            snapshot: match role.snapshot {
                _ if !config.plugins.snapshot => SnapshotPolicy::Never,
                SnapshotMode::Never => SnapshotPolicy::Never,
                SnapshotMode::WhenSafe => SnapshotPolicy::WhenSafe,
                SnapshotMode::Always => SnapshotPolicy::Always,
            },
            engine,
            layers: stack(
                Grants::new(
                    |capability| role.grants(capability),
                    config.grant_hint(name),
                )
                .with_largest_request(
                    limits.effect_request.get(),
                    config.role_key(name, "limits.effect_request"),
                ),
            ),
            record: match (&services.journal, role.journal) {
                (None, _) | (_, JournalMode::Off) => None,
                (Some(journal), mode) => Some(RecordSettings {
                    journal: journal.clone(),
                    keeps_all: mode == JournalMode::All,
                }),
            },
            workflows: services.workflows.clone(),
            temporal_task_queue: (role.workflow_backend == WorkflowBackend::Temporal)
                .then(|| role.task_queue(name)),
            config: guest_config,
            configuration: configuration_hash(config, role),
            describing: stack(Grants::of_description()),
            granted: kinds.filter(|capability| role.grants(capability)).collect(),
            keys: config.keys_of(name),
        };
        Self {
            settings: Arc::new(settings),
            admission: AdmissionQueue::new(
                limits.concurrent_calls,
                limits.queue,
                AnswerMemory::new(limits.unread_answers.get()),
                sandboxes,
            ),
            caller_limits: CallerLimits::new(
                limits.caller_calls_per_minute,
                limits.caller_concurrent_calls,
            ),
            audit: services.audit.clone(),
            long_checks: Arc::new(Semaphore::new(LONG_CHECKS)),
            asking: Arc::new(Semaphore::new(ASKING)),
            version: RwLock::new(None),
            versions: services.versions.clone(),
            problem: Mutex::new(None),
        }
    }

    /// The role's name.
    pub fn name(&self) -> &RoleName {
        &self.settings.name
    }

    /// The version that serves now. A call keeps the one it began with.
    pub fn version(&self) -> Option<Arc<PluginVersion>> {
        self.version
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The version that serves now.
    ///
    /// # Errors
    /// If there is none, with the reason.
    pub fn serving(&self) -> Result<Arc<PluginVersion>, HostError> {
        self.version().ok_or_else(|| HostError::PluginNotLoaded {
            role: self.name().to_string(),
            reason: self.problem().map_or_else(
                || "it is still loading".to_owned(),
                |problem| problem.message,
            ),
        })
    }

    /// The version that serves, once it is known whether one does: a plugin may still be loading.
    ///
    /// # Errors
    /// If none does, with the reason.
    pub async fn settled(&self) -> Result<Arc<PluginVersion>, HostError> {
        if let Some(version) = self.version() {
            return Ok(version);
        }
        let mut versions = self.versions.subscribe();
        while self.version().is_none() && self.problem().is_none() {
            // A problem is not announced.
            let looked = tokio::time::timeout(LOOK_AGAIN, versions.changed()).await;
            if matches!(looked, Ok(Err(_))) {
                break;
            }
        }
        self.serving()
    }

    /// The error for an event that the role's plugin does not handle.
    pub fn hook_not_found(&self, event: &str) -> HostError {
        let version = self.version();
        let handled = version.iter().flat_map(|version| version.hooks());
        let handled: Vec<&str> = handled.map(|event| event.name()).collect();
        HostError::HookNotFound {
            role: self.name().to_string(),
            event: event.to_owned(),
            handled: handled.join(", "),
        }
    }

    /// The reason why the role, or its newest version, does not serve.
    pub fn problem(&self) -> Option<PluginProblem> {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets a version serve from the next call on.
    pub fn serve(&self, version: Option<Arc<PluginVersion>>) {
        *self.version.write().unwrap_or_else(PoisonError::into_inner) = version;
        self.versions.send_replace(());
    }

    /// Records a problem, or that there is none any more. The same problem keeps its time.
    pub fn set_problem(&self, problem: Option<(Vec<PathBuf>, String)>) {
        let mut current = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        *current = problem.map(|(files, message)| {
            let same = current
                .as_ref()
                .filter(|known| known.message == message && known.files == files);
            let since = same.map_or_else(SystemTime::now, |known| known.since);
            PluginProblem {
                files,
                message,
                since,
            }
        });
    }
}
