//! The contract's types in Rust and in Haskell: what one writes the other reads, and writes again without
//! losing anything, for every request and every answer.

use exomonad_schema::EffectRequest;
use exomonad_schema::generate::model::{Contract, Type};
use exomonad_schema::generate::{common_document, contract_from_json_schema, effects_document};
use exomonad_schema::table::{EffectVisitor, for_each_effect};
use exomonad_test_support::{Host, arbitrary};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::haskell::project;

/// Values of each type, in each direction.
const VALUES: usize = 40;

/// A type of the contract.
struct Case {
    name: String,
    /// Reads a value as the host does, and writes it again.
    again: fn(&Value) -> Result<Value, String>,
}

fn again<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())?;
    serde_json::to_value(&typed).map_err(|error| error.to_string())
}

/// Every request and every answer.
struct Cases {
    contract: Contract,
    found: Vec<Case>,
}

impl EffectVisitor for Cases {
    fn visit<R: EffectRequest>(&mut self) {
        let effect = R::KIND.name();
        let types = self.contract.effects().find(|one| one.name == effect);
        let types = types.unwrap_or_else(|| panic!("{effect} is not in the contract"));
        self.found.push(Case {
            name: types.request.clone(),
            again: again::<R>,
        });
        self.found.push(Case {
            name: types.answer.clone(),
            again: again::<R::Answer>,
        });
    }
}

fn cases() -> Cases {
    let contract = contract_from_json_schema(&effects_document(), &common_document()).unwrap();
    let mut cases = Cases {
        contract,
        found: Vec::new(),
    };
    for_each_effect(&mut cases);
    cases
}

async fn ask(host: &Host, tool: &str, arguments: Value) -> Vec<Value> {
    let kind = arguments["kind"].clone();
    let result = host.tool("echo-haskell", tool, arguments).await;
    assert!(!result.is_error(), "{kind}: {}", result.text());
    result.structured()["values"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_rust_writes_haskell_reads_and_writes_again() {
    let project = project(&["echo-haskell"]);
    let host = project.serve().await;
    let cases = cases();
    let document = effects_document();
    let mut runner = TestRunner::deterministic();
    for case in &cases.found {
        let ty = Type::Named(case.name.clone());
        let strategy = arbitrary::value(&cases.contract, &document["$defs"], &ty);
        let values: Vec<Value> = (0..VALUES)
            .map(|_| strategy.new_tree(&mut runner).unwrap().current())
            .collect();
        let arguments = json!({"kind": case.name, "values": values});
        let haskells = ask(&host, "round_trip", arguments).await;
        assert_eq!(haskells.len(), VALUES);
        for (ours, haskells) in values.iter().zip(&haskells) {
            let (meant, read) = ((case.again)(ours), (case.again)(haskells));
            assert!(meant.is_ok(), "{}: {meant:?}: {ours}", case.name);
            assert_eq!(read, meant, "{}: {ours} became {haskells}", case.name);
        }
    }
}

#[tokio::test]
async fn what_haskell_writes_rust_reads_and_writes_again() {
    let project = project(&["echo-haskell"]);
    let host = project.serve().await;
    for case in &cases().found {
        let arguments = json!({"kind": case.name, "seed": 7, "count": VALUES});
        let values = ask(&host, "make_values", arguments).await;
        assert_eq!(values.len(), VALUES);
        let ours: Vec<Value> = values
            .iter()
            .map(|value| {
                (case.again)(value)
                    .unwrap_or_else(|problem| panic!("{}: {problem}: {value}", case.name))
            })
            .collect();
        // Back in Haskell they are what they were, or leave out what Rust leaves out: a field with
        // its default. To Rust the two are one.
        let arguments = json!({"kind": case.name, "values": ours});
        let back = ask(&host, "round_trip", arguments).await;
        let back: Vec<_> = back.iter().map(case.again).collect();
        let ours: Vec<_> = ours.into_iter().map(Ok).collect();
        assert_eq!(back, ours, "{}", case.name);
    }
}

#[tokio::test]
async fn haskells_values_reach_the_ends_of_their_types() {
    let project = project(&["echo-haskell"]);
    let host = project.serve().await;
    let arguments = json!({"kind": "ClockTime", "seed": 1, "count": 300});
    let times = ask(&host, "make_values", arguments).await;
    let has = |field: &str, wanted: Value| times.iter().any(|time| time[field] == wanted);
    assert!(has("unixMillis", json!(i64::MIN)) && has("unixMillis", json!(i64::MAX)));
    assert!(has("monotonicNanos", json!(u64::MAX)) && has("monotonicNanos", json!(0)));
    assert!(has("iso8601", json!("")) && has("iso8601", json!("日本語")));
}
