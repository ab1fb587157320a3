//! Calls of a guest's exports, and the cases that are about exports.

use std::sync::Arc;

use exomonad_engine::{CallError, Engine, EngineConfig, Limits, LoadOptions, Manifest, Plugin};
use exomonad_schema::HookEvent;
use serde_json::{Value, json};

use super::Report;
use super::host::{ContractHost, FUNCTIONS};

/// A loaded contract plugin.
pub struct Guest {
    /// The plugin.
    pub plugin: Plugin,
}

/// The context of every call.
pub fn context() -> Value {
    json!({"role": "contract", "callId": "00000000000000000000000000000001"})
}

impl Guest {
    /// Loads a plugin.
    ///
    /// # Errors
    /// The engine's reason.
    pub async fn load(wasm: &[u8]) -> Result<Self, String> {
        let engine = Engine::new(EngineConfig {
            sandboxes: 8,
            ..EngineConfig::default()
        });
        let engine = engine.map_err(|error| error.to_string())?;
        let options = LoadOptions {
            effects: &FUNCTIONS,
            ..LoadOptions::default()
        };
        let manifest = Manifest::of_module(wasm.to_vec());
        let plugin = engine.load(&manifest, &options).await;
        let plugin = plugin.map_err(|error| error.to_string())?;
        Ok(Self { plugin })
    }

    /// Calls an export with JSON, and returns its output's.
    ///
    /// # Errors
    /// If the call fails, or its output is not JSON.
    pub async fn export(
        &self,
        host: &Arc<ContractHost>,
        export: &str,
        input: &Value,
    ) -> Result<Value, String> {
        let input = match input {
            Value::Null => Vec::new(),
            input => input.to_string().into_bytes(),
        };
        let called = self
            .plugin
            .call(host.clone(), Limits::default(), export, &input)
            .await;
        let output = called.map_err(|error| format!("{export}: {error}"))?;
        serde_json::from_slice(&output.bytes).map_err(|error| {
            let text = String::from_utf8_lossy(&output.bytes);
            format!("the output of {export} is no JSON: {error}: {text}")
        })
    }

    /// Calls a tool: its structured result, or the text of its failure.
    ///
    /// # Errors
    /// Either kind of failure: of the call, or of the tool.
    pub async fn tool(
        &self,
        host: &Arc<ContractHost>,
        name: &str,
        arguments: Value,
    ) -> Result<Value, ToolFailure> {
        let input = json!({"name": name, "arguments": arguments, "context": context()});
        let result = self
            .export(host, "handle_mcp_call", &input)
            .await
            .map_err(ToolFailure::Call)?;
        if result["isError"] == true {
            let text = result["content"][0]["text"].as_str();
            return Err(ToolFailure::Tool(text.unwrap_or_default().to_owned()));
        }
        match result.get("structuredContent") {
            Some(content) => Ok(content.clone()),
            None => Err(ToolFailure::Call(format!(
                "{name} has no structuredContent: {result}"
            ))),
        }
    }
}

/// The failure of a tool's call.
#[derive(Debug)]
pub enum ToolFailure {
    /// The export failed, or broke the contract.
    Call(String),
    /// The tool's own failure, which a model would read.
    Tool(String),
}

impl std::fmt::Display for ToolFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(text) => write!(f, "the call failed: {text}"),
            Self::Tool(text) => write!(f, "the tool failed: {text}"),
        }
    }
}

fn expect(what: &str, is: bool, got: &impl std::fmt::Debug) -> Result<(), String> {
    match is {
        true => Ok(()),
        false => Err(format!("{what}, not {got:?}")),
    }
}

/// Exports, tools, hooks, resources, prompts, failures, randomness.
pub async fn run(guest: &Guest, report: &mut Report) {
    report.count("exports", exports(guest));
    report.count("tools", tools(guest).await);
    report.count("echo", echo(guest).await);
    report.count("fail", fail(guest).await);
    report.count("crash", crash(guest).await);
    report.count("an unknown tool", unknown_tool(guest).await);
    report.count("random", random(guest).await);
    for event in HookEvent::ALL {
        report.count(event.export(), hook(guest, *event).await);
    }
    report.count("resources", resources(guest).await);
    report.count("prompts", prompts(guest).await);
    report.count("workflows", workflows(guest).await);
    for input in HOSTILE_INPUTS {
        report.count("a hostile input", hostile(guest, input).await);
    }
}

/// Inputs of `handle_mcp_call` that the host never sends: the call has to end, in whatever way.
const HOSTILE_INPUTS: [&str; 8] = [
    "",
    "{",
    "[]",
    "\"text\"",
    r#"{"name":"echo","arguments":{"text":"\ud800"},"context":{"role":"r","callId":"1"}}"#,
    r#"{"name":"echo","name":"fail","arguments":{"text":1},"context":{"role":"r","callId":"1"}}"#,
    r#"{"name":"echo","arguments":{"text":1e999},"context":{"role":"r","callId":"1"}}"#,
    "{\"name\":\"echo\",\"arguments\":{\"text\":\"\u{0}\"},\"context\":{\"role\":\"r\",\"callId\":\"1\"}}",
];

async fn hostile(guest: &Guest, input: &str) -> Result<(), String> {
    let called = guest
        .plugin
        .call(
            Arc::<ContractHost>::default(),
            Limits::default(),
            "handle_mcp_call",
            input.as_bytes(),
        )
        .await;
    match called {
        // A trap would be an index out of range, or worse.
        Err(CallError::Trap { message }) => Err(format!("{input:?} trapped: {message}")),
        Err(CallError::Limit(limit)) => Err(format!("{input:?} reached a limit: {limit:?}")),
        _ => Ok(()),
    }
}

fn exports(guest: &Guest) -> Result<(), String> {
    let wanted = super::cases().contract.exports;
    let missing: Vec<&str> = wanted
        .iter()
        .map(|export| &*export.name)
        .filter(|name| !guest.plugin.has(name))
        .collect();
    expect("no export is missing", missing.is_empty(), &missing)?;
    let imports = guest.plugin.imports();
    let unused = super::host::FUNCTIONS.iter();
    let unused: Vec<_> = unused
        .filter(|name| !imports.contains(&format!("extism:host/user::{name}")))
        .collect();
    expect("every effect is imported", unused.is_empty(), &unused)
}

async fn tools(guest: &Guest) -> Result<(), String> {
    let host = Arc::default();
    let listed = guest
        .export(&host, "handle_list_tools", &Value::Null)
        .await?;
    for name in ["round_trip", "perform", "echo", "random", "fail", "crash"] {
        let tool = listed["tools"].as_array().into_iter().flatten();
        let Some(tool) = tool.into_iter().find(|tool| tool["name"] == name) else {
            return Err(format!("there is no tool {name} in {listed}"));
        };
        expect(
            "a tool has a description",
            tool["description"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            tool,
        )?;
        expect(
            "a tool's arguments are an object",
            tool["inputSchema"]["type"] == "object",
            tool,
        )?;
    }
    let echo = listed["tools"].as_array().into_iter().flatten();
    let echo: Vec<&Value> = echo.filter(|tool| tool["name"] == "echo").collect();
    let schema = &echo[0]["inputSchema"];
    expect(
        "the schema of echo has its text",
        schema["properties"]["text"]["type"] == "string" && schema["required"] == json!(["text"]),
        schema,
    )?;
    let described = guest
        .export(&Arc::default(), "describe", &Value::Null)
        .await?;
    let sdk = described["sdk"].as_str().unwrap_or_default();
    expect("describe names the SDK", sdk.contains('/'), &described)
}

async fn echo(guest: &Guest) -> Result<(), String> {
    let long = "0123456789abcdef".repeat(1 << 16);
    for text in [
        "",
        "hello",
        "\u{0}\u{1}\u{7f}\"\\/",
        "日本語 👩‍👩‍👧‍👦 \u{10ffff}\u{2028}",
        &long,
    ] {
        let answer = guest
            .tool(&Arc::default(), "echo", json!({"text": text}))
            .await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer["text"] != text {
            return Err(format!("{text:?} became {answer}"));
        }
    }
    for wrong in [
        json!({}),
        json!({"text": 1}),
        json!({"text": null}),
        json!([]),
    ] {
        match guest.tool(&Arc::default(), "echo", wrong.clone()).await {
            Err(ToolFailure::Tool(text)) => expect(
                "the failure names what is missing",
                text.contains("text") || wrong != json!({}),
                &text,
            )?,
            other => return Err(format!("{wrong} gave {other:?}, no failure of the tool")),
        }
    }
    Ok(())
}

async fn fail(guest: &Guest) -> Result<(), String> {
    let message = "as asked: \"日本語\"\n\\";
    match guest
        .tool(&Arc::default(), "fail", json!({"message": message}))
        .await
    {
        Err(ToolFailure::Tool(text)) => expect("the message is whole", text == message, &text),
        other => Err(format!("it gave {other:?}")),
    }
}

async fn crash(guest: &Guest) -> Result<(), String> {
    match guest.tool(&Arc::default(), "crash", json!({})).await {
        Err(ToolFailure::Call(_)) => Ok(()),
        other => Err(format!("it gave {other:?}")),
    }
}

async fn unknown_tool(guest: &Guest) -> Result<(), String> {
    match guest.tool(&Arc::default(), "nonexistent", json!({})).await {
        Err(ToolFailure::Tool(text)) => expect(
            "the failure names the tools that there are",
            text.contains("nonexistent") && text.contains("round_trip"),
            &text,
        ),
        other => Err(format!("it gave {other:?}")),
    }
}

async fn random(guest: &Guest) -> Result<(), String> {
    let mut drawn = std::collections::BTreeSet::new();
    const CALLS: usize = 8;
    for _ in 0..CALLS {
        let numbers = guest.tool(&Arc::default(), "random", json!({})).await;
        let numbers = numbers.map_err(|error| error.to_string())?;
        let numbers = numbers["numbers"].as_array().cloned().unwrap_or_default();
        expect("two numbers are drawn", numbers.len() == 2, &numbers)?;
        drawn.extend(numbers.iter().map(Value::to_string));
    }
    expect("every call draws others", drawn.len() == 2 * CALLS, &drawn)
}

async fn hook(guest: &Guest, event: HookEvent) -> Result<(), String> {
    let input = json!({
        "event": event.name(),
        "payload": {"tool_name": "Bash"},
        "agentEvent": null,
        "context": context(),
    });
    let output = guest
        .export(&Arc::default(), event.export(), &input)
        .await?;
    expect(
        "the hook denies, and names its event",
        output["decision"] == "deny"
            && output["reason"]
                .as_str()
                .is_some_and(|reason| reason.starts_with(event.name())),
        &output,
    )
}

async fn resources(guest: &Guest) -> Result<(), String> {
    let host = Arc::default();
    let with_context = json!({"context": context()});
    let listed = guest
        .export(&host, "handle_list_resources", &with_context)
        .await?;
    expect(
        "the resource is listed",
        listed["resources"][0]["uri"] == "notes://first",
        &listed,
    )?;
    let templates = guest
        .export(&host, "handle_list_resource_templates", &with_context)
        .await?;
    expect(
        "the template is listed",
        templates["resourceTemplates"][0]["uriTemplate"] == "notes://{name}",
        &templates,
    )?;
    for (uri, text) in [
        ("notes://first", "the first note"),
        ("notes://ocean", "a note about ocean"),
    ] {
        let read = json!({"uri": uri, "context": context()});
        let read = guest.export(&host, "handle_read_resource", &read).await?;
        expect(text, read["contents"][0]["text"] == text, &read)?;
    }
    let complete = json!({
        "uriTemplate": "notes://{name}", "argument": "name", "value": "a", "context": context(),
    });
    let completed = guest.export(&host, "handle_complete", &complete).await?;
    let values = &completed["completion"]["values"];
    expect("alpha is offered", values == &json!(["alpha"]), &completed)
}

async fn prompts(guest: &Guest) -> Result<(), String> {
    let host = Arc::default();
    let listed = guest
        .export(&host, "handle_list_prompts", &json!({"context": context()}))
        .await?;
    expect(
        "the prompt is listed",
        listed["prompts"][0]["name"] == "greet",
        &listed,
    )?;
    let get = json!({"name": "greet", "arguments": {"name": "Ada"}, "context": context()});
    let got = guest.export(&host, "handle_get_prompt", &get).await?;
    let message = &got["messages"][0];
    expect(
        "the message greets",
        message["role"] == "user" && message["content"]["text"] == "Greet Ada.",
        &got,
    )?;
    let complete = json!({
        "prompt": "greet", "argument": "name", "value": "G", "context": context(),
    });
    let completed = guest.export(&host, "handle_complete", &complete).await?;
    let values = &completed["completion"]["values"];
    expect("Grace is offered", values == &json!(["Grace"]), &completed)
}

/// Listing, a query and a migration; runs are for a host with a journal.
async fn workflows(guest: &Guest) -> Result<(), String> {
    let host = Arc::default();
    let listed = guest
        .export(&host, "handle_list_workflows", &json!({}))
        .await?;
    let greet = &listed["workflows"][0];
    expect("greet is listed", greet["name"] == "greet", &listed)?;
    let query = json!({
        "workflow": "greet", "query": "stage", "arguments": {}, "state": {"stage": "begun"},
        "context": context(),
    });
    let answer = guest.export(&host, "handle_query", &query).await?;
    expect(
        "the query gives the stage",
        answer["value"] == "begun",
        &answer,
    )?;
    let migrate = json!({
        "workflow": "greet", "state": "begun", "fromVersion": 1, "toVersion": 2, "context": context(),
    });
    let migrated = guest.export(&host, "handle_migrate", &migrate).await?;
    expect(
        "the state is migrated",
        migrated["state"] == json!({"stage": "begun"}),
        &migrated,
    )
}
