//! A server of MCP that nobody here wrote: the official Rust SDK.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};

/// A server with the tool `echo` of the plugin of that name.
#[derive(Clone, Debug, Default)]
pub struct RmcpEcho;

impl RmcpEcho {
    /// The server for HTTP: answers are JSON where they can be, and clients of the older revisions have sessions.
    #[must_use]
    pub fn service() -> StreamableHttpService<Self, LocalSessionManager> {
        StreamableHttpService::new(
            || Ok(Self),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default().with_json_response(true),
        )
    }
}

impl ServerHandler for RmcpEcho {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = json!({
            "name": "echo",
            "inputSchema": {
                "type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"],
                "additionalProperties": false
            }
        });
        let tool: Tool = serde_json::from_value(tool).unwrap();
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name != "echo" {
            return Err(ErrorData::invalid_params("there is no such tool", None));
        }
        match request.arguments.as_ref().and_then(|all| all.get("text")) {
            Some(Value::String(text)) => {
                let result = CallToolResult::structured(json!({"text": text}));
                Ok(CallToolResponse::Complete(result))
            }
            _ => Err(ErrorData::invalid_params("`text` is missing", None)),
        }
    }
}
