//! The context of one effect: its kind, its role, its subject, and its errors.

use std::error::Error as _;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use bollard::errors::Error as EngineError;
use exomonad_core::{BoundsMap, CallContext, RoleKeys};
use exomonad_schema::{EffectError, EffectKind, ErrorCode, RoleName};
use tracing::Span;
use tracing::field::Empty;

use exomonad_core::span;

/// Longest text of the engine's that a message holds, in characters.
const MAX_ENGINE_MESSAGE: usize = 400;

/// An effect of a role on something.
#[derive(Clone, Debug)]
pub(super) struct EffectContext {
    kind: EffectKind,
    role: RoleName,
    bounds: Arc<BoundsMap>,
    subject: String,
}

impl EffectContext {
    /// `subject` is what the guest named: a container, an image.
    pub(super) fn new(kind: EffectKind, call: &CallContext, subject: &str) -> Self {
        Self {
            kind,
            role: call.role.clone(),
            bounds: call.bounds.clone(),
            subject: subject.to_owned(),
        }
    }

    pub(super) fn kind(&self) -> EffectKind {
        self.kind
    }

    pub(super) fn role(&self) -> &RoleName {
        &self.role
    }

    /// The key that sets a field of the role, for messages.
    pub(super) fn key(&self, field: &str) -> String {
        self.bounds.get::<RoleKeys>().key(&self.role, field)
    }

    /// The trace span of one request to the engine.
    pub(super) fn span(&self) -> Span {
        tracing::info_span!(
            target: span::TARGET,
            "docker",
            otel.name = "Docker engine",
            otel.kind = "client",
            exomonad.effect = self.kind.function(),
            exomonad.docker.subject = self.subject,
            error.type = Empty,
            otel.status_code = Empty,
        )
    }

    /// `DockerExec of "web": …`: what was tried and on what, then what went wrong.
    pub(super) fn error(&self, code: ErrorCode, what_and_remedy: impl Display) -> EffectError {
        EffectError::new(
            code,
            format!("{} of {:?}: {what_and_remedy}", self.kind, self.subject),
        )
    }

    pub(super) fn invalid(&self, what_and_remedy: impl Display) -> EffectError {
        self.error(ErrorCode::InvalidInput, what_and_remedy)
    }

    pub(super) fn forbidden(&self, what_and_remedy: impl Display) -> EffectError {
        self.error(ErrorCode::Forbidden, what_and_remedy)
    }

    /// Maps an error of the engine to the contract's.
    ///
    /// The engine's message is passed on, but for that of a conflict over a name: it holds the id of a
    /// container that may be another role's.
    pub(super) fn engine_error(&self, host: &str, error: &EngineError) -> EffectError {
        match error {
            EngineError::DockerResponseServerError {
                status_code,
                message,
            } => self.refused(*status_code, message),
            EngineError::DockerStreamError { error } => self.refused(500, error),
            EngineError::DockerContainerWaitError { error, .. } => self.refused(500, error),
            EngineError::RequestTimeoutError => self.no_answer(host),
            EngineError::CertPathError { .. }
            | EngineError::CertParseError { .. }
            | EngineError::CertMultipleKeys { .. }
            | EngineError::NoNativeCertsError { .. }
            | EngineError::LoadNativeCertsErrors { .. } => self.error(
                ErrorCode::Unauthenticated,
                "the certificates for the Docker engine cannot be read; check `docker.tls_dir`, \
                 which needs ca.pem, cert.pem and key.pem",
            ),
            EngineError::SocketNotFoundError(_)
            | EngineError::HyperLegacyError { .. }
            | EngineError::HyperResponseError { .. }
            | EngineError::IOError { .. } => self.unreachable(host, &causes(error)),
            EngineError::JsonDataError { .. } | EngineError::JsonSerdeError { .. } => self.error(
                ErrorCode::Unavailable,
                format_args!(
                    "the answer of {host} is cut off or not a Docker engine's; check `docker.host`"
                ),
            ),
            other => {
                tracing::error!(kind = %self.kind, error = %other, "a Docker effect failed in the host");
                self.error(
                    ErrorCode::Internal,
                    "asking the Docker engine failed in the host; its log says more",
                )
            }
        }
    }

    /// No engine answers where one should be.
    pub(super) fn unreachable(&self, host: &str, why: &str) -> EffectError {
        self.error(
            ErrorCode::Unavailable,
            format_args!(
                "the Docker engine at {host} cannot be reached or broke off: {why}; check that it \
                 runs and that `docker.host`, or DOCKER_HOST in its place, is right"
            ),
        )
    }

    /// The engine accepts a request and does not answer it.
    pub(super) fn no_answer(&self, host: &str) -> EffectError {
        self.error(
            ErrorCode::Timeout,
            format_args!(
                "the Docker engine at {host} did not answer in time; check that it is well, and \
                 that `docker.host` is right"
            ),
        )
    }

    /// The engine answered with an error.
    fn refused(&self, status: u16, message: &str) -> EffectError {
        let lower = message.to_ascii_lowercase();
        let says = |words: &str| lower.contains(words);
        let code = match status {
            409 if says("already in use") => {
                return self.error(
                    ErrorCode::Conflict,
                    "a container of this name exists already; choose another name",
                );
            }
            // Of a registry that is away: "dial tcp: lookup registry-1.docker.io: no such host".
            _ if NETWORK_FAILURES.iter().any(|failure| says(failure)) => ErrorCode::Unavailable,
            409 => ErrorCode::Conflict,
            400 => ErrorCode::InvalidInput,
            401 | 403 => ErrorCode::Unauthenticated,
            404 if says("pull access denied") => ErrorCode::NotFound,
            404 => ErrorCode::NotFound,
            406 | 501 => ErrorCode::Unsupported,
            503 => ErrorCode::Unavailable,
            _ if says("port is already allocated") || says("address already in use") => {
                ErrorCode::Conflict
            }
            _ if says("does not support reading") => ErrorCode::Unsupported,
            _ if says("not found") || says("no such") || says("manifest unknown") => {
                ErrorCode::NotFound
            }
            _ if says("unauthorized") || says("denied") => ErrorCode::Unauthenticated,
            _ if says("toomanyrequests") => ErrorCode::RateLimited,
            _ => ErrorCode::Unavailable,
        };
        let mut words: String = message.trim().chars().take(MAX_ENGINE_MESSAGE).collect();
        if words.len() < message.trim().len() {
            words.push('…');
        }
        self.error(
            code,
            format_args!("the Docker engine says: {words} (status {status})"),
        )
    }
}

/// Parts of what an engine says when it does not reach a registry; in lower case.
const NETWORK_FAILURES: &[&str] = &[
    "dial tcp",
    "dial udp",
    "no such host",
    "connection refused",
    "connection reset",
    "no route to host",
    "network is unreachable",
    "i/o timeout",
    "tls handshake timeout",
    "deadline exceeded",
    "request canceled while waiting for connection",
    "server misbehaving",
    "name or service not known",
    "in name resolution",
    "proxyconnect",
];

/// An error with its causes, since transport errors only say "client error" themselves.
fn causes(error: &EngineError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some say the same as what is behind them.
        let words = error.to_string();
        if !text.contains(&words) {
            let _ = write!(text, ": {words}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_call::call;

    fn error(status_code: u16, message: &str) -> EffectError {
        EffectContext::new(EffectKind::DockerSpawn, &call("tl"), "web").engine_error(
            "unix:///s",
            &EngineError::DockerResponseServerError {
                status_code,
                message: message.to_owned(),
            },
        )
    }

    #[test]
    fn every_error_of_the_engine_has_a_code() {
        for (status, message, code) in [
            (400, "bad", ErrorCode::InvalidInput),
            (404, "no such image: x", ErrorCode::NotFound),
            (409, "container x is not running", ErrorCode::Conflict),
            (
                500,
                "Bind for 127.0.0.1:1 failed: port is already allocated",
                ErrorCode::Conflict,
            ),
            (
                501,
                "configured logging driver does not support reading",
                ErrorCode::Unsupported,
            ),
            (
                500,
                "configured logging driver does not support reading",
                ErrorCode::Unsupported,
            ),
            (
                500,
                "manifest unknown: manifest unknown",
                ErrorCode::NotFound,
            ),
            (500, "toomanyrequests: slow down", ErrorCode::RateLimited),
            (500, "no space left on device", ErrorCode::Unavailable),
            (
                500,
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 127.0.0.53:53: no such host",
                ErrorCode::Unavailable,
            ),
            (
                404,
                "failed to resolve reference: failed to do request: Head \"https://r/v2\": dial tcp 10.0.0.1:443: i/o timeout",
                ErrorCode::Unavailable,
            ),
            (
                500,
                "pinging container registry r: Get \"https://r/v2/\": net/http: TLS handshake timeout",
                ErrorCode::Unavailable,
            ),
            (
                500,
                "lookup r: Temporary failure in name resolution",
                ErrorCode::Unavailable,
            ),
            (503, "", ErrorCode::Unavailable),
        ] {
            assert_eq!(error(status, message).code, code, "{message}");
        }
    }

    #[test]
    fn a_name_conflict_does_not_reveal_the_other_container() {
        let error = error(
            409,
            "Conflict. The container name \"/web\" is already in use by container \"5f3a\".",
        );
        assert_eq!(error.code, ErrorCode::Conflict);
        assert!(!error.message.contains("5f3a"), "{error}");
    }

    #[test]
    fn long_messages_of_the_engine_are_truncated() {
        assert!(error(400, &"x".repeat(10_000)).message.len() < 600);
    }
}
