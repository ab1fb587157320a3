//! Answers of the simulated host, as the host functions return them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Json;
use crate::effect::decode_answer;
use crate::testing::host::encode;
use crate::types::{Done, EffectError, ErrorCode, WorkflowEnd, WorkflowFailure, WorkflowOutcome};

pub(super) fn success(payload: &impl Serialize) -> Vec<u8> {
    encode(&Ok(payload))
}

pub(super) fn done() -> Vec<u8> {
    success(&Done {})
}

pub(super) fn failure(code: ErrorCode, message: impl Into<String>) -> Vec<u8> {
    encode::<()>(&Err(EffectError {
        code,
        message: message.into(),
        details: None,
    }))
}

pub(super) fn cancelled() -> Vec<u8> {
    failure(ErrorCode::Cancelled, "the run was cancelled")
}

/// The error in an answer, if it is one.
pub(super) fn error_of(answer: &[u8]) -> Option<EffectError> {
    match decode_answer::<serde::de::IgnoredAny>(answer) {
        Ok(Err(error)) => Some(error),
        _ => None,
    }
}

pub(super) fn to_json(answer: &[u8]) -> Json {
    let text = String::from_utf8_lossy(answer).into_owned();
    // Every answer was encoded as JSON.
    Json::from_text(text).unwrap_or_default()
}

/// A child's end, as its parent gets it.
pub(super) fn of_child(workflow_id: &str, outcome: &WorkflowOutcome) -> Vec<u8> {
    match outcome.end {
        WorkflowEnd::Completed => success(&outcome.output),
        WorkflowEnd::Cancelled => failure(
            ErrorCode::Cancelled,
            format!("the workflow `{workflow_id}` was cancelled"),
        ),
        WorkflowEnd::Failed | WorkflowEnd::ContinueAsNew => {
            let failure = outcome.failure.clone().unwrap_or_default();
            encode::<()>(&Err(workflow_failed(workflow_id, &failure)))
        }
    }
}

fn workflow_failed(workflow_id: &str, failure: &WorkflowFailure) -> EffectError {
    EffectError {
        code: ErrorCode::WorkflowFailed,
        message: format!("the workflow `{workflow_id}` failed: {}", failure.message),
        details: Json::new(failure).ok(),
    }
}

/// Decodes a request, which the SDK has encoded.
///
/// # Panics
/// If it is none, as by a plugin that writes its own requests.
pub(super) fn request<R: DeserializeOwned>(function: &str, request: &[u8]) -> R {
    match serde_json::from_slice(request) {
        Ok(request) => request,
        Err(problem) => panic!(
            "{function} got what it does not take: {problem}: {}",
            serde_json::from_slice::<Value>(request).unwrap_or_default()
        ),
    }
}
