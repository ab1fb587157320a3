//! [`HostError`]: why a call of a role is refused or cannot be answered, with a stable code.
//!
//! A tool's own failure is not among them: that is an answer, a result with `isError`. The codes know no
//! transport: the server maps them to statuses, the command line to exit codes.

use exomonad_core::mcp::ClientCapability;
use serde::Serialize;

use crate::client::Suspended;

/// A call that is refused or cannot be answered.
#[derive(Clone, Debug, thiserror::Error)]
pub enum HostError {
    /// No such role.
    #[error("there is no role `{role}`{}", hint(.near))]
    RoleNotFound {
        /// The name that was asked for.
        role: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// The role has no such tool.
    #[error("role `{role}` has no tool `{tool}`{}", hint(.near))]
    ToolNotFound {
        /// The role.
        role: String,
        /// The name that was asked for.
        tool: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// The plugin lists the tool, and it cannot be offered.
    #[error("role `{role}` does not offer tool `{tool}`: {reason}")]
    ToolRefused {
        /// The role.
        role: String,
        /// The tool.
        tool: String,
        /// The reason.
        reason: String,
    },
    /// The plugin handles no such event.
    #[error("the plugin of role `{role}` does not handle the event `{event}`; it handles {}", none(.handled))]
    HookNotFound {
        /// The role.
        role: String,
        /// The name that was asked for.
        event: String,
        /// The events that it handles.
        handled: String,
    },
    /// The plugin exports no such function.
    #[error("{0}")]
    ExportNotFound(String),
    /// The input is not what is taken here.
    #[error("{0}")]
    InvalidRequest(String),
    /// The arguments break the tool's schema.
    #[error("the arguments do not fit the schema of tool `{tool}`: {}", told(.violations))]
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
        /// The reason.
        reason: String,
    },
    /// Too many calls.
    #[error(
        "role `{role}` is busy: {running} calls run and {queue} wait; `{running_key}` and `{queue_key}` set how many may{}", unread(.unread_key)
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
        /// The key that bounds unread answers, if they keep further calls from running.
        unread_key: Option<String>,
    },
    /// The caller's token opens the role, and this is none of its scopes.
    #[error("the token does not open this: it takes the scope `{0}`")]
    OutOfScope(String),
    /// The caller has too many calls.
    #[error("{message}")]
    CallerLimited {
        /// The limit, and the key that sets it.
        message: String,
        /// Seconds after which another call may be made, at least 1.
        retry_after: u64,
    },
    /// The guest failed where only an answer will do: in a hook, or when called raw.
    #[error("{message}")]
    Guest {
        /// One of `guest_failed`, `guest_trapped`, `limit_exceeded`, `invalid_answer`, `diverged`.
        code: &'static str,
        /// The failure.
        message: String,
    },
    /// The tool takes too long for a call that waits, and the client has no tasks.
    #[error("tool `{0}` is for clients that have tasks: it takes too long for a call that waits")]
    TaskRequired(String),
    /// The guest asks its client what that has not declared.
    #[error("the client has not declared that it takes `{}`: {}", .0.method(), .0.declared())]
    ClientIncapable(ClientCapability),
    /// The guest has asked its client, which answers by calling again.
    #[error("the call waits for its client")]
    InputRequired(Box<Suspended>),
    /// The client's answer is none to what the guest has asked it.
    #[error("{0}")]
    ClientAnswer(String),
    /// A bug in the host.
    #[error("{0}")]
    Internal(String),
}

/// One place where arguments break a schema.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Violation {
    /// A JSON pointer into the arguments, empty for all of them.
    pub pointer: String,
    /// The violation.
    pub message: String,
}

impl HostError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RoleNotFound { .. } => "role_not_found",
            Self::ToolNotFound { .. } | Self::ToolRefused { .. } => "tool_not_found",
            Self::HookNotFound { .. } => "hook_not_found",
            Self::ExportNotFound(_) => "export_not_found",
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::PluginNotLoaded { .. } => "plugin_not_loaded",
            Self::QueueFull { .. } => "queue_full",
            Self::OutOfScope(_) => "insufficient_scope",
            Self::CallerLimited { .. } => "rate_limited",
            Self::Guest { code, .. } => code,
            Self::TaskRequired(_) => "task_required",
            Self::ClientIncapable(_) => "client_incapable",
            Self::InputRequired(_) => "input_required",
            Self::ClientAnswer(_) => "client_answer",
            Self::Internal(_) => "internal",
        }
    }

    /// The violations of [`HostError::InvalidArguments`].
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

fn unread(key: &Option<String>) -> String {
    let more = |key| {
        format!(
            "; none begins while clients do not read their answers: `{key}` sets how much may be unread"
        )
    };
    key.as_ref().map(more).unwrap_or_default()
}

fn none(names: &str) -> &str {
    if names.is_empty() { "none" } else { names }
}

/// The first violations, as one text.
pub fn told(violations: &[Violation]) -> String {
    let shown = violations
        .iter()
        .take(3)
        .map(|violation| match violation.pointer.as_str() {
            "" => violation.message.clone(),
            pointer => format!("at {pointer}: {}", violation.message),
        });
    shown.collect::<Vec<_>>().join("; ")
}
