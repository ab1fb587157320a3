//! The history of a run on a Temporal server, as entries of this host's own histories.
//!
//! An event of the server is JSON, as Temporal's CLI prints it. Steps, timers and children are known by their numbers:
//! activities and timers have them in their ids, children
//! in the header [`STEP`].

use std::collections::HashMap;

use exomonad_journal::{Payload, RequestHash};
use exomonad_schema::{Answer, Base64, EffectError, EffectKind, ErrorCode, RawJson};
use exomonad_workflow::effects::crash_class;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::steps::effect_named;
use super::view::{HistoryEntry, HistoryKind, RunError};

/// The header of activities and children that are steps of a workflow of this host: the step's number, and of a child
/// that of its end.
pub const STEP: &str = "exomonad-step";

/// Bytes of requests and answers that one part of a history has, more or less.
const PART_BYTES: usize = 4 << 20;

/// The name under which core records that a change of the code applies.
const PATCH: &str = "core_patch";

/// An event of the server.
pub(super) struct Event {
    /// Its number, from 1.
    id: String,
    unix_millis: i64,
    /// Its kind, such as `EVENT_TYPE_TIMER_FIRED`.
    kind: String,
    /// The facts of its kind.
    attributes: Value,
}

impl Event {
    /// An event as the server tells it; `None` for what is none.
    pub fn read(event: &RawJson) -> Option<Self> {
        let mut fields: Map<String, Value> = event.parse().ok()?;
        let attributes = fields.keys().find(|name| name.ends_with("EventAttributes"));
        let attributes = attributes.cloned()?;
        let text = |name: &str| fields.get(name)?.as_str().map(str::to_owned);
        let time: Timestamp = text("eventTime")?.parse().ok()?;
        Some(Self {
            id: text("eventId")?,
            unix_millis: time.as_millisecond(),
            kind: text("eventType")?,
            attributes: fields.remove(&attributes)?,
        })
    }

    fn text(&self, pointer: &str) -> String {
        let found = self.attributes.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    }

    /// The run's input, if it is the event of its start.
    pub fn input(&self) -> RawJson {
        one(&self.attributes["input"])
    }

    /// The run that this one continues, if it is the event of its start.
    pub fn continued_from(&self) -> Option<String> {
        Some(self.text("/continuedExecutionRunId")).filter(|run| !run.is_empty())
    }

    /// The run's output, if it is the event of its end.
    pub fn output(&self) -> Option<RawJson> {
        let is_output = self.kind == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED";
        is_output.then(|| one(&self.attributes["result"]))
    }

    /// The run that continues this one, if it is the event of its end.
    pub fn continued_to(&self) -> Option<String> {
        Some(self.text("/newExecutionRunId")).filter(|run| !run.is_empty())
    }

    /// The failure of the run, if it is the event of its end.
    pub fn failure(&self) -> Option<RunError> {
        let told = |code: &str, message: &str| {
            Some(RunError {
                code: code.to_owned(),
                message: message.to_owned(),
            })
        };
        match self.kind.strip_prefix("EVENT_TYPE_WORKFLOW_EXECUTION_")? {
            "FAILED" => {
                let code = self.text("/failure/applicationFailureInfo/type");
                let code = Some(code.as_str()).filter(|code| !code.is_empty());
                told(code.unwrap_or("failed"), &self.text("/failure/message"))
            }
            "TIMED_OUT" => told("timeout", "the workflow has not ended in time"),
            "TERMINATED" => told("terminated", &self.text("/reason")),
            _ => None,
        }
    }

    /// The build id of the worker that has taken a task: the digest of its plugin.
    pub fn build_id(&self) -> Option<String> {
        Some(self.text("/workerVersion/buildId")).filter(|id| !id.is_empty())
    }

    /// The reason why a workflow task has failed, if that is what it tells.
    pub fn task_failure(&self) -> Option<String> {
        let is_failure = self.kind == "EVENT_TYPE_WORKFLOW_TASK_FAILED";
        is_failure.then(|| self.text("/failure/message"))
    }
}

/// Reads events, in their order, to a part of a history.
pub(super) struct HistoryReader {
    from: u64,
    limit: u64,
    /// The number of entries so far, those before the part included.
    position: u64,
    bytes: usize,
    has_more: bool,
    entries: Vec<HistoryEntry>,
    /// Steps and ends of children by the events in which they were asked for.
    steps: HashMap<String, Asked>,
}

#[derive(Clone)]
struct Asked {
    /// The step's number.
    step: Option<u64>,
    /// True if it is not known after a silence of its host whether it has happened.
    changes: bool,
    /// The attempt that has begun last.
    attempt: u32,
    /// The number of a child's end.
    end: Option<u64>,
    name: String,
}

impl HistoryReader {
    /// The part that begins at this position and has so many entries at most.
    pub fn new(from: u64, limit: u64) -> Self {
        Self {
            from,
            limit,
            position: 0,
            bytes: 0,
            has_more: false,
            entries: Vec::new(),
            steps: HashMap::new(),
        }
    }

    /// The entries, and whether there are more.
    pub fn finish(self) -> (Vec<HistoryEntry>, bool) {
        (self.entries, self.has_more)
    }

    /// Reads the next event. False if no more are wanted.
    pub fn read(&mut self, event: &Event) -> bool {
        let Some(mut entry) = self.entry(event) else {
            return true;
        };
        entry.position = self.position;
        self.position += 1;
        if entry.position < self.from {
            return true;
        }
        let parts = [&entry.request, &entry.answer];
        let bytes: usize = parts.into_iter().flatten().map(|part| part.0.len()).sum();
        let is_full = self.entries.len() as u64 >= self.limit
            || (self.bytes + bytes > PART_BYTES && !self.entries.is_empty());
        if is_full {
            self.has_more = true;
            return false;
        }
        self.bytes += bytes;
        self.entries.push(entry);
        true
    }

    fn entry(&mut self, event: &Event) -> Option<HistoryEntry> {
        let kind = event.kind.strip_prefix("EVENT_TYPE_")?;
        let of = |kind| HistoryEntry::new(0, event.unix_millis, kind);
        Some(match kind {
            "ACTIVITY_TASK_SCHEDULED" => {
                let id = event.text("/activityId");
                let (step, hash) = id.split_once(':').unwrap_or((&id, ""));
                let name = event.text("/activityType/name");
                let request = one(&event.attributes["input"]);
                let asked = Asked {
                    changes: effect_named(&name)
                        .is_some_and(|kind| crash_class(kind, request.get().as_bytes()).changes()),
                    attempt: 1,
                    step: step.parse().ok(),
                    end: None,
                    name,
                };
                HistoryEntry {
                    hash: serde_json::from_value::<RequestHash>(hash.into()).ok(),
                    ..self.asked(event, asked, request)
                }
            }
            "START_CHILD_WORKFLOW_EXECUTION_INITIATED" => {
                let request = json!({
                    "workflow": event.text("/workflowType/name"),
                    "workflowId": event.text("/workflowId"),
                    "input": one(&event.attributes["input"]),
                });
                let asked = child_asked_for(event);
                self.asked(event, asked, RawJson::from(request))
            }
            "ACTIVITY_TASK_STARTED" => {
                let asked = self.steps.get_mut(&event.text("/scheduledEventId"))?;
                let attempt = event.attributes["attempt"].as_u64();
                asked.attempt = u32::try_from(attempt.unwrap_or(1)).unwrap_or(u32::MAX);
                return None;
            }
            "TIMER_FIRED" => HistoryEntry {
                step: event.text("/timerId").parse().ok(),
                ..of(HistoryKind::Fired)
            },
            "WORKFLOW_EXECUTION_SIGNALED" => HistoryEntry {
                name: Some(event.text("/signalName")),
                answer: Some(payload(&one(&event.attributes["input"]))),
                ..of(HistoryKind::Signal)
            },
            "WORKFLOW_EXECUTION_CANCEL_REQUESTED" => of(HistoryKind::Cancel),
            "MARKER_RECORDED" if event.text("/markerName") == PATCH => {
                let data = one(&event.attributes["details"]["patch-data"]);
                let data: Value = data.parse().unwrap_or_default();
                HistoryEntry {
                    name: data["id"].as_str().map(str::to_owned),
                    ..of(HistoryKind::Patched)
                }
            }
            _ => {
                let asked_in = match event.text("/scheduledEventId") {
                    none if none.is_empty() => event.text("/initiatedEventId"),
                    id => id,
                };
                let asked = self.steps.get(&asked_in)?.clone();
                let is_end_of_child = kind.starts_with("CHILD_WORKFLOW_EXECUTION_")
                    && kind != "CHILD_WORKFLOW_EXECUTION_STARTED";
                HistoryEntry {
                    step: match is_end_of_child {
                        true => asked.end,
                        false => asked.step,
                    },
                    name: Some(asked.name).filter(|_| !is_end_of_child),
                    answer: Some(answer(kind, event, asked.changes)?),
                    attempt: Some(asked.attempt),
                    ..of(HistoryKind::Done)
                }
            }
        })
    }

    fn asked(&mut self, event: &Event, asked: Asked, request: RawJson) -> HistoryEntry {
        self.steps.insert(event.id.clone(), asked.clone());
        HistoryEntry {
            step: asked.step,
            name: Some(asked.name),
            request: Some(payload(&request)),
            ..HistoryEntry::new(0, event.unix_millis, HistoryKind::Asked)
        }
    }
}

/// A child that was asked for: its numbers are in the header.
fn child_asked_for(event: &Event) -> Asked {
    let header = &event.attributes["header"]["fields"][STEP];
    let numbers: Vec<u64> = value(header).parse().unwrap_or_default();
    Asked {
        changes: false,
        attempt: 1,
        step: numbers.first().copied(),
        end: numbers.get(1).copied(),
        name: EffectKind::WorkflowStartChild.capability().to_owned(),
    }
}

/// The answer that an event brings, as the host function would have returned it; `None` for a kind that brings none.
fn answer(kind: &str, event: &Event, changes: bool) -> Option<Payload> {
    let attributes = &event.attributes;
    // The open one is the answer; the server does not tell which run it is.
    if kind == "START_CHILD_WORKFLOW_EXECUTION_FAILED" {
        let child = json!({"workflowId": attributes["workflowId"], "runId": "", "started": false});
        return RawJson::new(&Answer::Success(child))
            .ok()
            .map(|child| payload(&child));
    }
    let said = |code, message: &str| {
        let failure = innermost(&attributes["failure"]);
        let details = value(&failure["applicationFailureInfo"]["details"]["payloads"][0]);
        let own: Option<EffectError> = details.parse().ok();
        Answer::Error(own.unwrap_or_else(|| {
            let told = failure["message"].as_str().filter(|told| !told.is_empty());
            EffectError::new(code, told.unwrap_or(message))
        }))
    };
    let is_of_child = kind.contains("CHILD_WORKFLOW_EXECUTION");
    let failed = match is_of_child {
        true => ErrorCode::WorkflowFailed,
        false => ErrorCode::Internal,
    };
    let answer: Answer<RawJson> = match kind.rsplit('_').next()? {
        "COMPLETED" => Answer::Success(one(&attributes["result"])),
        "STARTED" if is_of_child => Answer::Success(RawJson::from(json!({
            "workflowId": attributes["workflowExecution"]["workflowId"],
            "runId": attributes["workflowExecution"]["runId"],
            "started": true,
        }))),
        "FAILED" => said(failed, "it failed"),
        "CANCELED" => said(ErrorCode::Cancelled, "it was cancelled"),
        "TERMINATED" => said(failed, "it was terminated"),
        "OUT" if changes => said(
            ErrorCode::OutcomeUnknown,
            "its host was silent, and it may have happened",
        ),
        "OUT" => said(ErrorCode::Timeout, "its time was up"),
        _ => return None,
    };
    RawJson::new(&answer).ok().map(|answer| payload(&answer))
}

/// The last cause of a failure.
fn innermost(failure: &Value) -> &Value {
    let mut innermost = failure;
    while let Some(cause) = innermost.get("cause").filter(|cause| cause.is_object()) {
        innermost = cause;
    }
    innermost
}

fn payload(json: &RawJson) -> Payload {
    json.get().as_bytes().into()
}

/// The one value of some payloads: `null` for none, a list for several.
fn one(payloads: &Value) -> RawJson {
    match payloads["payloads"].as_array().map(Vec::as_slice) {
        None | Some([]) => RawJson::default(),
        Some([one]) => value(one),
        Some(several) => {
            let values: Vec<RawJson> = several.iter().map(value).collect();
            RawJson::new(&values).unwrap_or_default()
        }
    }
}

/// The value of a payload. One that is not JSON comes as it is.
fn value(payload: &Value) -> RawJson {
    let bytes = |text: &Value| serde_json::from_value::<Base64>(text.clone()).ok();
    let encoding = bytes(&payload["metadata"]["encoding"]);
    let json = match encoding.as_ref().map(|name| name.0.as_slice()) {
        Some(b"json/plain" | b"json/protobuf") => bytes(&payload["data"])
            .and_then(|data| String::from_utf8(data.0).ok())
            .and_then(|json| RawJson::from_text(json).ok()),
        Some(b"binary/null") => Some(RawJson::default()),
        _ => None,
    };
    json.unwrap_or_else(|| RawJson::from(payload.clone()))
}
