//! Errors of workflows.

use std::any::Any;
use std::fmt;

use crate::types::{EffectError, ErrorCode, WorkflowFailure};
use crate::{Json, ToolError};

/// The reason why a workflow's function returns without an output: a failure, a cancellation, or going on as a new
/// run.
///
/// Any error converts to it by `?`. It does not implement `Error`, which would conflict with this conversion.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowError(Box<Reason>);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reason {
    Failed(WorkflowFailure),
    /// The run was asked to cancel, and a blocking call told it so.
    Cancelled(String),
    /// Not a failure: it passes the input of the next run through the function's `?`.
    ContinueAsNew(Json),
}

impl WorkflowError {
    /// A failure of the workflow, with a code for programs and a message for people.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::failed(WorkflowFailure {
            code: code.into(),
            message: message.into(),
            details: None,
        })
    }

    /// The same failure with details for a program.
    #[must_use]
    pub fn with_details(mut self, details: Json) -> Self {
        if let Reason::Failed(failure) = &mut *self.0 {
            failure.details = Some(details);
        }
        self
    }

    /// The failure of one step. Unlike an effect's own error, the code `cancelled` is no cancellation of the run:
    /// only the step was stopped.
    pub fn of_step(error: EffectError) -> Self {
        Self::failed(WorkflowFailure {
            code: error.code.name().to_owned(),
            message: error.message,
            details: error.details,
        })
    }

    /// The code: the workflow's own, or that of the effect that failed.
    pub fn code(&self) -> &str {
        match &*self.0 {
            Reason::Failed(failure) => &failure.code,
            Reason::Cancelled(_) => ErrorCode::Cancelled.name(),
            Reason::ContinueAsNew(_) => "continue_as_new",
        }
    }

    /// The message.
    pub fn message(&self) -> &str {
        match &*self.0 {
            Reason::Failed(failure) => &failure.message,
            Reason::Cancelled(message) => message,
            Reason::ContinueAsNew(_) => "the run goes on as a new one",
        }
    }

    /// True if the run was asked to cancel.
    pub fn is_cancelled(&self) -> bool {
        matches!(*self.0, Reason::Cancelled(_))
    }

    pub(super) fn continue_as_new(input: Json) -> Self {
        Self(Box::new(Reason::ContinueAsNew(input)))
    }

    pub(super) fn failed(failure: WorkflowFailure) -> Self {
        Self(Box::new(Reason::Failed(failure)))
    }

    pub(super) fn into_reason(self) -> Reason {
        *self.0
    }

    pub(super) fn is_continuation(&self) -> bool {
        matches!(*self.0, Reason::ContinueAsNew(_))
    }

    fn of_code(code: ErrorCode, message: String, details: Option<Json>) -> Self {
        match code {
            ErrorCode::Cancelled => Self(Box::new(Reason::Cancelled(message))),
            code => Self::of_step(EffectError {
                code,
                message,
                details,
            }),
        }
    }
}

impl fmt::Display for WorkflowError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message())
    }
}

/// An [`EffectError`] keeps its code, and `cancelled` is the run's cancellation. Any other error is a failure with
/// the code `failed`.
impl<E: std::error::Error + 'static> From<E> for WorkflowError {
    fn from(error: E) -> Self {
        match (&error as &dyn Any).downcast_ref::<EffectError>() {
            Some(error) => Self::of_code(error.code, error.message.clone(), error.details.clone()),
            None => Self::new(FAILED, error.to_string()),
        }
    }
}

/// The code of the effect's error that it was made from, if it was.
impl From<ToolError> for WorkflowError {
    fn from(error: ToolError) -> Self {
        let message = error.message().to_owned();
        match error.code() {
            Some(code) => Self::of_code(code, message, None),
            None => Self::new(FAILED, message),
        }
    }
}

/// The code of failures that have no other.
const FAILED: &str = "failed";

#[cfg(test)]
mod tests {
    use super::*;

    fn effect_error(code: ErrorCode) -> EffectError {
        EffectError {
            code,
            message: "as it is".to_owned(),
            details: None,
        }
    }

    #[test]
    fn an_effects_cancellation_is_the_runs_also_through_a_tools_error() {
        assert!(WorkflowError::from(effect_error(ErrorCode::Cancelled)).is_cancelled());
        let of_helper = ToolError::from(effect_error(ErrorCode::Cancelled));
        assert!(WorkflowError::from(of_helper).is_cancelled());
    }

    #[test]
    fn a_steps_cancellation_is_not_the_runs() {
        let error = WorkflowError::of_step(effect_error(ErrorCode::Cancelled));
        assert_eq!((error.code(), error.is_cancelled()), ("cancelled", false));
    }

    #[test]
    fn other_errors_keep_their_message_and_their_code_if_they_have_one() {
        let error = WorkflowError::from(effect_error(ErrorCode::Conflict));
        assert_eq!((error.code(), error.message()), ("conflict", "as it is"));
        let error = WorkflowError::from("x".parse::<u8>().unwrap_err());
        assert_eq!(error.code(), "failed");
        assert_eq!(WorkflowError::from(ToolError::new("no")).code(), "failed");
    }
}
