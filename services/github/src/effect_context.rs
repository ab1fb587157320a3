//! The context of one effect: its kind, its role, its repository, its deadline, and its errors.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use exomonad_core::{BoundsMap, CallContext, RepoBounds, RoleKeys};
use exomonad_schema::value::RepoName;
use exomonad_schema::{EffectError, EffectKind, ErrorCode, RoleName};
use http::HeaderValue;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::api_error::{ApiError, FieldError};
use super::api_request::ApiRequest;
use super::client::TransportError;
use super::rate_limit::RateLimit;

/// An effect of a role on a repository.
#[derive(Debug)]
pub(super) struct EffectContext {
    kind: EffectKind,
    role: RoleName,
    bounds: Arc<BoundsMap>,
    repo: RepoName,
    deadline: Instant,
    time_limit: Duration,
    pub(super) traceparent: Option<HeaderValue>,
    /// True while a request that changes something has gone out without an answer.
    is_writing: AtomicBool,
}

/// An error of one request.
#[derive(Debug)]
pub(super) enum RequestError {
    /// The client could not be set up.
    Setup(io::Error),
    /// No response.
    Transport(TransportError),
    /// A rate limit is reached.
    RateLimited(RateLimit),
    /// GitHub answered with an error.
    Api(ApiError),
    /// The repository has moved, and the request may not follow.
    Moved,
}

impl RequestError {
    /// The wait before sending the same again, if that is of use.
    pub(super) fn retry_wait(&self, delay: Duration) -> Option<Duration> {
        match self {
            Self::Transport(TransportError::Unreachable(_) | TransportError::Broken(_)) => {
                Some(delay)
            }
            Self::RateLimited(limit) => limit.is_retry_after.then_some(limit.wait),
            Self::Api(api_error) => matches!(api_error.status.as_u16(), 502..=504)
                .then(|| api_error.retry_after.unwrap_or(delay)),
            Self::Setup(_) | Self::Transport(TransportError::TooLarge) | Self::Moved => None,
        }
    }

    /// True if a request that changes something may have done so.
    fn may_have_happened(&self) -> bool {
        match self {
            Self::Transport(TransportError::Broken(_) | TransportError::TooLarge) => true,
            Self::Api(api_error) => api_error.status.is_server_error(),
            _ => false,
        }
    }
}

/// Details of an error, for programs.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_millis: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_at: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    outcome_unknown: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The end of a message when a change may have happened.
const OUTCOME_UNKNOWN: &str = "; it may have happened all the same: look before trying again";

impl EffectContext {
    pub(super) fn new(
        kind: EffectKind,
        call: &CallContext,
        repo: &RepoName,
        time_limit: Duration,
    ) -> Self {
        let traceparent = call.traceparent.as_deref();
        Self {
            kind,
            role: call.role.clone(),
            bounds: call.bounds.clone(),
            repo: repo.clone(),
            // A limit too long for the clock is none.
            deadline: Instant::now()
                .checked_add(time_limit)
                .unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400)),
            time_limit,
            traceparent: traceparent.and_then(|text| HeaderValue::from_str(text).ok()),
            is_writing: AtomicBool::new(false),
        }
    }

    pub(super) fn kind(&self) -> EffectKind {
        self.kind
    }

    /// Runs `work` until the deadline.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, EffectError>> + Send,
    ) -> Result<T, EffectError> {
        match tokio::time::timeout_at(self.deadline, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out()),
        }
    }

    /// Runs optional work, and leaves time to answer without it.
    pub(super) async fn in_spare_time<T>(
        &self,
        work: impl Future<Output = Option<T>> + Send,
    ) -> Option<T> {
        let until = self.deadline.checked_sub(Duration::from_millis(100))?;
        tokio::time::timeout_at(until, work).await.ok().flatten()
    }

    /// True if there is time left after waiting.
    pub(super) fn has_time_for(&self, wait: Duration) -> bool {
        Instant::now()
            .checked_add(wait)
            .is_some_and(|then| then < self.deadline)
    }

    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Relaxed);
    }

    /// `GitHubCreatePr on acme/web: …`: what was tried and on what, then what went wrong.
    pub(super) fn error(&self, code: ErrorCode, what_and_remedy: impl Display) -> EffectError {
        EffectError::new(
            code,
            format!("{} on {}: {what_and_remedy}", self.kind, self.repo),
        )
    }

    /// The repository is not one of the role's.
    pub(super) fn out_of_bounds(&self) -> EffectError {
        self.error(
            ErrorCode::Forbidden,
            format_args!(
                "role `{role}` may not reach this repository; if it is meant to, add it to \
                 `{key}` in exomonad.toml",
                role = self.role,
                key = self
                    .bounds
                    .get::<RoleKeys>()
                    .key(&self.role, RepoBounds::KEY)
            ),
        )
    }

    /// The host has no token.
    pub(super) fn without_token(&self) -> EffectError {
        self.error(
            ErrorCode::Unauthenticated,
            "the host has no GitHub token; set `github.token_file` or `github.token_env` in exomonad.toml",
        )
    }

    /// The deadline has passed.
    fn timed_out(&self) -> EffectError {
        let is_writing = self.is_writing.load(Ordering::Relaxed);
        let after = if is_writing {
            OUTCOME_UNKNOWN
        } else {
            "; try again later"
        };
        self.error(
            ErrorCode::Timeout,
            format_args!(
                "no answer within {:?} (`github.time_limit`){after}",
                self.time_limit
            ),
        )
        .with_details(&Details {
            outcome_unknown: is_writing,
            ..Details::default()
        })
    }

    /// The guest's error for a failed request.
    pub(super) fn failed(&self, api_request: &ApiRequest, error: RequestError) -> EffectError {
        let outcome_unknown = !api_request.is_read() && error.may_have_happened();
        let look = if outcome_unknown { OUTCOME_UNKNOWN } else { "" };
        let details = Details {
            outcome_unknown,
            ..Details::default()
        };
        match error {
            // Which certificates are missing is in the log.
            RequestError::Setup(_) => self.error(
                ErrorCode::Unavailable,
                "the host cannot check who GitHub is; install its CA certificates (Debian: \
                 `ca-certificates`) or name them in SSL_CERT_FILE",
            ),
            RequestError::Transport(TransportError::Unreachable(cause)) => self.error(
                ErrorCode::Unavailable,
                format_args!(
                    "GitHub cannot be reached: {cause}; check the network, `github.base_url` in \
                     exomonad.toml, and try again"
                ),
            ),
            RequestError::Transport(TransportError::Broken(cause)) => self
                .error(
                    ErrorCode::Unavailable,
                    format_args!("the connection to GitHub broke off: {cause}; try again{look}"),
                )
                .with_details(&details),
            RequestError::Transport(TransportError::TooLarge) => self
                .error(
                    ErrorCode::LimitExceeded,
                    format_args!(
                        "GitHub's answer is longer than this host reads; ask for fewer entries a page{look}"
                    ),
                )
                .with_details(&details),
            RequestError::RateLimited(limit) => self.limited(limit),
            RequestError::Api(api_error) => self.refused(api_request, &api_error, outcome_unknown),
            RequestError::Moved => self.error(
                ErrorCode::NotFound,
                "the repository has moved to another name; GitHubGetRepo has it, if the role may \
                 reach it: use that one",
            ),
        }
    }

    fn limited(&self, limit: RateLimit) -> EffectError {
        let millis = u64::try_from(limit.wait.as_millis()).unwrap_or(u64::MAX);
        let reset_at = Timestamp::now()
            .checked_add(limit.wait)
            .ok()
            .map(|moment| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let at = reset_at.as_deref().unwrap_or("later");
        self.error(
            ErrorCode::RateLimited,
            format_args!(
                "GitHub asks this host to slow down; try again in {} s ({at})",
                limit.wait.as_secs_f64().ceil()
            ),
        )
        .with_details(&Details {
            retry_after_millis: Some(millis),
            reset_at,
            ..Details::default()
        })
    }

    fn refused(
        &self,
        api_request: &ApiRequest,
        api_error: &ApiError,
        outcome_unknown: bool,
    ) -> EffectError {
        let (code, remedy) = api_error.meaning(self.kind, &api_request.about);
        let look = if outcome_unknown { OUTCOME_UNKNOWN } else { "" };
        let millis = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.error(
            code,
            format_args!("GitHub says {}; {remedy}{look}", api_error.words()),
        )
        .with_details(&Details {
            status: Some(api_error.status.as_u16()),
            message: Some(&api_error.message),
            errors: &api_error.errors,
            documentation_url: api_error.documentation_url.as_deref(),
            retry_after_millis: api_error.retry_after.map(millis),
            outcome_unknown,
            ..Details::default()
        })
    }

    /// The response is not the one GitHub's API documents.
    pub(super) fn unreadable(
        &self,
        api_request: &ApiRequest,
        error: &serde_json::Error,
    ) -> EffectError {
        let look = if api_request.is_read() {
            ""
        } else {
            OUTCOME_UNKNOWN
        };
        let details = Details {
            outcome_unknown: !api_request.is_read(),
            ..Details::default()
        };
        if error.is_data() {
            tracing::error!(effect = %self.kind, repo = %self.repo, %error, "GitHub's answer has another shape than expected");
            return self
                .error(
                    ErrorCode::Internal,
                    format_args!(
                        "GitHub's answer has another shape than this host knows; its log says more{look}"
                    ),
                )
                .with_details(&details);
        }
        self.error(
            ErrorCode::Unavailable,
            format_args!(
                "the answer is not JSON ({error}); check that `github.base_url` of exomonad.toml is \
                 GitHub's API and no proxy answers in its place{look}"
            ),
        )
        .with_details(&details)
    }
}
