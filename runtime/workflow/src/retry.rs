//! When a failed step is tried again.

use exomonad_schema::effects::workflow::RetryPolicy;
use exomonad_schema::{EffectError, ErrorCode};
use serde::Deserialize;

/// Failures that pass by themselves: after these a step is tried again if its policy names no others.
const PASSING: [ErrorCode; 4] = [
    ErrorCode::Unavailable,
    ErrorCode::RateLimited,
    ErrorCode::Timeout,
    ErrorCode::Internal,
];

/// The longest wait that a service may ask for, in milliseconds: a day.
const LONGEST_ASKED: u64 = 86_400_000;

/// The milliseconds after which attempt number `attempt` (from 1) is followed by the next one; `None` if it is the
/// last. `jitter` is a number from 0 to 1.
pub fn wait(policy: &RetryPolicy, attempt: u32, error: &EffectError, jitter: f64) -> Option<u64> {
    if u64::from(attempt) >= policy.attempts.get() {
        return None;
    }
    let named = |code: ErrorCode| {
        policy
            .non_retryable
            .iter()
            .any(|named| **named == *code.name())
    };
    if !may_pass(error.code, !policy.non_retryable.is_empty()) || named(error.code) {
        return None;
    }
    let growth = policy.backoff_percent.get() as f64 / 100.0;
    let grown = policy.initial_millis.get() as f64 * growth.powi(i32::try_from(attempt - 1).ok()?);
    let longest = policy.max_millis.get() as f64;
    // Up to a fifth less, so that many runs do not come back at one moment.
    let wait = grown.min(longest) * (1.0 - 0.2 * jitter.clamp(0.0, 1.0));
    Some((wait as u64).max(asked_for(error).unwrap_or(0)))
}

/// True if a step may be tried again after this error, unless its policy names the code; `names_codes` says that
/// it names some.
pub fn may_pass(code: ErrorCode, names_codes: bool) -> bool {
    match code {
        // It may have happened: doing it again might do it twice.
        ErrorCode::OutcomeUnknown | ErrorCode::Cancelled => false,
        code => names_codes || PASSING.contains(&code),
    }
}

/// The wait that a service asks for, in milliseconds.
pub fn asked_for(error: &EffectError) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Details {
        retry_after_millis: u64,
    }
    let details = error.details.as_ref()?;
    let details: Details = serde_json::from_str(details.get()).ok()?;
    Some(details.retry_after_millis.min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(json: serde_json::Value) -> RetryPolicy {
        serde_json::from_value(json).unwrap()
    }

    fn failure(code: ErrorCode) -> EffectError {
        EffectError::new(code, "x")
    }

    #[test]
    fn waits_grow_to_their_limit_and_end_with_the_last_attempt() {
        let policy = policy(json!({"attempts": 5, "initialMillis": 100, "maxMillis": 350}));
        let waits: Vec<_> = (1..=5)
            .map(|attempt| wait(&policy, attempt, &failure(ErrorCode::Unavailable), 0.0))
            .collect();
        assert_eq!(waits, [Some(100), Some(200), Some(350), Some(350), None]);
        let least = wait(&policy, 1, &failure(ErrorCode::Unavailable), 1.0);
        assert_eq!(least, Some(80));
    }

    #[test]
    fn codes_decide_and_an_unknown_outcome_is_never_tried_again() {
        let default = policy(json!({}));
        let named = policy(json!({"nonRetryable": ["not_found"]}));
        let retries = |policy: &RetryPolicy, code| wait(policy, 1, &failure(code), 0.0).is_some();
        assert!(retries(&default, ErrorCode::RateLimited));
        assert!(!retries(&default, ErrorCode::NotFound));
        assert!(retries(&named, ErrorCode::Conflict));
        assert!(!retries(&named, ErrorCode::NotFound));
        for policy in [default, named] {
            assert!(!retries(&policy, ErrorCode::OutcomeUnknown));
            assert!(!retries(&policy, ErrorCode::Cancelled));
        }
    }

    #[test]
    fn a_service_gets_the_time_that_it_asks_for() {
        let limited =
            failure(ErrorCode::RateLimited).with_details(&json!({"retryAfterMillis": 90_000}));
        assert_eq!(wait(&policy(json!({})), 1, &limited, 0.0), Some(90_000));
    }
}
