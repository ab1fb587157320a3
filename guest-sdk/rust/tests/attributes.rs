//! Tests of `#[tool]`, `#[hook]` and `plugin!`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use exomonad_guest::prelude::*;
use exomonad_guest::testing::{FakeHost, context};
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
struct Names {
    /// Whom to greet.
    names: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    text: String,
}

/// Greets everyone.
///
/// Twice, if need be.
#[tool(
    name = "say_hello",
    title = "Greet",
    icon = "https://hello.example/wave.png",
    read_only,
    idempotent
)]
fn greet(args: Names, context: &Context) -> Result<Greeting, ToolError> {
    Ok(Greeting {
        text: format!("{} greets {}", context.role, args.names.join(" and ")),
    })
}

/// Tells who is calling.
#[tool]
fn who(context: &Context) -> Result<String, ToolError> {
    Ok(context.role.clone())
}

/// Fails with the host's own error.
#[tool(destructive, open_world)]
fn lookup() -> exomonad_guest::Result<String> {
    exomonad_guest::github::get_repo(&GitHubGetRepo::new("a/b")).map(|repo| repo.full_name)
}

/// Writes its result by hand.
#[tool]
fn by_hand() -> Result<CallToolResult, ToolError> {
    let data = Base64(b"\x89PNG".to_vec());
    let image = Content::Image {
        data,
        mime_type: "image/png".into(),
    };
    Ok(CallToolResult {
        content: vec![image],
        ..CallToolResult::default()
    })
}

#[hook(session_start)]
fn remember(input: &HookInput) -> Result<HookOutput, ToolError> {
    exomonad_guest::kv::set(&KvSet::new("started", input.payload.clone()))?;
    Ok(HookOutput::pass())
}

plugin! {
    name: "attributes",
    tools: [greet, who, lookup, by_hand],
    hooks: [remember],
}

fn text(result: &CallToolResult) -> &str {
    match result.content.as_slice() {
        [Content::Text { text }] => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tool_is_listed_with_its_doc_comment_its_schemas_and_its_hints() {
    let listed = serde_json::to_value(PLUGIN.list_tools()).unwrap();
    let greet = &listed["tools"][0];
    assert_eq!(greet["name"], "say_hello");
    assert_eq!(greet["title"], "Greet");
    assert_eq!(
        greet["icons"],
        json!([{"src": "https://hello.example/wave.png"}])
    );
    assert_eq!(
        greet["description"],
        "Greets everyone.\n\nTwice, if need be."
    );
    assert_eq!(
        greet["inputSchema"]["properties"]["names"]["description"],
        "Whom to greet."
    );
    assert_eq!(greet["inputSchema"]["required"], json!(["names"]));
    assert_eq!(greet["inputSchema"].get("title"), None);
    assert_eq!(
        greet["outputSchema"]["properties"]["text"]["type"],
        "string"
    );
    assert_eq!(
        greet["annotations"],
        json!({ "readOnlyHint": true, "idempotentHint": true })
    );
    let who = &listed["tools"][1];
    assert_eq!(who["inputSchema"]["additionalProperties"], false);
    assert_eq!(
        (who.get("outputSchema"), who.get("annotations")),
        (None, None)
    );
}

#[test]
fn a_tool_gets_its_arguments_and_its_context() {
    let host = FakeHost::new();
    let arguments = json!({ "names": ["Ada", "Grace"] });
    let result = host.call_tool(&PLUGIN, "say_hello", &arguments);
    assert_eq!(
        result.structured_content.unwrap().get(),
        r#"{"text":"test greets Ada and Grace"}"#
    );
    assert_eq!(text(&host.call_tool(&PLUGIN, "who", &json!({}))), "test");
}

#[test]
fn an_error_of_the_host_is_the_tools_failure() {
    let result = FakeHost::new().call_tool(&PLUGIN, "lookup", &json!({}));
    assert!(result.is_error);
    assert!(text(&result).contains("github_get_repo"), "{result:?}");
}

#[test]
fn a_result_built_by_hand_stays_unchanged() {
    let result = FakeHost::new().call_tool(&PLUGIN, "by_hand", &json!({}));
    assert_eq!(
        serde_json::to_value(result).unwrap(),
        json!({
            "content": [{ "type": "image", "data": "iVBORw==", "mimeType": "image/png" }],
            "isError": false,
        })
    );
}

#[test]
fn an_optional_field_that_is_null_is_as_if_absent() {
    let listed: DockerList = serde_json::from_str(r#"{"all":null,"labels":null}"#).unwrap();
    assert_eq!(listed, DockerList::default());
    let result: CallToolResult = serde_json::from_str(
        r#"{"content":[{"type":"text","text":"hi","annotations":null}],"structuredContent":null,"isError":null}"#,
    )
    .unwrap();
    assert_eq!(text(&result), "hi");
    assert!(!result.is_error);
    assert!(serde_json::from_str::<CallToolResult>(r#"{"content":7}"#).is_err());
}

#[test]
fn the_export_reads_and_writes_the_contracts_json() {
    let input = json!({ "name": "who", "arguments": {}, "context": context() }).to_string();
    let output = FakeHost::new()
        .run(|| PLUGIN.handle_mcp_call(input.as_bytes()))
        .unwrap();
    let output: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!(
        output,
        json!({ "content": [{ "type": "text", "text": "test" }], "isError": false })
    );
    assert!(PLUGIN.handle_mcp_call(b"{}").is_err());
    assert!(PLUGIN.handle_mcp_call(b"\xff").is_err());
}

#[test]
fn a_hook_can_perform_effects() {
    let host = FakeHost::new();
    let output = host
        .call_hook(&PLUGIN, HookEvent::SessionStart, &json!({ "id": 7 }))
        .unwrap();
    assert_eq!(output.decision, HookDecision::Pass);
    assert_eq!(host.kv_value("started"), Some(json!({ "id": 7 })));
}

#[test]
fn http_requests_are_effects_like_those_of_other_services() {
    let host = FakeHost::new().on(|request: HttpRequest| {
        Ok(HttpResponse {
            status: 200,
            url: request.url,
            headers: [("content-type".to_owned(), "text/plain".to_owned())].into(),
            body: "pong".to_owned(),
            body_bytes: None,
            truncated: false,
        })
    });
    let request = HttpRequest::new("https://example.com/ping");
    let response = host
        .run(|| exomonad_guest::http::request(&request))
        .unwrap();
    assert_eq!((response.status, response.body.as_str()), (200, "pong"));
    assert_eq!(host.requests::<HttpRequest>(), [request]);
}
