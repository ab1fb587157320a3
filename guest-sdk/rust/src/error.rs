//! How effects and tools fail.

use std::fmt;

use crate::types::{EffectError, ErrorCode};

/// What an effect gives.
pub type Result<T> = std::result::Result<T, EffectError>;

impl fmt::Display for EffectError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for EffectError {}

impl EffectError {
    /// An answer the host should not have given.
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
/// Any error becomes one by `?`. It is not an error type itself, as that would
/// stand in the way of `From`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError(String);

impl ToolError {
    /// A failure that says what was tried, what went wrong and what to do.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// What it says.
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
