//! [`TemporalRun`]: a run whose history a Temporal server keeps, as the layer of its guest sees it.
//!
//! The guest's requests become commands, each once: a guest that is called again from its beginning, for another
//! task, asks again for what it has asked for before. What the server tells comes as arrivals of the run's state
//! machine, in the order of its history, so that a run takes the same turns wherever it is read again.

use std::collections::{HashMap, HashSet};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exomonad_core::{CallContext, EncodedAnswer};
use exomonad_host::pipeline::Layer;
use exomonad_host::plugins::version::PluginVersion;
use exomonad_host::role::RoleSettings;
use exomonad_host::workflows::definition::CheckedWorkflow;
use exomonad_host::workflows::durable::{ChildStep, DurableRun, RunAbout, Stop, Timer, TurnState};
use exomonad_host::workflows::remote_history::STEP;
use exomonad_host::workflows::steps::{Effect, StepSpec};
use exomonad_host::workflows::transfer::{CONTINUED, Left};
use exomonad_host::workflows::view::HistoryEntry;
use exomonad_host::{Caller, Role, Violation, Workflows};
use exomonad_journal::RequestHash;
use exomonad_schema::effects::temporal::{
    TemporalActivityResult, TemporalExecuteActivity, TemporalMillis, TemporalSetAttributes,
};
use exomonad_schema::effects::workflow::{OnParentEnd, RetryPolicy, WorkflowChild, WorkflowSignal};
use exomonad_schema::{CallId, EffectError, EffectKind, ErrorCode, RawJson};
use exomonad_temporal::{TemporalBounds, payload};
use exomonad_workflow::effects::CrashClass;
use exomonad_workflow::{EventBody, Machine, Request};
use ring::hmac;
use serde::Serialize;
use temporalio_protos::coresdk::activity_result::activity_resolution;
use temporalio_protos::coresdk::child_workflow::{
    ChildWorkflowCancellationType, ParentClosePolicy, StartChildWorkflowExecutionFailedCause,
    child_workflow_result,
};
use temporalio_protos::coresdk::workflow_activation::{
    InitializeWorkflow, ResolveActivity, ResolveChildWorkflowExecution,
    ResolveChildWorkflowExecutionStart, resolve_child_workflow_execution_start as child_start,
    workflow_activation_job,
};
use temporalio_protos::coresdk::workflow_commands::{
    ActivityCancellationType, CancelChildWorkflowExecution, CancelTimer, ModifyWorkflowProperties,
    RequestCancelActivity, ScheduleActivity, SetPatchMarker, StartChildWorkflowExecution,
    StartTimer, UpsertWorkflowSearchAttributes, workflow_command,
};
use temporalio_protos::temporal::api::common::v1::{Payload, RetryPolicy as TemporalRetry};
use tokio::sync::Notify;

use crate::failure;
use crate::message::{LARGEST, duration, json_payload, message, millis, one_value};

/// The time limits of a run's steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepTimes {
    /// The time after which the server gives up an activity whose host is silent.
    pub heartbeat: Duration,
    /// The longest time of an attempt.
    pub attempt: Duration,
}

/// A run whose history a Temporal server keeps.
pub(crate) struct TemporalRun {
    pub workflow: String,
    pub workflow_id: String,
    pub run_id: String,
    /// True if it goes on where another run has ended.
    is_continued: bool,
    input: String,
    state_before: Option<String>,
    configuration: String,
    settings: Arc<RoleSettings>,
    /// The key of marks in ids, if its values are encrypted.
    marks: Option<hmac::Key>,
    /// The trace of whoever has started it.
    traceparent: Option<String>,
    seed: Vec<u8>,
    /// When it came over from a host's own store, in milliseconds since 1970; 0 for all others.
    moved_at: i64,
    namespace: String,
    task_queue: String,
    times: StepTimes,
    workflows: Arc<Workflows>,
    state: Mutex<TemporalState>,
    arrived: Notify,
    attention: Notify,
}

/// The state of a run.
pub(crate) struct TemporalState {
    turn: TurnState,
    /// Commands that the server does not have yet.
    commands: Vec<workflow_command::Variant>,
    /// Steps, timers and children that the server knows, or that are among `commands`.
    sent: HashSet<u64>,
    /// Those of them that have not come back.
    open: HashMap<u64, Open>,
    /// Children that were asked for, by the handles of their ends, until it is known that they have begun.
    starting: HashMap<u64, (Request, String)>,
    /// Changes of the code that the history has.
    patches: HashSet<String>,
    /// Answers about changes of the code: they stay the same as long as the run is in memory.
    patched: HashMap<String, bool>,
    /// The time of the task, in milliseconds since 1970.
    now: i64,
    is_replaying: bool,
    /// The steps that had been asked for when the server first said that the history is long: what is asked after
    /// them hears of it, also when the guest is called again.
    long_from: Option<u64>,
}

/// A thing that the server does for the run.
#[derive(Clone, Debug)]
enum Open {
    Activity {
        name: &'static str,
        class: CrashClass,
        /// True if a worker of another SDK performs it.
        is_foreign: bool,
        /// The attributes that are set once it is done: it checks them.
        attributes: Option<Box<TemporalSetAttributes>>,
    },
    Timer,
    Child,
}

impl Deref for TemporalState {
    type Target = TurnState;

    fn deref(&self) -> &TurnState {
        &self.turn
    }
}

impl DerefMut for TemporalState {
    fn deref_mut(&mut self) -> &mut TurnState {
        &mut self.turn
    }
}

impl TemporalState {
    fn new(machine: Machine, published: Option<(String, u32)>, now: i64) -> Self {
        Self {
            turn: TurnState::new(machine, published),
            commands: Vec::new(),
            sent: HashSet::new(),
            open: HashMap::new(),
            starting: HashMap::new(),
            patches: HashSet::new(),
            patched: HashMap::new(),
            now,
            is_replaying: false,
            long_from: None,
        }
    }

    /// True while the guest does what it has done before: here, or at another host.
    fn repeats(&self) -> bool {
        self.is_replaying || self.machine.repeats()
    }

    /// True if the run should continue as a new one.
    fn is_long(&self) -> bool {
        let asked = self.machine.steps();
        self.long_from.is_some_and(|from| asked >= from) || self.machine.is_long()
    }

    /// Tells if a change of the code applies.
    fn patched(&mut self, id: &str) -> bool {
        if let Some(known) = self.patched.get(id) {
            return *known;
        }
        let applies = self.patches.contains(id) || !self.repeats();
        self.patched.insert(id.to_owned(), applies);
        if applies {
            let command = message!(SetPatchMarker {
                patch_id: id.to_owned(),
            });
            self.send(workflow_command::Variant::SetPatchMarker(command));
        }
        applies
    }

    fn send(&mut self, command: workflow_command::Variant) {
        self.commands.push(command);
    }

    /// Takes the commands that the server does not have yet.
    pub fn take_commands(&mut self) -> Vec<workflow_command::Variant> {
        std::mem::take(&mut self.commands)
    }

    /// The facts about the task that begins now.
    pub fn begin_task(&mut self, now: i64, is_replaying: bool, is_long: bool) {
        self.now = self.now.max(now);
        self.is_replaying = is_replaying;
        if is_long {
            let asked = self.machine.asked_before();
            self.long_from.get_or_insert(asked);
        }
    }

    fn arrive(&mut self, body: EventBody) {
        let now = self.now;
        self.turn.machine.arrive(now, body);
        self.turn.has_news = true;
    }

    fn done(&mut self, seq: u64, answer: EncodedAnswer, request: Option<Request>) {
        self.open.remove(&seq);
        self.arrive(EventBody::Done {
            seq,
            attempt: 1,
            answer: answer.into_json(),
            request,
        });
    }

    /// Takes what the server tells. Queries, updates and evictions are not for the state.
    pub fn take(&mut self, job: workflow_activation_job::Variant) {
        use workflow_activation_job::Variant as Job;
        match job {
            Job::FireTimer(timer) => {
                let seq = timer.seq.into();
                self.open.remove(&seq);
                self.arrive(EventBody::Fired { seq, since: None });
            }
            Job::ResolveActivity(resolved) => self.activity_is_done(resolved),
            Job::SignalWorkflow(signal) => {
                let payload = one_value(&signal.input);
                self.arrive(EventBody::Signaled {
                    name: signal.signal_name,
                    payload: payload.get().as_bytes().to_vec(),
                });
            }
            Job::CancelWorkflow(_) => self.arrive(EventBody::CancelRequested),
            Job::NotifyHasPatch(patch) => {
                self.patches.insert(patch.patch_id);
            }
            Job::ResolveChildWorkflowExecutionStart(started) => self.child_has_begun(started),
            Job::ResolveChildWorkflowExecution(ended) => self.child_has_ended(ended),
            // The seed stays: a run that is reset repeats itself up to there, and then differs by what comes.
            _ => {}
        }
    }

    fn activity_is_done(&mut self, resolved: ResolveActivity) {
        let seq = u64::from(resolved.seq);
        let Some(Open::Activity {
            name,
            class,
            is_foreign,
            attributes,
        }) = self.open.get(&seq).cloned()
        else {
            return;
        };
        let status = resolved.result.and_then(|result| result.status);
        let answer = match status {
            Some(activity_resolution::Status::Completed(success)) => {
                let result = one_value(success.result.as_slice());
                if let Some(attributes) = attributes {
                    for command in attribute_commands(&attributes) {
                        self.send(command);
                    }
                }
                match is_foreign {
                    true => EncodedAnswer::new(&Ok(TemporalActivityResult { result })),
                    false => failure::success(&result),
                }
            }
            Some(activity_resolution::Status::Failed(failed)) => {
                failure::answer_of_activity(name, failed.failure.as_ref(), class)
            }
            Some(activity_resolution::Status::Cancelled(cancelled)) => {
                failure::answer_of_activity(name, cancelled.failure.as_ref(), class)
            }
            _ => EncodedAnswer::error(&EffectError::internal(format!(
                "{name}: the server says nothing of its outcome"
            ))),
        };
        self.done(seq, answer, None);
    }

    fn child_has_begun(&mut self, started: ResolveChildWorkflowExecutionStart) {
        let handle = u64::from(started.seq);
        let Some((request, workflow_id)) = self.starting.remove(&handle) else {
            return;
        };
        let name = EffectKind::WorkflowStartChild.capability();
        let result = match started.status {
            Some(child_start::Status::Succeeded(success)) => {
                self.open.insert(handle, Open::Child);
                Ok(WorkflowChild {
                    handle: Some(handle),
                    workflow_id,
                    run_id: success.run_id,
                    started: true,
                })
            }
            Some(child_start::Status::Failed(failed))
                if failed.cause()
                    == StartChildWorkflowExecutionFailedCause::WorkflowAlreadyExists =>
            {
                // The server does not tell which run it is.
                Ok(WorkflowChild {
                    handle: None,
                    workflow_id,
                    run_id: String::new(),
                    started: false,
                })
            }
            Some(child_start::Status::Cancelled(_)) => Err(EffectError::new(
                ErrorCode::Cancelled,
                format!("{name}: the child was cancelled before it began"),
            )),
            other => Err(EffectError::internal(format!(
                "{name}: the server did not start `{workflow_id}`: {other:?}"
            ))),
        };
        let seq = request.seq;
        self.done(seq, EncodedAnswer::new(&result), Some(request));
    }

    fn child_has_ended(&mut self, ended: ResolveChildWorkflowExecution) {
        let handle = u64::from(ended.seq);
        let status = ended.result.and_then(|result| result.status);
        let answer = match status {
            Some(child_workflow_result::Status::Completed(success)) => {
                failure::success(&one_value(success.result.as_slice()))
            }
            Some(child_workflow_result::Status::Failed(failed)) => {
                EncodedAnswer::error(&failure::error_of_child(failed.failure.as_ref()))
            }
            Some(child_workflow_result::Status::Cancelled(cancelled)) => {
                EncodedAnswer::error(&failure::error_of_child(cancelled.failure.as_ref()))
            }
            None => EncodedAnswer::error(&failure::error_of_child(None)),
        };
        self.done(handle, answer, None);
    }
}

impl TemporalRun {
    /// The run that the server begins, or tells from its beginning.
    ///
    /// # Errors
    /// If the run before has left something that cannot be read.
    pub fn new(
        begun: &InitializeWorkflow,
        run_id: &str,
        at: i64,
        role: &Role,
        place: (&str, &str),
        times: StepTimes,
        workflows: Arc<Workflows>,
    ) -> Result<Self, serde_json::Error> {
        let left: Left = match begun.headers.get(CONTINUED) {
            Some(header) => serde_json::from_str(payload::decode(header).get())?,
            None => Left::default(),
        };
        let moved = left.moved()?;
        let state = left.state;
        let begun_at = moved.as_ref().map_or(at, |moved| moved.begun_at);
        let mut machine = Machine::new(begun_at);
        let mut patches = HashSet::new();
        if let Some(moved) = &moved {
            let entries = moved.history.iter().cloned();
            let history: Vec<_> = entries.filter_map(HistoryEntry::into_event).collect();
            patches.extend(history.iter().filter_map(|event| match &event.body {
                EventBody::Patched { id } => Some(id.clone()),
                _ => None,
            }));
            machine.load(history, moved.asked);
        }
        for (name, payload) in left.signals {
            machine.arrive(
                at,
                EventBody::Signaled {
                    name,
                    payload: payload.into_bytes(),
                },
            );
        }
        // A run that is reset has done what it did under its first id.
        let told_id = match begun.original_execution_run_id.as_str() {
            "" => run_id,
            original => original,
        };
        Ok(Self {
            workflow: begun.workflow_type.clone(),
            workflow_id: begun.workflow_id.clone(),
            run_id: moved
                .as_ref()
                .map_or(told_id, |moved| &moved.run_id)
                .to_owned(),
            is_continued: moved.is_some() || !begun.continued_from_execution_run_id.is_empty(),
            input: one_value(&begun.arguments).get().to_owned(),
            state_before: match &moved {
                Some(moved) => moved.state_before.clone(),
                None => state.as_ref().map(|(state, _)| state.clone()),
            },
            configuration: match &moved {
                Some(moved) => moved.configuration.clone(),
                None => serde_json::to_string(&*role.settings.config).unwrap_or_default(),
            },
            settings: role.settings.clone(),
            marks: None,
            traceparent: payload::traceparent(&begun.headers),
            seed: match &moved {
                Some(moved) => moved.seed.0.clone(),
                None => begun.randomness_seed.to_le_bytes().to_vec(),
            },
            moved_at: moved.map_or(0, |moved| moved.moved_at),
            namespace: place.0.to_owned(),
            task_queue: place.1.to_owned(),
            times,
            workflows,
            state: Mutex::new(TemporalState {
                patches,
                ..TemporalState::new(machine, state, at)
            }),
            arrived: Notify::new(),
            attention: Notify::new(),
        })
    }

    /// The run with a key for marks in ids.
    pub fn marked_by(self, marks: Option<hmac::Key>) -> Self {
        Self { marks, ..self }
    }

    /// The input as its workflow takes it, in the place of the one that it was started with.
    ///
    /// # Errors
    /// The violations of the input.
    pub fn accept_input(&mut self, workflow: &CheckedWorkflow) -> Result<(), Vec<Violation>> {
        self.input = workflow.accept_input(&self.input)?.to_owned();
        Ok(())
    }

    /// The state that the run before has left, with its version.
    pub fn published(&self) -> Option<(RawJson, u32)> {
        let state = self.lock();
        let (text, version) = state.published.as_ref()?;
        Some((RawJson::from_text(text.clone()).ok()?, *version))
    }

    /// The things that a run which continues this one is given.
    pub fn continued(&self) -> Left {
        let state = self.lock();
        let signals = state.machine.untaken_signals().into_iter();
        Left {
            state: state.published.clone(),
            signals: signals
                .map(|(name, json)| (name, String::from_utf8_lossy(&json).into_owned()))
                .collect(),
            ..Left::default()
        }
    }

    /// The mark of a step's request. Whoever can guess the request of an encrypted run must not see that it was right.
    fn mark(&self, hash: &RequestHash) -> String {
        let Some(key) = &self.marks else {
            return hash.to_string();
        };
        let mark = hmac::sign(key, hash.to_string().as_bytes());
        let bytes = mark.as_ref().iter().take(16);
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }

    /// The headers of what the run asks for: the numbers of its step, and its trace.
    fn headers(&self, numbers: &[u64]) -> HashMap<String, Payload> {
        let step = (STEP.to_owned(), value_payload(&numbers));
        let trace = self.traceparent.as_deref().map(payload::trace_header);
        [step].into_iter().chain(trace).collect()
    }

    /// The attributes that a step sets, if it may. One that may not goes the way of all steps, at whose end the role's
    /// layers say why it is refused.
    fn own_attributes(&self, step: &StepSpec) -> Option<TemporalSetAttributes> {
        let bounds: &TemporalBounds = step.context.bounds.get();
        step.granted(&self.settings)
            .filter(|_| bounds.allows_namespace(&self.namespace))
    }

    /// The activity of another worker that a step asks for, if it may.
    fn foreign_activity(&self, step: &StepSpec) -> Option<TemporalExecuteActivity> {
        let bounds: &TemporalBounds = step.context.bounds.get();
        let activity: Option<TemporalExecuteActivity> = step.granted(&self.settings);
        activity.filter(|asked| bounds.allows_activity(&self.namespace, &asked.task_queue))
    }

    /// The command that lets an activity perform a step.
    fn activity(&self, step: &StepSpec, now: i64) -> ScheduleActivity {
        let deadline = step
            .deadline
            .map(|deadline| millis(deadline.saturating_sub(now).max(1)));
        message!(ScheduleActivity {
            seq: number(step.seq),
            // Core compares ids and types with the history, and not the arguments: so it compares these, too.
            activity_id: format!("{}:{}", step.seq, self.mark(&step.hash)),
            activity_type: step.name.to_owned(),
            task_queue: self.task_queue.clone(),
            headers: self.headers(&[step.seq]),
            arguments: vec![json_payload(&step.request)],
            schedule_to_close_timeout: deadline,
            start_to_close_timeout: Some(duration(self.times.attempt)),
            heartbeat_timeout: Some(duration(self.times.heartbeat)),
            retry_policy: Some(retry_policy(step.retry.as_ref(), step.class)),
            cancellation_type: ActivityCancellationType::TryCancel as i32,
        })
    }

    /// The commands that stop what the server does for the run.
    fn stop_command(seq: u64, open: &Open) -> Option<workflow_command::Variant> {
        let seq = number(seq);
        Some(match open {
            Open::Activity { .. } => {
                workflow_command::Variant::RequestCancelActivity(message!(RequestCancelActivity {
                    seq: seq,
                }))
            }
            Open::Timer => {
                workflow_command::Variant::CancelTimer(message!(CancelTimer { seq: seq }))
            }
            Open::Child => return None,
        })
    }

    fn stop_open(&self, seq: u64) {
        let mut state = self.lock();
        if let Some(open) = state.open.get(&seq).cloned()
            && let Some(command) = Self::stop_command(seq, &open)
        {
            state.open.remove(&seq);
            state.send(command);
        }
    }
}

/// Checks that the server takes a value of this many bytes.
fn check_size(name: &str, bytes: usize) -> Result<(), EffectError> {
    match bytes > LARGEST {
        false => Ok(()),
        true => Err(EffectError::new(
            ErrorCode::LimitExceeded,
            format!(
                "{name}: its request has {bytes} bytes, and {LARGEST} is the most that the server keeps"
            ),
        )),
    }
}

/// The commands that set attributes of a run.
fn attribute_commands(attributes: &TemporalSetAttributes) -> Vec<workflow_command::Variant> {
    use workflow_command::Variant as Command;
    let search = payload::search_attributes(&attributes.search_attributes);
    let search = search.map(|found| {
        Command::UpsertWorkflowSearchAttributes(message!(UpsertWorkflowSearchAttributes {
            search_attributes: Some(found),
        }))
    });
    let memo = payload::memo(&attributes.memo).map(|memo| {
        Command::ModifyWorkflowProperties(message!(ModifyWorkflowProperties {
            upserted_memo: Some(memo),
        }))
    });
    search.into_iter().chain(memo).collect()
}

/// Turns the command of a step into one for a worker of any SDK.
fn ask_elsewhere(command: &mut ScheduleActivity, activity: TemporalExecuteActivity) {
    let time = |asked: Option<TemporalMillis>| {
        let asked = asked?.get();
        Some(millis(i64::try_from(asked).unwrap_or(i64::MAX)))
    };
    command.activity_type = activity.activity_type.into();
    command.task_queue = activity.task_queue.into();
    command.arguments = activity.input.iter().map(payload::encode).collect();
    command.start_to_close_timeout =
        time(activity.start_to_close_millis).or(command.start_to_close_timeout);
    command.schedule_to_start_timeout = time(activity.schedule_to_start_millis);
    command.heartbeat_timeout = time(activity.heartbeat_millis);
    // Its errors are not final by themselves, as those of effects are: once, if nobody says otherwise.
    match exomonad_temporal::retry_policy(activity.retry.as_ref()) {
        Some(policy) => command.retry_policy = Some(policy),
        None => {
            let policy = command.retry_policy.get_or_insert_default();
            policy.maximum_attempts = policy.maximum_attempts.max(1);
        }
    }
}

/// The number of a step as the protocol has it: a history has far fewer.
fn number(seq: u64) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX)
}

/// The policy by which the server tries a step again.
///
/// Without one of the guest's, an error of the effect ends the step, which the failure itself says; a host that is
/// silent ends a write, whose outcome is unknown then, and a read goes to another host.
fn retry_policy(policy: Option<&RetryPolicy>, class: CrashClass) -> TemporalRetry {
    // Without one as many as hosts need that cannot perform it.
    let attempts = policy.map_or(0, |policy| policy.attempts.get());
    let mut retry = message!(TemporalRetry {
        maximum_attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
        initial_interval: Some(millis(1_000)),
        backoff_coefficient: 2.0,
        maximum_interval: Some(millis(60_000)),
    });
    if let Some(policy) = policy {
        let wait = |millis_of: u64| i64::try_from(millis_of).unwrap_or(i64::MAX);
        retry.initial_interval = Some(millis(wait(policy.initial_millis.get()).max(1)));
        retry.backoff_coefficient = policy.backoff_percent.get() as f64 / 100.0;
        let longest = policy.max_millis.get().max(policy.initial_millis.get());
        retry.maximum_interval = Some(millis(wait(longest).max(1)));
        let codes = policy.non_retryable.iter();
        retry.non_retryable_error_types = codes.map(ToString::to_string).collect();
    }
    if class.changes() && class != CrashClass::Reconciled {
        // By these names the server knows its own time limits.
        for limit in ["TemporalTimeout:StartToClose", "TemporalTimeout:Heartbeat"] {
            retry.non_retryable_error_types.push(limit.to_owned());
        }
    }
    retry
}

impl DurableRun for TemporalRun {
    type State = TemporalState;

    fn about(&self) -> RunAbout<'_> {
        RunAbout {
            workflow: &self.workflow,
            workflow_id: &self.workflow_id,
            run_id: &self.run_id,
            input: &self.input,
            state_before: self.state_before.as_deref(),
            configuration: &self.configuration,
            seed: &self.seed,
            client: None,
            traceparent: self.traceparent.as_deref(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, TemporalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self) -> &Notify {
        &self.arrived
    }

    fn attention(&self) -> &Notify {
        &self.attention
    }

    fn workflows(&self) -> &Arc<Workflows> {
        &self.workflows
    }

    fn is_idle(_: &TemporalState) -> bool {
        // What the guest waits for comes with another task.
        true
    }

    fn repeats(state: &TemporalState) -> bool {
        state.repeats()
    }

    fn is_long(state: &TemporalState) -> bool {
        state.is_long()
    }

    /// The server's own limits count.
    fn too_long(&self, _: &TurnState) -> Option<Stop> {
        None
    }

    fn begin(self: &Arc<Self>, step: StepSpec) {
        let mut state = self.lock();
        if state.machine.is_done(step.seq) || !state.sent.insert(step.seq) {
            return;
        }
        let (name, class) = (step.name, step.class);
        if let Err(error) = check_size(name, step.request.len()) {
            let seq = step.seq;
            return state.done(seq, EncodedAnswer::error(&error), Some(step.into_request()));
        }
        let attributes = self.own_attributes(&step).map(Box::new);
        let foreign = self.foreign_activity(&step);
        let is_foreign = foreign.is_some();
        let mut command = self.activity(&step, state.now);
        if let Some(activity) = foreign {
            ask_elsewhere(&mut command, activity);
        }
        state.send(workflow_command::Variant::ScheduleActivity(command));
        let open = Open::Activity {
            name,
            class,
            is_foreign,
            attributes,
        };
        state.open.insert(step.seq, open);
        state.arrive(EventBody::Asked(step.into_request()));
    }

    async fn perform(self: &Arc<Self>, step: StepSpec) {
        self.begin(step);
    }

    async fn answered_at_once(self: &Arc<Self>, request: Request, answer: Vec<u8>) {
        let mut state = self.lock();
        let (seq, answer) = (request.seq, EncodedAnswer::recorded(answer));
        state.done(seq, answer, Some(request));
    }

    async fn pose(
        self: &Arc<Self>,
        layers: &Arc<dyn Layer>,
        call: &CallContext,
        kind: EffectKind,
        request: Request,
    ) {
        // A run on a server has no client: the service says so.
        let answer = layers.effect(call, kind, &request.request).await;
        self.answered_at_once(request, answer.into_json()).await;
    }

    async fn forget_questions(&self, _: u64) {}

    fn set_timer(self: &Arc<Self>, timer: Timer) {
        let mut state = self.lock();
        if !state.sent.insert(timer.seq) {
            return;
        }
        // Of one that was set before the run came over, the rest.
        let from = match timer.since < self.moved_at {
            true => state.now.min(timer.due),
            false => timer.since,
        };
        let time = millis(timer.due.saturating_sub(from));
        let command = message!(StartTimer {
            seq: number(timer.seq),
            start_to_fire_timeout: Some(time),
        });
        state.send(workflow_command::Variant::StartTimer(command));
        state.open.insert(timer.seq, Open::Timer);
    }

    fn give_up(&self, seq: u64, _: &str) {
        self.lock().machine.abandon(seq);
        self.stop_open(seq);
    }

    async fn cancel_step(self: &Arc<Self>, seq: u64, answer: Vec<u8>) {
        self.stop_open(seq);
        let mut state = self.lock();
        state.done(seq, EncodedAnswer::recorded(answer), None);
    }

    async fn cancel_child(&self, handle: u64, _: &str) {
        let mut state = self.lock();
        if matches!(state.open.get(&handle), Some(Open::Child)) {
            state.open.remove(&handle);
            let command = message!(CancelChildWorkflowExecution {
                child_workflow_seq: number(handle),
                reason: "its parent cancels it".to_owned(),
            });
            state.send(workflow_command::Variant::CancelChildWorkflowExecution(
                command,
            ));
        }
    }

    async fn start_child(self: &Arc<Self>, step: ChildStep<'_>) -> Result<(), EffectError> {
        let ChildStep { handle, asked, .. } = step;
        // It holds the input against the workflow's schema.
        let child = self
            .workflows
            .new_run(step.role, step.version, step.child)?;
        check_size(&asked.effect, asked.request.len())?;
        let mut state = self.lock();
        if !state.sent.insert(handle) {
            return Ok(());
        }
        let workflow_id = match &step.child.workflow_id {
            Some(id) => id.to_string(),
            // The run before may have started one of the same number.
            None if self.is_continued => {
                format!("{}/{}/{}", self.workflow_id, self.run_id, asked.seq)
            }
            None => format!("{}/{}", self.workflow_id, asked.seq),
        };
        let policy = match step.child.on_parent_end {
            OnParentEnd::Cancel => ParentClosePolicy::RequestCancel,
            OnParentEnd::Abandon => ParentClosePolicy::Abandon,
            OnParentEnd::Terminate => ParentClosePolicy::Terminate,
        };
        let command = message!(StartChildWorkflowExecution {
            seq: number(handle),
            namespace: self.namespace.clone(),
            workflow_id: workflow_id.clone(),
            workflow_type: child.workflow,
            task_queue: self.task_queue.clone(),
            input: vec![json_payload(child.input.as_bytes())],
            headers: self.headers(&[asked.seq, handle]),
            parent_close_policy: policy as i32,
            cancellation_type: ChildWorkflowCancellationType::WaitCancellationCompleted as i32,
        });
        state.send(workflow_command::Variant::StartChildWorkflowExecution(
            command,
        ));
        state.starting.insert(handle, (asked.clone(), workflow_id));
        state.arrive(EventBody::Asked(asked));
        Ok(())
    }

    /// An activity, which finds the other run among those of the role: the server would send it to any.
    async fn signal(
        self: &Arc<Self>,
        signal: WorkflowSignal,
        version: &PluginVersion,
        asked: Request,
    ) -> Result<(), EffectError> {
        self.workflows.check_signal(version, &signal, None)?;
        let context = self.settings.call(CallId::random(), Caller::default());
        let effect = Effect::Table(EffectKind::WorkflowSignal);
        let Request {
            seq, hash, request, ..
        } = asked;
        self.begin(StepSpec {
            seq,
            // The server knows a signal that is sent again.
            class: CrashClass::Repeatable,
            ..StepSpec::new(&self.settings, effect, request, hash, context)
        });
        Ok(())
    }

    async fn patched(self: &Arc<Self>, id: &str) -> bool {
        self.lock().patched(id)
    }
}

/// The payload of a value that was made here.
pub(crate) fn value_payload(value: &impl Serialize) -> Payload {
    json_payload(&serde_json::to_vec(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> TemporalState {
        TemporalState::new(Machine::new(0), None, 0)
    }

    fn ask(state: &mut TemporalState) {
        let hash = RequestHash::of("kv.get", b"{}");
        state.machine.ask("kv.get", &hash).unwrap();
    }

    #[test]
    fn a_change_of_the_code_does_not_apply_to_what_a_run_in_memory_has_done() {
        let mut state = state();
        ask(&mut state);
        // The plugin is replaced, and called again for another task.
        state.begin();
        assert!(!state.patched("early"));
        assert!(state.take_commands().is_empty());
        ask(&mut state);
        assert!(state.patched("late"));
        assert_eq!(state.take_commands().len(), 1);
        // Answers stay, and the server has the marker.
        state.begin();
        assert!(!state.patched("early") && state.patched("late"));
        assert!(state.take_commands().is_empty());
    }

    #[test]
    fn a_change_of_the_code_applies_in_a_replay_if_the_history_has_it() {
        let mut state = state();
        state.begin_task(1, true, false);
        state.patches.insert("known".to_owned());
        assert!(state.patched("known"));
        assert!(!state.patched("unknown"));
    }

    #[test]
    fn a_run_hears_that_it_is_long_at_the_same_place_whenever_it_is_called() {
        let mut state = state();
        ask(&mut state);
        state.begin_task(1, false, true);
        assert!(state.is_long());
        ask(&mut state);
        state.begin();
        assert!(!state.is_long());
        ask(&mut state);
        assert!(state.is_long());
    }

    #[test]
    fn a_step_that_changes_something_is_tried_again_by_its_policy_and_after_no_silence() {
        let silences = |retry: &TemporalRetry| {
            let types = retry.non_retryable_error_types.iter();
            types
                .filter(|name| name.starts_with("TemporalTimeout:"))
                .count()
        };
        let once = retry_policy(None, CrashClass::Once);
        assert_eq!((once.maximum_attempts, silences(&once)), (0, 2));
        let read = retry_policy(None, CrashClass::Read);
        assert_eq!((read.maximum_attempts, silences(&read)), (0, 0));
        let policy: RetryPolicy = serde_json::from_str(
            r#"{"attempts": 4, "initialMillis": 100, "maxMillis": 50, "nonRetryable": ["conflict"]}"#,
        )
        .unwrap();
        let retried = retry_policy(Some(&policy), CrashClass::Once);
        assert_eq!((retried.maximum_attempts, silences(&retried)), (4, 2));
        assert_eq!(retried.maximum_interval, retried.initial_interval);
        assert!(
            retried
                .non_retryable_error_types
                .contains(&"conflict".to_owned())
        );
    }

    #[test]
    fn a_request_that_is_larger_than_the_server_takes_is_refused() {
        assert!(check_size("kv.set", LARGEST).is_ok());
        let error = check_size("kv.set", LARGEST + 1).unwrap_err();
        assert_eq!(error.code, ErrorCode::LimitExceeded);
    }
}
