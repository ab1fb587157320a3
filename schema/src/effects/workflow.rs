//! Durable workflows: steps that run beside each other, waiting, child runs, signals and state.
//!
//! Most of these are for a guest that runs as a workflow (the export `handle_workflow`); elsewhere they are
//! `unsupported`. [`WorkflowStartChild`], [`WorkflowSignal`] and [`WorkflowGet`] are for tools and hooks, too.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BoundedInt, BoundedText, RawJson};

/// The id of a workflow, chosen by whoever starts it: 1 to 256 characters. Of the runs with one id at most one
/// is open.
pub type WorkflowId = BoundedText<1, 256>;

/// The name of a workflow, a signal, a query or a patch: 1 to 128 characters.
pub type WorkflowName = BoundedText<1, 128>;

/// A time span in milliseconds: at most ten years.
pub type LongMillis = BoundedInt<0, 315_360_000_000>;

/// Asks to start an effect without waiting for it: it becomes a step that runs beside the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowStart {
    /// The effect's capability, such as `docker.exec`; `workflow.sleep` starts a timer.
    pub effect: BoundedText<1, 128>,
    /// Its request; an empty object when absent.
    #[serde(default)]
    pub request: RawJson,
    /// When it is tried again; once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPolicy>,
    /// The time for all attempts together, in milliseconds; the step then fails with `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<LongMillis>,
}

/// When a failed step is tried again.
///
/// After attempt `n` the host waits `initialMillis × backoffPercent/100 ^ (n−1)`, at most `maxMillis`, and up to
/// a fifth less, so that many runs do not come back at one moment. A `rate_limited` service is given the time
/// that it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts at most, the first one included.
    #[serde(default = "default_attempts")]
    pub attempts: BoundedInt<1, 1000>,
    /// The wait before the second attempt, in milliseconds.
    #[serde(default = "default_initial")]
    pub initial_millis: LongMillis,
    /// The growth of the wait from attempt to attempt, in percent.
    #[serde(default = "default_backoff")]
    pub backoff_percent: BoundedInt<100, 1000>,
    /// The longest wait, in milliseconds.
    #[serde(default = "default_longest")]
    pub max_millis: LongMillis,
    /// Codes after which the step is not tried again. When empty, it is tried again after `unavailable`,
    /// `rate_limited`, `timeout` and `internal` only; otherwise after every code but these. A write whose outcome
    /// is unknown is never tried again by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_retryable: Vec<BoundedText<1, 64>>,
}

const fn default_attempts() -> BoundedInt<1, 1000> {
    BoundedInt::constant::<5>()
}

const fn default_initial() -> LongMillis {
    BoundedInt::constant::<1_000>()
}

const fn default_backoff() -> BoundedInt<100, 1000> {
    BoundedInt::constant::<200>()
}

const fn default_longest() -> LongMillis {
    BoundedInt::constant::<60_000>()
}

/// A step, a timer or a child run that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowStarted {
    /// Its handle within this run, for waiting and cancelling.
    pub handle: u64,
}

/// Asks to wait for what was started, for signals, or for a time.
///
/// Whatever comes first ends the wait, in the order of the run's history, so that a run that is resumed takes
/// the same turn. The run holds no memory, thread or sandbox while it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowWait {
    /// Handles of steps, timers and children. One that is done already ends the wait at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<u64>,
    /// Names of signals. A signal is taken once, the oldest first; one that came before it was waited for is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<WorkflowName>,
    /// True to wait until all handles are done. A signal or the time ends the wait before.
    #[serde(default)]
    pub all: bool,
    /// The longest wait, in milliseconds; no end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<LongMillis>,
}

/// The end of a wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowArrivals {
    /// The arrivals, in the order in which they came; none if the time is up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<WorkflowArrival>,
    /// True if the time was up before.
    #[serde(default)]
    pub timed_out: bool,
}

/// An answer or a signal that a workflow waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowArrival {
    /// The handle of the step, timer or child that is done; absent for a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<u64>,
    /// The signal's name; absent for a handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The answer of the step as the host function would have returned it (`{"kind":"Success","payload":…}` or
    /// `{"kind":"Error","payload":{"code":…}}`), or the signal's payload. A child's success is its output.
    pub value: RawJson,
}

/// Asks to stop a step, a timer or a child run. Its answer is the error `cancelled`, unless it was done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowCancel {
    /// The handle.
    pub handle: u64,
}

/// Asks to wait for a time that may be long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowSleep {
    /// The time, in milliseconds; at most ten years.
    pub millis: LongMillis,
}

/// Asks to start a run of a workflow of the same role. Within a workflow it becomes a child of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowStartChild {
    /// The workflow's name.
    pub workflow: WorkflowName,
    /// Its input, which is held against the workflow's schema.
    #[serde(default)]
    pub input: RawJson,
    /// Its id; one that nothing else has when absent. If a run with this id is open, that is the answer, and
    /// nothing is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
    /// Its fate when the run that starts it ends before.
    #[serde(default)]
    pub on_parent_end: OnParentEnd,
}

/// The fate of a child run whose parent ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnParentEnd {
    /// It is asked to cancel.
    #[default]
    Cancel,
    /// It goes on.
    Abandon,
    /// It is ended at once.
    Terminate,
}

/// A run that was started, or was open already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowChild {
    /// Its handle within the run that started it; absent outside of a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<u64>,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// False if a run with this id was open already.
    pub started: bool,
}

/// Asks to send a signal to the open run of a workflow of the same role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowSignal {
    /// The workflow's id.
    pub workflow_id: WorkflowId,
    /// The signal's name.
    pub name: WorkflowName,
    /// Its payload.
    #[serde(default)]
    pub payload: RawJson,
}

/// Asks to publish the state of the run: what queries see, and the next run if this one is continued as new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowSetState {
    /// The state, which is held against the workflow's schema for it.
    pub state: RawJson,
}

/// Asks if a change of the workflow's code applies to this run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowPatched {
    /// The change's name.
    pub id: WorkflowName,
}

/// Tells if a change applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowPatch {
    /// True for the new code; false if the run came past this place with the old one.
    pub applies: bool,
}

/// Asks about the run itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowInfo {}

/// The run, as its own code may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRunInfo {
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// When the run began, in milliseconds since 1970.
    pub started_unix_millis: i64,
    /// Steps so far.
    pub steps: u64,
    /// True if the history is so long that the run should continue as a new one.
    pub suggests_continue_as_new: bool,
}

/// Asks about the newest run of a workflow of the same role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowGet {
    /// The workflow's id.
    pub workflow_id: WorkflowId,
}

/// A run, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRun {
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// Its status.
    pub status: WorkflowStatus,
    /// Its output; absent unless it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<RawJson>,
    /// Its failure, or the reason why it is stuck, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The state that it has published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RawJson>,
}

/// The status of a run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowStatus {
    /// Its code runs, or waits for steps that run.
    Running,
    /// It waits for a time.
    Sleeping,
    /// It waits for a signal or a child.
    Waiting,
    /// It cannot go on without an operator.
    Stuck,
    /// It has ended with an output.
    Completed,
    /// It has ended with a failure.
    Failed,
    /// It has ended because it was asked to cancel.
    Cancelled,
    /// It was ended from outside.
    Terminated,
    /// It goes on as another run.
    Continued,
}
