//! A tool of a plugin: its schemas, checked when it is listed, and its arguments, checked at each call.

use std::cell::RefCell;
use std::collections::HashMap;

use exomonad_schema::RawJson;
use exomonad_schema::common::Tool;
use jsonschema::Validator;
use serde_json::Value;

use crate::error::Violation;

/// Violations that one answer lists; arguments can break a schema in thousands of places.
const VIOLATIONS: usize = 20;
/// Characters of what is said about one of them.
const VIOLATION: usize = 500;

/// Parts that a tool's schema may have, references replaced by what they name: a small schema can unfold
/// to more than anybody could check.
const MOST_PARTS: u64 = 20_000;
/// References that may lie behind each other.
const DEEPEST: u32 = 64;
/// Parts of arguments times parts of their schema up to which every violation is listed.
const MOST_CHECKS: u64 = 1_000_000;
/// Parts of arguments times parts of their schema beyond which they are not checked at all, and refused.
const TOO_MANY_CHECKS: u64 = 1_000_000_000;

/// A tool with its arguments' schema, ready to check.
pub struct CheckedTool {
    /// As the plugin lists it.
    pub tool: Tool,
    validator: Validator,
    /// How many parts the schema has once every reference is replaced by what it names.
    schema_parts: u64,
}

impl CheckedTool {
    /// Checks the tool's name and schemas.
    ///
    /// # Errors
    /// The reason why it cannot be offered.
    pub fn new(tool: Tool) -> Result<Self, String> {
        if tool.name.is_empty() || tool.name.len() > 128 || !tool.name.chars().all(is_name) {
            return Err("a name is 1 to 128 letters, digits, `_`, `-`, `.` and `/`".to_owned());
        }
        let (validator, schema_parts) =
            validator(&tool.input_schema).map_err(|reason| format!("its inputSchema {reason}"))?;
        if let Some(schema) = &tool.output_schema {
            self::validator(schema).map_err(|reason| format!("its outputSchema {reason}"))?;
        }
        Ok(Self {
            tool,
            validator,
            schema_parts,
        })
    }

    /// How much work it may be, at worst, to check these arguments.
    fn checks(&self, arguments: &Value) -> u64 {
        parts(arguments, &|_| 1).saturating_mul(self.schema_parts)
    }

    /// True if checking these arguments may take longer than an async thread has.
    pub fn is_long_work(&self, arguments: &Value) -> bool {
        self.checks(arguments) > MOST_CHECKS
    }

    /// Where these arguments break the tool's schema; nowhere if they fit.
    pub fn violations(&self, arguments: &Value) -> Vec<Violation> {
        let checks = self.checks(arguments);
        if checks > TOO_MANY_CHECKS {
            return vec![Violation {
                pointer: String::new(),
                message:
                    "these are too many values to check against a schema of this size; send fewer"
                        .to_owned(),
            }];
        }
        let violation = |error: jsonschema::ValidationError<'_>| Violation {
            pointer: error.instance_path().to_string(),
            message: shortened(error.to_string()),
        };
        let Err(first) = self.validator.validate(arguments) else {
            return Vec::new();
        };
        // The validator collects all violations before it gives the first: as many as the schema has
        // parts for each part of the arguments.
        if checks > MOST_CHECKS {
            return vec![violation(first)];
        }
        let errors = self.validator.iter_errors(arguments).take(VIOLATIONS);
        errors.map(violation).collect()
    }
}

/// The parts of a schema once every local reference is replaced by what it names. A reference into
/// itself counts once; one that is no plain pointer (an anchor, another document) counts as too many.
fn unfolded(schema: &Value) -> u64 {
    fn of(root: &Value, at: &Value, depth: u32, known: &RefCell<HashMap<String, u64>>) -> u64 {
        if depth > DEEPEST {
            return MOST_PARTS + 1;
        }
        parts(at, &|object| {
            // Where these lead cannot be told by looking.
            if object.get("$dynamicRef").is_some_and(Value::is_string) {
                return MOST_PARTS + 1;
            }
            let Some(pointer) = object.get("$ref").and_then(Value::as_str) else {
                return 1;
            };
            if let Some(count) = known.borrow().get(pointer) {
                return *count;
            }
            known.borrow_mut().insert(pointer.to_owned(), 1);
            let target = pointer
                .strip_prefix('#')
                .and_then(|path| root.pointer(path));
            let count = target.map_or(MOST_PARTS + 1, |target| of(root, target, depth + 1, known));
            known.borrow_mut().insert(pointer.to_owned(), count);
            count
        })
    }
    of(schema, schema, 0, &RefCell::default())
}

/// The parts of a value, with `object` counting what an object stands for beside its members.
fn parts(value: &Value, object: &dyn Fn(&serde_json::Map<String, Value>) -> u64) -> u64 {
    let total = |parts: &mut dyn Iterator<Item = u64>| parts.fold(1, u64::saturating_add);
    match value {
        Value::Array(items) => total(&mut items.iter().map(|item| parts(item, object))),
        Value::Object(members) => total(&mut members.values().map(|member| parts(member, object)))
            .saturating_add(object(members)),
        _ => 1,
    }
}

/// A message that repeats large arguments is of no use to anybody.
fn shortened(message: String) -> String {
    match message.char_indices().nth(VIOLATION) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

fn is_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/')
}

/// A tool's arguments are an object, as MCP has it, so its schema must be one of an object. Gives the
/// number of its parts, too: one of too many is not even compiled.
fn validator(schema: &RawJson) -> Result<(Validator, u64), String> {
    let schema: Value = schema
        .parse()
        .map_err(|error| format!("is not JSON that can be read: {error}"))?;
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("does not say `\"type\": \"object\"`".to_owned());
    }
    let parts = unfolded(&schema);
    if parts > MOST_PARTS {
        return Err(format!(
            "unfolds to more than {MOST_PARTS} parts, or refers to something else than `#/…` in itself"
        ));
    }
    jsonschema::draft202012::meta::validate(&schema)
        .map_err(|error| format!("is no valid JSON Schema: {error}"))?;
    let validator = jsonschema::draft202012::new(&schema)
        .map_err(|error| format!("cannot be used: {error}"))?;
    Ok((validator, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: String) -> Value {
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_small_schema_that_unfolds_to_a_huge_one_is_recognised() {
        let doubled = (0..30).map(|nth| {
            let next = nth + 1;
            format!(r##""a{nth}":{{"allOf":[{{"$ref":"#/$defs/a{next}"}},{{"$ref":"#/$defs/a{next}"}}]}}"##)
        });
        let defs: Vec<String> = doubled
            .chain([r#""a30":{"required":["x"]}"#.to_owned()])
            .collect();
        let bomb = format!(
            r##"{{"type":"object","$ref":"#/$defs/a0","$defs":{{{}}}}}"##,
            defs.join(",")
        );
        assert!(unfolded(&schema(bomb)) > MOST_PARTS);
        for reference in [
            r##""$ref":"#bomb""##,
            r##""$ref":"#/$defs/a%31""##,
            r##""$dynamicRef":"#a""##,
        ] {
            assert!(unfolded(&schema(format!("{{{reference}}}"))) > MOST_PARTS);
        }
        let chain =
            (0..10_000).map(|nth| format!(r##""a{nth}":{{"$ref":"#/$defs/a{}"}}"##, nth + 1));
        let chain = format!(r#"{{"$defs":{{{}}}}}"#, chain.collect::<Vec<_>>().join(","));
        assert!(unfolded(&schema(chain)) > MOST_PARTS);
    }

    #[test]
    fn a_schema_that_refers_to_itself_is_as_large_as_it_looks() {
        let tree = r##"{"type":"object","properties":{"children":{"type":"array","items":{"$ref":"#"}}}}"##;
        assert!(unfolded(&schema(tree.to_owned())) < 40);
    }
}
