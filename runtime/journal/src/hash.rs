//! Hashes of requests, by which an answer is found again.
//!
//! Two requests that mean the same have the same hash: JSON is hashed without blanks and with the keys of each
//! object sorted, since one version of a plugin may write them in another order than the next. Numbers count as
//! they are written. Whatever is not JSON counts byte by byte.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Objects and arrays within each other up to which keys are sorted. What lies deeper counts as it is written:
/// each level is read once more.
const DEEPEST: usize = 32;

/// The hash of what a guest asked for, and how: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct RequestHash(String);

impl RequestHash {
    /// The hash of a request for `asked`: an effect's capability, or another name.
    pub fn of(asked: &str, request: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(asked.as_bytes());
        hasher.update([0]);
        hasher.update(canonical(request));
        Self(hexadecimal(&hasher.finalize()))
    }

    /// A hash that was kept as text.
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The hash of any bytes: 32 hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Half of a SHA-256 tells any two requests apart that nobody has made to collide, and reads better.
fn hexadecimal(hash: &[u8]) -> String {
    hash.iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// True if two texts are the same bytes, or JSON that means the same.
pub fn is_same_json(one: &[u8], other: &[u8]) -> bool {
    one == other || canonical(one) == canonical(other)
}

/// JSON without blanks and with sorted keys; other bytes as they are.
fn canonical(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(value) if write(value, DEEPEST, &mut out).is_ok() => out,
        _ => bytes.to_vec(),
    }
}

fn write(value: &RawValue, depth: usize, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{') if depth > 0 => {
            // Of two equal keys the last one counts, as for most that read JSON.
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            out.push(b'{');
            for (nth, (key, value)) in fields.into_iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, &key)?;
                out.push(b':');
                write(value, depth - 1, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') if depth > 0 => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push(b'[');
            for (nth, value) in items.into_iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                write(value, depth - 1, out)?;
            }
            out.push(b']');
        }
        // However its letters are escaped.
        Some(b'"') => serde_json::to_writer(out, &serde_json::from_str::<String>(text)?)?,
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_mean_the_same_have_one_hash() {
        let hash = |request: &str| RequestHash::of("git.status", request.as_bytes());
        let same = [
            r#"{"a":{"y":1,"x":[1,{"c":2,"b":"é"}]},"b":null}"#,
            r#" { "b" : null, "a" : { "x" : [ 1, { "b":"\u00e9","c":2}] , "y":1 } } "#,
        ];
        assert_eq!(hash(same[0]), hash(same[1]));
        for other in [
            r#"{"a":{"y":1,"x":[{"c":2,"b":"é"},1]},"b":null}"#,
            r#"{"a":{"y":1.0,"x":[1,{"c":2,"b":"é"}]},"b":null}"#,
            r#"{"a":{"y":1,"x":[1,{"c":2,"b":"é"}]},"b":null,"c":123456789012345678901}"#,
            "no json",
            "no  json",
            "",
        ] {
            assert_ne!(hash(same[0]), hash(other), "{other}");
        }
        assert_ne!(hash("no json"), hash("no  json"));
        assert_ne!(hash("{}"), RequestHash::of("git.diff", b"{}"));
        let big = |digits: &str| hash(&format!("{{\"n\":{digits}}}"));
        assert_ne!(big("123456789012345678901"), big("123456789012345678902"));
    }

    #[test]
    fn what_nests_deeply_is_hashed_soon() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let objects = r#"{"a":"#.repeat(50_000) + "1" + &"}".repeat(50_000);
        for text in [deep, objects] {
            assert_eq!(
                RequestHash::of("x", text.as_bytes()),
                RequestHash::of("x", text.as_bytes())
            );
        }
    }
}
