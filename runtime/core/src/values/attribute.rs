//! [`Attribute`]: what is said of the host with its telemetry.

use std::fmt;
use std::str::FromStr;

use super::{FormatError, written_as_text};
use crate::headers::decode;

/// An attribute, written `"name=value"`. The value may be percent-encoded, as in
/// `OTEL_RESOURCE_ATTRIBUTES`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// The attribute's name.
    pub name: String,
    /// Its value, decoded.
    pub value: String,
    written: String,
}

impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

impl FromStr for Attribute {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let parts = text
            .split_once('=')
            .map(|(name, value)| (name.trim(), decode(value.trim())));
        match parts {
            Some((name, Some(value)))
                if !name.is_empty() && !name.contains(char::is_whitespace) =>
            {
                Ok(Self {
                    name: name.to_owned(),
                    value,
                    written: text.trim().to_owned(),
                })
            }
            _ => Err(FormatError::new(
                format!("`{}` is not an attribute", text.escape_debug()),
                "write \"name=value\"; `%` and `,` in the value are written %25 and %2C",
            )),
        }
    }
}

written_as_text!(Attribute, "attribute");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_a_name_and_a_value() {
        let attribute: Attribute = "team=a%2Cb=c".parse().unwrap();
        assert_eq!(
            (attribute.name.as_str(), attribute.value.as_str()),
            ("team", "a,b=c")
        );
        assert_eq!(attribute.to_string(), "team=a%2Cb=c");
        for text in ["", "team", "=x", "a b=x", "a=%"] {
            assert!(text.parse::<Attribute>().is_err(), "{text}");
        }
    }
}
