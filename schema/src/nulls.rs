//! An optional field that is `null` is as if absent.
//!
//! Many languages write an absent field so, and for a field with a default, such as a list, serde would refuse
//! it. What is optional is read from the type's JSON Schema, and only when a text did not fit as it is: one
//! without such a `null` costs nothing.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use schemars::{JsonSchema, SchemaGenerator};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// References and unions that are followed for one value.
const DEEPEST: usize = 32;

/// Decodes JSON, with each optional field that is `null` taken as absent.
///
/// # Errors
/// Those of the text without them.
pub fn from_slice<T: DeserializeOwned + JsonSchema + 'static>(
    json: &[u8],
) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| match without_nulls::<T>(json) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

/// The text without optional fields that are `null`; `None` if there are none.
pub(crate) fn without_nulls<T: JsonSchema + 'static>(json: &[u8]) -> Option<String> {
    let has_null = json.windows(4).any(|part| part == b"null");
    let text = std::str::from_utf8(json).ok().filter(|_| has_null)?;
    let schema = schema_of::<T>();
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let mut writer = Writer {
        root: &schema,
        out: String::with_capacity(text.len()),
        removed: false,
    };
    writer.value(raw, &[&schema])?;
    writer.removed.then_some(writer.out)
}

/// The schema of a type, made once.
fn schema_of<T: JsonSchema + 'static>() -> Arc<Value> {
    static KNOWN: LazyLock<Mutex<HashMap<TypeId, Arc<Value>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        Arc::new(
            SchemaGenerator::default()
                .into_root_schema_for::<T>()
                .to_value(),
        )
    };
    known.entry(TypeId::of::<T>()).or_insert_with(make).clone()
}

struct Writer<'s> {
    root: &'s Value,
    out: String,
    removed: bool,
}

impl<'s> Writer<'s> {
    /// Writes a value that has one of these schemas. `None` if it is no JSON after all.
    fn value(&mut self, raw: &RawValue, schemas: &[&'s Value]) -> Option<()> {
        let text = raw.get();
        let schemas = self.alternatives(schemas);
        match text.as_bytes().first()? {
            b'{' if schemas.iter().any(|schema| has_members(schema)) => self.object(text, &schemas),
            b'[' if schemas.iter().any(|schema| !schema["items"].is_null()) => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                let of_items: Vec<&Value> = schemas
                    .iter()
                    .map(|schema| &schema["items"])
                    .filter(|items| items.is_object())
                    .collect();
                self.out.push('[');
                for (nth, item) in items.into_iter().enumerate() {
                    if nth > 0 {
                        self.out.push(',');
                    }
                    self.value(item, &of_items)?;
                }
                self.out.push(']');
                Some(())
            }
            _ => {
                self.out.push_str(text);
                Some(())
            }
        }
    }

    fn object(&mut self, text: &str, schemas: &[&'s Value]) -> Option<()> {
        let Members(members) = serde_json::from_str(text).ok()?;
        self.out.push('{');
        let mut is_first = true;
        for (name, raw) in members {
            let mut of_member: Vec<&Value> = schemas
                .iter()
                .filter_map(|schema| schema["properties"].get(&name))
                .collect();
            if of_member.is_empty() {
                let others = schemas.iter().map(|schema| &schema["additionalProperties"]);
                of_member.extend(others.filter(|other| other.is_object()));
            } else if raw.get() == "null" && self.is_absent(&name, &of_member, schemas) {
                self.removed = true;
                continue;
            }
            if !std::mem::take(&mut is_first) {
                self.out.push(',');
            }
            self.out.push_str(&serde_json::to_string(&name).ok()?);
            self.out.push(':');
            self.value(raw, &of_member)?;
        }
        self.out.push('}');
        Some(())
    }

    /// True for a member that may be left out and has no meaning as `null`.
    fn is_absent(&self, name: &str, of_member: &[&'s Value], schemas: &[&'s Value]) -> bool {
        let is_required = |schema: &&Value| {
            let required = schema["required"].as_array();
            required.is_some_and(|all| all.iter().any(|required| required == name))
        };
        let knows = schemas
            .iter()
            .filter(|schema| !schema["properties"][name].is_null());
        !knows.clone().all(is_required)
            && !self
                .alternatives(of_member)
                .iter()
                .any(|schema| allows_null(schema))
    }

    /// The schemas that references and unions lead to.
    fn alternatives(&self, schemas: &[&'s Value]) -> Vec<&'s Value> {
        let mut found = Vec::new();
        let mut open: Vec<(&Value, usize)> = schemas.iter().map(|schema| (*schema, 0)).collect();
        while let Some((schema, depth)) = open.pop() {
            if depth > DEEPEST {
                continue;
            }
            let mut leads_on = false;
            if let Some(pointer) = schema["$ref"]
                .as_str()
                .and_then(|reference| reference.strip_prefix('#'))
            {
                open.extend(self.root.pointer(pointer).map(|target| (target, depth + 1)));
                leads_on = true;
            }
            for union in ["anyOf", "oneOf", "allOf"] {
                for inner in schema[union].as_array().into_iter().flatten() {
                    open.push((inner, depth + 1));
                    leads_on = true;
                }
            }
            if !leads_on || has_members(schema) {
                found.push(schema);
            }
        }
        found
    }
}

fn has_members(schema: &Value) -> bool {
    schema["properties"].is_object() || schema["additionalProperties"].is_object()
}

fn allows_null(schema: &Value) -> bool {
    if schema.as_bool() == Some(true) {
        return true;
    }
    if let Some(constant) = schema.get("const") {
        return constant.is_null();
    }
    if let Some(all) = schema["enum"].as_array() {
        return all.iter().any(Value::is_null);
    }
    match &schema["type"] {
        Value::String(name) => name == "null",
        Value::Array(names) => names.iter().any(|name| name == "null"),
        _ => true,
    }
}

/// The members of an object in their order, each of them though one may be there twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut members: A,
            ) -> Result<Members<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::{CallToolResult, HookOutput, ListToolsResult};
    use crate::effects::docker::DockerSpawn;
    use crate::effects::http::HttpRequest;
    use crate::effects::kv::KvSet;
    use crate::{Effect, EffectKind};

    #[test]
    fn an_optional_field_that_is_null_is_as_if_absent() {
        let spawn = br#"{"image":"a","command":null,"env":null,"ports":null,"mounts":[{"kind":"tmpfs","source":null,"target":"/t","readOnly":null}],"readOnly":null,"pull":null}"#;
        let spawn: DockerSpawn = from_slice(spawn).unwrap();
        let plain: DockerSpawn =
            from_slice(br#"{"image":"a","mounts":[{"kind":"tmpfs","target":"/t"}]}"#).unwrap();
        assert_eq!(spawn, plain);
        let http: HttpRequest =
            from_slice(br#"{"url":"http://a","headers":null,"maxRedirects":null}"#).unwrap();
        assert_eq!(http, from_slice(br#"{"url":"http://a"}"#).unwrap());
        let result =
            br#"{"content":[{"type":"text","text":"a"}],"isError":null,"structuredContent":null}"#;
        assert!(!from_slice::<CallToolResult>(result).unwrap().is_error);
        let tools =
            br#"{"tools":[{"name":"a","description":null,"inputSchema":{"type":"object"}}]}"#;
        assert!(from_slice::<ListToolsResult>(tools).is_ok());
        let _: fn(&[u8]) -> serde_json::Result<HookOutput> = from_slice::<HookOutput>;
    }

    #[test]
    fn a_null_that_means_something_or_is_wanted_stays() {
        let set: KvSet = from_slice(br#"{"key":"a","value":null}"#).unwrap();
        assert_eq!(set.value.get(), "null");
        let set: KvSet =
            from_slice(br#"{"key":"a","value":{"b":null,"c":123456789012345678901234567890}}"#)
                .unwrap();
        assert_eq!(
            set.value.get(),
            r#"{"b":null,"c":123456789012345678901234567890}"#
        );
        assert!(from_slice::<KvSet>(br#"{"key":null,"value":1}"#).is_err());
        assert!(from_slice::<DockerSpawn>(br#"{"image":null}"#).is_err());
        assert!(from_slice::<DockerSpawn>(br#"{"image":"a","command":[null]}"#).is_err());
        assert!(from_slice::<DockerSpawn>(br#"{"image":"a","unknown":null}"#).is_err());
    }

    /// Each optional field of each request, made of the request's own schema.
    #[test]
    fn every_optional_field_of_every_request_may_be_null() {
        let mut tried = 0;
        let root = schema_of::<Effect>();
        for variant in root["oneOf"].as_array().unwrap() {
            let effect = variant["properties"]["kind"]["const"].as_str().unwrap();
            let kind = EffectKind::ALL
                .iter()
                .find(|kind| kind.name() == effect)
                .unwrap();
            let payload = &variant["properties"]["payload"];
            let pointer = payload["$ref"]
                .as_str()
                .and_then(|reference| reference.strip_prefix('#'));
            let schema = pointer
                .and_then(|pointer| root.pointer(pointer))
                .unwrap_or(payload);
            let required: Vec<&str> = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for (name, _) in schema["properties"].as_object().into_iter().flatten() {
                if required.contains(&name.as_str()) {
                    continue;
                }
                let with = format!(r#"{{"{name}":null}}"#);
                let decoded = Effect::decode(*kind, with.as_bytes());
                // What is required is missing; the field that is null is no mistake.
                if let Err(error) = decoded {
                    assert!(
                        error.message.contains("missing field"),
                        "{kind} {name}: {error}"
                    );
                }
                tried += 1;
            }
        }
        assert!(tried > 50, "{tried}");
    }
}
