//! JSON, times and failures in Temporal's messages.
//!
//! Payloads are those of the data converter that Temporal's SDKs have by default: a value is JSON with the
//! metadata `encoding: json/plain`, nothing at all is `binary/null`.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use exomonad_schema::effects::temporal::{TemporalFailure, TemporalMillis};
use exomonad_schema::{Base64, RawJson};
use jiff::Timestamp;
use prost_wkt_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};
use serde_json::json;
use temporalio_protos::temporal::api::common::v1::{Memo, Payload, Payloads, SearchAttributes};
use temporalio_protos::temporal::api::failure::v1::Failure;
use temporalio_protos::temporal::api::failure::v1::failure::FailureInfo;

/// The metadata that says how the data is encoded.
pub(crate) const ENCODING: &str = "encoding";

/// The number of causes of a failure that are passed on.
const MAX_CAUSES: usize = 32;

/// A value as a payload.
pub fn encode(value: &RawJson) -> Payload {
    let mut payload = Payload::default();
    payload.metadata = HashMap::from([(ENCODING.to_owned(), b"json/plain".to_vec())]);
    payload.data = value.get().as_bytes().to_vec();
    payload
}

/// Arguments as payloads; `None` for none.
pub fn encode_all(values: &[RawJson]) -> Option<Payloads> {
    let mut payloads = Payloads::default();
    payloads.payloads = values.iter().map(encode).collect();
    (!values.is_empty()).then_some(payloads)
}

/// A memo; `None` for an empty one.
pub fn memo(values: &BTreeMap<String, RawJson>) -> Option<Memo> {
    let mut memo = Memo::default();
    memo.fields = encode_map(values);
    (!values.is_empty()).then_some(memo)
}

/// Search attributes; `None` for none.
pub fn search_attributes(values: &BTreeMap<String, RawJson>) -> Option<SearchAttributes> {
    let mut attributes = SearchAttributes::default();
    attributes.indexed_fields = encode_map(values);
    (!values.is_empty()).then_some(attributes)
}

fn encode_map(values: &BTreeMap<String, RawJson>) -> HashMap<String, Payload> {
    let encoded = values
        .iter()
        .map(|(name, value)| (name.clone(), encode(value)));
    encoded.collect()
}

/// The header by which Temporal's SDKs carry a trace on: the fields of W3C's trace context, as a JSON object.
pub const TRACE: &str = "_tracer-data";

/// The header of a trace.
pub fn trace_header(traceparent: &str) -> (String, Payload) {
    let fields = RawJson::from(json!({"traceparent": traceparent}));
    (TRACE.to_owned(), encode(&fields))
}

/// The trace that headers carry on.
pub fn traceparent(headers: &HashMap<String, Payload>) -> Option<String> {
    let fields: BTreeMap<String, String> = decode(headers.get(TRACE)?).parse().ok()?;
    fields.get("traceparent").cloned()
}

/// The value of a payload. One that is not JSON comes as its encoding and its bytes.
pub fn decode(payload: &Payload) -> RawJson {
    let encoding = payload.metadata.get(ENCODING).map(Vec::as_slice);
    let json = match encoding {
        Some(b"json/plain" | b"json/protobuf") => String::from_utf8(payload.data.clone()).ok(),
        Some(b"binary/null") => Some("null".to_owned()),
        _ => None,
    };
    json.and_then(|json| RawJson::from_text(json).ok())
        .unwrap_or_else(|| {
            RawJson::from(json!({
                "encoding": encoding.map(String::from_utf8_lossy),
                "data": Base64(payload.data.clone()),
            }))
        })
}

/// All values.
pub fn decode_all(payloads: Option<&Payloads>) -> Vec<RawJson> {
    let payloads = payloads.map(|payloads| payloads.payloads.as_slice());
    payloads.unwrap_or_default().iter().map(decode).collect()
}

/// The one value that a function gives back: `null` for none, a list for several.
pub fn decode_one(payloads: Option<&Payloads>) -> RawJson {
    let mut values = decode_all(payloads);
    match values.len() {
        0 => RawJson::default(),
        1 => values.swap_remove(0),
        _ => RawJson::new(&values).unwrap_or_default(),
    }
}

/// The values of a memo or of search attributes.
pub fn decode_map(fields: Option<&HashMap<String, Payload>>) -> BTreeMap<String, RawJson> {
    let fields = fields.into_iter().flatten();
    fields
        .map(|(name, payload)| (name.clone(), decode(payload)))
        .collect()
}

/// A failure, then its cause, and so on.
pub fn failures(failure: Option<&Failure>) -> Vec<TemporalFailure> {
    let chain = std::iter::successors(failure, |failure| failure.cause.as_deref());
    chain.take(MAX_CAUSES).map(one_failure).collect()
}

fn one_failure(failure: &Failure) -> TemporalFailure {
    let mut described = TemporalFailure {
        message: failure.message.clone(),
        stack_trace: Some(failure.stack_trace.clone()).filter(|trace| !trace.is_empty()),
        ..TemporalFailure::default()
    };
    let details;
    (described.kind, details) = match &failure.failure_info {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            described.error_type = Some(info.r#type.clone()).filter(|name| !name.is_empty());
            ("application", info.details.as_ref())
        }
        Some(FailureInfo::TimeoutFailureInfo(info)) => {
            let kind = info.timeout_type().as_str_name();
            described.error_type = Some(last_word(kind, "TIMEOUT_TYPE_"));
            ("timeout", info.last_heartbeat_details.as_ref())
        }
        Some(FailureInfo::CanceledFailureInfo(info)) => ("canceled", info.details.as_ref()),
        Some(FailureInfo::TerminatedFailureInfo(_)) => ("terminated", None),
        Some(FailureInfo::ServerFailureInfo(_)) => ("server", None),
        Some(FailureInfo::ResetWorkflowFailureInfo(_)) => ("reset_workflow", None),
        Some(FailureInfo::ActivityFailureInfo(info)) => {
            let name = info.activity_type.as_ref().map(|name| name.name.clone());
            described.error_type = name;
            ("activity", None)
        }
        Some(FailureInfo::ChildWorkflowExecutionFailureInfo(info)) => {
            let name = info.workflow_type.as_ref().map(|name| name.name.clone());
            described.error_type = name;
            ("child_workflow", None)
        }
        Some(FailureInfo::NexusOperationExecutionFailureInfo(_)) => ("nexus_operation", None),
        Some(FailureInfo::NexusHandlerFailureInfo(info)) => {
            described.error_type = Some(info.r#type.clone()).filter(|name| !name.is_empty());
            ("nexus_handler", None)
        }
        None => ("unknown", None),
    }
    .map_first(str::to_owned);
    described.details = decode_all(details);
    described
}

/// A pair whose first part is changed.
trait MapFirst<A, B> {
    fn map_first<C>(self, change: impl FnOnce(A) -> C) -> (C, B);
}

impl<A, B> MapFirst<A, B> for (A, B) {
    fn map_first<C>(self, change: impl FnOnce(A) -> C) -> (C, B) {
        (change(self.0), self.1)
    }
}

/// A constant of an enumeration in lower case, without what all of them begin with.
pub fn last_word(constant: &str, prefix: &str) -> String {
    constant
        .strip_prefix(prefix)
        .unwrap_or(constant)
        .to_ascii_lowercase()
}

/// A duration.
pub fn duration(millis: Option<TemporalMillis>) -> Option<ProtoDuration> {
    let millis = millis?.get();
    let mut duration = ProtoDuration::default();
    duration.seconds = i64::try_from(millis / 1000).ok()?;
    duration.nanos = i32::try_from(millis % 1000 * 1_000_000).ok()?;
    Some(duration)
}

/// A duration in milliseconds; 0 for a negative one.
pub fn millis(duration: Option<&ProtoDuration>) -> u64 {
    let Some(duration) = duration else { return 0 };
    let seconds = u64::try_from(duration.seconds).unwrap_or(0);
    let nanos = u32::try_from(duration.nanos).unwrap_or(0);
    let millis = Duration::from_secs(seconds).as_millis() + u128::from(nanos / 1_000_000);
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// A time as RFC 3339 has it; `None` for the year 1, by which Temporal says that there is none.
pub fn time(timestamp: Option<&ProtoTimestamp>) -> Option<String> {
    let timestamp = timestamp?;
    let moment = Timestamp::new(timestamp.seconds, timestamp.nanos).ok()?;
    const YEAR_2: i64 = -62_104_060_800;
    (timestamp.seconds > YEAR_2).then(|| moment.to_string())
}

/// A time that is written as RFC 3339 has it.
pub fn parse_time(text: &str) -> Option<ProtoTimestamp> {
    let moment: Timestamp = text.parse().ok()?;
    let mut timestamp = ProtoTimestamp::default();
    timestamp.seconds = moment.as_second();
    timestamp.nanos = moment.subsec_nanosecond();
    // Before 1970 jiff counts both parts down.
    if timestamp.nanos < 0 {
        timestamp.seconds -= 1;
        timestamp.nanos += 1_000_000_000;
    }
    Some(timestamp)
}

/// A number that the protocol has with a sign and never uses it.
pub fn count(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> RawJson {
        RawJson::from_text(text.to_owned()).unwrap()
    }

    #[test]
    fn json_goes_through_a_payload_as_it_is_written() {
        for text in [
            "null",
            "1e400",
            "9007199254740993",
            r#"{"b":1,"a":[ "\u00e9"]}"#,
        ] {
            let payload = encode(&json(text));
            assert_eq!(payload.metadata["encoding"], b"json/plain");
            assert_eq!(decode(&payload).get(), text);
        }
        assert_eq!(encode_all(&[]), None);
    }

    #[test]
    fn a_payload_that_is_not_json_keeps_its_encoding_and_its_bytes() {
        let payload = |encoding: &str, data: &[u8]| {
            let mut payload = Payload::default();
            payload.metadata = HashMap::from([("encoding".to_owned(), encoding.into())]);
            payload.data = data.to_vec();
            decode(&payload).parse::<serde_json::Value>().unwrap()
        };
        assert_eq!(payload("binary/null", b""), json!(null));
        assert_eq!(
            payload("binary/plain", &[0, 255]),
            json!({"encoding": "binary/plain", "data": "AP8="})
        );
        assert_eq!(
            payload("json/plain", b"{"),
            json!({"encoding": "json/plain", "data": "ew=="})
        );
    }

    #[test]
    fn what_a_function_gives_back_is_one_value() {
        assert_eq!(decode_one(None).get(), "null");
        let several = encode_all(&[json("1"), json("2")]);
        assert_eq!(decode_one(several.as_ref()).get(), "[1,2]");
        let one = encode_all(&[json("{ }")]);
        assert_eq!(decode_one(one.as_ref()).get(), "{ }");
    }

    #[test]
    fn times_and_durations_keep_their_parts() {
        for text in ["2026-11-29T09:56:07.066694552Z", "1969-12-31T23:59:58.5Z"] {
            assert_eq!(time(parse_time(text).as_ref()).unwrap(), text);
        }
        assert_eq!(parse_time("tomorrow"), None);
        let year_1 = parse_time("0001-01-01T00:00:00Z").unwrap();
        assert_eq!(time(Some(&year_1)), None);
        let wait = duration(TemporalMillis::try_from(1_500).ok());
        assert_eq!(millis(wait.as_ref()), 1_500);
    }

    #[test]
    fn a_failure_comes_with_its_causes_and_not_with_endless_ones() {
        let mut failure = Failure::default();
        for depth in 0..100 {
            let mut outer = Failure::default();
            outer.message = format!("depth {depth}");
            outer.cause = Some(Box::new(failure));
            failure = outer;
        }
        let found = failures(Some(&failure));
        assert_eq!(found.len(), MAX_CAUSES);
        assert_eq!(found[1].message, "depth 98");
        assert_eq!(found[0].kind, "unknown");
    }
}
