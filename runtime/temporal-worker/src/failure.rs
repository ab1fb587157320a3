//! Errors of effects as failures of activities, and back.
//!
//! A failed effect is an application failure whose type is the error's code and whose detail is the error, so that
//! Temporal's programs show it and any SDK can decide by its type. What fails in other ways, such as an activity of
//! another SDK or a time limit of the server, becomes the error of the contract that tells the same.

use exomonad_core::EncodedAnswer;
use exomonad_host::workflows::steps;
use exomonad_schema::{Answer, EffectError, ErrorCode, RawJson};
use exomonad_temporal::payload;
use exomonad_workflow::effects::CrashClass;
use serde_json::json;
use temporalio_protos::temporal::api::enums::v1::TimeoutType;
use temporalio_protos::temporal::api::failure::v1::failure::FailureInfo;
use temporalio_protos::temporal::api::failure::v1::{ApplicationFailureInfo, Failure};

use crate::message::{message, millis};

/// The largest failure of a run, in bytes. The server keeps it more than once in a message.
const LARGEST_FAILURE: usize = 512 << 10;
/// Characters of a message that is too long.
const BEGINNING: usize = 4_096;

/// The source of a failure that this host tells.
const SOURCE: &str = "exomonad";

/// A failure of an application.
pub(crate) fn application(
    code: &str,
    message: &str,
    details: &[RawJson],
    is_final: bool,
    next_retry_millis: Option<i64>,
) -> Failure {
    let info = message!(ApplicationFailureInfo {
        r#type: code.to_owned(),
        non_retryable: is_final,
        details: payload::encode_all(details),
        next_retry_delay: next_retry_millis.map(millis),
    });
    message!(Failure {
        message: message.to_owned(),
        source: SOURCE.to_owned(),
        failure_info: Some(FailureInfo::ApplicationFailureInfo(info)),
    })
}

/// The failure of a run. One that the server would not take goes without its details, and with the beginning of its
/// message.
pub(crate) fn of_run(code: &str, message: &str, details: Option<&RawJson>) -> Failure {
    let size = message.len() + details.map_or(0, |details| details.get().len());
    if size <= LARGEST_FAILURE {
        return application(code, message, details.cloned().as_slice(), true, None);
    }
    let begun: String = message.chars().take(BEGINNING).collect();
    let told = format!("{begun} … (a failure of {size} bytes, more than the server keeps)");
    application(code, &told, &[], true, None)
}

/// The failure of an effect.
pub(crate) fn of_effect(
    error: &EffectError,
    is_final: bool,
    next_retry_millis: Option<i64>,
) -> Failure {
    let details = RawJson::new(error).ok();
    application(
        error.code.name(),
        &error.message,
        details.as_slice(),
        is_final,
        next_retry_millis,
    )
}

/// The answer of an effect whose activity has failed.
pub(crate) fn answer_of_activity(
    name: &str,
    failure: Option<&Failure>,
    class: CrashClass,
) -> EncodedAnswer {
    let innermost = failure.map(innermost);
    let error = match innermost.and_then(|failure| failure.failure_info.as_ref()) {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            own_error(info).unwrap_or_else(|| foreign(name, failure))
        }
        Some(FailureInfo::CanceledFailureInfo(_)) => EffectError::new(
            ErrorCode::Cancelled,
            format!("{name}: the step was cancelled"),
        ),
        Some(FailureInfo::TimeoutFailureInfo(info)) => {
            let text = |what: &str| format!("{name}: {what}");
            match info.timeout_type() {
                TimeoutType::ScheduleToStart => EffectError::new(
                    ErrorCode::Unavailable,
                    text("no worker has taken the step in time"),
                ),
                TimeoutType::ScheduleToClose => {
                    EffectError::new(ErrorCode::Timeout, text("the time of the step is up"))
                }
                // The host was silent, or slower than an attempt may be: nobody knows if it has happened.
                _ if class.changes() => return steps::unknown(name),
                _ => EffectError::new(
                    ErrorCode::Timeout,
                    text(
                        "the host that performs the step was silent, or slower than an attempt may be",
                    ),
                ),
            }
        }
        _ => foreign(name, failure),
    };
    EncodedAnswer::error(&error)
}

/// The error of a child run that has failed, as the run's own store tells it.
pub(crate) fn error_of_child(failure: Option<&Failure>) -> EffectError {
    let innermost = failure.map(innermost);
    let message = match innermost.map_or("", |failure| &failure.message) {
        "" => "it says no reason",
        message => message,
    };
    let (code, details) = match innermost.and_then(|failure| failure.failure_info.as_ref()) {
        Some(FailureInfo::ApplicationFailureInfo(info)) => {
            let details = payload::decode_all(info.details.as_ref());
            (info.r#type.clone(), details.into_iter().next())
        }
        Some(FailureInfo::CanceledFailureInfo(_)) => ("cancelled".to_owned(), None),
        Some(FailureInfo::TerminatedFailureInfo(_)) => ("terminated".to_owned(), None),
        Some(FailureInfo::TimeoutFailureInfo(_)) => ("timeout".to_owned(), None),
        _ => ("failed".to_owned(), None),
    };
    EffectError::new(ErrorCode::WorkflowFailed, message).with_details(&json!({
        "code": code, "message": message, "details": details.as_ref().map(RawJson::get),
    }))
}

/// The last cause.
fn innermost(failure: &Failure) -> &Failure {
    let mut innermost = failure;
    while let Some(cause) = &innermost.cause {
        innermost = cause;
    }
    innermost
}

fn own_error(info: &ApplicationFailureInfo) -> Option<EffectError> {
    let details = payload::decode_all(info.details.as_ref());
    let error: EffectError = details.first()?.parse().ok()?;
    (error.code.name() == info.r#type).then_some(error)
}

/// A failure that no effect of this host has told.
fn foreign(name: &str, failure: Option<&Failure>) -> EffectError {
    let failures = payload::failures(failure);
    let message = failures
        .last()
        .map_or("without a reason", |last| &last.message);
    EffectError::new(ErrorCode::Internal, format!("{name}: it failed: {message}"))
        .with_details(&json!({"failures": failures}))
}

/// An answer with this success.
pub(crate) fn success(value: &RawJson) -> EncodedAnswer {
    EncodedAnswer::new(&Ok(value))
}

/// The value of an answer, or its error.
pub(crate) fn outcome(answer: &EncodedAnswer) -> Result<RawJson, EffectError> {
    match serde_json::from_slice::<Answer<RawJson>>(answer.json()) {
        Ok(Answer::Success(value)) => Ok(value),
        Ok(Answer::Error(error)) => Err(error),
        Err(error) => Err(EffectError::internal(format!(
            "the answer of the effect is none: {error}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use exomonad_schema::Answer;
    use temporalio_protos::temporal::api::failure::v1::{ActivityFailureInfo, TimeoutFailureInfo};

    use super::*;

    fn of_activity(cause: Failure) -> Failure {
        message!(Failure {
            message: "activity failed".to_owned(),
            failure_info: Some(FailureInfo::ActivityFailureInfo(
                ActivityFailureInfo::default()
            )),
            cause: Some(Box::new(cause)),
        })
    }

    fn error(answer: &EncodedAnswer) -> EffectError {
        match serde_json::from_slice::<Answer<RawJson>>(answer.json()).unwrap() {
            Answer::Error(error) => error,
            Answer::Success(value) => panic!("{}", value.get()),
        }
    }

    #[test]
    fn an_error_of_an_effect_comes_back_from_its_activity_as_it_was() {
        let told = EffectError::new(ErrorCode::RateLimited, "slowly")
            .with_details(&json!({"retryAfterMillis": 7}));
        let failure = of_activity(of_effect(&told, true, None));
        let answer = answer_of_activity("github.get_pr", Some(&failure), CrashClass::Read);
        assert_eq!(error(&answer), told);
    }

    #[test]
    fn a_silent_host_leaves_the_outcome_of_a_write_unknown_and_not_that_of_a_read() {
        for (kind, class, code) in [
            (
                TimeoutType::Heartbeat,
                CrashClass::Once,
                ErrorCode::OutcomeUnknown,
            ),
            (
                TimeoutType::StartToClose,
                CrashClass::Transaction,
                ErrorCode::OutcomeUnknown,
            ),
            (
                TimeoutType::StartToClose,
                CrashClass::Read,
                ErrorCode::Timeout,
            ),
            (
                TimeoutType::ScheduleToStart,
                CrashClass::Once,
                ErrorCode::Unavailable,
            ),
        ] {
            let info = message!(TimeoutFailureInfo {
                timeout_type: kind as i32,
            });
            let failure = of_activity(message!(Failure {
                failure_info: Some(FailureInfo::TimeoutFailureInfo(info)),
            }));
            let answer = answer_of_activity("git.commit", Some(&failure), class);
            assert_eq!(error(&answer).code, code, "{kind:?} {class:?}");
        }
    }

    #[test]
    fn a_failure_of_another_sdk_is_told_with_its_causes() {
        let failure = of_activity(application("ValueError", "no tea", &[], false, None));
        let answer = answer_of_activity("tea.brew", Some(&failure), CrashClass::Read);
        let error = error(&answer);
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.contains("no tea"), "{error}");
        assert!(error.details.unwrap().get().contains("ValueError"));
    }
}
