//! The official Rust SDK (rmcp): its client uses all of a role, in both eras and over both transports, and its
//! server judges the same requests as the host does.

#![expect(
    deprecated,
    reason = "the protocol deprecates sampling, roots and logging, and clients have them"
)]

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use exomonad_test_support::mcp::{SESSIONFUL, STATELESS, mcp_path, stateless};
use exomonad_test_support::{Host, Project, RmcpEcho, end_with_parent, eventually, shipped_plugin};
use reqwest::{Client, Method, RequestBuilder};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientConfig, CompleteRequestParams,
    CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult, ErrorData,
    GetPromptRequestParams, ListRootsResult, LoggingMessageNotificationParam,
    ProgressNotificationParam, ReadResourceRequestParams,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, RequestContext, RunningService,
    ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, RoleClient};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ROLE: &str = "everything";

/// A client that can be asked everything, and keeps what it is told.
#[derive(Clone, Default)]
struct Able {
    told: Arc<Mutex<Vec<String>>>,
}

impl Able {
    fn note(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }

    fn has(&self, what: &str) -> bool {
        self.told.lock().unwrap().iter().any(|told| told == what)
    }
}

/// A value of the SDK's by its JSON.
fn typed<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).unwrap()
}

impl ClientHandler for Able {
    fn get_info(&self) -> ClientConfig {
        typed(json!({
            "protocolVersion": SESSIONFUL,
            "capabilities": {"elicitation": {"form": {}}, "sampling": {}, "roots": {}},
            "clientInfo": {"name": "rmcp", "version": "1"}
        }))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.note(format!("asked: {}", json!(request)["message"]));
        Ok(typed(json!({
            "action": "accept", "content": {"username": "ada", "email": "ada@example.com"}
        })))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(typed(json!({
            "model": "m", "role": "assistant", "content": {"type": "text", "text": "sampled"}
        })))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(typed(json!({"roots": [{"uri": "file:///work"}]})))
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note(format!("progress {}", progress.progress));
    }

    async fn on_logging_message(
        &self,
        message: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note(format!("log {}", json!(message)["data"]));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note("tools".to_owned());
    }
}

type Running = RunningService<RoleClient, Able>;

/// The two ways to begin, with the revision that each comes to.
fn lifecycles() -> [(ClientLifecycleMode, &'static str); 2] {
    let stateless = ClientLifecycleMode::Discover {
        preferred_versions: vec![typed(json!(STATELESS))],
    };
    [
        (ClientLifecycleMode::Initialize, SESSIONFUL),
        (stateless, STATELESS),
    ]
}

async fn over_http(host: &Host, mode: ClientLifecycleMode) -> (Able, Running) {
    let uri = format!("{}{}", host.url(), mcp_path(ROLE));
    let transport = StreamableHttpClientTransport::with_client(
        Client::new(),
        StreamableHttpClientTransportConfig::with_uri(uri),
    );
    let able = Able::default();
    let client = able.clone().serve_with_lifecycle(transport, mode).await;
    (able, client.unwrap())
}

/// Over standard input and output, by a bridge to the host.
async fn by_bridge(project: &Project, host: &Host, mode: ClientLifecycleMode) -> (Able, Running) {
    let mut command = project.command();
    end_with_parent(&mut command);
    command.args(["mcp", "--role", ROLE, "--url", &host.url()]);
    let mut child = tokio::process::Command::from(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let transport = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    // It ends when its input does.
    tokio::spawn(async move { child.wait().await });
    let able = Able::default();
    let client = able.clone().serve_with_lifecycle(transport, mode).await;
    (able, client.unwrap())
}

fn params(name: &str, arguments: Value) -> CallToolRequestParams {
    typed(json!({"name": name, "arguments": arguments}))
}

async fn call(client: &Running, name: &str, arguments: Value) -> CallToolResult {
    let result = client.call_tool(params(name, arguments)).await;
    result.unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(result: &CallToolResult) -> String {
    json!(result)["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// All that MCP has, through the SDK's types: an answer that is none of theirs is an error here.
async fn uses_everything(able: &Able, client: &Running, revision: &str) {
    let server = client.peer_info().unwrap();
    assert_eq!(json!(server)["protocolVersion"], revision);

    let tools = client.list_all_tools().await.unwrap();
    let greet = tools.iter().find(|tool| tool.name == "greet").unwrap();
    assert_eq!(
        greet.annotations.as_ref().unwrap().read_only_hint,
        Some(true)
    );
    for name in [
        "test_simple_text",
        "test_image_content",
        "test_audio_content",
        "test_embedded_resource",
        "test_multiple_content_types",
    ] {
        let result = call(client, name, json!({})).await;
        assert_ne!(result.is_error, Some(true), "{name}");
        assert!(!result.content.is_empty(), "{name}");
    }
    let failed = call(client, "test_error_handling", json!({})).await;
    assert_eq!(failed.is_error, Some(true));
    let wrong = call(client, "greet", json!({"name": 1})).await;
    assert_eq!(wrong.is_error, Some(true), "{wrong:?}");
    let unknown = client.call_tool(params("unknown", json!({}))).await;
    assert!(
        matches!(&unknown, Err(ServiceError::McpError(error)) if error.code.0 == -32602),
        "{unknown:?}"
    );

    let resources = client.list_all_resources().await.unwrap();
    assert_eq!(resources.len(), 3);
    let templates = client.list_all_resource_templates().await.unwrap();
    assert_eq!(templates.len(), 1);
    let read: ReadResourceRequestParams = typed(json!({"uri": "test://template/7/data"}));
    let read = json!(client.read_resource(read).await.unwrap());
    assert_eq!(read["contents"][0]["mimeType"], "application/json");
    let absent: ReadResourceRequestParams = typed(json!({"uri": "test://absent"}));
    let absent = client.read_resource(absent).await;
    assert!(
        matches!(absent, Err(ServiceError::McpError(_))),
        "{absent:?}"
    );

    let prompts = client.list_all_prompts().await.unwrap();
    assert!(prompts.len() >= 4, "{prompts:?}");
    let get: GetPromptRequestParams = typed(json!({
        "name": "test_prompt_with_arguments", "arguments": {"arg1": "one", "arg2": "two"}
    }));
    let prompt = json!(client.get_prompt(get).await.unwrap());
    let said = prompt["messages"][0]["content"]["text"].as_str().unwrap();
    assert!(said.contains("one") && said.contains("two"), "{said}");
    let complete: CompleteRequestParams = typed(json!({
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": "par"}
    }));
    let completed = json!(client.complete(complete).await.unwrap());
    assert!(completed["completion"]["values"].is_array(), "{completed}");

    // The guest asks: the SDK answers within the call, or comes back with the answer.
    let asked = call(client, "test_elicitation", json!({"message": "Who?"})).await;
    assert!(text(&asked).contains("ada@example.com"), "{asked:?}");
    assert!(able.has("asked: \"Who?\""));
    let sampled = call(client, "test_sampling", json!({"prompt": "Say"})).await;
    assert_eq!(text(&sampled), "LLM response: sampled");
    let roots = call(client, "test_input_required_result_list_roots", json!({})).await;
    assert!(text(&roots).contains("file:///work"), "{roots:?}");

    // Each call of the SDK has a progress token.
    call(client, "test_tool_with_progress", json!({})).await;
    eventually("progress", async || able.has("progress 100").then_some(())).await;
}

#[tokio::test]
async fn the_rust_sdk_uses_all_of_a_role_over_http_and_the_bridge_in_both_eras() {
    let project = Project::new()
        .config("[role.everything]\neffects = [\"*\"]\n")
        .plugin("everything.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    for (mode, revision) in lifecycles() {
        let (able, client) = over_http(&host, mode.clone()).await;
        uses_everything(&able, &client, revision).await;
        client.cancel().await.unwrap();
        let (able, client) = by_bridge(&project, &host, mode).await;
        uses_everything(&able, &client, revision).await;
        client.cancel().await.unwrap();
    }
}

/// A server's address up to the path, and the path.
struct Endpoint {
    url: String,
    session: Option<String>,
}

impl Endpoint {
    /// Of both eras: whoever begins a session says so.
    async fn new(url: String) -> Self {
        let mut endpoint = Self { url, session: None };
        let begin = json!({
            "jsonrpc": "2.0", "id": 0, "method": "initialize",
            "params": {
                "protocolVersion": SESSIONFUL, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}
            }
        });
        let begun = endpoint.post(begin.to_string()).send().await.unwrap();
        assert_eq!(begun.status(), 200);
        let id = begun.headers()["mcp-session-id"].to_str().unwrap();
        endpoint.session = Some(id.to_owned());
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let noted = endpoint.in_session(ready).send().await.unwrap();
        assert_eq!(noted.status(), 202);
        endpoint
    }

    fn post(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        Client::new()
            .post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body)
    }

    fn in_session(&self, body: &str) -> RequestBuilder {
        self.post(body.to_owned())
            .header("mcp-protocol-version", SESSIONFUL)
            .header("mcp-session-id", self.session.as_deref().unwrap())
    }

    /// A stateless request with its headers.
    fn stateless(&self, method: &str, params: Value) -> RequestBuilder {
        let request = self
            .post(stateless(method, params.clone()).to_string())
            .header("mcp-protocol-version", STATELESS)
            .header("mcp-method", method);
        match params["name"].as_str() {
            Some(name) => request.header("mcp-name", name),
            None => request,
        }
    }
}

/// The judgement of a request: the status, and the code of the error or the result's being there.
async fn judged(request: RequestBuilder) -> String {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    // Streams say the same behind `data:`.
    let json = text
        .lines()
        .map(|line| line.strip_prefix("data:").unwrap_or(line))
        .find_map(|line| serde_json::from_str::<Value>(line).ok());
    let said = match json {
        Some(answer) if answer["error"]["code"].is_i64() => answer["error"]["code"].to_string(),
        Some(answer) if answer["result"]["isError"] == true => "failed".to_owned(),
        Some(answer) if answer.get("result").is_some() => "result".to_owned(),
        _ => String::new(),
    };
    format!("{status} {said}")
}

type Request = (&'static str, fn(&Endpoint) -> RequestBuilder);

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}"#;

/// Requests that the specification judges.
const REQUESTS: [Request; 24] = [
    ("a call in a session", |to| to.in_session(ECHO)),
    ("ping", |to| {
        to.in_session(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
    }),
    ("a list", |to| {
        to.in_session(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#)
    }),
    ("a method that nobody has", |to| {
        to.in_session(r#"{"jsonrpc":"2.0","id":1,"method":"tools/none"}"#)
    }),
    ("a notification that nobody has", |to| {
        to.in_session(r#"{"jsonrpc":"2.0","method":"notifications/none"}"#)
    }),
    ("a tool that nobody has", |to| {
        to.in_session(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"none"}}"#)
    }),
    ("no JSON", |to| to.in_session("{")),
    ("no id and no method", |to| {
        to.in_session(r#"{"jsonrpc":"2.0"}"#)
    }),
    ("a session that nobody has", |to| {
        to.post(ECHO)
            .header("mcp-protocol-version", SESSIONFUL)
            .header("mcp-session-id", "none")
    }),
    ("a revision that nobody has, in a session", |to| {
        to.in_session(ECHO)
            .header("mcp-protocol-version", "1999-01-01")
    }),
    ("no stream is accepted", |to| {
        let mut request = to.in_session(ECHO).build().unwrap();
        request
            .headers_mut()
            .insert("accept", "text/html".parse().unwrap());
        RequestBuilder::from_parts(Client::new(), request)
    }),
    ("text", |to| {
        let mut request = to.in_session(ECHO).build().unwrap();
        request
            .headers_mut()
            .insert("content-type", "text/plain".parse().unwrap());
        RequestBuilder::from_parts(Client::new(), request)
    }),
    ("another host's name", |to| {
        to.in_session(ECHO).header("host", "evil.example")
    }),
    ("PUT", |to| {
        Client::new().request(Method::PUT, &to.url).body("{}")
    }),
    ("GET without a session, stateless", |to| {
        Client::new()
            .get(&to.url)
            .header("accept", "text/event-stream")
            .header("mcp-protocol-version", STATELESS)
    }),
    ("a stateless call", |to| {
        to.stateless(
            "tools/call",
            json!({"name": "echo", "arguments": {"text": "x"}}),
        )
    }),
    ("discovery", |to| to.stateless("server/discover", json!({}))),
    ("a stateless list", |to| {
        to.stateless("tools/list", json!({}))
    }),
    ("a stateless method that nobody has", |to| {
        to.stateless("tools/none", json!({}))
    }),
    ("a stateless tool that nobody has", |to| {
        to.stateless("tools/call", json!({"name": "none", "arguments": {}}))
    }),
    ("initialize in the stateless revision", |to| {
        to.stateless("initialize", json!({}))
    }),
    ("another method in the header", |to| {
        to.post(stateless("tools/list", json!({})).to_string())
            .header("mcp-protocol-version", STATELESS)
            .header("mcp-method", "tools/call")
    }),
    ("no method in the header", |to| {
        to.post(stateless("tools/list", json!({})).to_string())
            .header("mcp-protocol-version", STATELESS)
    }),
    ("a revision that nobody has, stateless", |to| {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/list",
            "params": {"_meta": {
                "io.modelcontextprotocol/protocolVersion": "2099-01-01",
                "io.modelcontextprotocol/clientCapabilities": {}
            }}
        });
        to.post(message.to_string())
            .header("mcp-protocol-version", "2099-01-01")
            .header("mcp-method", "tools/list")
    }),
];

/// Requests that rmcp judges otherwise: the host's judgement, rmcp's, and the reason.
const OTHERWISE: [(&str, &str, &str, &str); 5] = [
    (
        "no JSON",
        "400 -32700",
        "415 ",
        "JSON-RPC has a code for it",
    ),
    (
        "no id and no method",
        "400 -32600",
        "415 ",
        "JSON-RPC has a code for it",
    ),
    (
        "a session that nobody has",
        "404 -32001",
        "404 ",
        "the host says why, too",
    ),
    (
        "no stream is accepted",
        "200 result",
        "406 ",
        "the answer is JSON: a client by hand need not name what it takes",
    ),
    (
        "text",
        "200 result",
        "415 ",
        "`curl -d` sends another type; pages that may not are told by their Origin",
    ),
];

#[tokio::test]
async fn the_rust_sdks_server_judges_requests_as_the_host_does() {
    let project = Project::new()
        .config("[role.echo]\neffects = []\n")
        .plugin("echo.wasm", shipped_plugin("echo"));
    let host = project.serve().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let oracle = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = Router::new().fallback_service(RmcpEcho::service());
    tokio::spawn(async { axum::serve(listener, router).await });

    let ours = Endpoint::new(format!("{}{}", host.url(), mcp_path("echo"))).await;
    let theirs = Endpoint::new(oracle).await;
    let mut found = Vec::new();
    for (name, request) in REQUESTS {
        let pair = (judged(request(&ours)).await, judged(request(&theirs)).await);
        let known = OTHERWISE.iter().find(|other| other.0 == name);
        let expected = known.map(|(_, ours, theirs, _)| (ours.to_string(), theirs.to_string()));
        match expected {
            Some(expected) if expected == pair => {}
            None if pair.0 == pair.1 => {}
            _ => found.push(format!("{name}: {pair:?}")),
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
