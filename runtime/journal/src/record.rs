//! [`CallRecord`]: one call, as programs and people see it.
//!
//! In JSON every part that may be any bytes is a [`Payload`]: `{"json": …}`, `{"text": …}` or `{"base64": …}`,
//! whichever keeps the bytes as they were. Enumerations have their name outside (`{"effect": {…}}`), since
//! JSON that is kept as text does not survive serde's other representations.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exomonad_schema::effects::log::LogLevel;
use exomonad_schema::{Base64, CallId, RawJson, RoleName};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::RequestHash;

/// The outcome of a call that did what it was asked for.
pub const OK: &str = "ok";

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallKind {
    /// A tool.
    Tool,
    /// A decision on an event.
    Hook,
    /// An export, called raw.
    Export,
}

impl CallKind {
    /// The kind in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Hook => "hook",
            Self::Export => "export",
        }
    }
}

/// A call as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallSummary {
    /// The call.
    pub id: CallId,
    /// The role whose plugin was called.
    pub role: RoleName,
    /// Its kind: a tool, a hook or any export.
    pub kind: CallKind,
    /// The tool, the event or the export.
    pub name: String,
    /// When the guest was called, in RFC 3339 with microseconds.
    pub at: String,
    /// Microseconds until it was done.
    pub micros: u64,
    /// The caller, as far as it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The id of the trace that the call belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The SHA-256 of the plugin's modules.
    pub plugin: String,
    /// A hash of what the guest can observe of its role's configuration: values, limits, log level.
    pub configuration: String,
    /// `ok`, `tool_error` if the guest says so, or the code of its failure.
    pub outcome: String,
    /// Effects that the guest asked for, HTTP requests among them.
    pub effects: u32,
    /// False if something was left out because the record would have become too large.
    pub complete: bool,
    /// True if the sandbox had served another call before: what was in its memory is not recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub used_sandbox: bool,
}

impl CallSummary {
    /// True if the call did not do what it was asked for.
    pub fn has_failed(&self) -> bool {
        self.outcome != OK
    }

    /// The order of calls: by time, then by id.
    pub fn order(&self) -> (&str, &str) {
        (&self.at, self.id.as_str())
    }
}

/// One call: what the guest was given, asked for, was answered, and gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// The call.
    pub call: CallSummary,
    /// The input, as the guest got it: arguments or payload, and the context.
    pub input: Payload,
    /// The bytes of the input; more than are in `input` if it was cut.
    pub input_bytes: u64,
    /// Everything that passed between guest and host, in its order.
    pub events: Vec<Event>,
    /// The output, as the guest gave it; absent if it failed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Payload>,
    /// The failure, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CallRecord {
    /// True if the input was cut: then there is nothing to run the guest with.
    pub fn input_is_cut(&self) -> bool {
        (self.input.0.len() as u64) < self.input_bytes
    }
}

/// Something that passed between a guest and the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// An effect.
    Effect(EffectEvent),
    /// Extism's `http_request`.
    Http(Box<HttpExchange>),
    /// A line of the guest's log.
    #[serde(rename_all = "camelCase")]
    Log {
        /// Its level.
        level: LogLevel,
        /// The line.
        message: String,
    },
    /// A question for the least level that is logged.
    #[serde(rename_all = "camelCase")]
    LogLevel {
        /// The answer; absent if nothing is logged.
        level: Option<LogLevel>,
    },
    /// A question for a value of the configuration.
    #[serde(rename_all = "camelCase")]
    Config {
        /// The key.
        key: String,
        /// The answer; absent if there is no such key.
        value: Option<String>,
    },
    /// The wall clock.
    #[serde(rename_all = "camelCase")]
    Now {
        /// Nanoseconds since 1970.
        unix_nanos: i64,
    },
    /// The clock that never goes back.
    #[serde(rename_all = "camelCase")]
    Monotonic {
        /// Nanoseconds since some moment.
        nanos: u64,
    },
    /// Random bytes.
    #[serde(rename_all = "camelCase")]
    Random {
        /// The bytes.
        bytes: Base64,
    },
    /// Randomness that was refused.
    #[serde(rename_all = "camelCase")]
    NoRandom {
        /// The reason.
        reason: String,
    },
    /// A pause by WASI.
    #[serde(rename_all = "camelCase")]
    Sleep {
        /// Its length.
        nanos: u64,
    },
}

/// An effect that a guest asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectEvent {
    /// Its capability, such as `git.status`.
    pub effect: String,
    /// The hash of capability and request.
    pub hash: RequestHash,
    /// The request, as the guest wrote it.
    pub request: Payload,
    /// The answer; absent if the call ended before, or the record was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Payload>,
    /// Microseconds until the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
}

/// Extism's `http_request`, with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpExchange {
    /// The hash of the request.
    pub hash: RequestHash,
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// The header fields of the request.
    pub headers: BTreeMap<String, String>,
    /// The body of the request.
    pub body: Payload,
    /// The answer; absent if the call ended before, or the record was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<HttpAnswer>,
    /// Microseconds until the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
}

/// The answer to Extism's `http_request`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HttpAnswer {
    /// A response.
    #[serde(rename_all = "camelCase")]
    Response {
        /// The status code.
        status: u16,
        /// The header fields.
        headers: BTreeMap<String, String>,
        /// The body.
        body: Payload,
    },
    /// The body was longer than the role's limit.
    TooLarge {},
    /// There was no response.
    Failed {
        /// The reason.
        message: String,
    },
}

/// Any bytes, in JSON as whatever keeps them: JSON, text or base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

/// A payload in JSON.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PayloadJson<'a> {
    /// It is JSON.
    Json(RawJson),
    /// It is some other text.
    Text(Cow<'a, str>),
    /// It is no text.
    Base64(Base64),
}

impl Payload {
    /// The text for a person: what is no text is shown with replacement characters.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ok(text) = std::str::from_utf8(&self.0) else {
            return PayloadJson::Base64(Base64(self.0.clone())).serialize(serializer);
        };
        // A line end would end a line of JSON lines, and blanks around the value are not kept.
        let is_one_line = !text.contains(['\n', '\r']);
        match RawJson::from_text(text.to_owned()) {
            Ok(json) if is_one_line && json.get() == text => {
                PayloadJson::Json(json).serialize(serializer)
            }
            _ => PayloadJson::Text(text.into()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match PayloadJson::deserialize(deserializer)? {
            PayloadJson::Json(json) => json.get().as_bytes().to_vec(),
            PayloadJson::Text(text) => text.into_owned().into_bytes(),
            PayloadJson::Base64(Base64(bytes)) => bytes,
        }))
    }
}

impl JsonSchema for Payload {
    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        PayloadJson::json_schema(generator)
    }
}

/// A moment as records have it: RFC 3339 with microseconds, so that texts sort as times do.
pub fn moment(time: SystemTime) -> String {
    // Beyond the year 9999 there is no such text; a clock that is there is wrong anyway.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_micros(UNIX_EPOCH + since.min(LAST)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_comes_back_from_json_byte_for_byte() {
        for bytes in [
            &b"{\"a\": 1e400}"[..],
            b" 1 ",
            b"",
            b"[1,\n2]",
            b"plain",
            b"\xff\x00",
            b"\"\\ud800\"",
            b"null",
        ] {
            let payload = Payload(bytes.to_vec());
            let json = serde_json::to_string(&payload).unwrap();
            assert!(!json.contains('\n'), "{json}");
            assert_eq!(
                serde_json::from_str::<Payload>(&json).unwrap(),
                payload,
                "{json}"
            );
        }
    }

    #[test]
    fn moments_sort_as_texts_whatever_the_clock_says() {
        let year = Duration::from_secs(365 * 24 * 3600);
        let times = [
            UNIX_EPOCH,
            UNIX_EPOCH + year * 50,
            UNIX_EPOCH + year * 20_000,
        ];
        let texts = times.map(moment);
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(moment(UNIX_EPOCH - year), texts[0]);
    }
}
