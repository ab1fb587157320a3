//! Errors of effects and of tools.

use std::any::Any;
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
pub struct ToolError {
    message: String,
    code: Option<ErrorCode>,
}

impl ToolError {
    /// A failure with this message: the attempt, the failure, and the remedy.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
        }
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The code of the effect's error that it was made from, if it was.
    pub fn code(&self) -> Option<ErrorCode> {
        self.code
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl<E: std::error::Error + 'static> From<E> for ToolError {
    fn from(error: E) -> Self {
        let effect_error = (&error as &dyn Any).downcast_ref::<EffectError>();
        Self {
            code: effect_error.map(|error| error.code),
            message: error.to_string(),
        }
    }
}
