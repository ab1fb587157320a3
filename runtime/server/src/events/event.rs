//! [`LiveEvent`]: an event as clients get it.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use exomonad_host::EmittedEvent as Event;
use exomonad_host::workflows::view::{RunEvent, StepEvent};
use exomonad_schema::{RawJson, RoleName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ring::RunIds;

/// Something that has happened in the host. The `event` of the stream is its `type`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LiveEvent {
    /// A run of a workflow has changed.
    Run(RunEvent),
    /// A step of a run begins or is answered; for whoever asks for steps.
    Step(StepEvent),
    /// A plugin has emitted an event.
    Plugin(PluginEvent),
    /// Events are missing at this place of the stream. Whoever follows runs looks at them again.
    Missed(MissedEvents),
}

/// An event that a plugin has emitted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginEvent {
    /// When, in milliseconds since 1970.
    pub unix_millis: i64,
    /// The role.
    pub role: RoleName,
    /// The call during which it was emitted.
    pub call_id: String,
    /// Its name.
    pub name: String,
    /// Its data.
    pub payload: RawJson,
}

impl From<&Event> for PluginEvent {
    fn from(event: &Event) -> Self {
        let since = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            unix_millis: i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            role: event.role.clone(),
            call_id: event.call_id.to_string(),
            name: event.name.clone(),
            payload: event.payload.clone(),
        }
    }
}

/// Events that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissedEvents {
    /// The reason.
    pub reason: MissedReason,
}

/// The reason why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissedReason {
    /// The client came back when they were not kept any more, or reads too slowly.
    TooLate,
    /// The host has been started again since.
    Restart,
    /// This host never gave the id that the client has.
    Unknown,
    /// More happened at once than the host can note.
    Overflow,
}

impl LiveEvent {
    fn kind(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::Step(_) => "step",
            Self::Plugin(_) => "plugin",
            Self::Missed(_) => "missed",
        }
    }

    /// The role that it is of.
    pub(super) fn role(&self) -> Option<RoleName> {
        match self {
            Self::Run(event) => event.role.parse().ok(),
            Self::Step(event) => event.role.parse().ok(),
            Self::Plugin(event) => Some(event.role.clone()),
            Self::Missed(_) => None,
        }
    }

    /// The run that it is about.
    pub(super) fn run(&self) -> Option<RunIds> {
        match self {
            Self::Run(event) => Some(RunIds {
                workflow: event.workflow.clone(),
                workflow_id: event.workflow_id.clone(),
                run_id: event.run_id.clone(),
            }),
            Self::Step(event) => Some(RunIds {
                workflow: event.workflow.clone(),
                workflow_id: event.workflow_id.clone(),
                run_id: event.run_id.clone(),
            }),
            Self::Plugin(_) | Self::Missed(_) => None,
        }
    }

    /// The event as it is sent: a frame of server-sent events.
    pub(super) fn frame(&self, id: u64) -> Bytes {
        let data = serde_json::to_string(self).unwrap_or_default();
        // A line end would end the data. In JSON it is space between tokens: in a string it is escaped.
        let data = data.replace(['\n', '\r'], " ");
        format!("event: {}\nid: {id}\ndata: {data}\n\n", self.kind()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_several_lines_stays_one_event() {
        let payload = "{\r\n  \"a\": \"b\\nc\"\n}".to_owned();
        let event = LiveEvent::Plugin(PluginEvent {
            unix_millis: 7,
            role: "tl".parse().unwrap(),
            call_id: "c".to_owned(),
            name: "filed".to_owned(),
            payload: RawJson::from_text(payload).unwrap(),
        });
        let frame = event.frame(12);
        let frame = std::str::from_utf8(&frame).unwrap();
        let lines: Vec<&str> = frame.lines().collect();
        assert_eq!(lines[..2], ["event: plugin", "id: 12"]);
        assert_eq!(lines.len(), 4, "{frame}");
        let data: serde_json::Value =
            serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(data["type"], "plugin");
        assert_eq!(data["payload"]["a"], "b\nc");
    }
}
