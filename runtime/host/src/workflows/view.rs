//! Runs and histories as they are shown: by HTTP, on the command line.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use exomonad_journal::{Payload, RequestHash};
use exomonad_schema::RawJson;
use exomonad_schema::effects::workflow::{WorkflowRun, WorkflowStatus};
use exomonad_workflow::store::RunRow;
use exomonad_workflow::{Event, EventBody};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A run of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// The role.
    pub role: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// Its status.
    pub status: WorkflowStatus,
    /// When it began, in milliseconds since 1970.
    pub began_unix_millis: i64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_unix_millis: Option<i64>,
    /// When it goes on, if it sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wakes_unix_millis: Option<i64>,
    /// The SHA-256 of the plugin's modules that it runs on; of a run on a Temporal server those that it began with.
    /// Absent if nothing has begun with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub plugin: String,
    /// How often it was started again since it last went on, because its plugin trapped.
    pub restarts: u32,
    /// Its input; `null` in a list if it is on a Temporal server.
    pub input: RawJson,
    /// Its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<RawJson>,
    /// The state that it has published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RawJson>,
    /// Its failure, or why it is stuck.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
    /// The run that it continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_from: Option<String>,
    /// The run that continues it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_to: Option<String>,
    /// Values that a list of the Temporal server can search for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub search_attributes: BTreeMap<String, RawJson>,
    /// Values that are kept with it on the Temporal server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub memo: BTreeMap<String, RawJson>,
    /// The principal that has started it: nobody else's task it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
}

/// The failure of a run, or the reason why it is stuck.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunError {
    /// Its kind, for programs.
    pub code: String,
    /// The message for a person.
    pub message: String,
}

impl RunView {
    /// A run as it is kept, with the state that it has published since.
    pub fn new(row: RunRow, published: Option<String>) -> Self {
        let json = |text: String| RawJson::from_text(text).unwrap_or_default();
        let is_open = row.ended_at.is_none();
        let error = row.error.map(|message| RunError {
            code: row.error_code.unwrap_or_else(|| "restarted".to_owned()),
            message,
        });
        Self {
            role: row.role,
            workflow: row.workflow,
            workflow_id: row.workflow_id,
            run_id: row.run_id,
            status: row.status,
            began_unix_millis: row.begun_at,
            ended_unix_millis: row.ended_at,
            wakes_unix_millis: row.wake_at.filter(|at| *at > 0 && is_open),
            plugin: row.digest,
            restarts: row.restarts,
            input: json(row.input),
            output: row.output.map(json),
            state: published.or(row.state).map(json),
            error,
            continued_from: row.continued_from,
            continued_to: row.continued_to,
            search_attributes: BTreeMap::new(),
            memo: BTreeMap::new(),
            started_by: row.started_by,
        }
    }
}

impl From<RunView> for WorkflowRun {
    fn from(view: RunView) -> Self {
        Self {
            workflow: view.workflow,
            workflow_id: view.workflow_id,
            run_id: view.run_id,
            status: view.status,
            output: view.output,
            error: view.error.map(|error| error.message),
            state: view.state,
        }
    }
}

/// A moment as a text (RFC 3339), from milliseconds since 1970.
pub fn rfc3339(unix_millis: i64) -> String {
    let millis = u64::try_from(unix_millis).unwrap_or_default();
    exomonad_journal::record::moment(UNIX_EPOCH + Duration::from_millis(millis))
}

/// An entry of a run's history.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its place, from 0.
    pub position: u64,
    /// When it came, in milliseconds since 1970.
    pub unix_millis: i64,
    /// Its kind.
    pub kind: HistoryKind,
    /// The step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The effect, or the name of a signal or a patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The hash of effect and request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<RequestHash>,
    /// The request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Payload>,
    /// The answer, or the signal's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Payload>,
    /// The number of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When the next attempt begins, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_unix_millis: Option<i64>,
    /// When a timer was set whose time has come, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_unix_millis: Option<i64>,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// A step was asked for, and is about to be performed.
    Asked,
    /// An attempt at a step failed, and it is tried again.
    Attempt,
    /// A step is answered.
    Done,
    /// A timer's time has come.
    Fired,
    /// A signal came.
    Signal,
    /// The run was asked to cancel.
    Cancel,
    /// A change of the code applies from here on.
    Patched,
}

impl HistoryEntry {
    /// An entry of this kind at this place and time, which says no more yet.
    pub(super) fn new(position: u64, unix_millis: i64, kind: HistoryKind) -> Self {
        Self {
            position,
            unix_millis,
            kind,
            step: None,
            name: None,
            hash: None,
            request: None,
            answer: None,
            attempt: None,
            next_unix_millis: None,
            since_unix_millis: None,
        }
    }

    /// The event that it shows; `None` if it lacks what one has.
    pub fn into_event(self) -> Option<Event> {
        let bytes = |payload: Option<Payload>| payload.map(|payload| payload.0);
        let request = match (self.step, &self.name, &self.hash) {
            (Some(seq), Some(effect), Some(hash)) => Some(exomonad_workflow::Request {
                seq,
                effect: effect.clone(),
                hash: hash.clone(),
                request: bytes(self.request).unwrap_or_default(),
            }),
            _ => None,
        };
        let body = match self.kind {
            HistoryKind::Asked => EventBody::Asked(request?),
            HistoryKind::Attempt => EventBody::Attempt {
                seq: self.step?,
                attempt: self.attempt?,
                answer: bytes(self.answer)?,
                next_at: self.next_unix_millis?,
            },
            HistoryKind::Done => EventBody::Done {
                seq: self.step?,
                attempt: self.attempt?,
                answer: bytes(self.answer)?,
                request,
            },
            HistoryKind::Fired => EventBody::Fired {
                seq: self.step?,
                since: self.since_unix_millis,
            },
            HistoryKind::Signal => EventBody::Signaled {
                name: self.name?,
                payload: bytes(self.answer)?,
            },
            HistoryKind::Cancel => EventBody::CancelRequested,
            HistoryKind::Patched => EventBody::Patched { id: self.name? },
        };
        Some(Event {
            position: self.position,
            at: self.unix_millis,
            body,
        })
    }
}

impl From<Event> for HistoryEntry {
    fn from(event: Event) -> Self {
        let mut entry = Self::new(event.position, event.at, HistoryKind::Cancel);
        let asked = |entry: &mut Self, request: exomonad_workflow::Request| {
            entry.step = Some(request.seq);
            entry.name = Some(request.effect);
            entry.hash = Some(request.hash);
            entry.request = Some(request.request.as_slice().into());
        };
        match event.body {
            EventBody::Asked(request) => {
                entry.kind = HistoryKind::Asked;
                asked(&mut entry, request);
            }
            EventBody::Attempt {
                seq,
                attempt,
                answer,
                next_at,
            } => {
                entry.kind = HistoryKind::Attempt;
                entry.step = Some(seq);
                entry.attempt = Some(attempt);
                entry.answer = Some(answer.as_slice().into());
                entry.next_unix_millis = Some(next_at);
            }
            EventBody::Done {
                seq,
                attempt,
                answer,
                request,
            } => {
                entry.kind = HistoryKind::Done;
                if let Some(request) = request {
                    asked(&mut entry, request);
                }
                entry.step = Some(seq);
                entry.attempt = Some(attempt);
                entry.answer = Some(answer.as_slice().into());
            }
            EventBody::Fired { seq, since } => {
                entry.kind = HistoryKind::Fired;
                entry.step = Some(seq);
                entry.since_unix_millis = since;
            }
            EventBody::Signaled { name, payload } => {
                entry.kind = HistoryKind::Signal;
                entry.name = Some(name);
                entry.answer = Some(payload.as_slice().into());
            }
            EventBody::CancelRequested => {}
            EventBody::Patched { id } => {
                entry.kind = HistoryKind::Patched;
                entry.name = Some(id);
            }
        }
        entry
    }
}

/// A step of a run that begins or is answered, for whoever follows it. It has no payloads: the history has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepEvent {
    /// When, in milliseconds since 1970.
    #[serde(rename = "unixMillis")]
    pub at: i64,
    /// The role.
    pub role: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// The step's number.
    pub step: u64,
    /// The effect; `workflow.sleep` for a timer. Absent at the end of a child, and of a step that the workflow has
    /// cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The change.
    #[serde(flatten)]
    pub change: StepChange,
}

/// The change of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "change",
    rename_all = "snake_case",
    rename_all_fields = "camelCase"
)]
pub enum StepChange {
    /// An attempt begins.
    Begun,
    /// An attempt has failed, and there will be another one.
    Failed {
        /// The code of the failure.
        code: String,
        /// When the next attempt begins, in milliseconds since 1970.
        next_unix_millis: i64,
    },
    /// It has its answer.
    Answered {
        /// `ok`, or the code of the failure.
        code: String,
    },
}

/// A change of a run, for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunEvent {
    /// When, in milliseconds since 1970.
    #[serde(rename = "unixMillis")]
    pub at: i64,
    /// The role.
    pub role: String,
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
    /// The change.
    #[serde(flatten)]
    pub change: RunChange,
}

/// The change of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum RunChange {
    /// It has another status.
    Status {
        /// The new one.
        status: WorkflowStatus,
    },
    /// It trapped, and is started again.
    Restart {
        /// For so many times.
        restarts: u32,
    },
}
