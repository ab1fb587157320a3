//! Answers: a guest's JSON within a JSON-RPC response, as the guest wrote it.

use std::cell::OnceCell;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::message::Id;

/// A JSON-RPC response with this result, an object, and these members at its beginning, each unless the result
/// has one of that name. What is there stays as it was written: an object with a name twice is read in two ways.
pub fn response(id: &Id, result: &[u8], members: &[(&str, &str)]) -> Vec<u8> {
    let added: usize = members
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let mut made = Vec::with_capacity(result.len() + added + id.as_json().len() + 64);
    for part in [r#"{"jsonrpc":"2.0","id":"#, id.as_json(), r#","result":"#] {
        made.extend_from_slice(part.as_bytes());
    }
    match result.trim_ascii_start().strip_prefix(b"{") {
        Some(rest) if !members.is_empty() => write_members(&mut made, rest, members, result),
        _ => made.extend_from_slice(result),
    }
    made.push(b'}');
    made
}

/// Writes an object, of which `rest` follows the first brace, with more members.
fn write_members(made: &mut Vec<u8>, rest: &[u8], members: &[(&str, &str)], object: &[u8]) {
    made.push(b'{');
    let begin = made.len();
    let known = NamesOf::new(object);
    for (name, value) in members.iter().filter(|(name, _)| !known.has(name)) {
        if made.len() > begin {
            made.push(b',');
        }
        for part in ["\"", name, "\":", value] {
            made.extend_from_slice(part.as_bytes());
        }
    }
    let is_empty = rest.trim_ascii_start().starts_with(b"}");
    if made.len() > begin && !is_empty {
        made.push(b',');
    }
    made.extend_from_slice(rest);
}

/// The names of an object's members, read only where one may be among them: to read 20 kB takes as long as a call
/// does, to find that these bytes are not there a hundredth.
struct NamesOf<'a> {
    object: &'a [u8],
    /// A name may be written with escapes.
    has_escapes: bool,
    read: OnceCell<Vec<String>>,
}

impl<'a> NamesOf<'a> {
    fn new(object: &'a [u8]) -> Self {
        Self {
            object,
            has_escapes: memmem::find(object, b"\\u").is_some(),
            read: OnceCell::new(),
        }
    }

    fn has(&self, name: &str) -> bool {
        if !self.has_escapes && memmem::find(self.object, name.as_bytes()).is_none() {
            return false;
        }
        let read = || {
            serde_json::from_slice::<Names>(self.object)
                .map_or_else(|_| Vec::new(), |Names(names)| names)
        };
        self.read
            .get_or_init(read)
            .iter()
            .any(|known| known == name)
    }
}

/// The names of an object's members.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Names;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = entries.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_added_unless_they_are_there() {
        let members = [("resultType", r#""complete""#), ("ttlMs", "0")];
        for (object, made) in [
            ("{}", r#"{"resultType":"complete","ttlMs":0}"#),
            (" { } ", r#"{"resultType":"complete","ttlMs":0 } "#),
            (
                r#"{"n": 1.10}"#,
                r#"{"resultType":"complete","ttlMs":0,"n": 1.10}"#,
            ),
            (r#"{"resultType":"x"}"#, r#"{"ttlMs":0,"resultType":"x"}"#),
            (
                r#"{"result\u0054ype":"x","ttlMs":5}"#,
                r#"{"result\u0054ype":"x","ttlMs":5}"#,
            ),
            (
                r#"{"a":{"resultType":"inner"},"b":"ttlMs"}"#,
                r#"{"resultType":"complete","ttlMs":0,"a":{"resultType":"inner"},"b":"ttlMs"}"#,
            ),
        ] {
            let made = format!(r#"{{"jsonrpc":"2.0","id":null,"result":{made}}}"#);
            let added = response(&Id::null(), object.as_bytes(), &members);
            assert_eq!(String::from_utf8(added).unwrap(), made);
        }
    }
}
