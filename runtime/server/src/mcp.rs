//! MCP's own transport, over the roles of this server.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use exomonad_config::McpConfig;
use exomonad_core::mcp::RoleChanges;
use exomonad_host::Role;
use exomonad_mcp::{HttpRequest, Roles};
use exomonad_schema::RoleName;
use tokio::sync::watch;

use super::path_params::PathParams;
use super::routes::{answer_of, caller};
use super::{App, AppState};
use crate::error::RequestError;

impl Roles for AppState {
    fn role(&self, name: &RoleName) -> Option<Arc<Role>> {
        self.serving().runtime.role(name.as_str()).ok()
    }

    fn versions(&self) -> watch::Receiver<()> {
        self.serving().runtime.versions()
    }

    fn changes(&self, role: &RoleName) -> watch::Receiver<RoleChanges> {
        self.serving().runtime.changes.of(role)
    }

    fn state_dir(&self) -> PathBuf {
        self.serving().runtime.config.state.dir.clone()
    }

    fn config(&self) -> McpConfig {
        self.serving().runtime.config.mcp.clone()
    }
}

/// `POST /role/{role}/mcp`.
pub async fn post(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, RequestError> {
    let (roles, role) = admitted(&app, &role, &headers)?;
    let body = app.read(body, exomonad_mcp::Body::read).await?;
    let answered = app.mcp.post(request(&roles, role.clone(), &headers), body);
    Ok(answer_of(role, answered.await))
}

/// `GET /role/{role}/mcp`.
pub async fn get(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    let (roles, role) = admitted(&app, &role, &headers)?;
    Ok(app.mcp.get(&request(&roles, role, &headers)))
}

/// `DELETE /role/{role}/mcp`.
pub async fn delete(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    let (roles, role) = admitted(&app, &role, &headers)?;
    Ok(app.mcp.delete(&request(&roles, role, &headers)))
}

fn admitted(
    app: &App,
    role: &str,
    headers: &HeaderMap,
) -> Result<(Arc<dyn Roles>, Arc<Role>), RequestError> {
    Ok((app.0.clone(), app.role(role, headers)?))
}

fn request<'a>(
    roles: &'a Arc<dyn Roles>,
    role: Arc<Role>,
    headers: &'a HeaderMap,
) -> HttpRequest<'a> {
    HttpRequest {
        roles,
        role,
        caller: caller(headers),
        headers,
    }
}
