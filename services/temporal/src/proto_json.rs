//! Temporal's messages as its own programs print them: protobuf's canonical JSON
//! (<https://protobuf.dev/programming-guides/json/>), by the descriptors of the messages.

use std::io;
use std::sync::LazyLock;

use exomonad_schema::RawJson;
use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, SerializeOptions};
use serde_json::ser::{CompactFormatter, Formatter};

/// Descriptors of histories, schedules and what they hold; `build.rs` writes them.
static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).ok());

/// The JSON of a message with this full name. `None` if it has none, which is a mistake of the host's build.
pub(crate) fn render(name: &str, message: &impl Message) -> Option<RawJson> {
    let descriptor = POOL.as_ref()?.get_message_by_name(name)?;
    let bytes = message.encode_to_vec();
    let message = DynamicMessage::decode(descriptor, bytes.as_slice()).ok()?;
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, GoNumbers);
    // 64-bit numbers are texts and default values are left out, as in Temporal's CLI.
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .ok()?;
    RawJson::from_text(String::from_utf8(json).ok()?).ok()
}

/// The message with this full name of its JSON. Fields that are not known are left out: a newer server may write them.
///
/// # Errors
/// If it is not the JSON of such a message.
pub fn parse<M: Message + Default>(name: &str, json: &str) -> Result<M, String> {
    let descriptor = POOL
        .as_ref()
        .and_then(|pool| pool.get_message_by_name(name))
        .ok_or_else(|| format!("the host has no description of {name}"))?;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut deserializer, &options)
        .map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    message.transcode_to().map_err(|error| error.to_string())
}

/// Writes a whole number of a float field without a fraction, as programs in Go do.
struct GoNumbers;

impl Formatter for GoNumbers {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        /// Up to here each whole number is a float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match value.fract() == 0.0 && value.abs() < EXACT {
            true => write!(writer, "{value:.0}"),
            false => CompactFormatter.write_f64(writer, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use temporalio_protos::temporal::api::common::v1::RetryPolicy;
    use temporalio_protos::temporal::api::history::v1::HistoryEvent;
    use temporalio_protos::temporal::api::schedule::v1::ScheduleSpec;

    use super::*;

    #[test]
    fn an_event_is_printed_with_names_of_constants_and_texts_of_large_numbers() {
        let mut event = HistoryEvent::default();
        event.event_id = 7;
        event.event_type = 1;
        let json = render("temporal.api.history.v1.HistoryEvent", &event).unwrap();
        let expected = r#"{"eventId":"7","eventType":"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"}"#;
        assert_eq!(json.get(), expected);
        let spec = render(
            "temporal.api.schedule.v1.ScheduleSpec",
            &ScheduleSpec::default(),
        );
        assert_eq!(spec.unwrap().get(), "{}");
        for (coefficient, written) in [(2.0, "2"), (1.5, "1.5"), (1e300, "1e+300")] {
            let mut policy = RetryPolicy::default();
            policy.backoff_coefficient = coefficient;
            let json = render("temporal.api.common.v1.RetryPolicy", &policy).unwrap();
            assert_eq!(json.get(), format!(r#"{{"backoffCoefficient":{written}}}"#));
        }
    }
}
