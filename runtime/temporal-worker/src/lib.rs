//! Workers of a Temporal server: workflows and effects of roles, run for a cluster.
//!
//! A role whose `workflow_backend` is `temporal` has a worker of its own, which polls the role's task queue by
//! Temporal's core, the part of its SDKs that is the same in all languages. The role's workflows are those of the
//! same plugin that runs on this host's own store; its effects are activities, for its own workflows and for those
//! of any SDK.
//!
//! | here | at the server |
//! |---|---|
//! | a step | an activity of the effect's name; its id is the step's number and the hash of its request |
//! | `workflow.sleep`, the time of a wait | a timer |
//! | `workflow.start_child`, `.signal` | a child workflow, a signal to another workflow |
//! | `workflow.patched` | a patch marker |
//! | `workflow.set_state` | nothing: the state is made again by the history; a query sees it |
//! | the next run of `continue_as_new` | a new run, with state and signals in a header |
//! | the plugin's digest | the build id |
//! | a trap, a mismatch | a workflow task that fails: the server gives it again |
//!
//! | module | subject |
//! |---|---|
//! | `worker` | the worker of one role |
//! | `run_task` | the task that drives one run |
//! | `run` | a run, as the layer of its guest sees it |
//! | `activity` | effects that the server asks for |
//! | `failure` | errors of effects as failures, and back |
//! | `message` | Temporal's messages |
//! | `metrics` | core's metrics, among the host's |
//! | `replay` | histories, played to a plugin |

mod activity;
mod failure;
mod message;
mod metrics;
mod replay;
mod run;
mod run_task;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use exomonad_host::plugins::version::PluginVersion;
use exomonad_host::{Role, Runtime};
use exomonad_schema::RoleName;
use exomonad_temporal::TemporalVersioning;
use temporalio_common::telemetry::TelemetryOptions;
use temporalio_common::telemetry::metrics::CoreMeter;
use temporalio_sdk_core::{CoreRuntime, RuntimeOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use crate::replay::{ReplayError, replay};

use crate::metrics::CoreMetrics;
use crate::worker::RoleWorker;

/// The first pause after a worker could not be started, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Versions of a plugin that have workers at once, if runs are pinned to versions: the oldest go first.
const MOST_VERSIONS: usize = 8;

/// The workers of a process. They follow its configuration.
pub struct TemporalWorkers {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl TemporalWorkers {
    /// Starts the workers of the roles whose workflows are on the server, and follows what changes: `current` is the
    /// runtime in force. Call it inside a tokio runtime.
    pub fn start(current: impl Fn() -> Arc<Runtime> + Send + Sync + 'static) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self {
            stop,
            task: tokio::spawn(follow(current, stopped)),
        }
    }

    /// Lets the workers end: they take nothing new, effects under way have the grace of the host to end, and the
    /// rest is handed back to the server.
    pub async fn drain(self) {
        self.stop.send_replace(true);
        if self.task.await.is_err() {
            tracing::error!("the workers of the Temporal server have ended badly");
        }
    }
}

/// A version of a role's plugin whose worker is wanted.
struct Wanted {
    runtime: Arc<Runtime>,
    role: Arc<Role>,
    version: Arc<PluginVersion>,
    task_queue: String,
}

/// A worker that runs, or tries to.
struct Running {
    of: Arc<Wanted>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The name of a worker: its role, and the digest of its plugin if runs are pinned to versions.
type WorkerKey = (RoleName, Option<String>);

/// The versions that plugins have had, of each role the newest last.
type Versions = BTreeMap<RoleName, Vec<Arc<PluginVersion>>>;

/// The workers of the roles whose workflows are on the server, and whose plugins serve.
fn wanted(runtime: &Arc<Runtime>, versions: &mut Versions) -> BTreeMap<WorkerKey, Wanted> {
    let versioning = runtime.config.services.temporal.worker.versioning;
    let is_pinned = versioning == TemporalVersioning::Pinned;
    let mut wanted = BTreeMap::new();
    let roles = runtime.roles();
    versions.retain(|name, _| roles.contains_key(name));
    for (name, role) in roles.iter() {
        let (Some(queue), Some(serving)) = (&role.settings.temporal_task_queue, role.version())
        else {
            continue;
        };
        let known = versions.entry(name.clone()).or_default();
        known.retain(|version| is_pinned && version.plugin.digest() != serving.plugin.digest());
        known.push(serving);
        let surplus = known.len().saturating_sub(MOST_VERSIONS);
        known.drain(..surplus);
        for version in known {
            let digest = is_pinned.then(|| version.plugin.digest().to_owned());
            let worker = Wanted {
                runtime: runtime.clone(),
                role: role.clone(),
                version: version.clone(),
                task_queue: queue.clone(),
            };
            wanted.insert((name.clone(), digest), worker);
        }
    }
    wanted
}

async fn follow(
    current: impl Fn() -> Arc<Runtime> + Send + Sync,
    mut stopped: watch::Receiver<bool>,
) {
    let mut core = None;
    let mut versions = Versions::new();
    let mut running: BTreeMap<WorkerKey, Running> = BTreeMap::new();
    let mut ending: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let runtime = current();
        let mut changes = runtime.versions();
        changes.mark_unchanged();
        let mut wanted = wanted(&runtime, &mut versions);
        let known: Vec<WorkerKey> = running.keys().cloned().collect();
        for key in known {
            let stays = match (running.get(&key), wanted.get(&key)) {
                (Some(running), Some(wanted)) => Arc::ptr_eq(&running.of.role, &wanted.role),
                _ => false,
            };
            if stays {
                wanted.remove(&key);
            } else if let Some(old) = running.remove(&key) {
                old.stop.send_replace(true);
                ending.push(old.task);
            }
        }
        for (key, wanted) in wanted {
            let core = core.get_or_insert_with(|| open_core(&runtime));
            let Ok(core) = core else {
                continue;
            };
            let (stop, stopped) = watch::channel(false);
            let of = Arc::new(wanted);
            let task = tokio::spawn(work(core.clone(), of.clone(), stopped));
            running.insert(key, Running { of, stop, task });
        }
        ending.retain(|task| !task.is_finished());
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = is_stopped(&mut stopped) => break,
        }
    }
    for (_, running) in running {
        running.stop.send_replace(true);
        ending.push(running.task);
    }
    for task in ending {
        // A worker that has panicked is told by the panic.
        let _ = task.await;
    }
}

/// Temporal's core, once for the process.
fn open_core(runtime: &Runtime) -> Result<Arc<CoreRuntime>, ()> {
    let metrics = CoreMetrics(runtime.metrics.meter().clone());
    // Its log is the process's: without a logger of its own it writes to whatever takes lines.
    let telemetry = TelemetryOptions::builder()
        .metrics(Arc::new(metrics) as Arc<dyn CoreMeter>)
        .attach_service_name(false)
        .build();
    let opened = RuntimeOptions::builder()
        .telemetry_options(telemetry)
        .heartbeat_interval(None)
        .build()
        .map_err(|error| error.to_string())
        .and_then(|options| {
            CoreRuntime::new_assume_tokio(options).map_err(|error| error.to_string())
        });
    opened
        .map(Arc::new)
        .map_err(|error| tracing::error!(%error, "no worker of the Temporal server can be started"))
}

/// Runs the worker of a role until it is stopped; one that cannot start, or loses its server, is started again.
async fn work(core: Arc<CoreRuntime>, of: Arc<Wanted>, mut stopped: watch::Receiver<bool>) {
    let role = of.role.name().clone();
    let mut pause = PAUSES.0;
    loop {
        let started = tokio::select! {
            biased;
            () = is_stopped(&mut stopped) => return,
            started = start(&core, &of) => started,
        };
        match started {
            Ok(worker) => {
                pause = PAUSES.0;
                serve(worker, &mut stopped).await;
            }
            Err(error) => {
                tracing::warn!(%role, error, again_in = ?pause, "the role's workflows are not served: its worker cannot start");
            }
        }
        tokio::select! {
            biased;
            () = is_stopped(&mut stopped) => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

async fn start(core: &CoreRuntime, of: &Wanted) -> Result<Arc<RoleWorker>, String> {
    let runtime = &of.runtime;
    let connection = runtime.temporal().connection().await;
    let connection = connection.map_err(|error| error.to_string())?;
    let config = &runtime.config;
    let name = of.role.name();
    let worker = RoleWorker::new(
        core,
        connection,
        runtime.temporal().config(),
        of.role.clone(),
        of.version.clone(),
        (runtime.workflows.clone(), of.task_queue.clone()),
        config.server.shutdown_grace.get(),
    )?;
    let worker = Arc::new(worker);
    if let Err(error) = worker.validate().await {
        worker.stop();
        worker.run().await;
        worker.finish().await;
        return Err(error);
    }
    tracing::info!(
        role = %name, task_queue = of.task_queue, namespace = config.services.temporal.namespace,
        version = of.version.plugin.digest(), "the role's workflows are served for the Temporal server"
    );
    Ok(worker)
}

/// Lets a worker poll until it is stopped or fails, and ends it in order.
async fn serve(worker: Arc<RoleWorker>, stopped: &mut watch::Receiver<bool>) {
    let role = worker.role.name().clone();
    let mut under_way = 0;
    {
        let run = worker.run();
        tokio::pin!(run);
        tokio::select! {
            biased;
            () = &mut run => {}
            () = is_stopped(stopped) => {
                under_way = worker.stop();
                run.await;
            }
        }
    }
    let handed_back = worker.handed_back.load(Ordering::Relaxed);
    tracing::info!(
        %role, drained = under_way.saturating_sub(handed_back), handed_back,
        "the role's worker has ended"
    );
    worker.finish().await;
}

/// Waits until it is said that this ends.
async fn is_stopped(stopped: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone: it ends, too.
    let _ = stopped.wait_for(|stopped| *stopped).await.map(drop);
}
