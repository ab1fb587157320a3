//! The task that drives one run: it takes the server's activations, lets the guest go on, and answers with commands.
//!
//! The guest is called when something comes, and goes on until it waits for what has not come. For a moment its
//! sandbox is kept, so that a quick answer finds it; then it is dropped, and the next activation calls the guest
//! from its beginning over the history in memory. A run that is evicted from the cache is a row of the server.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use exomonad_engine::{CallError, Limit, Output};
use exomonad_host::admission::Permit;
use exomonad_host::plugins::version::PluginVersion;
use exomonad_host::workflows::durable::{DurableRun, RunEnd, Stop, call_guest};
use exomonad_host::workflows::remote::STATE_QUERY;
use exomonad_host::workflows::transfer::CONTINUED;
use exomonad_host::{Role, execution};
use exomonad_schema::{EffectError, ErrorCode, RawJson};
use exomonad_temporal::codec::Undecodable;
use exomonad_temporal::payload;
use ring::hmac;
use temporalio_protos::coresdk::workflow_activation::{
    DoUpdate, InitializeWorkflow, QueryWorkflow, WorkflowActivation, workflow_activation_job,
};
use temporalio_protos::coresdk::workflow_commands::{
    CancelWorkflowExecution, CompleteWorkflowExecution, ContinueAsNewWorkflowExecution,
    FailWorkflowExecution, QueryResult, QuerySuccess, UpdateResponse, query_result,
    update_response, workflow_command,
};
use temporalio_protos::coresdk::workflow_completion::WorkflowActivationCompletion;
use temporalio_protos::temporal::api::enums::v1::WorkflowTaskFailedCause;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::failure;
use crate::message::{LARGEST, json_payload, message, one_value};
use crate::run::{TemporalRun, value_payload};
use crate::worker::RoleWorker;

/// The time for which a guest that waits keeps its sandbox.
const KEEP: Duration = Duration::from_millis(100);
/// The time after which a server gives up a workflow task by default.
const TASK_TIME: Duration = Duration::from_secs(10);
/// The interval at which the time that a guest computes is looked at.
const LOOK: Duration = Duration::from_millis(100);

type GuestCall = Pin<Box<dyn Future<Output = Result<Output, CallError>> + Send>>;

/// A guest that is called, with what it holds meanwhile.
struct Guest {
    call: GuestCall,
    version: Arc<PluginVersion>,
    _turn: Option<OwnedSemaphorePermit>,
    _admitted: Permit,
}

/// The state of the guest when it can be answered for.
enum Settled {
    /// It waits.
    Waits,
    /// It has ended with this answer.
    Ended(Vec<u8>),
}

/// The reason why a workflow task fails; the server gives the task again.
struct TaskFailure {
    code: &'static str,
    message: String,
    cause: WorkflowTaskFailedCause,
}

impl TaskFailure {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            cause: WorkflowTaskFailedCause::WorkflowWorkerUnhandledFailure,
        }
    }
}

/// The task of one run.
pub(crate) struct RunTask {
    worker: Arc<RoleWorker>,
    run_id: String,
    run: Option<Arc<TemporalRun>>,
    guest: Option<Guest>,
    /// The time after which the server gives up a task.
    time_limit: Duration,
}

impl RunTask {
    /// The task of a run that is not in memory yet.
    pub fn new(worker: Arc<RoleWorker>, run_id: String) -> Self {
        Self {
            worker,
            run_id,
            run: None,
            guest: None,
            time_limit: TASK_TIME,
        }
    }

    /// Answers activations until the run is evicted.
    pub async fn drive(mut self, mut activations: mpsc::UnboundedReceiver<WorkflowActivation>) {
        loop {
            let activation = match &mut self.guest {
                Some(guest) => tokio::select! {
                    biased;
                    activation = activations.recv() => activation,
                    // It waits: nothing but an activation makes it go on.
                    _ = &mut guest.call => {
                        self.guest = None;
                        continue;
                    }
                    () = tokio::time::sleep(KEEP) => {
                        self.guest = None;
                        continue;
                    }
                },
                None => activations.recv().await,
            };
            let Some(activation) = activation else {
                return;
            };
            let is_evicted = is_eviction(&activation);
            let completion = self.answer(activation).await;
            self.worker.complete(completion).await;
            if is_evicted {
                return;
            }
            // Others wait for what it holds.
            if self.worker.is_busy() {
                self.guest = None;
            }
        }
    }

    async fn answer(&mut self, activation: WorkflowActivation) -> WorkflowActivationCompletion {
        let run_id = self.run_id.clone();
        match self.commands(activation).await {
            Ok(commands) => WorkflowActivationCompletion::from_cmds(run_id, commands),
            Err(failed) => {
                self.guest = None;
                self.worker
                    .task_failed(&run_id, failed.code, &failed.message);
                let failure = failure::application(failed.code, &failed.message, &[], true, None);
                WorkflowActivationCompletion::fail(run_id, failure, Some(failed.cause))
            }
        }
    }

    async fn commands(
        &mut self,
        mut activation: WorkflowActivation,
    ) -> Result<Vec<workflow_command::Variant>, TaskFailure> {
        use workflow_activation_job::Variant as Job;
        let codec = &self.worker.codec;
        // The key of the run's input is that of its marks, as long as it runs.
        let begun = activation.jobs.iter().find_map(|job| match &job.variant {
            Some(Job::InitializeWorkflow(begun)) => begun.arguments.first(),
            _ => None,
        });
        let marks = begun.map_or(Ok(None), |input| codec.marks(input));
        let marks = marks.map_err(|error| TaskFailure::new("validation", error.to_string()))?;
        let decoded = codec.decode(&mut activation, Undecodable::IsAnError).await;
        decoded.map_err(|error| TaskFailure::new("validation", error.to_string()))?;
        let at = activation
            .timestamp
            .as_ref()
            .map_or(0, |at| at.seconds * 1_000 + i64::from(at.nanos / 1_000_000));
        let (mut queries, mut updates, mut news) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_begun = false;
        for job in activation.jobs.into_iter().filter_map(|job| job.variant) {
            match job {
                Job::InitializeWorkflow(begun) => {
                    if let Some(failed) = self.begin(&begun, at, marks.clone()).await? {
                        return Ok(vec![failed]);
                    }
                    is_begun = true;
                }
                Job::QueryWorkflow(query) => queries.push(query),
                Job::DoUpdate(update) => updates.push(update),
                Job::RemoveFromCache(eviction) => {
                    self.guest = None;
                    let run = self.run.take();
                    let step = |seq| {
                        let run = run.as_ref()?;
                        run.lock().machine.effect_of(seq).map(str::to_owned)
                    };
                    self.worker.evicted(&self.run_id, &eviction, step);
                    return Ok(Vec::new());
                }
                job => news.push(job),
            }
        }
        let run = self.run.clone().ok_or_else(|| {
            TaskFailure::new(
                "internal",
                "the server tells of a run that it has not begun",
            )
        })?;
        let mut commands = Vec::new();
        if is_begun || !news.is_empty() {
            // Before whatever lets the guest ask for them.
            news.sort_by_key(|job| !matches!(job, Job::NotifyHasPatch(_)));
            {
                let mut state = run.lock();
                state.begin_task(
                    at,
                    activation.is_replaying,
                    activation.continue_as_new_suggested,
                );
                for job in news {
                    state.take(job);
                }
            }
            match self.settle(&run).await? {
                Settled::Waits => commands = run.lock().take_commands(),
                Settled::Ended(output) => {
                    let version = self.guest.take().map(|guest| guest.version);
                    commands = run.lock().take_commands();
                    let version =
                        version.ok_or_else(|| TaskFailure::new("internal", "no guest ended"))?;
                    commands.push(end(&run, &version, &output)?);
                }
            }
        }
        for update in updates {
            commands.push(refused(update));
        }
        for asked in queries {
            let answer = query(&self.worker, &run, &asked).await;
            commands.push(workflow_command::Variant::RespondToQuery(answer));
        }
        Ok(commands)
    }

    /// Begins the run in memory. A command that fails it, if its input does not fit.
    async fn begin(
        &mut self,
        begun: &InitializeWorkflow,
        at: i64,
        marks: Option<hmac::Key>,
    ) -> Result<Option<workflow_command::Variant>, TaskFailure> {
        let version = version(&self.worker).await?;
        let name = &begun.workflow_type;
        let Some(workflow) = version.workflow(name) else {
            // Another version of the plugin may have it.
            let known: Vec<&str> = version.workflow_names().collect();
            return Err(TaskFailure::new(
                "not_found",
                format!(
                    "role `{}` has no workflow `{name}`; it has {}",
                    self.worker.role.name(),
                    known.join(", ")
                ),
            ));
        };
        self.time_limit = begun
            .workflow_task_timeout
            .as_ref()
            .map_or(TASK_TIME, |timeout| {
                Duration::from_millis(payload::millis(Some(timeout)))
            });
        let run = self.worker.new_run(begun, &self.run_id, at, marks);
        let mut run = run.map_err(|error| {
            let message = format!("what the run before has left cannot be read: {error}");
            TaskFailure::new("internal", message)
        })?;
        let accepted = run.accept_input(workflow);
        self.run = Some(Arc::new(run));
        Ok(accepted.err().map(|violations| {
            let message = format!(
                "the input does not fit the schema of workflow `{name}`: {}",
                exomonad_host::error::told(&violations)
            );
            fail("invalid_input", &message, None)
        }))
    }

    /// Lets the guest go on until it waits for what has not come, or has ended.
    async fn settle(&mut self, run: &Arc<TemporalRun>) -> Result<Settled, TaskFailure> {
        let role = self.worker.role.clone();
        let guest = match &mut self.guest {
            Some(guest) => {
                run.lock().blocked = None;
                run.arrived().notify_waiters();
                guest
            }
            none => none.insert(call(&self.worker, run, &role).await?),
        };
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                result = &mut guest.call => {
                    let stop = run.lock().stop.take();
                    return match (result, stop) {
                        (Ok(output), _) => match run.lock().machine.end() {
                            Ok(()) => Ok(Settled::Ended(output.bytes)),
                            Err(mismatch) => Err(TaskFailure {
                                cause: WorkflowTaskFailedCause::NonDeterministicError,
                                ..TaskFailure::new("mismatch", mismatch.to_string())
                            }),
                        },
                        (Err(_), Some(stop)) => Err(stopped(&stop)),
                        (Err(error), None) => Err(TaskFailure::new(
                            execution::code(&error),
                            execution::explain(&role.settings, &error),
                        )),
                    };
                }
                () = run.attention().notified() => {}
                _ = look.tick() => {}
            }
            let mut state = run.lock();
            if let Some(stop) = state.stop.take() {
                return Err(stopped(&stop));
            }
            if state.blocked.is_some() {
                return Ok(Settled::Waits);
            }
            let limits = role.settings.limits;
            // Before the server does, which tells no reason.
            let in_time = self.time_limit.mul_f64(0.8);
            if state.computed() > in_time {
                let message = format!("it computes for more than {in_time:?} without a request");
                return Err(TaskFailure::new("limit_exceeded", message));
            }
            if state.computed() > limits.wall_time {
                let hit = limits.exceeded(Limit::WallTime);
                let key = role.settings.limit_key(hit.limit.key());
                return Err(TaskFailure::new("limit_exceeded", hit.set_by(&key)));
            }
        }
    }
}

async fn version(worker: &RoleWorker) -> Result<Arc<PluginVersion>, TaskFailure> {
    let version = worker.version().await;
    version.map_err(|message| TaskFailure::new("plugin_not_loaded", message))
}

/// Calls the guest from its beginning.
async fn call(
    worker: &RoleWorker,
    run: &Arc<TemporalRun>,
    role: &Arc<Role>,
) -> Result<Guest, TaskFailure> {
    let version = version(worker).await?;
    let turn = run.workflows().permit().await;
    let admitted = role.admission.admit().await.map_err(|_| {
        TaskFailure::new(
            "role_busy",
            format!("calls of role `{}` fill its queue", role.name()),
        )
    })?;
    run.lock().begin();
    let call = call_guest(run, role, &version)
        .map_err(|error| TaskFailure::new("internal", error.to_string()))?;
    Ok(Guest {
        call: Box::pin(call),
        version,
        _turn: turn,
        _admitted: admitted,
    })
}

/// Answers a query about a run, by the state that it has published.
async fn query(worker: &RoleWorker, run: &TemporalRun, query: &QueryWorkflow) -> QueryResult {
    let answered = async {
        if query.query_type == STATE_QUERY {
            let state = run.published().map(|(state, _)| state);
            return Ok(state.unwrap_or_default());
        }
        let version = worker
            .version()
            .await
            .map_err(|reason| EffectError::new(ErrorCode::Unavailable, reason))?;
        let arguments = one_value(&query.arguments);
        let workflows = run.workflows();
        workflows
            .query_state(
                &worker.role,
                &version,
                &run.workflow,
                run.published(),
                &query.query_type,
                &arguments,
            )
            .await
    };
    let variant = match answered.await {
        Ok(value) => query_result::Variant::Succeeded(message!(QuerySuccess {
            response: Some(payload::encode(&value)),
        })),
        Err(error) => query_result::Variant::Failed(failure::of_effect(&error, true, None)),
    };
    message!(QueryResult {
        query_id: query.query_id.clone(),
        variant: Some(variant),
    })
}

/// True if the run leaves memory with this activation.
pub(crate) fn is_eviction(activation: &WorkflowActivation) -> bool {
    activation.jobs.iter().any(|job| {
        matches!(
            job.variant,
            Some(workflow_activation_job::Variant::RemoveFromCache(_))
        )
    })
}

fn stopped(stop: &Stop) -> TaskFailure {
    match stop {
        Stop::Mismatch(mismatch) => TaskFailure {
            cause: WorkflowTaskFailedCause::NonDeterministicError,
            ..TaskFailure::new("mismatch", mismatch.to_string())
        },
        Stop::TooLong(message) => TaskFailure::new("history_limit", message),
        Stop::Store(failure) => TaskFailure::new("internal", failure.to_string()),
        Stop::Ended => TaskFailure::new("internal", "the run was ended"),
    }
}

/// The command that ends the run as its guest has.
fn end(
    run: &TemporalRun,
    version: &PluginVersion,
    output: &[u8],
) -> Result<workflow_command::Variant, TaskFailure> {
    use workflow_command::Variant as Command;
    let end = RunEnd::of(version, &run.workflow, output)
        .map_err(|message| TaskFailure::new("invalid_answer", message))?;
    Ok(match end {
        RunEnd::Completed(output) if output.len() > LARGEST => fail(
            "limit_exceeded",
            &format!(
                "its output has {} bytes, and {LARGEST} is the most that the server keeps",
                output.len()
            ),
            None,
        ),
        RunEnd::Completed(output) => {
            Command::CompleteWorkflowExecution(message!(CompleteWorkflowExecution {
                result: Some(json_payload(output.as_bytes())),
            }))
        }
        RunEnd::Failed {
            code,
            message,
            details,
        } => fail(&code, &message, details),
        // The server knows no cancelled run that nobody has asked to cancel.
        RunEnd::Cancelled if !run.lock().machine.is_cancelled() => {
            fail("cancelled", "it says so itself", None)
        }
        RunEnd::Cancelled => Command::CancelWorkflowExecution(CancelWorkflowExecution::default()),
        RunEnd::Continued(input) => {
            let left = value_payload(&run.continued());
            let size = input.len() + left.data.len();
            if size > LARGEST {
                return Ok(fail(
                    "limit_exceeded",
                    &format!(
                        "what it continues with (input, state, signals that it has not taken) has {size} bytes, and \
                         {LARGEST} is the most that the server keeps"
                    ),
                    None,
                ));
            }
            Command::ContinueAsNewWorkflowExecution(message!(ContinueAsNewWorkflowExecution {
                workflow_type: run.workflow.clone(),
                arguments: vec![json_payload(input.as_bytes())],
                headers: [(CONTINUED.to_owned(), left)].into(),
            }))
        }
    })
}

fn fail(code: &str, message: &str, details: Option<RawJson>) -> workflow_command::Variant {
    workflow_command::Variant::FailWorkflowExecution(message!(FailWorkflowExecution {
        failure: Some(failure::of_run(code, message, details.as_ref())),
    }))
}

/// The answer to an update: workflows take signals and queries.
fn refused(update: DoUpdate) -> workflow_command::Variant {
    let message = format!(
        "update `{}`: workflows of this host take signals and answer queries, and have no updates",
        update.name
    );
    let failure = failure::application("unsupported", &message, &[], true, None);
    workflow_command::Variant::UpdateResponse(message!(UpdateResponse {
        protocol_instance_id: update.protocol_instance_id,
        response: Some(update_response::Response::Rejected(failure)),
    }))
}
