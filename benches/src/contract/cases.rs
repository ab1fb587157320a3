//! The types of the contract with their values, made from the schema.

use std::collections::BTreeMap;

use exomonad_schema::EffectRequest;
use exomonad_schema::common::{
    CallToolResult, CompleteInput, CompleteResult, GetPromptInput, GetPromptResult, HookInput,
    HookOutput, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, ListWorkflowsResult, PluginDescription, ReadResourceInput, ReadResourceResult,
    ToolCallInput, WorkflowInput, WorkflowMigrateInput, WorkflowMigrateResult, WorkflowOutcome,
    WorkflowQueryInput, WorkflowQueryResult,
};
use exomonad_schema::generate::model::{Contract, Type};
use exomonad_schema::generate::{common_document, contract_from_json_schema, effects_document};
use exomonad_schema::table::{EffectVisitor, for_each_effect};
use exomonad_test_support::arbitrary;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A type of the contract.
#[derive(Clone, Copy)]
pub struct Case {
    /// Reads a value as the host does, and writes it again.
    pub again: fn(&Value) -> Result<Value, String>,
}

/// The contract, and what reads each of its types.
pub struct Cases {
    /// The contract.
    pub contract: Contract,
    /// The schemas of all types.
    pub definitions: Value,
    /// Every type that is a request, an answer, or the input or output of an export.
    pub by_type: BTreeMap<String, Case>,
}

fn again<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())?;
    serde_json::to_value(&typed).map_err(|error| error.to_string())
}

impl EffectVisitor for Cases {
    fn visit<R: EffectRequest>(&mut self) {
        let effect = R::KIND.name();
        let types = self.contract.effects().find(|one| one.name == effect);
        let Some((request, answer)) = types.map(|one| (one.request.clone(), one.answer.clone()))
        else {
            unreachable!("{effect} is not in the contract")
        };
        self.by_type.insert(request, Case { again: again::<R> });
        self.by_type.insert(
            answer,
            Case {
                again: again::<R::Answer>,
            },
        );
    }
}

/// Every type of the contract that crosses between guest and host.
#[must_use]
pub fn cases() -> Cases {
    let (effects, common) = (effects_document(), common_document());
    let contract = contract_from_json_schema(&effects, &common)
        .unwrap_or_else(|error| unreachable!("the generator's tests hold this: {error}"));
    let mut definitions = effects["$defs"].clone();
    if let (Some(all), Some(more)) = (definitions.as_object_mut(), common["$defs"].as_object()) {
        all.extend(more.clone());
    }
    let mut cases = Cases {
        contract,
        definitions,
        by_type: BTreeMap::new(),
    };
    for_each_effect(&mut cases);
    macro_rules! messages {
        ($($ty:ident)*) => {
            $(cases.by_type.insert(stringify!($ty).to_owned(), Case { again: again::<$ty> });)*
        };
    }
    messages! {
        CallToolResult CompleteInput CompleteResult GetPromptInput GetPromptResult HookInput HookOutput
        ListPromptsResult ListResourceTemplatesResult ListResourcesResult ListToolsResult ListWorkflowsResult
        PluginDescription ReadResourceInput ReadResourceResult ToolCallInput WorkflowInput WorkflowMigrateInput
        WorkflowMigrateResult WorkflowOutcome WorkflowQueryInput WorkflowQueryResult
    }
    cases
}

impl Cases {
    /// As many values of a type, always the same ones; all are ones that the host's type takes.
    pub fn values(&self, ty: &str, number: usize) -> Vec<Value> {
        let strategy = arbitrary::value(
            &self.contract,
            &self.definitions,
            &Type::Named(ty.to_owned()),
        );
        let mut runner = TestRunner::deterministic();
        let case = self.by_type.get(ty);
        let mut values = Vec::new();
        // Some schemas allow what the type's own rules refuse.
        for _ in 0..number * 4 {
            if values.len() == number {
                break;
            }
            let Ok(tree) = strategy.new_tree(&mut runner) else {
                continue;
            };
            let value = tree.current();
            if case.is_none_or(|case| (case.again)(&value).is_ok()) {
                values.push(value);
            }
        }
        values
    }

    /// An error if two values of a type do not mean the same to the host.
    pub fn same(&self, ty: &str, sent: &Value, received: &Value) -> Result<(), String> {
        let Some(case) = self.by_type.get(ty) else {
            return Err(format!("{ty} is not a type that is compared"));
        };
        let meant = (case.again)(sent)?;
        match (case.again)(received) {
            Ok(read) if read == meant => Ok(()),
            Ok(read) => Err(format!("{meant} became {read}, written as {received}")),
            Err(problem) => Err(format!("{sent} became {received}: {problem}")),
        }
    }
}
