//! Any value that fits an effect's JSON Schema decodes into its type, encodes without
//! loss, and still fits the schema: for the request and the answer of every effect.

use exomonad_schema::generate::model::{Contract, Type};
use exomonad_schema::generate::{common_document, contract_from_json_schema, effects_document};
use exomonad_schema::table::{EffectVisitor, for_each_effect};
use exomonad_schema::{Answer, EffectRequest};
use exomonad_test_support::arbitrary;
use jsonschema::Validator;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const CASES: u32 = 48;

struct RoundTrip {
    document: Value,
    contract: Contract,
}

impl EffectVisitor for RoundTrip {
    fn visit<R: EffectRequest>(&mut self) {
        let effect = R::KIND.name();
        let types = self
            .contract
            .effects()
            .find(|one| one.name == effect)
            .cloned()
            .unwrap();
        self.check::<R>(&types.request);
        self.check::<R::Answer>(&types.answer);
    }
}

impl RoundTrip {
    fn check<T: Serialize + DeserializeOwned>(&self, name: &str) {
        let schema = json!({
            "$schema": self.document["$schema"],
            "$ref": format!("#/$defs/{name}"),
            "$defs": self.document["$defs"],
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let ty = Type::Named(name.to_owned());
        let values = arbitrary::value(&self.contract, &self.document["$defs"], &ty);
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let mut runner = TestRunner::new(config);
        let outcome = runner.run(&values, |value| {
            round_trip::<T>(&validator, &value)
                .map_err(|reason| TestCaseError::fail(format!("{name}: {reason}: {value}")))
        });
        if let Err(failure) = outcome {
            panic!("{failure}");
        }
    }
}

fn round_trip<T: Serialize + DeserializeOwned>(
    validator: &Validator,
    value: &Value,
) -> Result<(), String> {
    fits(validator, value)?;
    let text = value.to_string();
    let typed: T =
        serde_json::from_str(&text).map_err(|error| format!("does not decode: {error}"))?;
    let encoded = serde_json::to_value(&typed).map_err(|error| error.to_string())?;
    fits(validator, &encoded)?;
    if let Some(lost) = lost(value, &encoded) {
        return Err(format!("loses {lost}, leaving {encoded}"));
    }
    let again: T = serde_json::from_value(encoded.clone()).map_err(|error| error.to_string())?;
    let again = serde_json::to_value(&again).map_err(|error| error.to_string())?;
    if again != encoded {
        return Err(format!("{encoded} comes back as {again}"));
    }
    // Raw JSON inside an answer also survives the tagged envelope.
    let envelope =
        serde_json::to_string(&Answer::Success(&typed)).map_err(|error| error.to_string())?;
    match serde_json::from_str::<Answer<T>>(&envelope).map_err(|error| error.to_string())? {
        Answer::Success(inner) if serde_json::to_value(&inner).ok() == Some(encoded) => Ok(()),
        _ => Err(format!("is lost in the envelope {envelope}")),
    }
}

fn fits(validator: &Validator, value: &Value) -> Result<(), String> {
    validator
        .validate(value)
        .map_err(|error| format!("{value} does not fit: {error}"))
}

/// The parts of `before` that are not in `after`. Nothing is lost when a `null` or an
/// empty collection, which mean absence, are left out.
fn lost(before: &Value, after: &Value) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            before
                .iter()
                .find_map(|(name, value)| match after.get(name) {
                    Some(kept) => lost(value, kept),
                    None if is_absence(value) => None,
                    None => Some(format!("`{name}`")),
                })
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => before
            .iter()
            .zip(after)
            .find_map(|(before, after)| lost(before, after)),
        _ if before == after => None,
        _ => Some(before.to_string()),
    }
}

fn is_absence(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

#[test]
fn every_request_and_answer_survives_a_round_trip() {
    let document = effects_document();
    let contract = contract_from_json_schema(&document, &common_document()).unwrap();
    for_each_effect(&mut RoundTrip { document, contract });
}

#[test]
fn arbitrary_values_include_the_extremes_of_their_types() {
    let document = effects_document();
    let contract = contract_from_json_schema(&document, &common_document()).unwrap();
    let ty = Type::Named("ClockTime".to_owned());
    let values = arbitrary::value(&contract, &document["$defs"], &ty);
    let mut runner = TestRunner::deterministic();
    let mut seen = Vec::new();
    for _ in 0..400 {
        let value = values.new_tree(&mut runner).unwrap();
        seen.push(
            proptest::strategy::ValueTree::current(&value)["unixMillis"]
                .as_i64()
                .unwrap(),
        );
    }
    assert!(seen.contains(&i64::MIN) && seen.contains(&i64::MAX) && seen.contains(&0));
}
