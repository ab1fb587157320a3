//! `GET /openapi.json` describes what the host really does.

use exomonad_test_support::{Host, Project, Response};
use reqwest::Method;
use serde_json::{Value, json};

use crate::workflows::{EFFECTS, becomes, plugin, start};

/// A description with which the answers of one host can be checked.
struct Description(Value);

impl Description {
    async fn of(host: &Host) -> Self {
        Self(host.get("/openapi.json").await.json())
    }

    fn operation(&self, method: &Method, path: &str) -> &Value {
        let operation = &self.0["paths"][path][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        operation
    }

    /// The schema with the description's components, so that its references lead somewhere.
    fn validator(&self, schema: &Value) -> jsonschema::Validator {
        let whole = json!({"allOf": [schema], "components": self.0["components"]});
        jsonschema::draft202012::new(&whole).unwrap_or_else(|error| panic!("{error}: {schema}"))
    }

    /// Checks that an answer is one of those that are described.
    fn check(&self, method: &Method, path: &str, answer: &Response) {
        let response = &self.operation(method, path)["responses"][answer.status.to_string()];
        assert!(
            response.is_object(),
            "{method} {path} answers {}, which is not described",
            answer.status
        );
        let media_type = answer.header("content-type");
        let content = &response["content"][media_type];
        assert!(
            content.is_object(),
            "{method} {path} answers with {media_type}, which is not described"
        );
        if let Some(schema) = content.get("schema") {
            let body = match media_type {
                text if text.starts_with("text/") || text.ends_with("ndjson") => {
                    Value::from(answer.text())
                }
                _ => answer.json(),
            };
            let broken: Vec<String> = self
                .validator(schema)
                .iter_errors(&body)
                .map(|error| error.to_string())
                .collect();
            assert!(broken.is_empty(), "{method} {path}: {broken:?} in {body}");
        }
    }
}

/// Asks, and checks the answer against the description of the path's template.
async fn ask(
    host: &Host,
    description: &Description,
    method: Method,
    (template, path): (&str, &str),
    body: &str,
) -> u16 {
    let request = host.request(method.clone(), path).body(body.to_owned());
    let answer = Response::of(request).await;
    description.check(&method, template, &answer);
    answer.status
}

const CALL: &str = "/role/{role}/mcp/call";
const HOOK: &str = "/role/{role}/hook/{event}";
const MCP: &str = "/role/{role}/mcp";
const HISTORY: &str = "/workflows/{id}/history";
const TOOLS: &str = "/role/{role}/mcp/tools";

#[tokio::test]
async fn the_document_is_openapi_3_1_and_its_schemas_are_schemas() {
    let project = Project::new();
    let host = project.serve().await;
    let Description(document) = Description::of(&host).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let fault = jsonschema::draft202012::meta::validate(schema)
            .err()
            .map(|error| error.to_string());
        assert_eq!(fault, None, "{name}");
    }
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            assert!(operation["summary"].is_string(), "{method} {path}");
            let in_path = operation["parameters"].as_array().into_iter().flatten();
            let named: Vec<String> = in_path
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                .collect();
            let parts: Vec<&str> = path
                .split('/')
                .filter(|part| part.starts_with('{'))
                .collect();
            assert_eq!(named, parts, "{path}");
            for response in operation["responses"].as_object().unwrap().values() {
                assert!(response["description"].is_string(), "{method} {path}");
            }
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an operationId comes twice");
}

#[tokio::test]
async fn every_path_answers_as_described_when_all_is_well() {
    let project = Project::new()
        .config(&format!(
            "[server]\nraw_calls = true\n[defaults]\njournal = 'all'\n[workflows]\nrestarts = 0\n\
             [role.flows]\nplugin = 'workflows'\n{EFFECTS}\n[role.tl]\n[role.echo]\n"
        ))
        .plugin("workflows.wasm", plugin());
    let host = project.serve().await;
    for (id, workflow, input) in [
        ("waits", "wait_for", json!({"signal": "go"})),
        ("cancelled", "wait_for", json!({"signal": "go"})),
        ("stuck", "traps_always", json!({"count": 1})),
    ] {
        start(&host, workflow, id, input).await;
    }
    becomes(&host, "waits", "waiting").await;
    becomes(&host, "stuck", "stuck").await;
    let described = Description::of(&host).await;
    let call = host.call("tl", "repo_status", json!({})).await;
    let call = format!("/calls/{}", call.header("x-exomonad-call-id"));
    let asked = [
        (Method::GET, ("/calls", "/calls?role=tl&limit=5"), ""),
        (Method::GET, ("/calls/records", "/calls/records"), ""),
        (Method::GET, ("/calls/{id}", call.as_str()), ""),
        (Method::GET, ("/health", "/health"), ""),
        (Method::GET, ("/ready", "/ready"), ""),
        (Method::GET, ("/openapi.json", "/openapi.json"), ""),
        (Method::GET, ("/roles", "/roles"), ""),
        (Method::GET, ("/role/{role}", "/role/tl"), ""),
        (Method::GET, ("/metrics", "/metrics"), ""),
        (
            Method::PUT,
            ("/schedules/{id}", "/schedules/hourly"),
            r#"{"role":"flows","workflow":"sleeper","input":{"millis":0},"spec":"every 1h"}"#,
        ),
        (Method::GET, ("/schedules", "/schedules?role=flows"), ""),
        (
            Method::POST,
            ("/schedules/{id}/pause", "/schedules/hourly/pause"),
            "",
        ),
        (
            Method::POST,
            ("/schedules/{id}/resume", "/schedules/hourly/resume"),
            "",
        ),
        (
            Method::POST,
            ("/schedules/{id}/trigger", "/schedules/hourly/trigger"),
            "",
        ),
        (Method::GET, (TOOLS, "/role/tl/mcp/tools"), ""),
        (
            Method::POST,
            (CALL, "/role/tl/mcp/call"),
            r#"{"name":"repo_status"}"#,
        ),
        (Method::POST, (HOOK, "/role/tl/hook/pre_tool_use"), "{}"),
        (
            Method::POST,
            (MCP, "/role/tl/mcp"),
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#,
        ),
        (Method::GET, ("/workflows", "/workflows?role=flows"), ""),
        (
            Method::POST,
            ("/workflows", "/workflows"),
            r#"{"role":"flows","workflow":"sleeper","input":{"millis":0}}"#,
        ),
        (Method::GET, ("/workflows/{id}", "/workflows/waits"), ""),
        (Method::GET, (HISTORY, "/workflows/stuck/history"), ""),
        (
            Method::POST,
            ("/workflows/{id}/query", "/workflows/waits/query"),
            r#"{"name":"progress"}"#,
        ),
        (
            Method::POST,
            ("/workflows/{id}/signal", "/workflows/waits/signal"),
            r#"{"name":"other"}"#,
        ),
        (
            Method::POST,
            ("/workflows/{id}/cancel", "/workflows/cancelled/cancel"),
            "",
        ),
        (
            Method::POST,
            ("/workflows/{id}/terminate", "/workflows/waits/terminate"),
            "{}",
        ),
        (
            Method::POST,
            ("/workflows/{id}/repair", "/workflows/stuck/repair"),
            r#"{"retry":true}"#,
        ),
        (Method::POST, ("/reload", "/reload"), ""),
        (
            Method::POST,
            ("/call", "/call"),
            r#"{"plugin":"echo","function":"echo","input":"a"}"#,
        ),
    ];
    // A stream has no end, live_events.rs reads it; what tells of authorization servers is there with these, for
    // oauth.rs; and what a Temporal server is needed for, for temporal_runs.rs.
    let mut templates = vec![
        "/workflows/{id}/move",
        "/events",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/role/{role}/mcp",
    ];
    for (method, path, body) in asked {
        let status = ask(&host, &described, method, path, body).await;
        assert!([200, 201].contains(&status), "{}: {status}", path.1);
        templates.push(path.0);
    }
    for path in described.0["paths"].as_object().unwrap().keys() {
        assert!(
            templates.contains(&path.as_str()),
            "{path} is described and not asked here"
        );
    }
}

#[tokio::test]
async fn every_refusal_is_described() {
    let project = Project::new().config("[server]\nmax_body = '1KiB'\nrequest_timeout = '300ms'\n[role.busy]\nplugin = 'echo'\n[role.busy.limits]\nconcurrent_calls = 1\nqueue = 0\n[role.tl]\n[role.echo]\n[role.absent]\n");
    let host = project.serve().await;
    let described = Description::of(&host).await;
    let large = json!({"name": "echo", "arguments": {"text": "x".repeat(2000)}}).to_string();
    let asked = [
        (CALL, "/role/tl/mcp/call", "no json", 400),
        (
            CALL,
            "/role/nobody/mcp/call",
            r#"{"name":"repo_status"}"#,
            404,
        ),
        (CALL, "/role/echo/mcp/call", large.as_str(), 413),
        (
            CALL,
            "/role/echo/mcp/call",
            r#"{"name":"echo","arguments":{"txt":1}}"#,
            422,
        ),
        (CALL, "/role/absent/mcp/call", r#"{"name":"x"}"#, 503),
        (
            CALL,
            "/role/echo/mcp/call",
            r#"{"name":"sleep","arguments":{"millis":60000}}"#,
            504,
        ),
        (MCP, "/role/tl/mcp", "no json", 400),
        (MCP, "/role/nobody/mcp", "{}", 404),
        (MCP, "/role/tl/mcp", large.as_str(), 413),
        (HOOK, "/role/tl/hook/pre_tool_use", "no json", 400),
        (HOOK, "/role/tl/hook/lunch", "{}", 404),
        ("/call", "/call", "{}", 403),
    ];
    for (template, path, body, status) in asked {
        assert_eq!(
            ask(&host, &described, Method::POST, (template, path), body).await,
            status,
            "{path} {body}"
        );
    }
    assert_eq!(
        ask(
            &host,
            &described,
            Method::GET,
            (TOOLS, "/role/nobody/mcp/tools"),
            ""
        )
        .await,
        404
    );
    assert_eq!(
        ask(
            &host,
            &described,
            Method::GET,
            (TOOLS, "/role/absent/mcp/tools"),
            ""
        )
        .await,
        503
    );
    let strange = host
        .request(Method::GET, "/health")
        .header("host", "evil.example");
    described.check(&Method::GET, "/health", &Response::of(strange).await);
}

#[tokio::test]
async fn the_schema_of_a_tool_call_refuses_what_the_host_refuses() {
    let project = Project::new();
    let host = project.serve().await;
    let described = Description::of(&host).await;
    let schema = &described.operation(&Method::POST, CALL)["requestBody"]["content"]["application/json"]
        ["schema"];
    let validator = described.validator(schema);
    let bodies = [
        (json!({"name": "echo", "arguments": {"text": "a"}}), true),
        (
            json!({"name": "echo", "arguments": {"text": "a"}, "_meta": {"progressToken": 1}}),
            true,
        ),
        (json!({"arguments": {"text": "a"}}), false),
        (json!({"name": 5}), false),
        (json!({"name": "echo", "argument": {"text": "a"}}), false),
        (json!(["echo"]), false),
    ];
    for (body, is_fine) in bodies {
        let answer = host.post("/role/echo/mcp/call", body.to_string()).await;
        assert_eq!(answer.status == 200, is_fine, "{body}: {}", answer.text());
        assert_eq!(validator.is_valid(&body), is_fine, "{body}");
    }
}
