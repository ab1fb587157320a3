//! The errors of effects: a closed list of codes, and the answer that carries one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::table::EffectKind;
use crate::value::RawJson;

macro_rules! error_codes {
    ($($(#[doc = $doc:literal])* $Code:ident = $name:literal,)*) => {
        /// The reason why an effect failed. Closed and stable: a code keeps its meaning, and
        /// a new one comes with a new version of the contract.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize, JsonSchema,
        )]
        pub enum ErrorCode {
            $($(#[doc = $doc])* #[serde(rename = $name)] $Code,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$Code,)*];

            /// The code in JSON, such as `not_found`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Code => $name,)* }
            }

            /// The code's meaning.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$Code => concat!($($doc, "\n",)*),)* }
            }
        }
    };
}

error_codes! {
    /// The request does not match its schema, or a field has a value that makes no sense.
    InvalidInput = "invalid_input",
    /// The role's grants do not include this effect.
    EffectDenied = "effect_denied",
    /// The effect is granted, but not on this path, repository, container or host.
    Forbidden = "forbidden",
    /// The requested object does not exist.
    NotFound = "not_found",
    /// The object exists already, or has changed since it was read.
    Conflict = "conflict",
    /// The service is not set up on this host.
    NotConfigured = "not_configured",
    /// A limit of the role was exceeded; the message names the limit, its value and its key.
    LimitExceeded = "limit_exceeded",
    /// The time limit was exceeded.
    Timeout = "timeout",
    /// The call was cancelled while the effect was running.
    Cancelled = "cancelled",
    /// The remote service asks to slow down; `details.retryAfterMillis` says for how long, if known.
    RateLimited = "rate_limited",
    /// The host's credentials are missing, wrong or expired.
    Unauthenticated = "unauthenticated",
    /// The remote service understood the request and refused its content.
    Validation = "validation",
    /// The service is unreachable at the moment; trying again may help.
    Unavailable = "unavailable",
    /// The service does not support this operation, or not on this object.
    Unsupported = "unsupported",
    /// The host stopped while the effect was under way; it may have happened or not.
    OutcomeUnknown = "outcome_unknown",
    /// A child run failed; `details` has its failure.
    WorkflowFailed = "workflow_failed",
    /// Something failed in the host; its log says more.
    Internal = "internal",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A failed effect, as the guest sees it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{code}: {message}")]
pub struct EffectError {
    /// The kind of failure: decide on this, not on the message.
    pub code: ErrorCode,
    /// The message for a person: the attempt, its object, the failure, and the remedy.
    pub message: String,
    /// Details for a program; their shape depends on the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<RawJson>,
}

impl EffectError {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
        }
    }

    /// The same error with details for a program.
    #[must_use]
    pub fn with_details(mut self, details: &impl Serialize) -> Self {
        // An error without its details is better than none.
        self.details = RawJson::new(details).ok();
        self
    }

    /// The service of `kind` is not set up.
    pub fn not_configured(kind: EffectKind) -> Self {
        let service = kind.service();
        Self::new(
            ErrorCode::NotConfigured,
            format!(
                "{kind}: the {service} service is not configured on this host; set [{service}] in exomonad.toml"
            ),
        )
    }

    /// A failure of the host, which is not the guest's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// A request that does not match its schema.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidInput, message)
    }
}

/// The answer to an effect:
/// `{"kind":"Success","payload":…}` or
/// `{"kind":"Error","payload":{"code":…,"message":…,"details":…}}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "payload")]
pub enum Answer<T> {
    /// The result of a successful effect.
    Success(T),
    /// The error of a failed effect.
    Error(EffectError),
}

impl<T> From<Result<T, EffectError>> for Answer<T> {
    fn from(result: Result<T, EffectError>) -> Self {
        match result {
            Ok(answer) => Self::Success(answer),
            Err(error) => Self::Error(error),
        }
    }
}

impl<T> From<Answer<T>> for Result<T, EffectError> {
    fn from(answer: Answer<T>) -> Self {
        match answer {
            Answer::Success(answer) => Ok(answer),
            Answer::Error(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_text_in_json_and_in_messages() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        }
    }

    #[test]
    fn absent_details_are_left_out() {
        let answer = Answer::<()>::Error(EffectError::new(ErrorCode::NotFound, "no key `k`"));
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"kind":"Error","payload":{"code":"not_found","message":"no key `k`"}}"#
        );
    }
}
