//! The official conformance suite of MCP, against the host.

use std::process::Command;

use exomonad_test_support::mcp::mcp_path;
use exomonad_test_support::{Guest, Project, end_with_parent, repository, tool_named};
use serde_json::{Value, json};

use crate::mcp_clients::Clients;

/// A picture of one pixel, and a sound of none.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

/// The tools that the suite asks for, as far as they need nothing but an answer.
fn fixtures() -> Guest {
    let text = |text: &str| json!({"type": "text", "text": text});
    let image = || json!({"type": "image", "data": PNG, "mimeType": "image/png"});
    let resource = |uri: &str, kind: &str, text: &str| json!({"type": "resource", "resource": {"uri": uri, "mimeType": kind, "text": text}});
    let answers: [(&str, Value); 8] = [
        (
            "test_simple_text",
            json!({"content": [text("This is a simple text response for testing.")]}),
        ),
        ("test_image_content", json!({"content": [image()]})),
        (
            "test_audio_content",
            json!({"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]}),
        ),
        (
            "test_embedded_resource",
            json!({"content": [
                resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")
            ]}),
        ),
        (
            "test_multiple_content_types",
            json!({"content": [
                text("Multiple content types test:"),
                image(),
                resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
            ]}),
        ),
        (
            "test_error_handling",
            json!({"content": [text("This tool intentionally returns an error for testing")], "isError": true}),
        ),
        (
            "json_schema_2020_12_tool",
            json!({"content": [text("fits")]}),
        ),
        ("test_custom_header", json!({"content": [text("agrees")]})),
    ];
    let mut tools: Vec<Value> = answers.iter().map(|(name, _)| tool_named(name)).collect();
    for tool in &mut tools {
        match tool["name"].as_str() {
            Some("json_schema_2020_12_tool") => tool["inputSchema"] = schema_2020_12(),
            Some("test_custom_header") => {
                tool["inputSchema"]["properties"] =
                    json!({"region": {"type": "string", "x-mcp-header": "Region"}});
            }
            _ => {}
        }
    }
    let answers = answers.map(|(name, answer)| (name, answer.to_string()));
    Guest::answering("").tools(json!(tools)).answers(&answers)
}

/// A schema with the keywords that have to be listed as they are.
fn schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {
            "$anchor": "addressDef", "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}}
        }},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"}
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false
    })
}

/// Runs what a revision requires. What is not built yet is listed, with the reason, in
/// `tests/mcp-clients/expected-failures-REVISION.yml`; an entry that does not fail any more is a failure.
async fn check(revision: &str) {
    let Some(clients) = Clients::find() else {
        return;
    };
    let (Some(node), Some(suite)) = (
        clients.node(),
        clients.package("@modelcontextprotocol/conformance/dist/index.js"),
    ) else {
        return;
    };
    let project = Project::new().plugin("everything.wasm", fixtures().wasm());
    let host = project.serve().await;
    let baseline = repository().join(format!(
        "tests/mcp-clients/expected-failures-{revision}.yml"
    ));
    let mut command = Command::new(node);
    command
        .current_dir(project.path(""))
        .arg(suite)
        .arg("server");
    command.args([
        "--url",
        &format!("{}{}", host.url(), mcp_path("everything")),
        "--requirements",
        revision,
    ]);
    command.arg("--expected-failures").arg(baseline);
    let output = end_with_parent(&mut command).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = text
        .split_once("=== SUMMARY ===")
        .map_or(text.as_str(), |(_, summary)| summary);
    println!("{summary}");
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn revision_2025_11_25() {
    check("2025-11-25").await;
}

#[tokio::test]
async fn revision_2026_07_28() {
    check("2026-07-28").await;
}
