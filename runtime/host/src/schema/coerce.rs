//! Arguments that a client has written as JSON within a text, because it treats every argument as one
//! (claude-code#59227): `{"tags": "[\"a\"]"}` where the schema says that `tags` is an array.

use std::collections::BTreeMap;

use exomonad_schema::RawJson;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Schema;

/// Schemas that are followed through references and alternatives.
const DEEPEST: usize = 16;

impl Schema {
    /// The arguments with each text that the schema can never allow, and that is JSON, in the place of
    /// its text; `None` if there is no such one. What the schema may take as a text stays a text.
    ///
    /// The result may still not fit the schema: [`violations`](Self::violations) tells.
    pub fn without_stringified(&self, arguments: &RawJson) -> Option<RawJson> {
        let mut members: BTreeMap<String, Box<RawValue>> = arguments.parse().ok()?;
        let mut changed = false;
        for (name, value) in &mut members {
            let Some(property) = self.root["properties"].get(name) else {
                continue;
            };
            if !value.get().starts_with('"') || self.may_be_text(property, DEEPEST) {
                continue;
            }
            let text: Option<String> = serde_json::from_str(value.get()).ok();
            let Some(read) = text.and_then(|text| RawValue::from_string(text).ok()) else {
                continue;
            };
            *value = read;
            changed = true;
        }
        changed.then(|| RawJson::new(&members).ok())?
    }

    /// False if no text fits the schema. Where it takes work to know, it is true.
    fn may_be_text(&self, schema: &Value, left: usize) -> bool {
        let (Some(members), Some(left)) = (schema.as_object(), left.checked_sub(1)) else {
            return true;
        };
        let any = |schemas: &Value| {
            let mut all = schemas.as_array().into_iter().flatten();
            all.any(|schema| self.may_be_text(schema, left))
        };
        let all = |schemas: &Value| {
            let mut all = schemas.as_array().into_iter().flatten();
            all.all(|schema| self.may_be_text(schema, left))
        };
        members
            .iter()
            .all(|(keyword, value)| match keyword.as_str() {
                "type" => match value {
                    Value::Array(types) => types.iter().any(|name| name == "string"),
                    name => name == "string",
                },
                "enum" => value
                    .as_array()
                    .is_none_or(|all| all.iter().any(Value::is_string)),
                "const" => value.is_string(),
                "anyOf" | "oneOf" => any(value),
                "allOf" => all(value),
                "$ref" => value
                    .as_str()
                    .and_then(|reference| self.target(reference))
                    .is_none_or(|target| self.may_be_text(target, left)),
                _ => true,
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn coerced(property: Value, value: Value) -> Option<Value> {
        let root = json!({
            "type": "object",
            "properties": {"it": property},
            "$defs": {"list": {"type": "array"}, "text": {"type": "string"}}
        });
        let schema = Schema::new(root, &mut 1000).unwrap();
        let arguments = RawJson::from(json!({"it": value, "other": "[1]"}));
        let coerced: Value = schema.without_stringified(&arguments)?.parse().unwrap();
        assert_eq!(coerced["other"], "[1]", "it is not in the schema");
        Some(coerced["it"].clone())
    }

    #[test]
    fn json_in_a_text_is_read_where_the_schema_takes_no_text() {
        for (property, text, read) in [
            (json!({"type": "array"}), r#"["a", 1]"#, json!(["a", 1])),
            (json!({"type": "object"}), r#"{"a": {}}"#, json!({"a": {}})),
            (json!({"type": "integer"}), "7", json!(7)),
            (json!({"type": ["boolean", "null"]}), "true", json!(true)),
            (
                json!({"anyOf": [{"type": "array"}, {"type": "null"}]}),
                "[]",
                json!([]),
            ),
            (json!({"$ref": "#/$defs/list"}), "[2]", json!([2])),
            (
                json!({"allOf": [{"type": "array"}, {"minItems": 1}]}),
                "[3]",
                json!([3]),
            ),
            (json!({"enum": [1, 2]}), "2", json!(2)),
        ] {
            assert_eq!(
                coerced(property.clone(), json!(text)),
                Some(read),
                "{property}"
            );
        }
    }

    #[test]
    fn what_the_schema_may_take_as_a_text_stays_one() {
        for property in [
            json!({"type": "string"}),
            json!({"type": ["string", "array"], "minLength": 100}),
            json!({"anyOf": [{"type": "string", "pattern": "^x"}, {"type": "array"}]}),
            json!({}),
            json!(true),
            json!({"enum": [1, "1"]}),
            json!({"$ref": "#/$defs/text"}),
            json!({"minItems": 1}),
        ] {
            assert_eq!(coerced(property.clone(), json!("[1]")), None, "{property}");
        }
        let list = || json!({"type": "array"});
        assert_eq!(coerced(list(), json!("no JSON")), None);
        assert_eq!(coerced(list(), json!([1])), None);
    }

    #[test]
    fn numbers_in_it_stay_as_they_were_written() {
        let root = json!({"type": "object", "properties": {"it": {"type": "array"}}});
        let schema = Schema::new(root, &mut 1000).unwrap();
        let arguments =
            RawJson::from_text(r#"{"it":"[1.10,12345678901234567890123]","n":1.10}"#.to_owned());
        let coerced = schema.without_stringified(&arguments.unwrap()).unwrap();
        assert_eq!(
            coerced.get(),
            r#"{"it":[1.10,12345678901234567890123],"n":1.10}"#
        );
    }
}
