//! Failures as RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::failure::{Failure, Violation};

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
    /// What happened and what to do, for people.
    pub detail: String,
    /// Where arguments break their schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub errors: Vec<Violation>,
}

impl From<&Failure> for Problem {
    fn from(failure: &Failure) -> Self {
        let (code, status) = failure.code();
        Self {
            kind: format!("urn:exomonad:problem:{code}"),
            title: code.replace('_', " "),
            status,
            code: code.to_owned(),
            detail: failure.to_string(),
            errors: failure.violations().to_vec(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let problem = Problem::from(&self);
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
            }
            Self::QueueFull { .. } | Self::Draining => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            _ => None,
        };
        response
    }
}
