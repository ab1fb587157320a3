//! The candidate: an axum handler that takes a tool call and gives a tool's result, without any plugin.

use std::collections::BTreeMap;

use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

/// The body of `POST /role/echo/mcp/call`.
#[derive(Deserialize)]
struct ToolCall {
    #[expect(dead_code, reason = "it is parsed, as the host does")]
    name: String,
    arguments: Arguments,
}

#[derive(Deserialize)]
struct Arguments {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult {
    content: Vec<BTreeMap<&'static str, String>>,
    structured_content: BTreeMap<&'static str, String>,
    is_error: bool,
}

async fn call(Json(call): Json<ToolCall>) -> Json<ToolResult> {
    let structured_content = BTreeMap::from([("text", call.arguments.text)]);
    let text = serde_json::to_string(&structured_content).unwrap_or_default();
    let content = vec![BTreeMap::from([
        ("type", "text".to_owned()),
        ("text", text),
    ])];
    Json(ToolResult {
        content,
        structured_content,
        is_error: false,
    })
}

/// Serves on a free port, and says on standard error which.
pub fn serve() -> Result<(), String> {
    serve_router(
        Router::new()
            .route("/ready", get(async || ""))
            .route("/role/echo/mcp/call", post(call)),
    )
}

/// Serves these routes on a free port, and says on standard error which.
pub fn serve_router(router: Router) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        eprintln!("serving on http://{address} ");
        axum::serve(listener, router)
            .await
            .map_err(|error| error.to_string())
    })
}
