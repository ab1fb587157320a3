//! Temporal: workflows, schedules and namespaces of a Temporal server, which the host is a client of.
//!
//! Names are Temporal's own. Values are JSON: payloads in the encoding `json/plain`, as Temporal's SDKs have
//! them by default. Times are texts (RFC 3339), durations are milliseconds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BoundedInt, BoundedText, RawJson};

/// A name or an id of Temporal's: a namespace, a workflow's id or type, a task queue, a signal.
pub type TemporalName = BoundedText<1, 1000>;

/// A text for people: a reason, a note.
pub type TemporalText = BoundedText<0, 10_000>;

/// A query over visibility records, such as `WorkflowType='Order' AND ExecutionStatus='Running'`.
pub type TemporalListFilter = BoundedText<0, 10_000>;

/// The mark of the next page, as the answer before has it.
pub type TemporalPageToken = BoundedText<1, 65_536>;

/// A duration in milliseconds, up to a hundred years.
pub type TemporalMillis = BoundedInt<1, 3_155_760_000_000>;

/// The entries of a page.
pub type TemporalPageSize = BoundedInt<1, 1000>;

const fn default_page_size() -> TemporalPageSize {
    BoundedInt::constant::<100>()
}

/// A workflow to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalWorkflowSpec {
    /// The workflow's id: unique among the open ones of a namespace.
    pub workflow_id: TemporalName,
    /// The workflow's type: the name under which a worker has registered it.
    pub workflow_type: TemporalName,
    /// The task queue that its worker polls.
    pub task_queue: TemporalName,
    /// The arguments, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<RawJson>,
    /// The longest time from the start to the end, retries and continued runs included; no end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_timeout_millis: Option<TemporalMillis>,
    /// The longest time of one run; no end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_timeout_millis: Option<TemporalMillis>,
    /// The longest time of one workflow task; the server's own (10 s) when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_timeout_millis: Option<TemporalMillis>,
    /// When a run that fails is started again; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<TemporalRetryPolicy>,
    /// Values that are kept with the workflow and can be read, but not searched for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, RawJson>,
    /// Values that a list can search for, by the names of attributes that the namespace has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search_attributes: BTreeMap<String, RawJson>,
}

/// When a workflow's run that fails is started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalRetryPolicy {
    /// The number of attempts, the first included; 0 for no end.
    #[serde(default = "default_attempts")]
    pub max_attempts: BoundedInt<0, 1_000_000>,
    /// The wait before the second attempt, in milliseconds.
    #[serde(default = "default_initial")]
    pub initial_millis: TemporalMillis,
    /// The growth of the wait from attempt to attempt, in percent.
    #[serde(default = "default_backoff")]
    pub backoff_percent: BoundedInt<100, 10_000>,
    /// The longest wait, in milliseconds; a hundred times the first one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_millis: Option<TemporalMillis>,
    /// Types of errors after which the workflow is not started again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub non_retryable: Vec<TemporalName>,
}

const fn default_attempts() -> BoundedInt<0, 1_000_000> {
    BoundedInt::constant::<0>()
}

const fn default_initial() -> TemporalMillis {
    BoundedInt::constant::<1_000>()
}

const fn default_backoff() -> BoundedInt<100, 10_000> {
    BoundedInt::constant::<200>()
}

/// Asks to start a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalStartWorkflow {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow.
    pub workflow: Box<TemporalWorkflowSpec>,
    /// If a closed workflow may have had the same id.
    #[serde(default)]
    pub id_reuse: TemporalIdReuse,
    /// The rule for an open workflow that has the same id.
    #[serde(default)]
    pub id_conflict: TemporalIdConflict,
    /// The wait before the first workflow task, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_delay_millis: Option<TemporalMillis>,
    /// The id by which the server knows a request that is sent again; one of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<TemporalName>,
}

/// If an id may be used again after its workflow has closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemporalIdReuse {
    /// It may.
    #[default]
    AllowDuplicate,
    /// It may, unless the last workflow with it has completed.
    AllowDuplicateFailedOnly,
    /// It may not.
    RejectDuplicate,
}

/// The rule for an open workflow that has the id of one to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemporalIdConflict {
    /// The effect fails with `conflict`.
    #[default]
    Fail,
    /// Nothing is started; the answer names the open one.
    UseExisting,
    /// The open one is terminated.
    TerminateExisting,
}

/// A workflow that was started, or was open already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalStarted {
    /// The namespace.
    pub namespace: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// False if the workflow was open already.
    pub started: bool,
}

/// Asks to send a signal to a workflow, and to start the workflow if none with its id is open: both or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalSignalWithStart {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow.
    pub workflow: Box<TemporalWorkflowSpec>,
    /// If a closed workflow may have had the same id.
    #[serde(default)]
    pub id_reuse: TemporalIdReuse,
    /// The signal's name.
    pub name: TemporalName,
    /// The signal's arguments, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<RawJson>,
    /// The id by which the server knows a request that is sent again; one of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<TemporalName>,
}

/// Asks to send a signal to an open workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalSignalWorkflow {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
    /// The signal's name.
    pub name: TemporalName,
    /// Its arguments, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<RawJson>,
    /// The id by which the server knows a request that is sent again; one of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<TemporalName>,
}

/// Asks a workflow's worker a question that changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalQueryWorkflow {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
    /// The query's name.
    pub name: TemporalName,
    /// Its arguments, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<RawJson>,
    /// If true, only an open workflow is asked; otherwise a closed one too.
    #[serde(default)]
    pub open_only: bool,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalQueryResult {
    /// The value.
    pub result: RawJson,
}

/// Asks an open workflow to change something, and waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalUpdateWorkflow {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
    /// The update's name.
    pub name: TemporalName,
    /// Its arguments, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<RawJson>,
    /// The update's id within the workflow; one of its own when absent. The answer to an id that was sent before
    /// is that update's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_id: Option<TemporalName>,
    /// The longest wait, in milliseconds; `temporal.time_limit` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<BoundedInt<1, 86_400_000>>,
}

/// The answer to an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalUpdateResult {
    /// The update's id.
    pub update_id: String,
    /// The run that has answered.
    pub run_id: String,
    /// The value.
    pub result: RawJson,
}

/// Asks an open workflow to cancel; what it does then is its own code's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalCancelWorkflow {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
    /// The reason, for the workflow's history.
    #[serde(default)]
    pub reason: TemporalText,
    /// The id by which the server knows a request that is sent again; one of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<TemporalName>,
}

/// Asks to end an open workflow at once; its code learns nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalTerminateWorkflow {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
    /// The reason, for the workflow's history.
    #[serde(default)]
    pub reason: TemporalText,
}

/// Names the workflow to describe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalDescribeWorkflow {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
}

/// The status of a workflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemporalWorkflowStatus {
    /// It is open.
    Running,
    /// It is open, and an operator has paused it.
    Paused,
    /// It has ended with a result.
    Completed,
    /// It has ended with a failure.
    Failed,
    /// It has ended because it was asked to cancel.
    Canceled,
    /// It was ended from outside.
    Terminated,
    /// It goes on as another run.
    ContinuedAsNew,
    /// It has not ended in time.
    TimedOut,
    /// One that this host does not know.
    #[default]
    Unknown,
}

/// A workflow, as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalWorkflow {
    /// Its id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// Its type.
    pub workflow_type: String,
    /// Its task queue.
    pub task_queue: String,
    /// Its status.
    pub status: TemporalWorkflowStatus,
    /// The time of its start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// The time of its end; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_time: Option<String>,
    /// The number of events in its history.
    pub history_length: u64,
    /// The size of its history.
    pub history_bytes: u64,
    /// The id of the workflow that started it as a child.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_workflow_id: Option<String>,
    /// Its memo.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, RawJson>,
    /// Its search attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search_attributes: BTreeMap<String, RawJson>,
}

/// A workflow, with what it waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalWorkflowDescription {
    /// The namespace.
    pub namespace: String,
    /// The workflow.
    pub workflow: TemporalWorkflow,
    /// Activities that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_activities: Vec<TemporalPendingActivity>,
    /// Child workflows that have not ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_children: Vec<TemporalExecution>,
    /// The attempt of the workflow task that is due or runs; more than 1 if the worker's code fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_task_attempt: Option<u64>,
    /// True if it was asked to cancel.
    pub cancel_requested: bool,
}

/// An activity that has not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalPendingActivity {
    /// Its id within the workflow.
    pub activity_id: String,
    /// Its type.
    pub activity_type: String,
    /// The attempt, from 1.
    pub attempt: u64,
    /// The number of attempts at most; 0 for no end.
    pub max_attempts: u64,
    /// The last failure, then its cause, and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_failure: Vec<TemporalFailure>,
}

/// A run of a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalExecution {
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
}

/// A failure, without its cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalFailure {
    /// The message.
    pub message: String,
    /// The kind: `application`, `timeout`, `canceled`, `terminated`, `server`, `activity`, `child_workflow` or
    /// another of Temporal's.
    pub kind: String,
    /// The type that the code which failed has given: the name of an exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Details that the code which failed has given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<RawJson>,
    /// The trace of the code's stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
}

/// Selects the workflows to list. Those of types that the role may not reach are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalListWorkflows {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The list filter (<https://docs.temporal.io/list-filter>), such as `WorkflowType='Order'`; all when empty.
    #[serde(default)]
    pub query: TemporalListFilter,
    /// Entries per page, counted before others are left out.
    #[serde(default = "default_page_size")]
    pub limit: TemporalPageSize,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TemporalPageToken>,
}

/// A page of workflows, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalWorkflows {
    /// The workflows.
    pub workflows: Vec<TemporalWorkflow>,
    /// The `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Waits for a workflow's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalWorkflowResult {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent. A run that goes on as another is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
    /// The longest wait, in milliseconds; `temporal.time_limit` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<BoundedInt<1, 86_400_000>>,
}

/// The end of a workflow, or that it has not ended yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalOutcome {
    /// The run that has ended, or that was waited for last.
    pub run_id: String,
    /// The status; `running` if the time was up before the end.
    pub status: TemporalWorkflowStatus,
    /// The result; absent unless it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RawJson>,
    /// The failure, then its cause, and so on; empty unless it has failed, was cancelled or was terminated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure: Vec<TemporalFailure>,
}

/// Selects a part of a workflow's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalWorkflowHistory {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The workflow's id.
    pub workflow_id: TemporalName,
    /// The run's id; the newest run when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<TemporalName>,
    /// Events per page.
    #[serde(default = "default_page_size")]
    pub limit: TemporalPageSize,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TemporalPageToken>,
}

/// A page of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalHistory {
    /// The run that the events are of.
    pub run_id: String,
    /// The events as `temporal workflow show --output json` prints them, the oldest first.
    pub events: Vec<RawJson>,
    /// The `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks a worker of any SDK to perform an activity. Only a workflow that runs on the Temporal server can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalExecuteActivity {
    /// The activity's type: the name under which its worker has registered it.
    pub activity_type: TemporalName,
    /// The task queue that its worker polls.
    pub task_queue: TemporalName,
    /// The arguments, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<RawJson>,
    /// The longest time of one attempt, in milliseconds; `temporal.worker.step_timeout` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_to_close_millis: Option<TemporalMillis>,
    /// The longest wait for a worker, in milliseconds; no end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_to_start_millis: Option<TemporalMillis>,
    /// The time in milliseconds after which a worker that is silent is given up; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_millis: Option<TemporalMillis>,
    /// When it is tried again; once when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<TemporalRetryPolicy>,
}

/// The answer of an activity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalActivityResult {
    /// The value.
    pub result: RawJson,
}

/// Asks to set search attributes and memo of the workflow itself. Only one that runs on the Temporal server can. A
/// value of `null` removes one; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalSetAttributes {
    /// Values that a list can search for, by the names of attributes that the namespace has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search_attributes: BTreeMap<String, RawJson>,
    /// Values that are kept with the workflow and can be read, but not searched for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, RawJson>,
}

/// Names the namespace to describe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalDescribeNamespace {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalNamespace {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its state: `registered`, `deprecated` or `deleted`.
    pub state: String,
    /// Its description.
    pub description: String,
    /// The address of its owner.
    pub owner_email: String,
    /// The time for which closed workflows are kept, in milliseconds.
    pub retention_millis: u64,
    /// Notes of its owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// True if it is replicated to other clusters.
    pub is_global: bool,
}

/// Selects the namespaces to list. Those that the role may not reach are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalListNamespaces {
    /// Entries per page, counted before others are left out.
    #[serde(default = "default_page_size")]
    pub limit: TemporalPageSize,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TemporalPageToken>,
}

/// A page of namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalNamespaces {
    /// The namespaces.
    pub namespaces: Vec<TemporalNamespace>,
    /// The `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Asks to register a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalRegisterNamespace {
    /// Its name.
    pub namespace: TemporalName,
    /// Its description.
    #[serde(default)]
    pub description: TemporalText,
    /// The address of its owner.
    #[serde(default)]
    pub owner_email: TemporalText,
    /// The time for which closed workflows are kept, in milliseconds; three days when absent.
    #[serde(default = "default_retention")]
    pub retention_millis: TemporalMillis,
    /// Notes of its owner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
}

const fn default_retention() -> TemporalMillis {
    BoundedInt::constant::<259_200_000>()
}

/// Asks to create a schedule, which starts a workflow again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalCreateSchedule {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The schedule's id.
    pub schedule_id: TemporalName,
    /// The workflow that it starts. The server adds the time to its id.
    pub workflow: Box<TemporalWorkflowSpec>,
    /// Times as cron has them: `0 9 * * 1-5`, `@daily`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<BoundedText<1, 1000>>,
    /// Times at even distances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<TemporalInterval>,
    /// The time zone of `cron`, such as `Europe/Berlin`; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TemporalName>,
    /// The longest delay by which times are spread, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter_millis: Option<TemporalMillis>,
    /// The time before which nothing is started (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<BoundedText<1, 64>>,
    /// The time after which nothing is started (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<BoundedText<1, 64>>,
    /// The rule for a time that comes while the workflow of an earlier one is open.
    #[serde(default)]
    pub overlap: TemporalOverlap,
    /// The age up to which times that were missed are made up for, in milliseconds; a year when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up_millis: Option<TemporalMillis>,
    /// If true, it is paused when a workflow fails.
    #[serde(default)]
    pub pause_on_failure: bool,
    /// If true, it is created paused.
    #[serde(default)]
    pub paused: bool,
    /// A note.
    #[serde(default)]
    pub note: TemporalText,
    /// The number of workflows that it starts; no end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_actions: Option<BoundedInt<1, 1_000_000_000>>,
    /// If true, it starts one at once.
    #[serde(default)]
    pub trigger: bool,
    /// Values that are kept with the schedule and can be read, but not searched for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, RawJson>,
    /// Values that a list of schedules can search for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search_attributes: BTreeMap<String, RawJson>,
    /// The id by which the server knows a request that is sent again; one of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<TemporalName>,
}

/// Times at even distances, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalInterval {
    /// The distance, in milliseconds; whole seconds.
    pub every_millis: TemporalMillis,
    /// The shift of all of them, in milliseconds; whole seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_millis: Option<TemporalMillis>,
}

/// The rule of a schedule for a time that comes while the workflow of an earlier one is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TemporalOverlap {
    /// Nothing is started.
    #[default]
    Skip,
    /// One is started when the open one has ended; further times are skipped.
    BufferOne,
    /// One is started for each time, one after the other.
    BufferAll,
    /// The open one is asked to cancel; then one is started.
    CancelOther,
    /// The open one is terminated; then one is started.
    TerminateOther,
    /// One is started beside it.
    AllowAll,
}

/// Asks to pause a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalPauseSchedule {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The schedule's id.
    pub schedule_id: TemporalName,
    /// A note, which takes the place of the one there is.
    #[serde(default)]
    pub note: TemporalText,
}

/// Asks to let a paused schedule go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalUnpauseSchedule {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The schedule's id.
    pub schedule_id: TemporalName,
    /// A note, which takes the place of the one there is.
    #[serde(default)]
    pub note: TemporalText,
}

/// Asks a schedule to start its workflow now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalTriggerSchedule {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The schedule's id.
    pub schedule_id: TemporalName,
    /// The rule if one is open; the schedule's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<TemporalOverlap>,
    /// The id by which the server knows a request that is sent again; one of its own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<TemporalName>,
}

/// Names the schedule to describe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalDescribeSchedule {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The schedule's id.
    pub schedule_id: TemporalName,
}

/// A schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalScheduleDescription {
    /// The namespace.
    pub namespace: String,
    /// Its id.
    pub schedule_id: String,
    /// True if it is paused.
    pub paused: bool,
    /// Its note.
    pub note: String,
    /// The type of the workflow that it starts.
    pub workflow_type: String,
    /// The id of that workflow, to which the server adds the time.
    pub workflow_id: String,
    /// The task queue of that workflow.
    pub task_queue: String,
    /// The times, as Temporal's JSON has them.
    pub spec: RawJson,
    /// The rule for times that come while a workflow is open.
    pub overlap: TemporalOverlap,
    /// Workflows that it has started and that are open.
    pub running: Vec<TemporalExecution>,
    /// The workflows that it has started of late, the latest last.
    pub recent: Vec<TemporalScheduleAction>,
    /// The times to come.
    pub next_times: Vec<String>,
    /// The number of workflows that it has started.
    pub action_count: u64,
    /// The number of times that were missed and too old to be made up for.
    pub missed_count: u64,
    /// The number of times that were skipped because a workflow was open.
    pub skipped_count: u64,
    /// Its memo.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, RawJson>,
    /// Its search attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search_attributes: BTreeMap<String, RawJson>,
}

/// A workflow that a schedule has started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalScheduleAction {
    /// The time for which it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_time: Option<String>,
    /// The time at which it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_time: Option<String>,
    /// The workflow.
    pub execution: TemporalExecution,
}

/// Selects the schedules to list. Those whose workflow's type the role may not reach are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalListSchedules {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The list filter; all when empty.
    #[serde(default)]
    pub query: TemporalListFilter,
    /// Entries per page, counted before others are left out.
    #[serde(default = "default_page_size")]
    pub limit: TemporalPageSize,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<TemporalPageToken>,
}

/// A page of schedules. The server adds new ones to it within a second or so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalSchedules {
    /// The schedules.
    pub schedules: Vec<TemporalSchedule>,
    /// The `after` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A schedule, as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemporalSchedule {
    /// Its id.
    pub schedule_id: String,
    /// The type of the workflow that it starts.
    pub workflow_type: String,
    /// True if it is paused.
    pub paused: bool,
    /// Its note.
    pub note: String,
    /// The next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_time: Option<String>,
}

/// Asks to delete a schedule. Workflows that it has started go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemporalDeleteSchedule {
    /// The namespace; the host's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<TemporalName>,
    /// The schedule's id.
    pub schedule_id: TemporalName,
}
