//! Durable workflows: runs of a plugin's functions that outlive the host's process.
//!
//! | module | subject |
//! |---|---|
//! | [`definition`] | a workflow of a plugin, with its schemas |
//! | [`durable`] | a run as the layer of its guest sees it, whatever keeps its history |
//! | [`active`] | a run in memory, and the task that drives it, turn by turn |
//! | [`local`] | what the layer asks of such a run |
//! | [`layer`] | the layer that answers a guest that runs as a workflow |
//! | [`steps`] | effects that the host performs for a run |
//! | [`scheduler`] | what wakes runs, and clears away old ones |
//! | [`schedules`] | what starts runs at given times |
//! | [`counts`] | numbers of runs, for metrics and `/health` |
//! | [`kept`] | versions of plugins that open runs still need |
//! | [`live`] | steps as live events |
//! | [`questions`] | what runs ask the clients that started them |
//! | [`run`] | a run, wherever it is kept: started, found, looked at, ended |
//! | [`operate`] | the same for runs of this host's own store |
//! | [`remote`] | the same for those of a Temporal server |
//! | [`remote_history`] | the server's events as entries of a history |
//! | [`transfer`] | a run of the host's own store goes over to the server |
//! | [`view`] | runs and histories as they are shown |
//!
//! The state machine and the store are `exomonad-workflow`'s.

pub mod active;
pub mod counts;
pub mod definition;
pub mod durable;
pub mod kept;
pub mod layer;
pub mod live;
mod local;
pub mod operate;
pub mod questions;
pub mod remote;
pub mod remote_history;
pub mod run;
pub mod scheduler;
pub mod schedules;
pub mod steps;
pub mod transfer;
pub mod view;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use exomonad_config::{Config, WorkflowsConfig};
use exomonad_engine::closest;
use exomonad_schema::effects::workflow::{
    OnParentEnd, WorkflowSignal, WorkflowStartChild, WorkflowStatus,
};
use exomonad_schema::{EffectError, ErrorCode, RawJson, RoleName};
use exomonad_services::kv::KvConfig;
pub use exomonad_workflow::store::RunRow;
use exomonad_workflow::store::{NewRun, OpenError};
use exomonad_workflow::{RunKey, Store, StoreFailure};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};

use self::active::ActiveRun;
use self::counts::RunCounts;
use self::definition::CheckedWorkflow;
use self::durable::{DurableRun, Stop};
use self::live::{RunObserver, StepFeed};
use self::remote::KnownRuns;
use self::view::{RunChange, RunEvent};
use crate::error::{HostError, told};
use crate::plugins::version::PluginVersion;
use crate::role::{Role, RoleSettings};
use crate::runtime::Runtime;

/// Runs in memory for each that may have a sandbox: those that wait for a step, too.
const IN_MEMORY: usize = 8;
/// Changes that a slow subscriber may be behind.
const CHANGES: usize = 4096;
/// The message of a host that ends.
const STOPPING: &str = "the host is stopping";
/// The message of a run that has ended because of a request to.
const CANCELLED: &str = "it was asked to cancel";
/// The message of a process that is no host.
const NO_WORKFLOWS: &str =
    "this process runs no workflows: a host that runs does, and `exomonad serve` starts one";

/// The reason why a process does not run the workflows of its state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRun {
    /// True if another host runs them.
    pub runs_elsewhere: bool,
    /// The message for an operator.
    pub message: String,
}

/// The workflows of a process. They outlive a change of its configuration.
pub struct Workflows {
    settings: RwLock<WorkflowsConfig>,
    kv: KvConfig,
    /// Where versions of plugins are kept that open runs need.
    pub kept_dir: PathBuf,
    runtime: RwLock<Weak<Runtime>>,
    store: Mutex<Option<Store>>,
    active: Mutex<HashMap<RunKey, Arc<ActiveRun>>>,
    tasks: Mutex<tokio::task::JoinSet<()>>,
    running: Arc<Semaphore>,
    /// Wakes the scheduler.
    wake: Notify,
    /// Says that schedules have changed.
    schedules: Notify,
    counts: Mutex<RunCounts>,
    /// The reason why this process does not run the workflows of the folder, if it has tried and failed.
    not_run: Mutex<Option<NotRun>>,
    /// True while the file that is open is not the one of its path.
    is_displaced: AtomicBool,
    /// Roles whose plugins serve since the scheduler has looked.
    revived: Mutex<HashSet<String>>,
    begun: AtomicBool,
    closed: AtomicBool,
    changes: broadcast::Sender<RunEvent>,
    /// Runs that ask their clients something.
    asked: broadcast::Sender<RunKey>,
    observer: OnceLock<Arc<dyn RunObserver>>,
    /// The followers of steps.
    pub step_feed: Arc<StepFeed>,
    kept: Mutex<BTreeMap<(RoleName, String), Arc<PluginVersion>>>,
    known_remote: Arc<KnownRuns>,
    /// Runs that do not fit a version of their plugin.
    unfit: Mutex<HashSet<(String, String)>>,
}

impl Workflows {
    /// The workflows of a process with this configuration. Nothing is opened yet.
    pub fn new(config: &Config) -> Arc<Self> {
        let running = config.workflows.running as usize;
        Arc::new(Self {
            settings: RwLock::new(config.workflows.clone()),
            kv: config.services().kv,
            kept_dir: kept::folder(config),
            runtime: RwLock::new(Weak::new()),
            store: Mutex::default(),
            active: Mutex::default(),
            tasks: Mutex::default(),
            running: Arc::new(Semaphore::new(running)),
            wake: Notify::new(),
            schedules: Notify::new(),
            counts: Mutex::default(),
            not_run: Mutex::default(),
            is_displaced: AtomicBool::new(false),
            revived: Mutex::default(),
            begun: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            changes: broadcast::Sender::new(CHANGES),
            asked: broadcast::Sender::new(CHANGES),
            observer: OnceLock::new(),
            step_feed: Arc::default(),
            kept: Mutex::default(),
            known_remote: Arc::default(),
            unfit: Mutex::default(),
        })
    }

    /// Runs workflows with the roles of this runtime from now on.
    pub fn serve(self: &Arc<Self>, runtime: &Arc<Runtime>) {
        *write(&self.runtime) = Arc::downgrade(runtime);
        *write(&self.settings) = runtime.config.workflows.clone();
        if !self.begun.swap(true, Ordering::SeqCst) {
            let workflows = self.clone();
            tokio::spawn(async move { scheduler::run(workflows).await });
        }
        self.wake_scheduler();
    }

    /// Lets steps that are under way end, and stops the rest.
    pub async fn drain(&self, grace: Duration) {
        self.closed.store(true, Ordering::SeqCst);
        self.wake_scheduler();
        let deadline = tokio::time::Instant::now() + grace;
        while self.has_steps() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops all runs and closes the file. Blocks for some milliseconds.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Before the guests that wait for them: else these would go on by themselves.
        for (_, run) in lock(&self.active).drain() {
            run.lock().abort_steps();
        }
        lock(&self.tasks).abort_all();
        let store = lock(&self.store).take();
        if let Some(store) = store {
            store.close();
        }
    }

    /// True if the host stops.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn has_steps(&self) -> bool {
        let active = lock(&self.active);
        active.values().any(|run| !run.lock().steps.is_empty())
    }

    /// The store, opened and made when it is first needed.
    ///
    /// # Errors
    /// If another process runs the workflows of the folder, or the file cannot be used.
    pub async fn store(self: &Arc<Self>) -> Result<Store, StoreFailure> {
        let store = lock(&self.store).clone();
        if let Some(store) = store {
            if self.is_displaced.load(Ordering::SeqCst) {
                self.look_for_file(&store);
            }
            return match self.displaced() {
                Some(reason) => Err(StoreFailure::Unavailable(reason)),
                None => Ok(store),
            };
        }
        if self.is_closed() || !self.begun.load(Ordering::SeqCst) {
            return Err(StoreFailure::Unavailable(NO_WORKFLOWS.to_owned()));
        }
        let workflows = self.clone();
        let opened = tokio::task::spawn_blocking(move || {
            // Held while it is opened: one at a time.
            let mut store = lock(&workflows.store);
            if let Some(store) = &*store {
                return Ok(store.clone());
            }
            let opened = Store::open(&workflows.kv)?;
            *store = Some(opened.clone());
            Ok::<_, OpenError>(opened)
        });
        let not_run = match opened.await {
            Ok(Ok(store)) => {
                *lock(&self.not_run) = None;
                self.wake_scheduler();
                return Ok(store);
            }
            Ok(Err(error)) => NotRun {
                runs_elsewhere: matches!(error, OpenError::Taken(_)),
                message: error.to_string(),
            },
            Err(_) => NotRun {
                runs_elsewhere: false,
                message: "it could not be opened; the host's log says more".to_owned(),
            },
        };
        *lock(&self.not_run) = Some(not_run.clone());
        Err(StoreFailure::Unavailable(not_run.message))
    }

    /// The reason why this process does not run the workflows of its folder, if it has tried and failed.
    pub fn not_run(&self) -> Option<NotRun> {
        let displaced = self.displaced().map(|message| NotRun {
            runs_elsewhere: false,
            message,
        });
        displaced.or_else(|| lock(&self.not_run).clone())
    }

    /// The reason why nothing can be kept, if the file was removed or replaced while it is in use.
    fn displaced(&self) -> Option<String> {
        self.is_displaced.load(Ordering::SeqCst).then(|| {
            format!(
                "the state file {} was removed or replaced while the host uses it, and what is written would be lost: \
                 put it back, or restart the host",
                self.kv.file().display()
            )
        })
    }

    /// Looks whether the file that is open is still the one of its path.
    fn look_for_file(&self, store: &Store) {
        let is_displaced = store.is_displaced();
        let was_displaced = self.is_displaced.swap(is_displaced, Ordering::SeqCst);
        if let Some(reason) = self.displaced()
            && !was_displaced
        {
            tracing::error!("no workflow can be started: {reason}");
        }
    }

    /// A plugin serves from now on: the runs of its role that are stuck for want of one go on.
    pub fn plugin_serves(&self, role: &RoleName) {
        lock(&self.revived).insert(role.to_string());
        self.wake_scheduler();
    }

    /// The numbers of runs; open ones are counted every few seconds.
    pub fn counts(&self) -> RunCounts {
        lock(&self.counts).clone()
    }

    /// True if there is a file with runs in it, or may be.
    fn has_file(&self) -> bool {
        lock(&self.store).is_some() || self.kv.file().exists()
    }

    fn runtime(&self) -> Option<Arc<Runtime>> {
        read(&self.runtime).upgrade()
    }

    fn settings(&self) -> WorkflowsConfig {
        read(&self.settings).clone()
    }

    /// The role of this name, once it is known whether its plugin serves.
    ///
    /// # Errors
    /// If there is none.
    pub async fn role(&self, name: &RoleName) -> Result<Arc<Role>, HostError> {
        let runtime = self.runtime().ok_or_else(|| {
            HostError::Internal(match self.begun.load(Ordering::SeqCst) {
                true => STOPPING.to_owned(),
                false => NO_WORKFLOWS.to_owned(),
            })
        })?;
        let role = runtime.role(name.as_str())?;
        // Its problem is told by whoever needs the plugin.
        let _ = role.settled().await;
        Ok(role)
    }

    /// The version that a run of this digest goes on with: the one that serves, if it is tried for the first time
    /// or is that of the run; else the run's own.
    ///
    /// # Errors
    /// If neither is there, with the reason.
    pub async fn version(
        self: &Arc<Self>,
        role: &Arc<Role>,
        run: &RunRow,
        digest: &str,
    ) -> Result<Arc<PluginVersion>, String> {
        if let Some(serving) = role.version()
            && serving.workflow(&run.workflow).is_some()
        {
            let of_run = (run.run_id.clone(), serving.plugin.digest().to_owned());
            if of_run.1 == digest || !lock(&self.unfit).contains(&of_run) {
                return Ok(serving);
            }
        }
        self.kept(role, digest).await
    }

    /// Notes that a run does not fit a version.
    pub fn does_not_fit(&self, run_id: &str, digest: &str) {
        lock(&self.unfit).insert((run_id.to_owned(), digest.to_owned()));
    }

    /// Waits for a turn among the runs that have a sandbox.
    pub async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.running.clone().acquire_owned().await.ok()
    }

    /// True if a run would not have to wait for its turn.
    pub fn has_free_turn(&self) -> bool {
        self.running.available_permits() > 0
    }

    /// Entries and bytes of the longest history.
    pub fn largest_history(&self) -> (u64, u64) {
        let settings = read(&self.settings);
        (settings.max_history.into(), settings.max_history_size.get())
    }

    /// Bytes of the largest state.
    pub fn largest_state(&self) -> u64 {
        read(&self.settings).max_state.get()
    }

    /// How often a run is started again, and the first pause.
    pub fn restarts(&self) -> (u32, Duration) {
        let settings = read(&self.settings);
        (settings.restarts, settings.restart_delay.get())
    }

    /// Lets the scheduler look for runs that are due.
    pub fn wake_scheduler(&self) {
        self.wake.notify_one();
    }

    /// Something has come for these runs.
    pub fn nudge(&self, runs: &[RunKey]) {
        let mut is_asleep = false;
        {
            let active = lock(&self.active);
            for run in runs {
                match active.get(run) {
                    Some(run) => run.has_mail(),
                    None => is_asleep = true,
                }
            }
        }
        if is_asleep {
            self.wake_scheduler();
        }
    }

    /// A run leaves memory.
    pub fn leave(&self, run: &ActiveRun) {
        {
            let mut active = lock(&self.active);
            // It may be in memory again already, for what has come meanwhile.
            if active
                .get(&run.row.key)
                .is_some_and(|known| std::ptr::eq(&**known, run))
            {
                active.remove(&run.row.key);
            }
        }
        self.wake_scheduler();
    }

    /// The run of this key, if it is in memory.
    pub fn in_memory(&self, run: RunKey) -> Option<Arc<ActiveRun>> {
        lock(&self.active).get(&run).cloned()
    }

    /// How many more runs may be in memory.
    fn free(&self) -> usize {
        let most = self.settings().running as usize * IN_MEMORY;
        most.saturating_sub(lock(&self.active).len())
    }

    /// Runs that were ended in the file with their parent: those in memory stop.
    fn ended_with_parent(&self, terminated: &[RunRow]) {
        for run in terminated {
            if let Some(active) = self.in_memory(run.key) {
                active.stop(Stop::Ended);
            }
            let status = WorkflowStatus::Terminated;
            self.changed(run, RunChange::Status { status });
        }
    }

    /// Counts a change of a run, and tells whoever watches.
    pub fn changed(&self, run: &RunRow, change: RunChange) {
        lock(&self.counts).note(run, change);
        let event = RunEvent {
            at: active::unix_millis(),
            role: run.role.clone(),
            workflow: run.workflow.clone(),
            workflow_id: run.workflow_id.clone(),
            run_id: run.run_id.clone(),
            change,
        };
        if let Some(observer) = self.observer.get() {
            observer.run_changed(&event);
        }
        // Nobody may be waiting.
        let _ = self.changes.send(event);
    }

    /// Tells this one of what happens to runs from now on. Only the first one is told.
    pub fn observe(&self, observer: Arc<dyn RunObserver>) {
        let _ = self.observer.set(observer);
    }

    /// Changes of runs, as they happen.
    pub fn subscribe(&self) -> broadcast::Receiver<RunEvent> {
        self.changes.subscribe()
    }

    /// A run to start, with its input held against the workflow's schema.
    ///
    /// # Errors
    /// If there is no such workflow, or the input does not fit.
    pub fn new_run(
        &self,
        role: &RoleSettings,
        version: &PluginVersion,
        request: &WorkflowStartChild,
    ) -> Result<NewRun, EffectError> {
        let (workflow, input) = accepted(role, version, request)?;
        if let Some(reason) = &version.not_kept {
            return Err(EffectError::new(ErrorCode::Unavailable, reason.clone()));
        }
        let run_id = new_run_id();
        let workflow_id = request.workflow_id.as_ref();
        Ok(NewRun {
            role: role.name.to_string(),
            workflow: workflow.definition.name.clone(),
            workflow_id: workflow_id.map_or_else(|| run_id.clone(), ToString::to_string),
            run_id,
            digest: version.plugin.digest().to_owned(),
            configuration: serde_json::to_string(&*role.config).unwrap_or_default(),
            input: input.to_owned(),
            state_before: None,
            state_version: workflow.definition.state_version,
            seed: seed(),
            at: active::unix_millis(),
            wake_at: 0,
            parent: None,
            on_parent_end: OnParentEnd::Abandon,
            continued_from: None,
            client: None,
            started_by: None,
        })
    }

    /// Holds a signal against what the workflow of the run takes.
    ///
    /// # Errors
    /// If it takes no such signal, or the payload does not fit.
    pub fn check_signal(
        &self,
        version: &PluginVersion,
        request: &WorkflowSignal,
        workflow: Option<&str>,
    ) -> Result<(), EffectError> {
        let Some(workflow) = workflow.and_then(|name| version.workflow(name)) else {
            return Ok(());
        };
        let name = &*request.name;
        match workflow.check_signal(name, request.payload.get()) {
            Ok(violations) if violations.is_empty() => Ok(()),
            Ok(violations) => Err(EffectError::invalid_input(format!(
                "the payload does not fit the schema of signal `{name}`: {}",
                told(&violations)
            ))),
            Err(known) => Err(EffectError::new(
                ErrorCode::NotFound,
                format!(
                    "workflow `{}` takes no signal `{name}`; it takes {}",
                    workflow.definition.name,
                    known.join(", ")
                ),
            )),
        }
    }
}

/// The workflow of a run to start, and its input as the workflow takes it.
///
/// # Errors
/// If there is no such workflow, the input does not fit, or the id cannot be used.
fn accepted<'a>(
    role: &RoleSettings,
    version: &'a PluginVersion,
    request: &'a WorkflowStartChild,
) -> Result<(&'a CheckedWorkflow, &'a str), EffectError> {
    if let Some(id) = &request.workflow_id {
        check_id(id)?;
    }
    let name = &*request.workflow;
    let workflow = version
        .workflow(name)
        .ok_or_else(|| no_workflow(role, version, name))?;
    let input = workflow
        .accept_input(request.input.get())
        .map_err(|violations| {
            EffectError::invalid_input(format!(
                "the input does not fit the schema of workflow `{name}`: {}",
                told(&violations)
            ))
            .with_details(&serde_json::json!({"violations": violations}))
        })?;
    Ok((workflow, input))
}

/// Holds a query against those that the workflow answers.
///
/// # Errors
/// If there is no such workflow or query, or the arguments do not fit.
fn check_query(
    role: &RoleSettings,
    version: &PluginVersion,
    workflow_name: &str,
    query: &str,
    arguments: &RawJson,
) -> Result<(), EffectError> {
    let Some(workflow) = version.workflow(workflow_name) else {
        return Err(no_workflow(role, version, workflow_name));
    };
    match workflow.check_query(query, arguments.get()) {
        Ok(violations) if violations.is_empty() => Ok(()),
        Ok(violations) => Err(EffectError::invalid_input(format!(
            "the arguments do not fit the schema of query `{query}`: {}",
            told(&violations)
        ))),
        Err(known) => {
            let known = match known.is_empty() {
                true => "it answers none".to_owned(),
                false => format!("it answers {}", known.join(", ")),
            };
            Err(EffectError::new(
                ErrorCode::NotFound,
                format!("workflow `{workflow_name}` answers no query `{query}`; {known}"),
            ))
        }
    }
}

/// Checks that an id can stand in an address and in a line of text.
///
/// # Errors
/// If it cannot.
pub fn check_id(id: &str) -> Result<(), EffectError> {
    if matches!(id, "." | "..") || id.chars().any(char::is_control) || id.trim().is_empty() {
        return Err(EffectError::invalid_input(format!(
            "the id {id:?} cannot be used: it is `.`, `..`, blank, or has control characters"
        )));
    }
    Ok(())
}

/// The error for a workflow that the role's plugin does not have.
pub fn no_workflow(role: &RoleSettings, version: &PluginVersion, name: &str) -> EffectError {
    let known: Vec<&str> = version.workflow_names().collect();
    let near = closest(name, known.iter().copied());
    let hint = match near {
        Some(near) => format!("; did you mean `{near}`?"),
        None if known.is_empty() => "; its plugin has none".to_owned(),
        None => format!("; it has {}", known.join(", ")),
    };
    EffectError::new(
        ErrorCode::NotFound,
        format!("role `{}` has no workflow `{name}`{hint}", role.name),
    )
}

/// The error for an id without an open run.
pub fn no_open_run(asked: &str, workflow_id: &str) -> EffectError {
    EffectError::new(
        ErrorCode::NotFound,
        format!("{asked}: no run of a workflow with the id `{workflow_id}` is open"),
    )
}

/// A failure of the store, as whoever asked for something sees it.
pub fn store_error(failure: StoreFailure) -> EffectError {
    match failure {
        StoreFailure::Refused { code, message } => EffectError::new(code, message),
        StoreFailure::Unavailable(reason) => EffectError::new(
            ErrorCode::Unavailable,
            format!("workflows cannot be used at the moment: {reason}"),
        ),
        failure => EffectError::internal(failure.to_string()),
    }
}

/// A run id that nothing else has.
pub fn new_run_id() -> String {
    exomonad_schema::CallId::random().as_str().to_owned()
}

/// The seed of a run's randomness.
pub fn seed() -> [u8; 16] {
    let mut seed = [0; 16];
    if getrandom::fill(&mut seed).is_err() {
        // Without randomness the clock has to do.
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        seed = since.as_nanos().to_le_bytes();
    }
    seed
}

/// Another run of the same workflow, for the parent of this one.
pub fn again(run: &RunRow) -> NewRun {
    NewRun {
        role: run.role.clone(),
        workflow: run.workflow.clone(),
        workflow_id: run.workflow_id.clone(),
        run_id: String::new(),
        digest: run.digest.clone(),
        configuration: run.configuration.clone(),
        input: String::new(),
        state_before: None,
        state_version: 0,
        seed: [0; 16],
        at: 0,
        wake_at: 0,
        parent: run.parent,
        on_parent_end: OnParentEnd::Cancel,
        continued_from: None,
        client: run.client.clone(),
        started_by: run.started_by.clone(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
