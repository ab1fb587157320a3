//! Every way in which a request can fail, with its stable code.
//!
//! A tool's own failure is not among them: that is an answer, a result with `isError`.

use serde::Serialize;

/// A request that is refused or cannot be answered. Server and command line show the same ones.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// No such role.
    #[error("there is no role `{role}`{}", hint(.near))]
    RoleNotFound {
        /// What was asked for.
        role: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// The role has no such tool.
    #[error("role `{role}` has no tool `{tool}`{}", hint(.near))]
    ToolNotFound {
        /// The role.
        role: String,
        /// What was asked for.
        tool: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// The plugin handles no such event.
    #[error("the plugin of role `{role}` does not handle the event `{event}`; it handles {}", none(.handled))]
    HookNotFound {
        /// The role.
        role: String,
        /// What was asked for.
        event: String,
        /// The events that it handles.
        handled: String,
    },
    /// The plugin exports no such function.
    #[error("{0}")]
    ExportNotFound(String),
    /// The body is not what the endpoint takes.
    #[error("{0}")]
    InvalidRequest(String),
    /// The arguments break the tool's schema.
    #[error("the arguments do not fit the schema of tool `{tool}`: {}", first(.violations))]
    InvalidArguments {
        /// The tool.
        tool: String,
        /// Each violation with its place in the arguments.
        violations: Vec<Violation>,
    },
    /// The role is there, its plugin is not.
    #[error("the plugin of role `{role}` is not loaded: {reason}")]
    PluginNotLoaded {
        /// The role.
        role: String,
        /// Why not.
        reason: String,
    },
    /// Too many calls.
    #[error(
        "role `{role}` is busy: {running} calls run and {queue} wait; `{running_key}` and `{queue_key}` set how many may"
    )]
    QueueFull {
        /// The role.
        role: String,
        /// Calls at once.
        running: u32,
        /// Calls that wait.
        queue: u32,
        /// The key that sets the first number.
        running_key: String,
        /// The key that sets the second number.
        queue_key: String,
    },
    /// The guest failed where only an answer will do: in a hook, or when called raw.
    #[error("{message}")]
    Guest {
        /// One of `guest_failed`, `guest_trapped`, `limit_exceeded`, `invalid_answer`.
        code: &'static str,
        /// What happened.
        message: String,
    },
    /// `POST /call` is turned off.
    #[error("raw calls are off; `server.raw_calls = true` in exomonad.toml turns them on")]
    RawCallsOff,
    /// No token, or one that does not open this.
    #[error("a bearer token for this is missing or wrong; send `Authorization: Bearer …`")]
    Unauthorized,
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
    #[error("the body is longer than {0} bytes; `server.max_body` sets the limit")]
    BodyTooLarge(u64),
    /// The request took too long.
    #[error("the request took longer than {0}; `server.request_timeout` sets the limit")]
    Timeout(String),
    /// No such endpoint.
    #[error("there is no {0}; GET /openapi.json lists what there is")]
    NoRoute(String),
    /// The endpoint is there, for another method.
    #[error("{0}")]
    MethodNotAllowed(String),
    /// The host is shutting down.
    #[error("the host is shutting down")]
    Draining,
    /// A bug in the host.
    #[error("{0}")]
    Internal(String),
}

/// One place where arguments break a schema.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Violation {
    /// A JSON pointer into the arguments, empty for all of them.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl Failure {
    /// The stable code, and the HTTP status that goes with it.
    pub fn code(&self) -> (&'static str, u16) {
        match self {
            Self::RoleNotFound { .. } => ("role_not_found", 404),
            Self::ToolNotFound { .. } => ("tool_not_found", 404),
            Self::HookNotFound { .. } => ("hook_not_found", 404),
            Self::ExportNotFound(_) => ("export_not_found", 404),
            Self::NoRoute(_) => ("route_not_found", 404),
            Self::MethodNotAllowed(_) => ("method_not_allowed", 405),
            Self::InvalidRequest(_) => ("invalid_request", 400),
            Self::InvalidArguments { .. } => ("invalid_arguments", 422),
            Self::PluginNotLoaded { .. } => ("plugin_not_loaded", 503),
            Self::Draining => ("draining", 503),
            Self::QueueFull { .. } => ("queue_full", 429),
            Self::Guest { code, .. } => (code, 502),
            Self::RawCallsOff => ("raw_calls_off", 403),
            Self::Unauthorized => ("unauthorized", 401),
            Self::HostNotAllowed(_) => ("host_not_allowed", 403),
            Self::OriginNotAllowed(_) => ("origin_not_allowed", 403),
            Self::BodyTooLarge(_) => ("body_too_large", 413),
            Self::Timeout(_) => ("request_timeout", 504),
            Self::Internal(_) => ("internal", 500),
        }
    }

    /// What is broken where, for [`Failure::InvalidArguments`].
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::InvalidArguments { violations, .. } => violations,
            _ => &[],
        }
    }
}

fn hint(near: &Option<String>) -> String {
    near.as_ref()
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

fn none(names: &str) -> &str {
    if names.is_empty() { "none" } else { names }
}

fn first(violations: &[Violation]) -> String {
    let shown = violations
        .iter()
        .take(3)
        .map(|violation| match violation.pointer.as_str() {
            "" => violation.message.clone(),
            pointer => format!("at {pointer}: {}", violation.message),
        });
    shown.collect::<Vec<_>>().join("; ")
}
