//! Generated files: checked in as the contract generates them, and in agreement with the types.

use std::fs;
use std::path::Path;

use exomonad_schema::generate::{effects_document, outputs};
use exomonad_schema::{EffectKind, ErrorCode};
use serde_json::{Value, json};

#[test]
fn every_generated_file_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for output in outputs().unwrap() {
        let present = fs::read_to_string(root.join(&output.path)).unwrap_or_default();
        assert!(
            present == output.text,
            "{} has drifted: run `just gen-types`",
            output.path
        );
    }
}

#[test]
fn the_reference_names_every_effect_and_every_error_code() {
    let reference = outputs()
        .unwrap()
        .into_iter()
        .find(|file| file.path.ends_with("EFFECTS.md"));
    let reference = reference.unwrap().text;
    for kind in EffectKind::ALL {
        assert!(
            reference.contains(&format!("### {}\n", kind.name())),
            "{kind}"
        );
        assert!(
            reference.contains(&format!("`{}`", kind.capability())),
            "{kind}"
        );
    }
    for code in ErrorCode::ALL {
        assert!(reference.contains(&format!("| `{code}` |")), "{code}");
    }
}

#[test]
fn every_example_in_the_reference_fits_its_schema() {
    let document = effects_document();
    let reference = outputs()
        .unwrap()
        .into_iter()
        .find(|file| file.path.ends_with("EFFECTS.md"));
    let reference = reference.unwrap().text;
    for effect in document["x-effects"].as_array().unwrap() {
        let name = effect["name"].as_str().unwrap();
        let section = reference.split(&format!("### {name}\n")).nth(1).unwrap();
        let mut examples = section.split("```json\n").skip(1).map(|rest| {
            serde_json::from_str::<Value>(rest.split("\n```").next().unwrap()).unwrap()
        });
        let request = examples.next().unwrap();
        let answer = examples.next().unwrap();
        validate(&document, &effect["request"], &request);
        validate(&document, &effect["answer"], &answer["payload"]);
        validate(&document, &json!({ "$ref": "#/$defs/Answer" }), &answer);
        validate(
            &document,
            &document,
            &json!({ "kind": name, "payload": request }),
        );
    }
}

#[test]
fn a_request_with_an_unknown_field_breaks_its_schema() {
    let document = effects_document();
    for effect in document["x-effects"].as_array().unwrap() {
        let schema = with_definitions(&document, &effect["request"]);
        let validator = jsonschema::validator_for(&schema).unwrap();
        let name = &effect["name"];
        assert!(!validator.is_valid(&json!({ "noSuchField": 1 })), "{name}");
    }
}

fn validate(document: &Value, schema: &Value, instance: &Value) {
    let schema = with_definitions(document, schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = validator.validate(instance) {
        panic!("{instance} does not fit {}: {error}", schema["$ref"]);
    }
}

fn with_definitions(document: &Value, schema: &Value) -> Value {
    json!({
        "$schema": document["$schema"],
        "$ref": schema["$ref"],
        "$defs": document["$defs"],
    })
}
