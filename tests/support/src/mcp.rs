//! MCP by hand: messages, sessions and streams, for what no client of others does.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{Host, Response};

/// The stateless revision.
pub const STATELESS: &str = "2026-07-28";
/// The newest revision with sessions.
pub const SESSIONFUL: &str = "2025-11-25";

/// The path of a role's endpoint.
#[must_use]
pub fn mcp_path(role: &str) -> String {
    format!("/role/{role}/mcp")
}

/// A session, as a client keeps it.
pub struct McpSession<'a> {
    /// The host that it is with.
    pub host: &'a Host,
    /// The role that it is with.
    pub role: String,
    /// Its id.
    pub id: String,
    /// The result of `initialize`.
    pub initialized: Value,
}

impl<'a> McpSession<'a> {
    /// Begins a session.
    ///
    /// # Panics
    /// If the host begins none.
    pub async fn begin(host: &'a Host, role: &str, revision: &str) -> Self {
        Self::begin_with(host, role, revision, json!({})).await
    }

    /// Begins a session of a client with these capabilities.
    ///
    /// # Panics
    /// If the host begins none.
    pub async fn begin_with(
        host: &'a Host,
        role: &str,
        revision: &str,
        capabilities: Value,
    ) -> Self {
        let answer = initialize_with(host, role, revision, capabilities).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("mcp-session-id").to_owned();
        let session = Self {
            host,
            role: role.to_owned(),
            id,
            initialized: answer.json()["result"].clone(),
        };
        let noted = session
            .send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
            .await;
        assert_eq!((noted.status, noted.text().as_str()), (202, ""));
        session
    }

    /// A request of the session, to be given a body.
    pub fn request(&self, method: Method) -> RequestBuilder {
        let request = self.host.request(method, &mcp_path(&self.role));
        request.header("mcp-session-id", &self.id)
    }

    /// Sends a message, or several.
    pub async fn send(&self, message: &Value) -> Response {
        Response::of(self.request(Method::POST).body(message.to_string())).await
    }

    /// Asks, and gives the whole answer.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(&message).await.json()
    }

    /// Sends a request that is answered by a stream.
    pub async fn stream(&self, message: &Value) -> EventStream {
        EventStream::of(self.request(Method::POST).body(message.to_string())).await
    }

    /// Opens the session's stream, after an event that was seen.
    pub async fn events(&self, last: Option<&str>) -> EventStream {
        let mut request = self
            .request(Method::GET)
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        EventStream::of(request).await
    }
}

/// Sends `initialize`.
pub async fn initialize(host: &Host, role: &str, revision: &str) -> Response {
    initialize_with(host, role, revision, json!({})).await
}

async fn initialize_with(host: &Host, role: &str, revision: &str, capabilities: Value) -> Response {
    let message = json!({
        "jsonrpc": "2.0", "id": 0, "method": "initialize",
        "params": {
            "protocolVersion": revision, "capabilities": capabilities, "clientInfo": {"name": "test", "version": "1"}
        }
    });
    host.post(&mcp_path(role), message.to_string()).await
}

/// A request of the stateless revision with everything that it has to carry; `params` may bring more.
#[must_use]
pub fn stateless(method: &str, mut params: Value) -> Value {
    let own = json!({
        "io.modelcontextprotocol/protocolVersion": STATELESS,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}
    });
    for (name, value) in own.as_object().into_iter().flatten() {
        if params["_meta"].get(name).is_none() {
            params["_meta"][name] = value.clone();
        }
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// A POST of a stateless message with the headers that belong to it.
pub fn stateless_request(host: &Host, role: &str, message: &Value) -> RequestBuilder {
    let request = host
        .request(Method::POST, &mcp_path(role))
        .header("mcp-protocol-version", STATELESS)
        .header("mcp-method", message["method"].as_str().unwrap_or_default());
    let params = &message["params"];
    let named = ["name", "uri", "taskId"].map(|field| params[field].as_str());
    let request = match named.into_iter().flatten().next() {
        Some(name) => request.header("mcp-name", name),
        None => request,
    };
    request.body(message.to_string())
}

/// Asks in the stateless revision.
pub async fn ask_stateless(host: &Host, role: &str, method: &str, params: Value) -> Response {
    Response::of(stateless_request(host, role, &stateless(method, params))).await
}

/// Server-sent events, as they come.
pub struct EventStream {
    response: reqwest::Response,
    received: String,
}

impl EventStream {
    /// Opens a stream.
    ///
    /// # Panics
    /// If there is none.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("no stream: {error:?}"));
        assert_eq!(response.status(), 200);
        let header = |name: &str| {
            response.headers()[name]
                .to_str()
                .unwrap_or_default()
                .to_owned()
        };
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!(header("x-accel-buffering"), "no");
        Self {
            response,
            received: String::new(),
        }
    }

    /// The next event, comments too, as it was sent; `None` at the end.
    ///
    /// # Panics
    /// If the stream breaks off.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.received.split_once("\n\n") {
                let event = event.to_owned();
                self.received = rest.to_owned();
                return Some(event);
            }
            let chunk = self
                .response
                .chunk()
                .await
                .unwrap_or_else(|error| panic!("the stream broke off: {error:?}"))?;
            self.received.push_str(&String::from_utf8_lossy(&chunk));
        }
    }

    /// The next message, with the id of its event.
    ///
    /// # Panics
    /// If the stream ends.
    pub async fn message(&mut self) -> (Option<String>, Value) {
        loop {
            let event = self.next().await.expect("a message");
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            if let Some(json) = field("data: ") {
                return (field("id: "), serde_json::from_str(&json).expect("JSON"));
            }
        }
    }
}
