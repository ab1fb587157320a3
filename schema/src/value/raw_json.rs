//! JSON that is passed on without being parsed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Any JSON value, kept as text: never parsed and rebuilt on its way through the
/// host, so that numbers, key order and spacing stay as they are.
///
/// Two values are equal if their texts are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Encodes a value.
    ///
    /// # Errors
    /// If the value has no JSON, such as a map whose keys are not texts.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// Checks that a text is JSON, and keeps it unchanged.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn from_text(json: String) -> serde_json::Result<Self> {
        RawValue::from_string(json).map(Self)
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
}
