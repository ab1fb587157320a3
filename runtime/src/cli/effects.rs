//! `effects`: every effect that a plugin can ask for, and one of them in detail.

use exomonad_engine::closest;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::table::{EffectVisitor, for_each_effect};
use exomonad_schema::{Access, EffectKind};
use serde_json::{Value, json};

use super::CommandError;
use super::args::Options;
use super::show::{print_json, print_line, print_table};

/// Runs `effects`.
pub fn run(options: &Options, name: Option<&str>) -> Result<(), CommandError> {
    let Some(name) = name else {
        list(options);
        return Ok(());
    };
    let kind = find_effect(name)?;
    let (request, answer) = schemas(kind);
    if options.json {
        print_json(&json!({
            "capability": kind.capability(), "function": kind.function(), "name": kind.name(),
            "access": kind.access(), "description": kind.doc().trim(), "request": request, "answer": answer,
        }));
        return Ok(());
    }
    print_line(&format!("{}: {}", kind.capability(), kind.doc().trim()));
    print_line(&format!("  access         {}", access(kind)));
    print_line(&format!("  host function  {}", kind.function()));
    print_line(&format!("  name in JSON   {}", kind.name()));
    print_line("\nRequest");
    print_fields(&request);
    print_line("\nAnswer");
    print_fields(&answer);
    Ok(())
}

fn list(options: &Options) {
    if options.json {
        let all: Vec<Value> = EffectKind::ALL
            .iter()
            .map(|kind| {
                json!({
                    "capability": kind.capability(), "function": kind.function(), "name": kind.name(),
                    "access": kind.access(), "description": kind.doc().trim(),
                })
            })
            .collect();
        print_json(&all);
        return;
    }
    let rows: Vec<_> = EffectKind::ALL
        .iter()
        .map(|kind| {
            let doc = kind.doc().trim().lines().next().unwrap_or_default();
            vec![
                kind.capability().to_owned(),
                access(*kind).to_owned(),
                doc.trim().to_owned(),
            ]
        })
        .collect();
    print_table(&["EFFECT", "ACCESS", "DESCRIPTION"], &rows);
}

fn access(kind: EffectKind) -> &'static str {
    match kind.access() {
        Access::Read => "read",
        Access::Write => "write",
    }
}

/// The JSON Schemas of an effect's request and answer.
fn schemas(kind: EffectKind) -> (Value, Value) {
    struct Find(EffectKind, (Value, Value));
    impl EffectVisitor for Find {
        fn visit<R: EffectRequest>(&mut self) {
            if R::KIND == self.0 {
                let settings = schemars::generate::SchemaSettings::draft2020_12();
                let schema = |schema: schemars::Schema| schema.to_value();
                self.1 = (
                    schema(
                        settings
                            .clone()
                            .into_generator()
                            .into_root_schema_for::<R>(),
                    ),
                    schema(
                        settings
                            .into_generator()
                            .into_root_schema_for::<R::Answer>(),
                    ),
                );
            }
        }
    }
    let mut find = Find(kind, (Value::Null, Value::Null));
    for_each_effect(&mut find);
    find.1
}

/// The fields of an object's schema that may not be left out.
pub fn required_fields(schema: &Value) -> Vec<&str> {
    let required = schema["required"].as_array().into_iter().flatten();
    required.filter_map(Value::as_str).collect()
}

/// Prints the fields of an object's schema: name, type, and the first sentence of the description.
pub fn print_fields(schema: &Value) {
    let required = required_fields(schema);
    let fields = schema["properties"].as_object();
    let rows: Vec<_> = fields
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let name = match required.contains(&name.as_str()) {
                true => name.clone(),
                false => format!("[{name}]"),
            };
            let description = field["description"].as_str().unwrap_or_default();
            vec![
                format!("  {name}"),
                type_of(field, schema),
                description.replace('\n', " "),
            ]
        })
        .collect();
    if rows.is_empty() {
        print_line("  (none)");
        return;
    }
    print_table(&["  FIELD", "TYPE", "DESCRIPTION"], &rows);
}

/// The type of a field in a word or two: `string`, `integer`, `string[]`, `"a" | "b"`.
fn type_of(field: &Value, root: &Value) -> String {
    if let Some(name) = field["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or(name);
        let definition = &root["$defs"][name];
        return match definition {
            Value::Object(_) if definition["properties"].is_null() => type_of(definition, root),
            _ => name.to_owned(),
        };
    }
    if let Some(choices) = field["enum"].as_array() {
        let choices: Vec<String> = choices.iter().map(ToString::to_string).collect();
        return choices.join(" | ");
    }
    for keyword in ["oneOf", "anyOf"] {
        if let Some(choices) = field[keyword].as_array() {
            let mut choices: Vec<String> = choices
                .iter()
                .map(|choice| match &choice["const"] {
                    Value::Null => type_of(choice, root),
                    constant => constant.to_string(),
                })
                .collect();
            choices.dedup();
            return choices.join(" | ");
        }
    }
    match &field["type"] {
        Value::String(kind) if kind == "array" => format!("{}[]", type_of(&field["items"], root)),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" | ")
        }
        _ => "any".to_owned(),
    }
}

/// The effect by its capability, its host function or its name in JSON.
pub fn find_effect(name: &str) -> Result<EffectKind, CommandError> {
    let names = |kind: &EffectKind| [kind.capability(), kind.function(), kind.name()];
    let found = EffectKind::ALL
        .iter()
        .find(|kind| names(kind).contains(&name));
    found.copied().ok_or_else(|| {
        let hint = closest(name, EffectKind::ALL.iter().flat_map(names))
            .map(|near| format!(" (did you mean `{near}`?)"))
            .unwrap_or_default();
        CommandError::Refused(format!(
            "there is no effect `{name}`{hint}; `exomonad effects` lists them"
        ))
    })
}
