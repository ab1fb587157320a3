//! [`Challenge`]: the header `WWW-Authenticate` of an answer that a token would change
//! (<https://www.rfc-editor.org/rfc/rfc6750>, section 3), and the metadata that it leads to
//! (<https://www.rfc-editor.org/rfc/rfc9728>).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use exomonad_access::{Credentials, OAuth};
use exomonad_mcp::NeededScope;
use exomonad_schema::RoleName;

use crate::App;
use crate::error::RequestError;
use crate::path_params::PathParams;
use crate::serving::Serving;

/// The challenge to a refused request: the token that it takes.
pub struct Challenge {
    /// The role that it is about, if it is about one.
    role: Option<RoleName>,
    /// The address of the metadata, if there are authorization servers.
    metadata: Option<String>,
    serving: Arc<Serving>,
}

impl Challenge {
    /// The challenge for a request to this address.
    pub fn of(serving: Arc<Serving>, uri: &Uri, headers: &HeaderMap) -> Self {
        let mut path = uri.path().split('/').skip(1);
        let role = match path.next() {
            Some("role") => path.next().and_then(|role| role.parse().ok()),
            _ => None,
        };
        let oauth = serving.guard.oauth();
        let metadata = oauth.map(|oauth| oauth.metadata_url(&host(uri, headers), role.as_ref()));
        Self {
            role,
            metadata,
            serving,
        }
    }

    /// Adds it to an answer that has status 401, or 403 because the token lacks a scope.
    pub fn add(self, response: &mut Response, credentials: &Credentials) {
        let needed = response.extensions_mut().remove::<NeededScope>();
        let oauth = self.serving.guard.oauth();
        let mut parameters: Vec<(&str, String)> = Vec::new();
        match (response.status(), needed) {
            (StatusCode::UNAUTHORIZED, _) => {
                if let Some(oauth) = oauth {
                    if credentials.has_token() {
                        parameters.push(("error", "invalid_token".to_owned()));
                    }
                    let guard = &self.serving.guard;
                    if let Some(problem) = guard.jwt_problem(self.role.as_ref(), credentials) {
                        parameters.push(("error_description", problem.to_string()));
                    }
                    let required = oauth.required_scopes();
                    if !required.is_empty() {
                        parameters.push(("scope", required));
                    }
                }
            }
            (StatusCode::FORBIDDEN, Some(NeededScope(needed))) => {
                let scope = oauth.map(|oauth| oauth.scope_to_ask_for(&needed));
                parameters.push(("error", "insufficient_scope".to_owned()));
                parameters.push(("scope", scope.unwrap_or(needed)));
            }
            _ => return,
        }
        if let Some(metadata) = self.metadata {
            parameters.push(("resource_metadata", metadata));
        }
        let parameters: Vec<String> = parameters
            .into_iter()
            .map(|(name, text)| format!("{name}=\"{}\"", quotable(&text)))
            .collect();
        let value = format!("Bearer {}", parameters.join(", "));
        if let Ok(value) = HeaderValue::from_str(value.trim_end()) {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
    }
}

/// A text that ends no quotation: of a request's own name for a tool, say.
fn quotable(text: &str) -> String {
    let is_taken = |character: &char| {
        (character.is_ascii_graphic() || *character == ' ') && !['"', '\\'].contains(character)
    };
    text.chars().filter(is_taken).collect()
}

/// The name by which a request reaches this host; it has been checked.
fn host(uri: &Uri, headers: &HeaderMap) -> String {
    let named = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = uri.authority().map(ToString::to_string);
    authority.unwrap_or_else(|| named.unwrap_or_default().to_owned())
}

/// `GET /.well-known/oauth-protected-resource`.
pub async fn metadata_of_host(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    metadata(&app, &uri, &headers, None)
}

/// `GET /.well-known/oauth-protected-resource/role/{role}/mcp`.
pub async fn metadata_of_role(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, RequestError> {
    let role: RoleName = role.parse().map_err(|_| not_there(&uri))?;
    metadata(&app, &uri, &headers, Some(&role))
}

/// Without authorization servers there is nothing there: clients take that for a host that has none.
fn metadata(
    app: &App,
    uri: &Uri,
    headers: &HeaderMap,
    role: Option<&RoleName>,
) -> Result<Response, RequestError> {
    let serving = app.serving();
    let oauth: &OAuth = serving.guard.oauth().ok_or_else(|| not_there(uri))?;
    Ok(axum::Json(oauth.metadata(&host(uri, headers), role)).into_response())
}

fn not_there(uri: &Uri) -> RequestError {
    RequestError::NoRoute(format!("GET {}", uri.path()))
}
