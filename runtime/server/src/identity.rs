//! [`Identity`]: who makes a request, as its headers say.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use exomonad_access::Credentials;
use exomonad_core::Principal;
use exomonad_host::Caller;

/// Whoever makes a request, as its headers say: the token, and what the caller calls itself.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The token, which the guard judges.
    pub credentials: Credentials,
    name: Option<String>,
    traceparent: Option<String>,
}

impl Identity {
    /// The identity of a request with these credentials and headers.
    pub fn new(credentials: Credentials, headers: &HeaderMap) -> Self {
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
                .map(str::to_owned)
        };
        Self {
            credentials,
            name: text("x-exomonad-caller"),
            traceparent: text("traceparent"),
        }
    }

    /// The caller of a call, with what its token has proved.
    pub fn caller(&self, principal: Option<Arc<Principal>>) -> Caller {
        Caller {
            name: self.name.clone(),
            traceparent: self.traceparent.clone(),
            principal,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Identity {
    type Rejection = Infallible;

    /// The middleware has put it there; without it a request is nobody's.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}
