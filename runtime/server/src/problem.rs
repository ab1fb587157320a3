//! Errors as RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use exomonad_host::{HostError, Violation};
use exomonad_mcp::NeededScope;

use crate::error::RequestError;
use crate::routes::with_call_id;

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document: <https://www.rfc-editor.org/rfc/rfc9457>.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// `urn:exomonad:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code, for programs.
    pub code: String,
    /// The error and what to do about it, for people.
    pub detail: String,
    /// `urn:exomonad:call:` and the id of the call whose guest failed: `GET /calls/{id}` shows what it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub instance: Option<String>,
    /// The places where arguments break their schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub errors: Vec<Violation>,
}

impl From<&RequestError> for Problem {
    fn from(error: &RequestError) -> Self {
        let code = error.code();
        Self {
            kind: format!("urn:exomonad:problem:{code}"),
            title: code.replace('_', " "),
            status: error.status(),
            code: code.to_owned(),
            detail: error.to_string(),
            instance: match error {
                RequestError::Call {
                    error: HostError::Guest { .. },
                    id,
                } => Some(format!("urn:exomonad:call:{id}")),
                _ => None,
            },
            errors: match error {
                RequestError::Host(error) | RequestError::Call { error, .. } => {
                    error.violations().to_vec()
                }
                _ => Vec::new(),
            },
        }
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let problem = Problem::from(&self);
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Host(HostError::CallerLimited { retry_after, .. })
            | Self::Call {
                error: HostError::CallerLimited { retry_after, .. },
                ..
            } => headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after)),
            Self::Host(HostError::QueueFull { .. })
            | Self::Call {
                error: HostError::QueueFull { .. },
                ..
            }
            | Self::IssuerAway
            | Self::Draining => headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => None,
        };
        let scope = match &self {
            Self::OutOfScope(scope) => Some(scope.clone()),
            Self::Host(HostError::OutOfScope(scope))
            | Self::Call {
                error: HostError::OutOfScope(scope),
                ..
            } => Some(scope.clone()),
            _ => None,
        };
        if let Some(scope) = scope {
            response.extensions_mut().insert(NeededScope(scope));
        }
        if let Self::Call { id, .. } = &self {
            return with_call_id(response, id);
        }
        response
    }
}
