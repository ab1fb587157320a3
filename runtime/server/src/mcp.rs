//! MCP's own transport, over the roles of this server.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use exomonad_access::Access;
use exomonad_config::McpConfig;
use exomonad_core::mcp::RoleChanges;
use exomonad_host::{Caller, Role};
use exomonad_mcp::{HttpRequest, Roles};
use exomonad_schema::RoleName;
use tokio::sync::watch;

use super::identity::Identity;
use super::path_params::PathParams;
use super::routes::answer_of;
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
    identity: Identity,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, RequestError> {
    let admitted = Admitted::new(&app, &role, &identity)?;
    let body = app.read(body, exomonad_mcp::Body::read).await?;
    let answered = app.mcp.post(admitted.request(&headers), body).await;
    Ok(answer_of(admitted.role, answered))
}

/// `GET /role/{role}/mcp`.
pub async fn get(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    identity: Identity,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    let admitted = Admitted::new(&app, &role, &identity)?;
    Ok(app.mcp.get(&admitted.request(&headers)))
}

/// `DELETE /role/{role}/mcp`.
pub async fn delete(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    identity: Identity,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    let admitted = Admitted::new(&app, &role, &identity)?;
    Ok(app.mcp.delete(&admitted.request(&headers)))
}

/// A request that may use its role.
struct Admitted {
    roles: Arc<dyn Roles>,
    role: Arc<Role>,
    caller: Caller,
    is_permitted: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Admitted {
    fn new(app: &App, name: &str, identity: &Identity) -> Result<Self, RequestError> {
        let (role, principal) = app.role(name, identity)?;
        let is_permitted = {
            let (app, name) = (app.clone(), role.name().clone());
            let credentials = identity.credentials.clone();
            move || {
                let guard = &app.serving().guard;
                guard.check(Access::Role(&name), &credentials).is_ok()
            }
        };
        Ok(Self {
            roles: app.0.clone(),
            role,
            caller: identity.caller(principal),
            is_permitted: Arc::new(is_permitted),
        })
    }

    fn request<'a>(&'a self, headers: &'a HeaderMap) -> HttpRequest<'a> {
        HttpRequest {
            roles: &self.roles,
            role: self.role.clone(),
            caller: self.caller.clone(),
            headers,
            is_permitted: self.is_permitted.clone(),
        }
    }
}
