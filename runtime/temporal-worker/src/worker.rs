//! [`RoleWorker`]: the worker of one role. It polls the role's task queue, and ends in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use exomonad_host::plugins::version::PluginVersion;
use exomonad_host::{Role, Workflows};
use exomonad_temporal::codec::Codec;
use exomonad_temporal::{Temporal, TemporalVersioning};
use ring::hmac;
use temporalio_client::Connection;
use temporalio_common::worker::{
    VersioningBehavior, WorkerDeploymentOptions, WorkerDeploymentVersion, WorkerTaskTypes,
};
use temporalio_protos::coresdk::activity_result::ActivityExecutionResult;
use temporalio_protos::coresdk::workflow_activation::remove_from_cache::EvictionReason;
use temporalio_protos::coresdk::workflow_activation::{InitializeWorkflow, RemoveFromCache};
use temporalio_protos::coresdk::workflow_completion::WorkflowActivationCompletion;
use temporalio_protos::coresdk::{ActivityHeartbeat, ActivityTaskCompletion};
use temporalio_sdk_core::{
    CoreRuntime, PollError, PollerBehavior, Worker, WorkerConfig, WorkerVersioningStrategy,
    init_worker,
};
use tokio::sync::mpsc;

use crate::activity::Activities;
use crate::failure;
use crate::run::{StepTimes, TemporalRun};
use crate::run_task::{RunTask, is_eviction};

/// The worker of one role.
pub(crate) struct RoleWorker {
    pub role: Arc<Role>,
    /// The version of the plugin that it belongs to, if runs are pinned to versions.
    pinned: Option<Arc<PluginVersion>>,
    pub workflows: Arc<Workflows>,
    /// The client of the server; that of a replay asks nothing.
    pub temporal: Arc<Temporal>,
    /// The form of values on the way to the server.
    pub codec: Arc<Codec>,
    core: Worker,
    namespace: String,
    task_queue: String,
    times: StepTimes,
    pub activities: Activities,
    /// Activities that were handed back at the end.
    pub handed_back: AtomicU64,
    /// Workflow tasks that have failed.
    failed_tasks: AtomicU64,
    /// The reason of the first of them.
    first_failure: OnceLock<String>,
}

impl RoleWorker {
    /// A worker that polls nothing yet.
    ///
    /// # Errors
    /// If a setting is none, or another worker of this process polls the same.
    pub fn new(
        core: &CoreRuntime,
        connection: Connection,
        temporal: &Arc<Temporal>,
        role: Arc<Role>,
        version: Arc<PluginVersion>,
        workflows: Arc<Workflows>,
        task_queue: String,
    ) -> Result<Self, String> {
        let config = temporal.config();
        let settings = &config.worker;
        let build_id = version.plugin.digest().to_owned();
        let is_pinned = settings.versioning == TemporalVersioning::Pinned;
        let versioning = match is_pinned {
            false => WorkerVersioningStrategy::None { build_id },
            true => WorkerVersioningStrategy::WorkerDeploymentBased(
                WorkerDeploymentOptions::new(
                    WorkerDeploymentVersion::builder()
                        .deployment_name(role.name().to_string())
                        .build_id(build_id)
                        .build(),
                )
                .use_worker_versioning(true)
                .default_versioning_behavior(VersioningBehavior::Pinned)
                .build(),
            ),
        };
        let pollers = |pollers: u32| PollerBehavior::SimpleMaximum(pollers as usize);
        let worker_config = WorkerConfig::builder()
            .namespace(config.namespace.clone())
            .task_queue(task_queue.clone())
            .client_identity_override(format!("exomonad/{}", role.name()))
            .max_cached_workflows(settings.cached_runs as usize)
            .max_outstanding_workflow_tasks(settings.workflow_tasks as usize)
            .max_outstanding_activities(settings.activities as usize)
            .max_outstanding_local_activities(1_usize)
            .workflow_task_poller_behavior(pollers(settings.workflow_pollers))
            .activity_task_poller_behavior(pollers(settings.activity_pollers))
            // Three times within the time after which the server gives up: core sends no more than that.
            .max_heartbeat_throttle_interval(settings.heartbeat_timeout.get() / 3)
            .default_heartbeat_throttle_interval(settings.heartbeat_timeout.get() / 3)
            .task_types(WorkerTaskTypes {
                enable_workflows: true,
                enable_local_activities: false,
                enable_remote_activities: true,
                enable_nexus: false,
            })
            .versioning_strategy(versioning)
            .build()?;
        let core =
            init_worker(core, worker_config, connection).map_err(|error| error.to_string())?;
        let times = StepTimes {
            heartbeat: settings.heartbeat_timeout.get(),
            attempt: settings.step_timeout.get(),
        };
        let pinned = is_pinned.then_some(version);
        Ok(Self {
            namespace: config.namespace.clone(),
            task_queue,
            times,
            ..Self::of_core(core, role, pinned, workflows, temporal.clone())
        })
    }

    /// A worker to which histories are played, with this version of the plugin.
    pub fn of_replay(
        core: Worker,
        role: Arc<Role>,
        version: Arc<PluginVersion>,
        workflows: Arc<Workflows>,
        temporal: Arc<Temporal>,
    ) -> Self {
        Self::of_core(core, role, Some(version), workflows, temporal)
    }

    fn of_core(
        core: Worker,
        role: Arc<Role>,
        pinned: Option<Arc<PluginVersion>>,
        workflows: Arc<Workflows>,
        temporal: Arc<Temporal>,
    ) -> Self {
        Self {
            codec: temporal.codec().clone(),
            temporal,
            role,
            pinned,
            workflows,
            core,
            namespace: String::new(),
            task_queue: String::new(),
            // Of no use where nothing is performed.
            times: StepTimes {
                heartbeat: Duration::from_secs(1),
                attempt: Duration::from_secs(1),
            },
            activities: Activities::default(),
            handed_back: AtomicU64::new(0),
            failed_tasks: AtomicU64::new(0),
            first_failure: OnceLock::new(),
        }
    }

    /// The reason of the first workflow task that has failed.
    pub fn first_failure(&self) -> Option<String> {
        self.first_failure.get().cloned()
    }

    /// Asks the server if the namespace is there.
    ///
    /// # Errors
    /// If it is not, or the server does not answer.
    pub async fn validate(&self) -> Result<(), String> {
        let described = self.core.validate().await;
        described.map(drop).map_err(|error| error.to_string())
    }

    /// Polls until the worker is shut down.
    pub async fn run(self: &Arc<Self>) {
        tokio::join!(self.poll_workflows(), self.poll_activities());
    }

    /// Polls workflow tasks until the worker is shut down.
    pub async fn poll_workflows(self: &Arc<Self>) {
        let mut runs = HashMap::new();
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let activation = match self.core.poll_workflow_activation().await {
                Ok(activation) => activation,
                Err(PollError::ShutDown) => break,
                Err(error) => {
                    tracing::error!(role = %self.role.name(), %error, "workflow tasks cannot be polled");
                    self.core.initiate_shutdown();
                    continue;
                }
            };
            let run_id = activation.run_id.clone();
            let is_evicted = is_eviction(&activation);
            let sender = runs.entry(run_id.clone()).or_insert_with(|| {
                let (sender, activations) = mpsc::unbounded_channel();
                tasks.spawn(RunTask::new(self.clone(), run_id.clone()).drive(activations));
                sender
            });
            // One activation of a run is under way at once: the channel never holds two.
            if sender.send(activation).is_err() {
                tracing::error!(run = run_id, "the task of the run has ended");
            }
            if is_evicted {
                runs.remove(&run_id);
            }
            while tasks.try_join_next().is_some() {}
        }
        drop(runs);
        while tasks.join_next().await.is_some() {}
    }

    async fn poll_activities(self: &Arc<Self>) {
        loop {
            match self.core.poll_activity_task().await {
                Ok(task) => {
                    if let Some(variant) = task.variant {
                        self.activity_task(task.task_token, variant);
                    }
                }
                Err(PollError::ShutDown) => return,
                Err(error) => {
                    tracing::error!(role = %self.role.name(), %error, "activities cannot be polled");
                    self.core.initiate_shutdown();
                }
            }
        }
    }

    /// Takes nothing new from now on. The number of activities that are under way: they go on.
    pub fn stop(&self) -> u64 {
        let under_way = self.activities.len() as u64;
        self.core.initiate_shutdown();
        under_way
    }

    /// The run that the server begins.
    ///
    /// # Errors
    /// If the run before has left something that cannot be read.
    pub fn new_run(
        &self,
        begun: &InitializeWorkflow,
        run_id: &str,
        at: i64,
        marks: Option<hmac::Key>,
    ) -> Result<TemporalRun, serde_json::Error> {
        TemporalRun::new(
            begun,
            run_id,
            at,
            &self.role,
            (&self.namespace, &self.task_queue),
            self.times,
            self.workflows.clone(),
        )
        .map(|run| run.marked_by(marks))
    }

    /// The version of the plugin that runs go on with.
    ///
    /// # Errors
    /// If none serves, with the reason.
    pub async fn version(&self) -> Result<Arc<PluginVersion>, String> {
        match &self.pinned {
            Some(version) => Ok(version.clone()),
            None => {
                let version = self.role.settled().await;
                version.map_err(|error| error.to_string())
            }
        }
    }

    /// True if runs or calls wait for a turn.
    pub fn is_busy(&self) -> bool {
        !self.workflows.has_free_turn() || self.role.admission.waiting() > 0
    }

    pub async fn complete(&self, mut completion: WorkflowActivationCompletion) {
        let run = completion.run_id.clone();
        if let Err(error) = self.codec.encode(&mut completion).await {
            let failure = failure::application("internal", &error.to_string(), &[], false, None);
            completion = WorkflowActivationCompletion::fail(run.clone(), failure, None);
        }
        if let Err(error) = self.core.complete_workflow_activation(completion).await {
            tracing::error!(role = %self.role.name(), run, %error, "a workflow task cannot be completed");
        }
    }

    pub async fn complete_activity(&self, mut completion: ActivityTaskCompletion) {
        if let Err(error) = self.codec.encode(&mut completion).await {
            let failure = failure::application("internal", &error.to_string(), &[], true, None);
            completion.result = Some(ActivityExecutionResult::fail(failure));
        }
        if let Err(error) = self.core.complete_activity_task(completion).await {
            tracing::error!(role = %self.role.name(), %error, "an activity cannot be completed");
        }
    }

    pub fn heartbeat(&self, beat: ActivityHeartbeat) {
        self.core.record_activity_heartbeat(beat);
    }

    /// Counts a workflow task that has failed. The server gives it again, with growing waits.
    pub fn task_failed(&self, run: &str, code: &str, message: &str) {
        let failed = self.failed_tasks.fetch_add(1, Ordering::Relaxed) + 1;
        self.first_failure.get_or_init(|| message.to_owned());
        tracing::warn!(role = %self.role.name(), run, code, failed, "a workflow task has failed: {message}");
    }

    /// Says why a run has left memory, if that is worth a line. `step` names a step of it.
    pub fn evicted(
        &self,
        run: &str,
        eviction: &RemoveFromCache,
        step: impl Fn(u64) -> Option<String>,
    ) {
        match eviction.reason() {
            EvictionReason::Fatal => self.task_failed(run, "internal", reason(&eviction.message)),
            EvictionReason::Nondeterminism => {
                // Core names steps by the ids of their activities, which begin with their numbers.
                let number = eviction.message.split('\'').nth(1);
                let number = number.and_then(|id| id.split(':').next()?.parse().ok());
                let asked = number.and_then(step).map_or_else(String::new, |effect| {
                    format!(
                        "; at step {} the plugin asks for `{effect}`",
                        number.unwrap_or_default()
                    )
                });
                let message = format!("{}{asked}", reason(&eviction.message));
                self.task_failed(run, "mismatch", &message);
            }
            why => {
                tracing::debug!(role = %self.role.name(), run, ?why, "the run leaves memory: {}", eviction.message);
            }
        }
    }

    /// Closes the worker, once polling has ended.
    pub async fn finish(self: Arc<Self>) {
        let mut worker = self;
        for _ in 0..100 {
            match Arc::try_unwrap(worker) {
                Ok(worker) => return worker.core.finalize_shutdown().await,
                // An activity that has told its outcome still has it in its hand.
                Err(shared) => worker = shared,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tracing::warn!(role = %worker.role.name(), "the worker is not closed: something still uses it");
    }
}

/// The reason within an eviction's message, which shows a whole failure of core's.
fn reason(message: &str) -> &str {
    let begun = message.find("[TMPRL").map_or(message, |at| &message[at..]);
    begun.split("\", source").next().unwrap_or(begun)
}
