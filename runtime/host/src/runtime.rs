//! [`Runtime`]: the engines, the services and the roles of one process. Transports call into it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use exomonad_config::{Config, InstanceMode};
use exomonad_core::Changes;
use exomonad_engine::{CompileCache, Engine, EngineConfig, closest};
use exomonad_journal::{Bounds, Journal};
use exomonad_schema::{EffectKind, RoleName};
use exomonad_services::{Event, HostServices, Kv, Mcp, Temporal};
use exomonad_telemetry::Metrics;
use tokio::sync::{broadcast, watch};

use crate::admission::HostSandboxes;
use crate::audit::Audit;
use crate::error::HostError;
use crate::gauges;
use crate::plugins::instance_pool::InstancePool;
use crate::role::{Role, SharedServices};
use crate::workflows::Workflows;
use crate::workflows::operate::Backend;

/// Sandboxes for plugins that are being loaded, besides those of calls.
const LOADING: u32 = 64;

/// The engines, the services and the roles.
pub struct Runtime {
    /// The configuration in force.
    pub config: Config,
    /// The cache of compiled plugins; `None` if its folder cannot be used.
    pub cache: Option<CompileCache>,
    /// The metrics of the host.
    pub metrics: Arc<Metrics>,
    /// The records of calls.
    pub journal: Arc<Journal>,
    /// The durable workflows.
    pub workflows: Arc<Workflows>,
    /// The lines of calls.
    pub audit: Arc<Audit>,
    /// When the process began.
    pub started: SystemTime,
    /// One for each size of stack.
    engines: BTreeMap<EngineConfig, Engine>,
    services: SharedServices,
    handler: Arc<HostServices>,
    kv: Arc<Kv>,
    temporal: Arc<Temporal>,
    /// Services know it weakly.
    _backend: Arc<Backend>,
    /// The news of plugins for the clients of their roles.
    pub changes: Changes,
    sandboxes: Arc<HostSandboxes>,
    roles: RwLock<Arc<BTreeMap<RoleName, Arc<Role>>>>,
    ignored: RwLock<Vec<IgnoredFile>>,
}

/// The parts of a runtime that the next one takes over when the configuration is read again.
struct ProcessParts {
    metrics: Arc<Metrics>,
    sandboxes: Arc<HostSandboxes>,
    journal: Arc<Journal>,
    workflows: Arc<Workflows>,
    audit: Arc<Audit>,
    versions: watch::Sender<()>,
    changes: Changes,
    started: SystemTime,
}

/// The bounds of the journal, as the configuration has them.
fn journal_bounds(config: &Config) -> Bounds {
    Bounds {
        size: config.journal.max_size.get(),
        age: config.journal.max_age.get(),
        // One record must not drive out all others.
        record: config
            .journal
            .max_record
            .get()
            .min(config.journal.max_size.get() / 4),
    }
}

/// A file in the plugin folder that looks like a plugin and cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredFile {
    /// The file.
    pub path: PathBuf,
    /// The reason, and what to do.
    pub reason: String,
    /// When it was first seen.
    pub since: SystemTime,
}

/// The capabilities of all effects, for the configuration to check its grants against.
pub fn capabilities() -> Vec<&'static str> {
    EffectKind::ALL
        .iter()
        .map(|kind| kind.capability())
        .collect()
}

impl Runtime {
    /// Opens everything but the plugins: [`Reloader`](crate::plugins::reload::Reloader) loads those.
    ///
    /// # Errors
    /// If the engine or a service cannot start, with what to do about it.
    pub fn open(config: Config, env: impl Fn(&str) -> Option<String>) -> anyhow::Result<Arc<Self>> {
        let metrics = Metrics::new(exomonad_telemetry::resource(&config.telemetry));
        let shared = ProcessParts {
            metrics,
            sandboxes: HostSandboxes::new(config.engine.sandboxes),
            journal: Journal::new(config.state.dir.join("journal"), journal_bounds(&config)),
            workflows: Workflows::new(&config),
            audit: Audit::new(&config.audit),
            versions: watch::Sender::new(()),
            changes: Changes::default(),
            started: SystemTime::now(),
        };
        Self::with(config, env, shared, &BTreeMap::new())
    }

    /// Opens a runtime with another configuration, to take the place of this one. It shares what belongs to
    /// the process: the metrics, the bound on sandboxes, whoever waits for new versions, and engines that
    /// stay as they are.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn reopen(
        &self,
        mut config: Config,
        env: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Arc<Self>> {
        config.engine = self.config.engine.clone();
        config.state = self.config.state.clone();
        let shared = ProcessParts {
            metrics: self.metrics.clone(),
            sandboxes: self.sandboxes.clone(),
            journal: self.journal.clone(),
            workflows: self.workflows.clone(),
            audit: self.audit.clone(),
            versions: self.services.versions.clone(),
            changes: self.changes.clone(),
            started: self.started,
        };
        let reopened = Self::with(config, env, shared, &self.engines)?;
        reopened
            .journal
            .set_bounds(journal_bounds(&reopened.config));
        Ok(reopened)
    }

    fn with(
        config: Config,
        env: impl Fn(&str) -> Option<String>,
        shared: ProcessParts,
        known: &BTreeMap<EngineConfig, Engine>,
    ) -> anyhow::Result<Arc<Self>> {
        let ProcessParts {
            metrics,
            sandboxes,
            journal,
            workflows,
            audit,
            versions,
            changes,
            started,
        } = shared;
        let cache = CompileCache::open(&config.plugins.cache_dir).inspect_err(|error| {
            let folder = config.plugins.cache_dir.display();
            tracing::warn!(%folder, %error, "the compile cache cannot be used: plugins are compiled at each start");
        });
        let mut services = config.services();
        services.read_secrets(env)?;
        let mut services = exomonad_services::open(services)?;
        services.mcp = Mcp::new(changes.clone());
        let backend = Arc::new(Backend(workflows.clone()));
        let weak: std::sync::Weak<dyn exomonad_services::WorkflowBackend> =
            Arc::downgrade(&(backend.clone() as _));
        services.workflow.attach(weak);
        let handler = Arc::new(services);
        let runtime = Self {
            engines: engines(&config, known)?,
            kv: handler.kv.clone(),
            temporal: handler.temporal.clone(),
            _backend: backend,
            workflows: workflows.clone(),
            cache: cache.ok(),
            changes,
            services: SharedServices {
                http: handler.http.clone(),
                effects: handler.clone(),
                metrics: metrics.clone(),
                journal: Some(journal.clone()),
                workflows: Some(workflows),
                audit: audit.clone(),
                versions,
            },
            handler,
            audit,
            metrics,
            journal,
            started,
            sandboxes,
            roles: RwLock::default(),
            ignored: RwLock::default(),
            config,
        };
        for name in runtime.config.roles.keys() {
            runtime.add_role(name);
        }
        let runtime = Arc::new(runtime);
        gauges::register(&runtime);
        Ok(runtime)
    }

    /// Writes and closes the files that hold state, for a host that stops. Blocks for some milliseconds.
    pub fn close(&self) {
        self.journal.flush();
        self.audit.flush();
        self.workflows.close();
        self.kv.close();
        self.temporal.close();
    }

    /// The client of the Temporal server.
    pub fn temporal(&self) -> &Arc<Temporal> {
        &self.temporal
    }

    /// The number of sandboxes that are free for calls, and of all.
    pub fn sandboxes(&self) -> (u64, u64) {
        let free = self.sandboxes.available();
        (free, self.config.engine.sandboxes.into())
    }

    /// Changes whenever a role serves another version of its plugin, in this runtime or in one that takes
    /// its place.
    pub fn versions(&self) -> watch::Receiver<()> {
        self.services.versions.subscribe()
    }

    /// The events that plugins of this runtime emit from now on.
    pub fn plugin_events(&self) -> broadcast::Receiver<Arc<Event>> {
        self.handler.log.subscribe()
    }

    /// Tells those that wait for new versions to look: the roles of this runtime serve from now on.
    pub fn announce(&self) {
        self.services.versions.send_replace(());
    }

    /// The roles as they are now.
    pub fn roles(&self) -> Arc<BTreeMap<RoleName, Arc<Role>>> {
        self.roles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The role of this name.
    ///
    /// # Errors
    /// If there is none: never a permissive default.
    pub fn role(&self, name: &str) -> Result<Arc<Role>, HostError> {
        let roles = self.roles();
        roles
            .get(name)
            .cloned()
            .ok_or_else(|| HostError::RoleNotFound {
                role: name.to_owned(),
                near: closest(name, roles.keys().map(RoleName::as_str)).map(str::to_owned),
            })
    }

    /// The files in the plugin folder that look like plugins and cannot be one.
    pub fn ignored(&self) -> Vec<IgnoredFile> {
        let ignored = self.ignored.read().unwrap_or_else(PoisonError::into_inner);
        ignored.clone()
    }

    /// Records these files, and returns those that are new. A file that was known keeps its time.
    pub fn set_ignored(&self, files: &[(PathBuf, String)]) -> Vec<(PathBuf, String)> {
        let mut ignored = self.ignored.write().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        let recorded = files.iter().map(|(path, reason)| {
            let known = ignored
                .iter()
                .find(|known| known.path == *path && known.reason == *reason);
            known.cloned().unwrap_or_else(|| {
                new.push((path.clone(), reason.clone()));
                IgnoredFile {
                    path: path.clone(),
                    reason: reason.clone(),
                    since: SystemTime::now(),
                }
            })
        });
        *ignored = recorded.collect();
        new
    }

    /// Makes the role if the configuration has one of this name, or serves unlisted ones.
    pub fn add_role(&self, name: &RoleName) -> Option<Arc<Role>> {
        let settings = self.config.role(name)?;
        let stack = settings.limits.stack.get();
        let engine = self
            .engines
            .iter()
            .find(|(config, _)| config.stack == stack);
        let engine = engine?.1.clone();
        let role = Role::new(
            name,
            &self.config,
            settings,
            engine,
            &self.services,
            self.sandboxes.clone(),
        );
        let role = Arc::new(role);
        self.change_roles(|roles| {
            roles.insert(name.clone(), role.clone());
        });
        Some(role)
    }

    /// Forgets a role that the configuration doesn't list, when its plugin is gone.
    pub fn remove_role(&self, name: &RoleName) {
        self.change_roles(|roles| {
            roles.remove(name);
        });
    }

    fn change_roles(&self, change: impl FnOnce(&mut BTreeMap<RoleName, Arc<Role>>)) {
        let mut roles = self.roles.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = BTreeMap::clone(&roles);
        change(&mut changed);
        *roles = Arc::new(changed);
    }
}

/// One engine for each size of stack: a pool is made of stacks of one size.
fn engines(
    config: &Config,
    known: &BTreeMap<EngineConfig, Engine>,
) -> anyhow::Result<BTreeMap<EngineConfig, Engine>> {
    let mut sizes: BTreeMap<u64, u32> = BTreeMap::new();
    let all = || config.roles.values().chain([&config.defaults]);
    for role in all() {
        let calls = sizes.entry(role.limits.stack.get()).or_default();
        let pooled = match role.instance {
            InstanceMode::Pooled => InstancePool::CAPACITY * 2,
            InstanceMode::Fresh => 0,
        };
        let concurrent = role.limits.concurrent_calls.min(config.engine.sandboxes);
        *calls = calls.saturating_add(concurrent).saturating_add(pooled);
    }
    if config.plugins.unlisted_roles {
        // Any number of roles share the defaults.
        let calls = sizes.entry(config.defaults.limits.stack.get()).or_default();
        *calls = (*calls).max(config.engine.sandboxes);
    }
    let largest = |of: fn(&exomonad_config::Role) -> u64| all().map(of).max().unwrap_or_default();
    let memory = largest(|role| role.limits.memory.get());
    let table_elements = largest(|role| role.limits.table_elements.into());
    let engines = sizes.into_iter().map(|(stack, calls)| {
        // Beside the calls there are warm sandboxes of two versions, which stay in their slots, and
        // plugins that are being loaded.
        let config = EngineConfig {
            sandboxes: calls
                .min(
                    config
                        .engine
                        .sandboxes
                        .saturating_add(InstancePool::CAPACITY * 8),
                )
                .saturating_add(LOADING),
            memory,
            table_elements,
            stack,
            keep_resident: config.engine.keep_resident.get(),
        };
        let engine = match known.get(&config) {
            Some(engine) => engine.clone(),
            None => Engine::new(config)?,
        };
        Ok((config, engine))
    });
    engines.collect()
}
