//! JSON as every guest can read it.
//!
//! A body goes on to the guest as it was written, and not every language reads JSON as Rust does: one that
//! keeps numbers exactly works for seconds on a long one, and one whose texts are Unicode has no half of a
//! surrogate pair. An integer may be written as `1.0` or `1e3`, which JSON Schema takes for one and readers of
//! typed languages do not. What no guest means to get ends here, in one place for all of them.

use std::cell::Cell;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How many characters a number may have: enough for any 64-bit one, and for most of a float's exact digits.
const NUMBER: usize = 400;
/// Digits of the longest integer of 64 bits.
const INTEGER: usize = 20;
/// How many digits its exponent may have; readers that keep it as 32 bits would read another number.
const EXPONENT: usize = 9;

/// A part of a body, and what stands in its place.
type Mend = (Range<usize>, String);

/// A body in which a half of a surrogate pair, as one finds where a text was cut within an emoji, is
/// U+FFFD, the character for what cannot be read, and in which integers of 64 bits are written as such, without a
/// fraction or an exponent. Whether it is JSON is not looked at.
///
/// # Errors
/// The problem with a number.
pub fn sanitize(body: Bytes) -> Result<Bytes, String> {
    let mut mends: Vec<Mend> = Vec::new();
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        at = match byte {
            b'"' => text(&body, at + 1, &mut mends),
            b'-' | b'0'..=b'9' => number(&body, at, &mut mends)?,
            _ => at + 1,
        };
    }
    if mends.is_empty() {
        return Ok(body);
    }
    let mut mended = Vec::with_capacity(body.len());
    let mut at = 0;
    for (part, instead) in mends {
        mended.extend_from_slice(body.get(at..part.start).unwrap_or_default());
        mended.extend_from_slice(instead.as_bytes());
        at = part.end;
    }
    mended.extend_from_slice(body.get(at..).unwrap_or_default());
    Ok(mended.into())
}

/// Passes over a text, up to what follows it, and mends lone halves.
fn text(body: &[u8], mut at: usize, mends: &mut Vec<Mend>) -> usize {
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
                        mends.push((at + 2..at + 6, "fffd".to_owned()));
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

/// Passes over a number, and mends an integer that is not written as one.
fn number(body: &[u8], start: usize, mends: &mut Vec<Mend>) -> Result<usize, String> {
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
    if let Some(integer) = integer(written) {
        mends.push((start..start + length, integer));
    }
    Ok(start + length)
}

/// The digits of an integer of 64 bits that is written with a fraction or an exponent, or as `-0`; `None` for
/// other numbers, and for what is none.
fn integer(written: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(written).ok()?;
    if text == "-0" {
        return Some("0".to_owned());
    }
    if !text.contains(['.', 'e', 'E']) {
        return None;
    }
    let (sign, rest) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (mantissa, ""),
    };
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let exponent: i64 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    // Zeros to add behind the digits; negative for those to take away.
    let zeros = exponent - i64::try_from(fraction.len()).ok()?;
    let integer = match usize::try_from(zeros) {
        Ok(zeros) if digits.len() + zeros <= INTEGER => {
            format!("{sign}{digits}{}", "0".repeat(zeros))
        }
        Ok(_) => return None,
        Err(_) => {
            let kept = digits.len().checked_sub(usize::try_from(-zeros).ok()?)?;
            let (kept, behind) = digits.split_at(kept);
            let is_whole = !kept.is_empty() && behind.bytes().all(|digit| digit == b'0');
            is_whole.then(|| format!("{sign}{kept}"))?
        }
    };
    let fits = integer.parse::<i64>().is_ok() || integer.parse::<u64>().is_ok();
    fits.then_some(integer)
}

/// A value none of whose objects has a key twice: of two, the host would check one and a guest in another
/// language might read the other. Values that take more than 256 MiB are an error: small lists and objects take
/// a hundred times as much as their text.
pub struct UniqueKeys(pub Value);

/// Bytes that the values of one text may take.
const MEMORY: usize = 256 << 20;
/// Bytes of a list, of an object, and of a key beside what is in them: room for four is made at once.
const LIST: usize = 4 * size_of::<Value>() + 16;
const OBJECT: usize = 4 * (size_of::<Value>() + KEY) + 96;
const KEY: usize = size_of::<String>() + 16;

impl<'de> Deserialize<'de> for UniqueKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let room = Cell::new(MEMORY);
        Distinct { room: &room }.deserialize(deserializer).map(Self)
    }
}

/// Reads a value, and what is in it, into the memory that is left.
#[derive(Clone, Copy)]
struct Distinct<'a> {
    room: &'a Cell<usize>,
}

impl Distinct<'_> {
    fn take<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.room.get().checked_sub(bytes);
        self.room.set(left.ok_or_else(|| {
            E::custom(format_args!(
                "its values take more than {} MiB; send fewer at once, or a text that holds them",
                MEMORY >> 20
            ))
        })?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Distinct<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.take(size_of::<Value>())?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct<'_> {
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

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            if list.is_empty() {
                self.take(LIST)?;
            }
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
            if object.is_empty() {
                self.take(OBJECT)?;
            }
            self.take(key.len() + KEY)?;
            let value = entries.next_value_seed(self)?;
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
    fn values_that_take_much_more_than_their_text_are_refused() {
        for small in ["[[0]]", r#"{"a":0}"#, "[[]]"] {
            let text = format!("[{small}]", small = vec![small; 2_000_000].join(","));
            let error = read(&text).unwrap_err();
            assert!(error.contains("more than 256 MiB"), "{small}: {error}");
        }
        let numbers = format!("[{}]", vec!["0"; 2_000_000].join(","));
        assert!(read(&numbers).is_ok());
        assert!(read(&format!("[\"{}\"]", "x".repeat(16 << 20))).is_ok());
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
    fn an_integer_is_written_as_one() {
        let mended = |text: &'static str| {
            let mended = sanitize(Bytes::from_static(text.as_bytes())).unwrap();
            String::from_utf8(mended.to_vec()).unwrap()
        };
        for (written, meant) in [
            ("1.0", "1"),
            ("[1.0,-2.00 ,{\"1.0\":3.0}]", "[1,-2 ,{\"1.0\":3}]"),
            ("1e3", "1000"),
            ("12.50E+1", "125"),
            ("1200e-2", "12"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0e9", "0"),
            ("18446744073709551615.0", "18446744073709551615"),
            ("-9.223372036854775808e18", "-9223372036854775808"),
        ] {
            assert_eq!(mended(written), meant, "{written}");
        }
        for other in [
            "0",
            "-1",
            "1.5",
            "1e-1",
            "0.001e2",
            "1e20",
            "18446744073709551616.0",
            "1e999999999",
            "1e-999999999",
            // No numbers.
            "01.0",
            "1.",
            "1.e1",
            "-",
            "-.0",
            "1e",
            "1e+-1",
            "1.0.0",
            "1-0.0",
        ] {
            assert_eq!(mended(other), other, "{other}");
        }
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
            // One without a fraction is written as an integer.
            any::<f64>()
                .prop_filter("a fraction", |float| float.fract() != 0.0)
                .prop_map(Value::from),
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
        fn any_bytes_end_and_stay_once_they_are_mended(bytes: Vec<u8>) {
            if let Ok(read) = sanitize(Bytes::from(bytes)) {
                prop_assert_eq!(sanitize(read.clone()), Ok(read));
            }
        }

        #[test]
        fn a_number_keeps_its_value(text in "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,5})?([eE][+-]?[0-9]{1,2})?") {
            let before: f64 = text.parse().unwrap();
            let after = sanitize(Bytes::from(text.clone())).unwrap();
            let after: f64 = std::str::from_utf8(&after).unwrap().parse().unwrap();
            prop_assert_eq!(before, after, "{}", text);
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
