//! JSON-RPC 2.0 messages, read from raw JSON: what a message carries stays as it was written.
//! <https://www.jsonrpc.org/specification>

use bytes::Bytes;
use exomonad_host::json;
use exomonad_schema::RawJson;
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::rpc_error::RpcError;

/// Messages that one batch may have.
const BATCH: usize = 100;

/// The body of a request, or a line.
#[expect(
    clippy::large_enum_variant,
    reason = "a request has one, and a box would be an allocation for each"
)]
pub enum Body {
    /// One message.
    Single(Message),
    /// Several; never none. Which are no messages is said of each.
    Batch(Vec<Result<Message, RpcError>>),
}

/// One message.
pub enum Message {
    /// It wants an answer.
    Request(Request),
    /// It wants none.
    Notification(Request),
    /// The answer to a request of the server's: its id, and the result or the error.
    Response(Id, Result<RawJson, RawJson>),
}

impl Message {
    /// The id of a request; [`Id::null`] of what wants no answer.
    pub fn id(&self) -> Id {
        match self {
            Self::Request(request) => request.id.clone(),
            Self::Notification(_) | Self::Response(..) => Id::null(),
        }
    }
}

/// A request, or a notification.
pub struct Request {
    /// Its id; [`Id::null`] for a notification.
    pub id: Id,
    /// The method.
    pub method: String,
    /// Its parameters.
    pub params: Params,
}

/// The id of a request as it was written: a number or a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Id(Box<str>);

impl Id {
    /// The id of an answer to what has none.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The id as JSON.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id of a request of the server's own.
    pub fn of_number(number: u64) -> Self {
        Self(number.to_string().into())
    }

    /// The id that JSON is, if it is one: a text or a whole number.
    pub fn read(json: &str) -> Option<Self> {
        let is_whole = || json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok();
        (json.starts_with('"') || is_whole()).then(|| Self(json.into()))
    }
}

/// The parameters of every method, each as it was written; absent where it is null.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Params {
    /// Metadata.
    #[serde(rename = "_meta")]
    pub meta: Option<RawJson>,
    /// A tool's name.
    pub name: Option<RawJson>,
    /// A tool's arguments.
    pub arguments: Option<RawJson>,
    /// The place in a list.
    pub cursor: Option<RawJson>,
    /// Of `initialize`.
    pub protocol_version: Option<RawJson>,
    /// Of `initialize`.
    pub client_info: Option<RawJson>,
    /// Of `notifications/cancelled`.
    pub request_id: Option<RawJson>,
    /// Of `subscriptions/listen`.
    pub notifications: Option<RawJson>,
    /// Of `initialize`.
    pub capabilities: Option<RawJson>,
    /// A resource's address.
    pub uri: Option<RawJson>,
    /// Of `completion/complete`: the prompt or the template.
    pub r#ref: Option<RawJson>,
    /// Of `completion/complete`: the argument.
    pub argument: Option<RawJson>,
    /// Of `completion/complete`: the other arguments.
    pub context: Option<RawJson>,
    /// Of `logging/setLevel`.
    pub level: Option<RawJson>,
    /// The client's answers to what the call before has asked.
    pub input_responses: Option<RawJson>,
    /// The state that the call before has given to go on from.
    pub request_state: Option<RawJson>,
    /// A task's id.
    pub task_id: Option<RawJson>,
}

/// The software at the other end.
#[derive(Deserialize)]
pub struct Implementation {
    /// Its name.
    pub name: String,
}

impl Implementation {
    /// The name, cut to what a log can take; `None` if there is none.
    pub fn name_of(json: Option<&RawJson>) -> Option<String> {
        let read: Self = object(json?)?;
        let name: String = read
            .name
            .chars()
            .filter(|letter| !letter.is_control())
            .take(100)
            .collect();
        (!name.is_empty()).then_some(name)
    }
}

/// The object that JSON is, if it is one. Read into a structure, a list would be taken for one.
pub fn object<T: DeserializeOwned>(json: &RawJson) -> Option<T> {
    json.get().starts_with('{').then(|| json.parse().ok())?
}

/// The text that JSON is, if it is one.
pub fn text(json: Option<&RawJson>) -> Option<String> {
    json?.parse().ok()
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Envelope<'a> {
    jsonrpc: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// A member that is there, also if it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Body {
    /// Reads a body, with what no guest can read mended as in any other body.
    ///
    /// # Errors
    /// If it is no JSON, no message, or an empty or too long batch.
    pub fn read(json: Bytes) -> Result<Self, RpcError> {
        let json = json::sanitize(json).map_err(RpcError::parse)?;
        let text = std::str::from_utf8(&json)
            .map_err(|error| RpcError::parse(format!("the body is no UTF-8: {error}")))?;
        if text.trim_start().starts_with('[') {
            let messages: Vec<&RawValue> = serde_json::from_str(text)
                .map_err(|error| RpcError::parse(format!("the body is no JSON: {error}")))?;
            return match messages.len() {
                0 => Err(RpcError::invalid("a batch has at least one message")),
                1..=BATCH => Ok(Self::Batch(
                    messages
                        .into_iter()
                        .map(|json| Message::read(json.get()))
                        .collect(),
                )),
                _ => Err(RpcError::invalid(format!(
                    "a batch has at most {BATCH} messages"
                ))),
            };
        }
        Message::read(text).map(Self::Single)
    }
}

impl Message {
    /// The message that these bytes are, if they are one.
    pub fn read_one(json: &[u8]) -> Option<Self> {
        Self::read(std::str::from_utf8(json).ok()?).ok()
    }

    fn read(json: &str) -> Result<Self, RpcError> {
        if json.trim_start().starts_with('[') {
            return Err(RpcError::invalid("a batch within a batch is no message"));
        }
        let read: Envelope<'_> =
            serde_json::from_str(json).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => {
                    RpcError::invalid(format!("this is no JSON-RPC message: {error}"))
                }
                _ => RpcError::parse(format!("this is no JSON: {error}")),
            })?;
        let id = match read.id {
            None => None,
            Some(json) => Some(Id::read(json.get()).ok_or_else(|| {
                RpcError::invalid("the id of a request is a text or a whole number")
            })?),
        };
        let answered = id.clone().unwrap_or_else(Id::null);
        let invalid = |what: &str| RpcError::invalid(what.to_owned()).answering(answered.clone());
        if read.jsonrpc.as_deref() != Some("2.0") {
            return Err(invalid("`jsonrpc` has to be \"2.0\""));
        }
        let Some(method) = read.method else {
            let owned = |json: &RawValue| RawJson::from_text(json.get().to_owned()).ok();
            let outcome = match (read.result, read.error) {
                (Some(result), None) => owned(result).map(Ok),
                (None, Some(error)) => owned(error).map(Err),
                _ => None,
            };
            return match (id, outcome) {
                (Some(id), Some(outcome)) => Ok(Self::Response(id, outcome)),
                _ => Err(invalid(
                    "a message has a `method`, or an `id` with either `result` or `error`",
                )),
            };
        };
        let method: Option<String> = serde_json::from_str(method.get()).ok();
        let method = method.ok_or_else(|| invalid("`method` has to be a text"))?;
        let params = match read.params {
            None => Params::default(),
            Some(json) if !json.get().starts_with('{') => {
                return Err(RpcError::params("`params` have to be an object").answering(answered));
            }
            Some(json) => serde_json::from_str(json.get()).map_err(|error| {
                RpcError::params(format!("`params` cannot be read: {error}"))
                    .answering(answered.clone())
            })?,
        };
        let is_notification = id.is_none();
        let request = Request {
            id: answered,
            method,
            params,
        };
        Ok(match is_notification {
            true => Self::Notification(request),
            false => Self::Request(request),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Body, RpcError> {
        Body::read(Bytes::copy_from_slice(json.as_bytes()))
    }

    fn error(json: &str) -> (i32, Id) {
        match read(json) {
            Err(error) => (error.code(), error.id()),
            Ok(_) => panic!("{json} is a message"),
        }
    }

    #[test]
    fn what_is_no_message_is_told_by_its_code_and_answers_the_id_if_there_is_one() {
        let one = || Id("1".into());
        for (json, code, id) in [
            ("", -32700, Id::null()),
            ("{", -32700, Id::null()),
            ("nonsense", -32700, Id::null()),
            ("[]", -32600, Id::null()),
            ("7", -32600, Id::null()),
            ("{}", -32600, Id::null()),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
                -32602,
                one(),
            ),
            (r#"{"jsonrpc":"2.0"}"#, -32600, Id::null()),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600, one()),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, one()),
            (r#"{"id":1,"method":"ping"}"#, -32600, one()),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
                -32600,
                Id::null(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
                -32600,
                Id::null(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
                -32600,
                Id::null(),
            ),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600, one()),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
                -32600,
                Id::null(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
                -32600,
                one(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}"#,
                -32602,
                one(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":7}"#,
                -32602,
                one(),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"name":"a","name":"b"}}"#,
                -32602,
                one(),
            ),
        ] {
            assert_eq!(error(json), (code, id), "{json}");
        }
        assert_eq!(error(&format!("[{}]", vec!["1"; 101].join(","))).0, -32600);
        let Err(nothing) = read("null") else {
            panic!("it is a message");
        };
        let nothing = String::from_utf8(nothing.to_json()).unwrap();
        assert!(nothing.contains("null, expected an object"), "{nothing}");
    }

    #[test]
    fn ids_and_parameters_stay_as_they_were_written() {
        for id in ["1", "-3", "18446744073709551615", r#""a\u0041""#] {
            let json = format!(
                r#" {{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"arguments":{{"n": 1.10}},"x":1}}}}"#
            );
            let Ok(Body::Single(Message::Request(request))) = read(&json) else {
                panic!("{json}");
            };
            assert_eq!(request.id.as_json(), id);
            assert_eq!(
                request.params.arguments.as_ref().map(RawJson::get),
                Some(r#"{"n": 1.10}"#)
            );
        }
        let notification = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert!(matches!(
            read(notification),
            Ok(Body::Single(Message::Notification(_)))
        ));
        let response = r#"{"jsonrpc":"2.0","id":1,"result":null}"#;
        assert!(matches!(
            read(response),
            Ok(Body::Single(Message::Response(_, Ok(_))))
        ));
    }

    #[test]
    fn deep_nesting_takes_no_stack_and_is_refused() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let json =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"arguments":{deep}}}}}"#);
        assert_eq!(error(&json), (-32602, Id("1".into())));
    }
}
