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
//! | `workflow.start_child` | a child workflow |
//! | `workflow.signal` | an activity as any other: the server would send a signal to workflows that are not the role's |
//! | `temporal.execute_activity` | an activity of another worker |
//! | `temporal.set_attributes` | an activity that checks them, then search attributes and memo |
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
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

/// The phase of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It takes tasks.
    Serves,
    /// It takes nothing new, and what is under way goes on: another worker takes its place.
    Ends,
    /// Its host ends: what is under way has this time, and is handed back then.
    EndsWithin(Duration),
}

impl TemporalWorkers {
    /// Starts the workers of the roles whose workflows are on the server, and follows what changes: `current` is the
    /// runtime in force. Call it inside a tokio runtime.
    pub fn start(current: impl Fn() -> Arc<Runtime> + Send + Sync + 'static) -> Self {
        let (phase, seen) = watch::channel(Phase::Serves);
        Self {
            phase,
            task: tokio::spawn(follow(current, seen)),
        }
    }

    /// Lets the workers end: they take nothing new, effects under way have this time to end, and the rest is handed
    /// back to the server.
    pub async fn drain(self, grace: Duration) {
        self.phase.send_replace(Phase::EndsWithin(grace));
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
    phase: watch::Sender<Phase>,
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
    let mut queues: BTreeMap<String, RoleName> = BTreeMap::new();
    let roles = runtime.roles();
    versions.retain(|name, _| roles.contains_key(name));
    for (name, role) in roles.iter() {
        let (Some(queue), Some(serving)) = (&role.settings.temporal_task_queue, role.version())
        else {
            continue;
        };
        // The other one would get its tasks, with other grants.
        if let Some(other) = queues.insert(queue.clone(), name.clone()) {
            tracing::error!(
                role = %name,
                "the role's workflows are not served: its task queue `{queue}` is that of role `{other}`; \
                 set `temporal_task_queue`"
            );
            queues.insert(queue.clone(), other);
            continue;
        }
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
    mut phase: watch::Receiver<Phase>,
) {
    let mut core = None;
    let mut versions = Versions::new();
    let mut running: BTreeMap<WorkerKey, Running> = BTreeMap::new();
    let mut ending: Vec<Running> = Vec::new();
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
                old.phase.send_replace(Phase::Ends);
                ending.push(old);
            }
        }
        for (key, wanted) in wanted {
            let core = core.get_or_insert_with(|| open_core(&runtime));
            let Ok(core) = core else {
                continue;
            };
            let (phase, seen) = watch::channel(Phase::Serves);
            let of = Arc::new(wanted);
            let task = tokio::spawn(work(core.clone(), of.clone(), seen));
            running.insert(key, Running { of, phase, task });
        }
        ending.retain(|worker| !worker.task.is_finished());
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { break },
            () = ends(&mut phase) => break,
        }
    }
    let phase = *phase.borrow();
    ending.extend(running.into_values());
    for worker in &ending {
        worker.phase.send_replace(phase);
    }
    for worker in ending {
        // A worker that has panicked is told by the panic.
        let _ = worker.task.await;
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
async fn work(core: Arc<CoreRuntime>, of: Arc<Wanted>, mut phase: watch::Receiver<Phase>) {
    let role = of.role.name().clone();
    let mut pause = PAUSES.0;
    loop {
        let started = tokio::select! {
            biased;
            () = ends(&mut phase) => return,
            started = start(&core, &of) => started,
        };
        match started {
            Ok(worker) => {
                pause = PAUSES.0;
                serve(worker, &mut phase).await;
            }
            Err(error) => {
                tracing::warn!(%role, error, again_in = ?pause, "the role's workflows are not served: its worker cannot start");
            }
        }
        tokio::select! {
            biased;
            () = ends(&mut phase) => return,
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
        runtime.temporal(),
        of.role.clone(),
        of.version.clone(),
        runtime.workflows.clone(),
        of.task_queue.clone(),
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

/// Lets a worker poll until it ends or fails, and ends it in order.
async fn serve(worker: Arc<RoleWorker>, phase: &mut watch::Receiver<Phase>) {
    let role = worker.role.name().clone();
    let mut under_way = 0;
    {
        let run = worker.run();
        tokio::pin!(run);
        tokio::select! {
            biased;
            () = &mut run => {}
            () = ends(phase) => {
                under_way = worker.stop();
                tokio::select! {
                    biased;
                    () = &mut run => {}
                    () = time_is_up(phase) => {
                        worker.activities.hand_back();
                        run.await;
                    }
                }
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

/// Waits until a worker is to end.
async fn ends(phase: &mut watch::Receiver<Phase>) {
    let ended = phase.wait_for(|phase| *phase != Phase::Serves).await;
    // Whoever could say so is gone: it ends, too.
    drop(ended);
}

/// Waits until the host of a worker has ended, and the time for what is under way.
async fn time_is_up(phase: &mut watch::Receiver<Phase>) {
    let ended = phase
        .wait_for(|phase| matches!(phase, Phase::EndsWithin(_)))
        .await
        .map(|phase| *phase);
    if let Ok(Phase::EndsWithin(grace)) = ended {
        tokio::time::sleep(grace).await;
    }
}
