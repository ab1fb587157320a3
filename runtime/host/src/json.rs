//! JSON as every guest can read it.
//!
//! A body goes on to the guest as it was written, and not every language reads JSON as Rust does: one that
//! keeps numbers exactly works for seconds on a long one, and one whose texts are Unicode has no half of a
//! surrogate pair. What no guest means to get ends here, in one place for all of them.

use std::fmt;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How many characters a number may have: enough for any 64-bit one, and for most of a float's exact digits.
const NUMBER: usize = 400;
/// How many digits its exponent may have; readers that keep it as 32 bits would read another number.
const EXPONENT: usize = 9;

/// A body in which a half of a surrogate pair, as one finds where a text was cut within an emoji, is
/// U+FFFD, the character for what cannot be read. Whether it is JSON is not looked at.
///
/// # Errors
/// The problem with a number.
pub fn sanitize(body: Bytes) -> Result<Bytes, String> {
    let mut halves = Vec::new();
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        at = match byte {
            b'"' => text(&body, at + 1, &mut halves),
            b'-' | b'0'..=b'9' => number(&body, at)?,
            _ => at + 1,
        };
    }
    if halves.is_empty() {
        return Ok(body);
    }
    let mut mended = Vec::from(body);
    for half in halves {
        if let Some(digits) = mended.get_mut(half..half + 4) {
            digits.copy_from_slice(b"fffd");
        }
    }
    Ok(mended.into())
}

/// Passes over a text, up to what follows it, and notes where the digits of lone halves are.
fn text(body: &[u8], mut at: usize, halves: &mut Vec<usize>) -> usize {
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => {
                let unit = unit(body, at);
                at += match unit {
                    Some(0xD800..=0xDBFF)
                        if matches!(unit_after(body, at), Some(0xDC00..=0xDFFF)) =>
                    {
                        12
                    }
                    Some(0xD800..=0xDFFF) => {
                        halves.push(at + 2);
                        6
                    }
                    Some(_) => 6,
                    None => 2,
                };
            }
            _ => at += 1,
        }
    }
    at
}

/// The code unit of an escape such as `\u00e9`.
fn unit(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let is_hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_hexadecimal)?;
    u16::from_str_radix(digits, 16).ok()
}

fn unit_after(body: &[u8], at: usize) -> Option<u16> {
    unit(body, at + 6)
}

/// Passes over a number.
fn number(body: &[u8], start: usize) -> Result<usize, String> {
    let rest = body.get(start..).unwrap_or_default();
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let length = rest
        .iter()
        .position(|byte| !is_part(byte))
        .unwrap_or(rest.len());
    if length > NUMBER {
        return Err(format!(
            "the number at byte {start} has {length} characters; write it with at most {NUMBER}, or as a text"
        ));
    }
    let written = rest.get(..length).unwrap_or_default();
    let exponent = written.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let digits = exponent.map_or(0, |e| {
        let after = written.get(e + 1..).unwrap_or_default();
        after.iter().filter(|byte| byte.is_ascii_digit()).count()
    });
    if digits > EXPONENT {
        return Err(format!(
            "the number at byte {start} has an exponent of {digits} digits; write it with at most {EXPONENT}"
        ));
    }
    Ok(start + length)
}

/// A value none of whose objects has a key twice: of two, the host would check one and a guest in another
/// language might read the other.
pub struct UniqueKeys(pub Value);

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctVisitor).map(Self)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(UniqueKeys(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                let key = key.escape_debug();
                return Err(de::Error::custom(format_args!(
                    "the key `{key}` comes twice"
                )));
            }
            let UniqueKeys(value) = entries.next_value()?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &str) -> Result<Value, String> {
        let body = sanitize(Bytes::copy_from_slice(body.as_bytes()))?;
        let read = serde_json::from_slice::<UniqueKeys>(&body);
        read.map(|UniqueKeys(value)| value)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        for (written, meant) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\uDC00b""#, "\u{fffd}b"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\"\ud83d\n""#, "\"\u{fffd}\n"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
        ] {
            assert_eq!(read(written), Ok(json!(meant)), "{written}");
        }
        assert_eq!(read(r#"{"\ud83d":1}"#), Ok(json!({"\u{fffd}": 1})));
    }

    #[test]
    fn numbers_that_take_long_or_are_read_in_two_ways_are_refused() {
        for (long, says) in [
            ("9".repeat(401), "401 characters"),
            (format!("[1,0.{}]", "9".repeat(400)), "at byte 3"),
            ("1e4294967297".to_owned(), "10 digits"),
            ("-1E-4294967297".to_owned(), "10 digits"),
        ] {
            let refused = read(&long).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
        let text = json!("9".repeat(1000));
        assert_eq!(read(&text.to_string()), Ok(text));
        assert_eq!(
            read("[18446744073709551615,-9223372036854775808,1e-7]"),
            Ok(json!([u64::MAX, i64::MIN, 1e-7]))
        );
    }

    #[test]
    fn a_key_that_comes_twice_is_named() {
        let refused = read(r#"{"a":[{"li\nmit":5000,"b":1,"li\nmit":1}]}"#).unwrap_err();
        assert!(
            refused.contains(r"the key `li\nmit` comes twice"),
            "{refused}"
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_in_order_stays_as_it_is(value in any_json()) {
            prop_assert_eq!(read(&value.to_string()), Ok(value));
        }

        #[test]
        fn any_bytes_end_and_keep_their_length(bytes: Vec<u8>) {
            if let Ok(read) = sanitize(Bytes::from(bytes.clone())) {
                prop_assert_eq!(read.len(), bytes.len());
            }
        }

        #[test]
        fn any_text_of_escapes_is_readable_and_keeps_its_length(
            parts in prop::collection::vec(prop_oneof![
                (0_u16..).prop_map(|unit| format!("\\u{unit:04x}")),
                (0xD7F0_u16..0xE010).prop_map(|unit| format!("\\u{unit:04X}")),
                Just("\\\\".to_owned()), Just("\\\"".to_owned()), Just("u".to_owned()),
            ], 0..20)
        ) {
            let written = format!("\"{}\"", parts.concat());
            let mended = sanitize(Bytes::from(written.clone())).unwrap();
            prop_assert_eq!(mended.len(), written.len());
            prop_assert!(serde_json::from_slice::<String>(&mended).is_ok(), "{}", written);
        }
    }
}
