//! Bytes in JSON.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, in JSON as base64 with padding (RFC 4648 section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Base64(pub Vec<u8>);

impl Base64 {
    /// The text of `bytes` for people and, only if they are not UTF-8, the bytes
    /// themselves: the representation of names and output of unknown encoding.
    pub fn lossy_text(bytes: &[u8]) -> (String, Option<Self>) {
        match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => (text.to_owned(), None),
            Cow::Owned(text) => (text, Some(Self(bytes.to_vec()))),
        }
    }
}

impl fmt::Display for Base64 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Base64Display::new(&self.0, &STANDARD).fmt(formatter)
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        STANDARD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(|error| D::Error::custom(format_args!("not base64: {error}")))
    }
}

impl JsonSchema for Base64 {
    fn schema_name() -> Cow<'static, str> {
        "Base64".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bytes_that_are_not_utf8_are_sent_in_addition_to_their_text() {
        assert_eq!(
            Base64::lossy_text("naïve".as_bytes()),
            ("naïve".to_owned(), None)
        );
        let (text, bytes) = Base64::lossy_text(b"na\xefve");
        assert_eq!(text, "na\u{fffd}ve");
        assert_eq!(bytes, Some(Base64(b"na\xefve".to_vec())));
    }
}
