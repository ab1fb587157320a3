//! [`RequestError`]: why a request gets a problem document, and the status of each code.

use exomonad_access::AccessError;
use exomonad_config::ByteSize;
use exomonad_host::HostError;
use exomonad_schema::{CallId, EffectError, ErrorCode};

/// A request that is refused or cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The call failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A call failed that has an id by which it is found in the log and the journal.
    #[error("{error}")]
    Call {
        /// The failure.
        error: HostError,
        /// The id.
        id: CallId,
    },
    /// No call of this id is recorded, or the request may not see it.
    #[error(
        "no call `{0}` is recorded; a role's `journal` says which calls are, and `[journal]` for how long"
    )]
    CallNotFound(String),
    /// A request about workflows failed.
    #[error("{}", .0.message)]
    Workflow(#[from] EffectError),
    /// `POST /call` is turned off.
    #[error("raw calls are off; `server.raw_calls = true` in exomonad.toml turns them on")]
    RawCallsOff,
    /// No token, or one that does not open this.
    #[error("a bearer token for this is missing or wrong; send `Authorization: Bearer …`")]
    Unauthorized,
    /// The token opens the role, and this is none of its scopes.
    #[error("the token does not open this: it takes the scope `{0}`")]
    OutOfScope(String),
    /// The token's issuer is away, so it cannot be checked.
    #[error(
        "the token cannot be checked now: the keys of its issuer cannot be had; try again later"
    )]
    IssuerAway,
    /// The token is in the address.
    #[error(
        "a token in an address is kept by logs and histories, so it opens nothing: send `Authorization: Bearer …`, and revoke that one"
    )]
    TokenInQuery,
    /// The Host header is not one of this server's names.
    #[error(
        "requests to the host `{0}` are not answered here; `server.allowed_hosts` lists the names that are"
    )]
    HostNotAllowed(String),
    /// The request comes from a web page that is not allowed to make it.
    #[error(
        "requests from the origin `{0}` are not answered; `server.allowed_origins` lists those that are"
    )]
    OriginNotAllowed(String),
    /// The body is too long.
    #[error("the body is longer than {0}; `server.max_body` sets the limit")]
    BodyTooLarge(ByteSize),
    /// The request took too long.
    #[error("the request took longer than {0}; `server.request_timeout` sets the limit")]
    Timeout(String),
    /// No such endpoint.
    #[error("there is no {0}; GET /openapi.json lists what there is")]
    NoRoute(String),
    /// The endpoint is there, for another method.
    #[error("{0}")]
    MethodNotAllowed(String),
    /// As many streams of events are open as there may be.
    #[error("too many streams of events are open; close one, or try again later")]
    TooManyStreams,
    /// The host is shutting down.
    #[error("the host is shutting down")]
    Draining,
}

impl RequestError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Host(error) | Self::Call { error, .. } => error.code(),
            Self::CallNotFound(_) => "call_not_found",
            Self::Workflow(error) => error.code.name(),
            Self::RawCallsOff => "raw_calls_off",
            Self::Unauthorized => "unauthorized",
            Self::OutOfScope(_) => "insufficient_scope",
            Self::TokenInQuery => "invalid_request",
            Self::IssuerAway => "unavailable",
            Self::HostNotAllowed(_) => "host_not_allowed",
            Self::OriginNotAllowed(_) => "origin_not_allowed",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::Timeout(_) => "request_timeout",
            Self::NoRoute(_) => "route_not_found",
            Self::MethodNotAllowed(_) => "method_not_allowed",
            Self::TooManyStreams => "too_many_streams",
            Self::Draining => "draining",
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            // Of a guest that is a failure of the guest, here the client's.
            Self::Workflow(error) if error.code == ErrorCode::LimitExceeded => 429,
            _ => status(self.code()),
        }
    }
}

impl From<AccessError> for RequestError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Unauthorized => Self::Unauthorized,
            AccessError::OutOfScope(scope) => Self::OutOfScope(scope),
            AccessError::Unavailable => Self::IssuerAway,
        }
    }
}

/// The status of each code. A code that is not listed is a guest's failure, as of `guest_failed`.
const STATUSES: &[(&str, u16)] = &[
    ("invalid_request", 400),
    ("unauthorized", 401),
    ("insufficient_scope", 403),
    ("raw_calls_off", 403),
    ("host_not_allowed", 403),
    ("origin_not_allowed", 403),
    ("role_not_found", 404),
    ("tool_not_found", 404),
    ("hook_not_found", 404),
    ("export_not_found", 404),
    ("call_not_found", 404),
    ("route_not_found", 404),
    ("not_found", 404),
    ("method_not_allowed", 405),
    ("conflict", 409),
    ("body_too_large", 413),
    ("invalid_arguments", 422),
    ("invalid_input", 422),
    ("queue_full", 429),
    ("rate_limited", 429),
    ("too_many_streams", 429),
    ("internal", 500),
    ("plugin_not_loaded", 503),
    ("draining", 503),
    ("unavailable", 503),
    ("request_timeout", 504),
];

fn status(code: &str) -> u16 {
    let found = STATUSES.iter().find(|(known, _)| *known == code);
    found.map_or(502, |(_, status)| *status)
}
