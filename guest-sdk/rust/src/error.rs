//! Errors of effects and of tools.

use std::fmt;

use crate::types::{EffectError, ErrorCode};

/// The result of an effect.
pub type Result<T> = std::result::Result<T, EffectError>;

impl fmt::Display for EffectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for EffectError {}

impl EffectError {
    /// The error for an invalid answer of the host.
    pub(crate) fn unreadable(function: &str, problem: &serde_json::Error) -> Self {
        Self {
            code: ErrorCode::Internal,
            message: format!("the host's answer to {function} cannot be read: {problem}"),
            details: None,
        }
    }
}

/// A tool's own failure: a text for the model that called it.
///
/// Any error converts to it by `?`. It does not implement `Error`, which would
/// conflict with this conversion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError(String);

impl ToolError {
    /// A failure with this message: the attempt, the failure, and the remedy.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
