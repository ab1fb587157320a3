//! The JSON Schema documents.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::common::{
    CallToolResult, CompleteInput, CompleteResult, GetPromptInput, GetPromptResult, HookInput,
    HookOutput, ListPromptsInput, ListPromptsResult, ListResourceTemplatesInput,
    ListResourceTemplatesResult, ListResourcesInput, ListResourcesResult, ListToolsInput,
    ListToolsResult, ListWorkflowsInput, ListWorkflowsResult, PluginDescription, ReadResourceInput,
    ReadResourceResult, ToolCallInput, WorkflowInput, WorkflowMigrateInput, WorkflowMigrateResult,
    WorkflowOutcome, WorkflowQueryInput, WorkflowQueryResult,
};
use crate::effect::EffectRequest;
use crate::error::{Answer, ErrorCode};
use crate::table::{Effect, EffectVisitor, Service, for_each_effect};
use crate::value::RawJson;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// `effects.json`: an instance is an effect with its request. `$defs` has
/// the request and the answer of each, and [`Answer`]; `x-effects` has
/// what JSON Schema cannot express: functions, capabilities, access.
pub fn effects_document() -> Value {
    struct Collect {
        generator: SchemaGenerator,
        effects: Vec<Value>,
    }
    impl EffectVisitor for Collect {
        fn visit<R: EffectRequest>(&mut self) {
            let kind = R::KIND;
            let request = self.generator.subschema_for::<R>();
            let answer = self.generator.subschema_for::<R::Answer>();
            self.effects.push(json!({
                "name": kind.name(),
                "function": kind.function(),
                "capability": kind.capability(),
                "service": kind.service().name(),
                "method": kind.method(),
                "access": kind.access(),
                "description": doc_text(kind.doc()),
                "request": request,
                "answer": answer,
            }));
        }
    }
    let mut collect = Collect {
        generator: generator(),
        effects: Vec::new(),
    };
    for_each_effect(&mut collect);
    let Collect {
        mut generator,
        effects,
    } = collect;
    let root = generator.subschema_for::<Effect>();
    generator.subschema_for::<Answer<RawJson>>();

    let services: Vec<_> = Service::ALL
        .iter()
        .map(|service| {
            json!({
                "name": service.name(),
                "description": doc_text(service.doc()),
                "optional": service.is_optional(),
            })
        })
        .collect();
    let codes: Vec<_> = ErrorCode::ALL
        .iter()
        .map(|code| json!({ "code": code, "description": doc_text(code.doc()) }))
        .collect();
    document(
        "Effects of an exomonad guest",
        "The effects that a guest may request, and the host's answers.",
        &root,
        generator,
        [
            ("x-services", json!(services)),
            ("x-effects", json!(effects)),
            ("x-errorCodes", json!(codes)),
        ],
    )
}

/// `common.json`: the inputs and outputs of a guest's exports under `$defs`, and
/// the exports that use them under `x-exports`.
pub fn common_document() -> Value {
    let mut generator = generator();
    let exports = json!({
        crate::common::HANDLE_LIST_TOOLS: export::<ListToolsInput, ListToolsResult>(&mut generator),
        crate::common::HANDLE_MCP_CALL: export::<ToolCallInput, CallToolResult>(&mut generator),
        crate::common::HANDLE_LIST_RESOURCES: export::<ListResourcesInput, ListResourcesResult>(&mut generator),
        crate::common::HANDLE_LIST_RESOURCE_TEMPLATES:
            export::<ListResourceTemplatesInput, ListResourceTemplatesResult>(&mut generator),
        crate::common::HANDLE_READ_RESOURCE: export::<ReadResourceInput, ReadResourceResult>(&mut generator),
        crate::common::HANDLE_LIST_PROMPTS: export::<ListPromptsInput, ListPromptsResult>(&mut generator),
        crate::common::HANDLE_GET_PROMPT: export::<GetPromptInput, GetPromptResult>(&mut generator),
        crate::common::HANDLE_COMPLETE: export::<CompleteInput, CompleteResult>(&mut generator),
        crate::common::HANDLE_LIST_WORKFLOWS: export::<ListWorkflowsInput, ListWorkflowsResult>(&mut generator),
        crate::common::HANDLE_WORKFLOW: export::<WorkflowInput, WorkflowOutcome>(&mut generator),
        crate::common::HANDLE_QUERY: export::<WorkflowQueryInput, WorkflowQueryResult>(&mut generator),
        crate::common::HANDLE_MIGRATE: export::<WorkflowMigrateInput, WorkflowMigrateResult>(&mut generator),
        "handle_<event>": export::<HookInput, HookOutput>(&mut generator),
        crate::common::DESCRIBE: { "output": generator.subschema_for::<PluginDescription>() },
    });
    document(
        "Messages of an exomonad guest",
        "The inputs and outputs of a guest's exports.",
        &json!(true).try_into().unwrap_or_default(),
        generator,
        [("x-exports", exports)],
    )
}

fn export<Input: JsonSchema, Output: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    json!({
        "input": generator.subschema_for::<Input>(),
        "output": generator.subschema_for::<Output>(),
    })
}

/// Schemas for reading JSON: a field with a default may be absent.
fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator()
}

fn document<const EXTRAS: usize>(
    title: &str,
    description: &str,
    root: &schemars::Schema,
    mut generator: SchemaGenerator,
    extras: [(&str, Value); EXTRAS],
) -> Value {
    let mut document = Map::new();
    document.insert("$schema".to_owned(), json!(DIALECT));
    document.insert("title".to_owned(), json!(title));
    document.insert("description".to_owned(), json!(description));
    if let Some(root) = root.as_object() {
        document.extend(root.clone());
    }
    for (name, value) in extras {
        document.insert(name.to_owned(), value);
    }
    let mut definitions = generator.take_definitions(true);
    // Sorted by name, so that a new effect only adds lines.
    definitions.sort_keys();
    document.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(document)
}

/// A doc comment without the leading space of its lines.
fn doc_text(doc: &str) -> String {
    doc.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}
