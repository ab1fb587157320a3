//! [`ByteSize`]: an amount of memory or data.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::FormatError;
use super::quantity::Kind;

/// A number of bytes, written `"64KiB"`, `"1MB"`, `"512B"` or as a plain number.
///
/// Binary units (KiB, MiB, GiB, TiB) are powers of 1024, decimal ones (kB, MB, GB, TB) of 1000;
/// case does not matter. `Display` gives the shortest exact form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const SIZE: Kind = Kind {
    noun: "a size",
    help: "write a whole number and a unit, such as \"64KiB\", \"16MiB\" or \"1GB\"",
    units: &[
        ("TiB", 1 << 40),
        ("TB", 1_000_000_000_000),
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("kB", 1_000),
        ("B", 1),
    ],
    zero: "B",
    ignore_case: true,
};

impl ByteSize {
    /// A size of `count` bytes.
    pub const fn bytes(count: u64) -> Self {
        Self(count)
    }

    /// A size of `count` × 1024 bytes; more than a `u64` holds is the largest size.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// A size of `count` × 1024² bytes; more than a `u64` holds is the largest size.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as an index; on a 32-bit host the largest one if it does not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&SIZE.shortest(self.0))
    }
}

impl FromStr for ByteSize {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let digits = text.trim();
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return digits
                .parse()
                .map(Self)
                .map_err(|_| FormatError::new(format!("`{digits}` is too large"), SIZE.help));
        }
        SIZE.parse(text).map(Self)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size such as \"64MiB\", or a number of bytes")]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(count) => Ok(Self(count)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "format": "byte-size" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<u64, String> {
        text.parse::<ByteSize>()
            .map(ByteSize::get)
            .map_err(|error| error.problem)
    }

    #[test]
    fn binary_decimal_and_plain_numbers_are_understood() {
        assert_eq!(parse("64KiB"), Ok(65_536));
        assert_eq!(parse(" 1 mb "), Ok(1_000_000));
        assert_eq!(parse("7"), Ok(7));
        assert_eq!(parse("0"), Ok(0));
    }

    #[test]
    fn a_size_that_makes_no_sense_says_why() {
        assert_eq!(parse(""), Err("a size is missing".to_owned()));
        assert_eq!(parse("-1MB"), Err("a size can't be negative".to_owned()));
        assert_eq!(
            parse("1.5MiB"),
            Err("`1.5MiB` is not a whole number".to_owned())
        );
        assert_eq!(parse("64K"), Err("`K` is not a unit".to_owned()));
        assert_eq!(parse("many"), Err("`many` is not a size".to_owned()));
        assert_eq!(
            parse("17000000TiB"),
            Err("`17000000TiB` is too large".to_owned())
        );
        assert!(parse("18446744073709551616").is_err());
        assert_eq!(parse("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn the_shortest_exact_form_is_shown() {
        assert_eq!(ByteSize::mib(64).to_string(), "64MiB");
        assert_eq!(ByteSize::bytes(2_000_000).to_string(), "2MB");
        assert_eq!(ByteSize::bytes(1_025).to_string(), "1025B");
        assert_eq!(ByteSize::bytes(0).to_string(), "0B");
    }

    proptest! {
        #[test]
        fn every_size_survives_being_written_and_read(count: u64, shift in 0_u32..50) {
            for size in [ByteSize(count), ByteSize(count >> shift << shift)] {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String, digits in "[0-9]{1,30} ?[kKMGT]?i?B?") {
            let _ = text.parse::<ByteSize>();
            let _ = digits.parse::<ByteSize>();
        }
    }
}
