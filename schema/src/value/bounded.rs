//! Numbers and texts with a minimum and a maximum.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An integer from `MIN` to `MAX`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct BoundedInt<const MIN: u64, const MAX: u64>(u64);

/// A text of `MIN` to `MAX` characters (Unicode scalar values, as JSON Schema counts).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BoundedText<const MIN: usize, const MAX: usize>(String);

/// A value outside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{actual} is not within {min}..={max}{unit}")]
pub struct OutOfBoundsError {
    actual: u64,
    min: u64,
    max: u64,
    unit: &'static str,
}

impl<const MIN: u64, const MAX: u64> BoundedInt<MIN, MAX> {
    /// A constant; out of bounds it does not compile.
    pub const fn constant<const N: u64>() -> Self {
        const { assert!(MIN <= N && N <= MAX, "out of bounds") };
        Self(N)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> TryFrom<u64> for BoundedInt<MIN, MAX> {
    type Error = OutOfBoundsError;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(OutOfBoundsError {
                actual: number,
                min: MIN,
                max: MAX,
                unit: "",
            })
        }
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for BoundedInt<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("IntegerFrom{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "uint64", "minimum": MIN, "maximum": MAX })
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<String> for BoundedText<MIN, MAX> {
    type Error = OutOfBoundsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let length = text.chars().count();
        if (MIN..=MAX).contains(&length) {
            Ok(Self(text))
        } else {
            Err(OutOfBoundsError {
                actual: length as u64,
                min: MIN as u64,
                max: MAX as u64,
                unit: " characters",
            })
        }
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<&str> for BoundedText<MIN, MAX> {
    type Error = OutOfBoundsError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.to_owned().try_into()
    }
}

impl<const MIN: usize, const MAX: usize> BoundedText<MIN, MAX> {
    /// A text the caller knows to be within bounds, such as a field's default.
    pub(crate) fn constant(text: &'static str) -> Self {
        debug_assert!((MIN..=MAX).contains(&text.chars().count()), "{text}");
        Self(text.to_owned())
    }
}

/// The empty text.
impl<const MAX: usize> Default for BoundedText<0, MAX> {
    fn default() -> Self {
        Self(String::new())
    }
}

impl<const MIN: usize, const MAX: usize> From<BoundedText<MIN, MAX>> for String {
    fn from(text: BoundedText<MIN, MAX>) -> Self {
        text.0
    }
}

impl<const MIN: usize, const MAX: usize> Deref for BoundedText<MIN, MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for BoundedText<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<const MIN: usize, const MAX: usize> JsonSchema for BoundedText<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("TextOf{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": MIN, "maxLength": MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_bounds_does_not_decode() {
        type Percent = BoundedInt<1, 100>;
        assert_eq!(serde_json::from_str::<Percent>("100").unwrap().get(), 100);
        for outside in ["0", "101", "-1", "1.5"] {
            assert!(
                serde_json::from_str::<Percent>(outside).is_err(),
                "{outside}"
            );
        }
        assert_eq!(
            Percent::try_from(101).unwrap_err().to_string(),
            "101 is not within 1..=100"
        );
    }

    #[test]
    fn a_text_is_measured_in_characters_not_bytes() {
        type Short = BoundedText<1, 3>;
        assert_eq!(&*Short::try_from("日本語").unwrap(), "日本語");
        assert!(Short::try_from("").is_err());
        assert!(Short::try_from("abcd").is_err());
    }
}
