//! Temporal's messages: how they are made, and their parts that several modules need.

use std::time::Duration;

use exomonad_schema::RawJson;
use exomonad_temporal::payload;
use prost_wkt_types::Duration as ProtoDuration;
use temporalio_protos::temporal::api::common::v1::Payload;

/// The largest value that is sent, in bytes: a server takes no larger ones by default, with what is around them.
pub(crate) const LARGEST: usize = (2 << 20) - (16 << 10);

/// A message with these fields. Temporal's messages are non-exhaustive: no literal of one can be written.
macro_rules! message {
    ($Type:path { $($field:ident: $value:expr),* $(,)? }) => {{
        let mut message = <$Type>::default();
        $(message.$field = $value;)*
        message
    }};
}
pub(crate) use message;

/// JSON as a payload.
pub(crate) fn json_payload(json: &[u8]) -> Payload {
    let text = String::from_utf8_lossy(json).into_owned();
    payload::encode(&RawJson::from_text(text).unwrap_or_default())
}

/// The one value of some payloads: `null` for none, a list for several.
pub(crate) fn one_value(payloads: &[Payload]) -> RawJson {
    match payloads {
        [] => RawJson::default(),
        [one] => payload::decode(one),
        several => {
            let values: Vec<RawJson> = several.iter().map(payload::decode).collect();
            RawJson::new(&values).unwrap_or_default()
        }
    }
}

/// A duration.
pub(crate) fn duration(time: Duration) -> ProtoDuration {
    message!(ProtoDuration {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.subsec_nanos()).unwrap_or(0),
    })
}

/// A duration of milliseconds; none is negative.
pub(crate) fn millis(millis: i64) -> ProtoDuration {
    duration(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}
