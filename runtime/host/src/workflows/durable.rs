//! [`DurableRun`]: a run as the layer of its guest sees it, whatever keeps its history.
//!
//! Two backends keep runs: this host's own store ([`ActiveRun`](super::active::ActiveRun)), and a Temporal server
//! (the crate `exomonad-temporal-worker`). A guest cannot tell which: its requests go to one
//! [`WorkflowLayer`] and one [`Machine`], and a backend does what these two cannot do by themselves.

use std::collections::HashMap;
use std::ops::DerefMut;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use exomonad_core::{CallClient, CallContext};
use exomonad_engine::{CallError, Limits, Output};
use exomonad_journal::RequestHash;
use exomonad_schema::common::{HANDLE_WORKFLOW, WorkflowEnd, WorkflowInput, WorkflowOutcome};
use exomonad_schema::effects::workflow::{WorkflowSignal, WorkflowStartChild};
use exomonad_schema::{CallId, EffectError, EffectKind, RawJson};
use exomonad_telemetry::spans;
use exomonad_workflow::{Machine, MismatchError, Request, StoreFailure};
use tokio::sync::Notify;
use tracing::Instrument;

use super::Workflows;
use super::layer::WorkflowLayer;
use super::questions::client_of;
use super::steps::StepSpec;
use crate::error::told;
use crate::execution::Caller;
use crate::pipeline::{CallHost, Layer};
use crate::plugins::version::PluginVersion;
use crate::role::{Role, RoleSettings};

/// The facts about a run from its start.
#[derive(Clone, Copy, Debug)]
pub struct RunAbout<'a> {
    /// The workflow's name.
    pub workflow: &'a str,
    /// The workflow's id.
    pub workflow_id: &'a str,
    /// The run's id.
    pub run_id: &'a str,
    /// The input, JSON.
    pub input: &'a str,
    /// The state that the run before has left, JSON.
    pub state_before: Option<&'a str>,
    /// The configuration that it began with: a JSON object of texts.
    pub configuration: &'a str,
    /// The seed of its randomness.
    pub seed: &'a [u8],
    /// The MCP client that has started it, JSON.
    pub client: Option<&'a str>,
    /// The W3C trace of whoever has started it.
    pub traceparent: Option<&'a str>,
}

/// The reason why a turn is ended from outside.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The guest asks for something else than its history has.
    Mismatch(MismatchError),
    /// The history cannot be written.
    Store(StoreFailure),
    /// The history is too long.
    TooLong(String),
    /// Somebody has ended the run.
    Ended,
}

/// The part of a run's state that its guest's requests change.
pub struct TurnState {
    /// The requests so far, and the arrivals.
    pub machine: Machine,
    /// The state that it has published, with its version.
    pub published: Option<(String, u32)>,
    /// Since when the guest waits.
    pub blocked: Option<Instant>,
    /// True if something has come since the turn began.
    pub has_news: bool,
    /// The child runs by the steps that stand for them.
    pub children: HashMap<u64, String>,
    /// Bytes that this turn has logged.
    pub log_bytes: u64,
    /// Time that the guest has computed in this turn, up to the last wait.
    pub computed: Duration,
    /// Since when it computes; `None` while it waits.
    pub computes_since: Option<Instant>,
    /// The reason why the turn ends, if it is ended from outside.
    pub stop: Option<Stop>,
}

impl TurnState {
    /// The state of a run before its first turn.
    pub fn new(machine: Machine, published: Option<(String, u32)>) -> Self {
        Self {
            machine,
            published,
            blocked: None,
            has_news: false,
            children: HashMap::new(),
            log_bytes: 0,
            computed: Duration::ZERO,
            computes_since: None,
            stop: None,
        }
    }

    /// Lets the guest begin again.
    pub fn begin(&mut self) {
        self.machine.rewind();
        self.blocked = None;
        self.has_news = false;
        self.log_bytes = 0;
        self.computed = Duration::ZERO;
        self.computes_since = Some(Instant::now());
    }

    /// The time that the guest has computed in this turn.
    pub fn computed(&self) -> Duration {
        let now = self.computes_since.map(|since| since.elapsed());
        self.computed + now.unwrap_or_default()
    }
}

/// A timer that is set. Times are milliseconds since 1970, by the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When its time has come.
    pub due: i64,
    /// Its number.
    pub seq: u64,
    /// When it was set.
    pub since: i64,
}

/// A child run to start.
pub struct ChildStep<'a> {
    /// The role of both.
    pub role: &'a RoleSettings,
    /// The version of the plugin that asks.
    pub version: &'a PluginVersion,
    /// The child.
    pub child: &'a WorkflowStartChild,
    /// The handle of its end.
    pub handle: u64,
    /// The step that starts it.
    pub asked: Request,
}

/// A run as the layer of its guest sees it.
pub trait DurableRun: Send + Sync + 'static {
    /// The state, with whatever else the backend locks together with it.
    type State: DerefMut<Target = TurnState>;

    /// The facts about it from its start.
    fn about(&self) -> RunAbout<'_>;

    /// The state.
    fn lock(&self) -> MutexGuard<'_, Self::State>;

    /// Wakes the guest that waits.
    fn arrived(&self) -> &Notify;

    /// Wakes the task that drives the run.
    fn attention(&self) -> &Notify;

    /// The workflows that it is one of.
    fn workflows(&self) -> &Arc<Workflows>;

    /// True if nothing that the guest may wait for is under way in this process.
    fn is_idle(state: &Self::State) -> bool;

    /// True while the guest does what it has done before.
    fn repeats(state: &Self::State) -> bool {
        state.machine.repeats()
    }

    /// True if the run should continue as a new one. It says the same whenever the guest asks at this place.
    fn is_long(state: &Self::State) -> bool {
        state.machine.is_long()
    }

    /// Ends the turn.
    fn stop(&self, stop: Stop) {
        self.lock().stop.get_or_insert(stop);
        self.attention().notify_one();
    }

    /// The refusal of a history that is too long.
    fn too_long(&self, state: &TurnState) -> Option<Stop> {
        let (most, size) = self.workflows().largest_history();
        let machine = &state.machine;
        if machine.length().max(machine.steps()) <= most && machine.bytes() <= size {
            return None;
        }
        Some(Stop::TooLong(format!(
            "its history has {} steps, {} entries and {} bytes, and {most} entries and {size} bytes is the limit \
             (`workflows.max_history`, `workflows.max_history_size`): continue as new before",
            machine.steps(),
            machine.length(),
            machine.bytes()
        )))
    }

    /// Tells followers that an attempt at a step begins.
    fn tell_begun(&self, _seq: u64, _name: &str, _attempt: u32) {}

    /// Lets a step be performed beside the guest, unless it is already.
    fn begin(self: &Arc<Self>, step: StepSpec);

    /// Lets a step be performed that the guest waits for, unless it is already. It is done, or done elsewhere, when
    /// this returns.
    fn perform(self: &Arc<Self>, step: StepSpec) -> impl Future<Output = ()> + Send;

    /// Records a step together with its answer: nothing is to be performed.
    fn answered_at_once(
        self: &Arc<Self>,
        request: Request,
        answer: Vec<u8>,
    ) -> impl Future<Output = ()> + Send;

    /// Asks the client of the run, unless the history has the question. One that is refused is answered at once.
    fn pose(
        self: &Arc<Self>,
        layers: &Arc<dyn Layer>,
        call: &CallContext,
        kind: EffectKind,
        request: Request,
    ) -> impl Future<Output = ()> + Send;

    /// Forgets the questions of a step that nobody waits for any more.
    fn forget_questions(&self, seq: u64) -> impl Future<Output = ()> + Send;

    /// Sets a timer.
    fn set_timer(self: &Arc<Self>, timer: Timer);

    /// Stops what the guest does not wait for any more.
    fn give_up(&self, seq: u64, name: &str);

    /// Stops a step or a timer, whose answer is this one.
    fn cancel_step(self: &Arc<Self>, seq: u64, answer: Vec<u8>) -> impl Future<Output = ()> + Send;

    /// Asks a child run to cancel; its end comes from itself.
    fn cancel_child(&self, handle: u64, run_id: &str) -> impl Future<Output = ()> + Send;

    /// Starts a child run. The answer of its step comes as an arrival.
    ///
    /// # Errors
    /// If it cannot be started; then there is no arrival.
    fn start_child(
        self: &Arc<Self>,
        step: ChildStep<'_>,
    ) -> impl Future<Output = Result<(), EffectError>> + Send;

    /// Sends a signal to another run of the role. The answer of its step comes as an arrival.
    ///
    /// # Errors
    /// If it cannot be sent; then there is no arrival.
    fn signal(
        self: &Arc<Self>,
        signal: WorkflowSignal,
        version: &PluginVersion,
        asked: Request,
    ) -> impl Future<Output = Result<(), EffectError>> + Send;

    /// Tells if a change of the code applies.
    fn patched(self: &Arc<Self>, id: &str) -> impl Future<Output = bool> + Send;
}

/// The request of a step.
pub fn request_of(seq: u64, name: &str, hash: RequestHash, request: &[u8]) -> Request {
    Request {
        seq,
        effect: name.to_owned(),
        hash,
        request: request.to_vec(),
    }
}

/// One call of the guest's `handle_workflow`, from its beginning. The state must have [begun](TurnState::begin).
///
/// # Errors
/// If the run's input is not JSON.
pub fn call_guest<R: DurableRun>(
    run: &Arc<R>,
    role: &Arc<Role>,
    version: &Arc<PluginVersion>,
) -> Result<impl Future<Output = Result<Output, CallError>> + Send + use<R>, serde_json::Error> {
    let about = run.about();
    let call_id: CallId = match about.run_id.parse() {
        Ok(id) => id,
        Err(_) => CallId::random(),
    };
    let mut context = role.settings.call(call_id, Caller::default());
    let span = spans::guest(&context, HANDLE_WORKFLOW, version.plugin.digest());
    if let Some(traceparent) = about.traceparent {
        spans::continues_trace(&span, traceparent);
    }
    if let Some(traceparent) = spans::traceparent(&span) {
        context.traceparent = Some(traceparent);
    }
    context.client =
        client_of(about.client, HashMap::new()).map(|client| client as Arc<dyn CallClient>);
    let raw = |json: &str| RawJson::from_text(json.to_owned()).unwrap_or_default();
    let input = WorkflowInput {
        workflow: about.workflow.to_owned(),
        input: raw(about.input),
        state: raw(about.state_before.unwrap_or("null")),
        workflow_id: about.workflow_id.to_owned(),
        run_id: about.run_id.to_owned(),
        context: context.guest_view(),
    };
    let input = serde_json::to_vec(&input)?;
    let layer = WorkflowLayer::new(run.clone(), role.settings.clone(), version.clone());
    let host = Arc::new(CallHost::new(context, Arc::new(layer)));
    let unbounded = Limits {
        // A run waits for weeks, and each turn asks again for all that it has asked for: its own bounds count.
        wall_time: Duration::from_secs(10 * 365 * 24 * 3600),
        effects: u64::MAX,
        log_bytes: u64::MAX,
        ..role.settings.limits
    };
    let plugin = version.plugin.clone();
    let call = async move { plugin.call(host, unbounded, HANDLE_WORKFLOW, &input).await };
    Ok(call.instrument(span))
}

/// The end of a run, as its guest has it. JSON fits the workflow's schemas.
#[derive(Clone, Debug)]
pub enum RunEnd {
    /// It is done, with this output.
    Completed(String),
    /// It has failed.
    Failed {
        /// Its code.
        code: String,
        /// Its message.
        message: String,
        /// More about it.
        details: Option<RawJson>,
    },
    /// It has ended because it was asked to cancel, or says so itself.
    Cancelled,
    /// It goes on as another run, with this input.
    Continued(String),
}

impl RunEnd {
    /// The end that a guest's answer tells.
    ///
    /// # Errors
    /// If the answer does not fit the contract.
    pub fn of(version: &PluginVersion, workflow: &str, answer: &[u8]) -> Result<Self, String> {
        let outcome: WorkflowOutcome = exomonad_schema::from_slice(answer).map_err(|error| {
            format!("the answer of `{HANDLE_WORKFLOW}` does not fit the contract: {error}")
        })?;
        let failed = |code: &str, message: String| Self::Failed {
            code: code.to_owned(),
            message,
            details: None,
        };
        let workflow = version.workflow(workflow);
        Ok(match outcome.end {
            WorkflowEnd::Completed => {
                let output = outcome.output.get().to_owned();
                let violations =
                    workflow.map_or_else(Vec::new, |workflow| workflow.check_output(&output));
                match violations.is_empty() {
                    true => Self::Completed(output),
                    false => failed(
                        "invalid_output",
                        format!("its output does not fit its schema: {}", told(&violations)),
                    ),
                }
            }
            WorkflowEnd::Failed => match outcome.failure {
                Some(failure) => Self::Failed {
                    code: failure.code,
                    message: failure.message,
                    details: failure.details,
                },
                None => failed("failed", "it says no reason".to_owned()),
            },
            WorkflowEnd::Cancelled => Self::Cancelled,
            WorkflowEnd::ContinueAsNew => {
                let input = outcome.input.get().to_owned();
                let violations =
                    workflow.map_or_else(Vec::new, |workflow| workflow.check_input(&input));
                match violations.is_empty() {
                    true => Self::Continued(input),
                    false => failed(
                        "invalid_input",
                        format!(
                            "the input that it continues with does not fit its schema: {}",
                            told(&violations)
                        ),
                    ),
                }
            }
        })
    }
}
