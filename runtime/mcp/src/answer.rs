//! Answers: a guest's JSON within a JSON-RPC response, as the guest wrote it.

use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::message::Id;

/// A JSON-RPC response with this result.
pub fn response(id: &Id, result: &[u8]) -> Vec<u8> {
    let parts = [
        br#"{"jsonrpc":"2.0","id":"#,
        id.as_json().as_bytes(),
        br#","result":"#,
        result,
        b"}",
    ];
    parts.concat()
}

/// A JSON object with these members added at its beginning, each unless it has one of that name. What is
/// there stays as it was written: an object with a name twice is read in two ways.
pub fn with_members(object: &[u8], members: &[(&str, &str)]) -> Vec<u8> {
    let Some(rest) = object.trim_ascii_start().strip_prefix(b"{") else {
        return object.to_owned();
    };
    let is_empty = rest.trim_ascii_start().starts_with(b"}");
    let mut made = Vec::with_capacity(object.len() + 200);
    made.push(b'{');
    for (name, value) in members.iter().filter(|(name, _)| !has_member(object, name)) {
        if made.len() > 1 {
            made.push(b',');
        }
        for part in ["\"", name, "\":", value] {
            made.extend_from_slice(part.as_bytes());
        }
    }
    if made.len() > 1 && !is_empty {
        made.push(b',');
    }
    made.extend_from_slice(rest);
    made
}

/// True if an object has a member of this name.
fn has_member(object: &[u8], name: &str) -> bool {
    // Reading 20 kB takes as long as a call does, finding that these bytes are not there a hundredth. A
    // name may be written with escapes.
    let finds = |bytes: &[u8]| memmem::find(object, bytes).is_some();
    if !finds(name.as_bytes()) && !finds(b"\\u") {
        return false;
    }
    let members = serde_json::from_slice::<Names>(object);
    members.is_ok_and(|Names(names)| names.iter().any(|known| known == name))
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
            let added = with_members(object.as_bytes(), &members);
            assert_eq!(String::from_utf8(added).unwrap(), made);
        }
    }
}
