//! JSON that is passed on without being parsed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Lists and objects that may lie in each other. It is what `serde_json` reads: deeper JSON could be passed on, but
/// whoever reads it, host or guest, would fail.
const DEEPEST: usize = 127;

/// Any JSON value, kept as text: never parsed and rebuilt on its way through the
/// host, so that numbers, key order and spacing stay as they are. Values that lie more than 127 deep in each other
/// are refused.
///
/// Two values are equal if their texts are.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Encodes a value.
    ///
    /// # Errors
    /// If the value has no JSON, such as a map whose keys are not texts.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        Self::of(serde_json::value::to_raw_value(value)?)
    }

    fn of<E: de::Error>(json: Box<RawValue>) -> Result<Self, E> {
        match is_too_deep(json.get()) {
            true => Err(E::custom(format_args!(
                "lists and objects lie more than {DEEPEST} deep in each other"
            ))),
            false => Ok(Self(json)),
        }
    }

    /// Checks that a text is JSON, and keeps it unchanged.
    ///
    /// # Errors
    /// When it is not JSON, or too deep.
    pub fn from_text(json: String) -> serde_json::Result<Self> {
        Self::of(RawValue::from_string(json)?)
    }

    /// The JSON text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    /// Decodes the value.
    ///
    /// # Errors
    /// When it does not fit `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.get())
    }

    /// The empty object, `{}`.
    pub fn empty_object() -> Self {
        Self::from_text("{}".to_owned()).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Box::deserialize(deserializer)?)
    }
}

/// True if lists and objects of a JSON text lie deeper in each other than they may.
fn is_too_deep(json: &str) -> bool {
    // Each takes two bytes at least.
    if json.len() <= 2 * DEEPEST {
        return false;
    }
    let (mut depth, mut in_text) = (0_usize, false);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_text => drop(bytes.next()),
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// `null`.
impl Default for RawJson {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned())
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for RawJson {}

impl From<serde_json::Value> for RawJson {
    fn from(value: serde_json::Value) -> Self {
        // A `Value` always has JSON: its keys are texts and its numbers finite.
        Self::new(&value).unwrap_or_default()
    }
}

impl JsonSchema for RawJson {
    fn schema_name() -> Cow<'static, str> {
        "Json".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_every_machine_type_is_unchanged() {
        let text = r#"{"z":123456789012345678901234567890,"a":[ 1.10 ]}"#;
        let json: RawJson = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
    }
    #[test]
    fn what_is_kept_can_be_read_and_deeper_json_is_refused() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let deepest: RawJson = serde_json::from_str(&nested(127)).unwrap();
        serde_json::to_value(&deepest).unwrap();
        for deep in [
            nested(128),
            nested(1_000_000),
            format!(r#"{{"a":{}}}"#, nested(127)),
        ] {
            assert!(serde_json::from_str::<serde_json::Value>(&deep).is_err());
            assert!(serde_json::from_str::<RawJson>(&deep).is_err());
            assert!(RawJson::from_text(deep).is_err());
        }
        let text = format!(r#"["{}\\\"{}"]"#, "[".repeat(200), "{".repeat(200));
        assert_eq!(RawJson::from_text(text.clone()).unwrap().get(), text);
    }
}
