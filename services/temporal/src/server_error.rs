//! Errors of the server and of the connection, as the contract's.

use exomonad_schema::{EffectError, EffectKind, ErrorCode};
use prost::Message;
use temporalio_client::tonic::{Code, Status};
use temporalio_protos::google::rpc::Status as RpcStatus;
use temporalio_protos::temporal::api::errordetails::v1::WorkflowExecutionAlreadyStartedFailure;

use crate::connection::{ConnectionError, causes, tls_cause};
use crate::effect_context::{Details, EffectContext, OUTCOME_UNKNOWN};

/// Longest text of the server's that a message holds, in characters.
const MAX_TEXT: usize = 1_000;

const NAMESPACE_REMEDY: &str =
    "check the namespace, or register it: `exomonad temporal namespace register`";

const TLS_REMEDY: &str = "check `temporal.address`, `temporal.tls_ca_file`, `temporal.tls_cert_file`, \
    `temporal.tls_key_file` and `temporal.tls_server_name` of exomonad.toml";

impl EffectContext<'_> {
    /// No connection could be opened.
    pub(crate) fn not_connected(&self, error: &ConnectionError) -> EffectError {
        let address = &self.service.config().address;
        match error {
            ConnectionError::File { .. } => self.error(
                ErrorCode::Unauthenticated,
                format_args!("{error}; the key in [temporal] of exomonad.toml names a file in PEM"),
            ),
            ConnectionError::Unreachable(why) => self.error(
                ErrorCode::Unavailable,
                format_args!(
                    "no Temporal server can be reached at {address}: {why}; check that it runs, and \
                     `temporal.address` and `temporal.tls` of exomonad.toml"
                ),
            ),
            ConnectionError::Tls(why) => self.error(
                ErrorCode::Unauthenticated,
                format_args!("the TLS connection to {address} is refused: {why}; {TLS_REMEDY}"),
            ),
            ConnectionError::Refused(status) => self.refused(status),
            ConnectionError::Settings(why) => self.error(
                ErrorCode::Unavailable,
                format_args!("{address} is no Temporal server as it is set up: {why}; {TLS_REMEDY}"),
            ),
        }
    }

    /// The server answers with an error, or the connection broke.
    pub(crate) fn refused(&self, status: &Status) -> EffectError {
        if is_timeout(status) {
            return self.timed_out(self.is_write());
        }
        let detail = Detail::of(status);
        let words = self.words(status);
        let (code, remedy) = self.meaning(status, &detail);
        // A server in trouble may have done what it was asked for.
        let outcome_unknown = self.is_write()
            && matches!(code, ErrorCode::Unavailable | ErrorCode::Timeout)
            && !is_not_sent(status);
        let look = if outcome_unknown { OUTCOME_UNKNOWN } else { "" };
        self.error(code, format_args!("{words}; {remedy}{look}"))
            .with_details(&Details {
                status: Some(format!("{:?}", status.code())),
                run_id: detail.run_id,
                outcome_unknown,
                ..Details::default()
            })
    }

    /// The server's words, without the API key.
    fn words(&self, status: &Status) -> String {
        let mut words: String = status.message().chars().take(MAX_TEXT).collect();
        if let Some(key) = &self.service.config().api_key {
            words = words.replace(key.expose(), "[API key]");
        }
        let cause = std::error::Error::source(status).map(causes);
        match (words.is_empty(), cause) {
            (true, None) => format!("the server answers {:?}", status.code()),
            (_, Some(cause)) => format!("the connection to the server failed: {cause}"),
            (false, None) => format!("the server says {words:?}"),
        }
    }

    /// The code, and what to do about it.
    fn meaning(&self, status: &Status, detail: &Detail) -> (ErrorCode, &'static str) {
        let message = status.message();
        let is_tls =
            std::error::Error::source(status).is_some_and(|cause| tls_cause(cause).is_some());
        match status.code() {
            _ if is_tls => (ErrorCode::Unauthenticated, TLS_REMEDY),
            Code::Unauthenticated => (
                ErrorCode::Unauthenticated,
                "put a valid key where `temporal.api_key_file` or `temporal.api_key_env` of exomonad.toml \
                 points, and reload the configuration",
            ),
            Code::PermissionDenied => (
                ErrorCode::Forbidden,
                "give the host's API key or certificate access to the namespace, or check \
                 `temporal.api_key_file` and `temporal.api_key_env` of exomonad.toml",
            ),
            Code::NotFound if detail.is("NamespaceNotFoundFailure") || names_namespace(message) => {
                (ErrorCode::NotFound, NAMESPACE_REMEDY)
            }
            Code::NotFound if message.contains("already completed") => {
                (ErrorCode::NotFound, "the workflow is closed")
            }
            Code::NotFound => (ErrorCode::NotFound, "check the id and the namespace"),
            Code::AlreadyExists => (
                ErrorCode::Conflict,
                match self.kind() {
                    EffectKind::TemporalRegisterNamespace => "the namespace is there: use it",
                    EffectKind::TemporalCreateSchedule => {
                        "use the schedule that is there, or delete it first"
                    }
                    _ => {
                        "use the workflow that is there, or allow what is meant by `idReuse` and `idConflict`"
                    }
                },
            ),
            Code::InvalidArgument | Code::ResourceExhausted if is_too_large(message) => (
                ErrorCode::LimitExceeded,
                "send less: the server's limit for a value is 2 MiB, unless its operator says otherwise; \
                 large data belongs elsewhere, with a reference to it here",
            ),
            Code::InvalidArgument | Code::OutOfRange => {
                (ErrorCode::Validation, "correct the request")
            }
            Code::FailedPrecondition if message.contains("no poller") => (
                ErrorCode::Unavailable,
                "start a worker that polls the workflow's task queue",
            ),
            Code::FailedPrecondition => (
                ErrorCode::Conflict,
                "the workflow or the namespace is in a state that does not allow it",
            ),
            Code::ResourceExhausted => (ErrorCode::RateLimited, "try again later"),
            Code::Unimplemented => (
                ErrorCode::Unsupported,
                "this server does not have it, or has it switched off: a newer one may",
            ),
            _ => (
                ErrorCode::Unavailable,
                "check that the server is well, and `temporal.address` of exomonad.toml; try again later",
            ),
        }
    }
}

/// The server's own name of an error, and what it tells with it.
#[derive(Debug, Default)]
struct Detail {
    name: String,
    run_id: Option<String>,
}

impl Detail {
    fn of(status: &Status) -> Self {
        let rpc = RpcStatus::decode(status.details()).unwrap_or_default();
        let Some(any) = rpc.details.first() else {
            return Self::default();
        };
        let name = any.type_url.rsplit('.').next().unwrap_or_default();
        let run_id = match name {
            "WorkflowExecutionAlreadyStartedFailure" => {
                WorkflowExecutionAlreadyStartedFailure::decode(any.value.as_slice())
                    .ok()
                    .map(|failure| failure.run_id)
                    .filter(|run| !run.is_empty())
            }
            _ => None,
        };
        Self {
            name: name.to_owned(),
            run_id,
        }
    }

    fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

/// Servers in front of Temporal's own say so in words only.
fn names_namespace(message: &str) -> bool {
    message.starts_with("Namespace ") || message.contains("amespace not found")
}

/// True for the error of a workflow or a schedule that does not exist, in a namespace that does.
pub(crate) fn is_missing(error: &EffectError) -> bool {
    error.code == ErrorCode::NotFound && !error.message.ends_with(NAMESPACE_REMEDY)
}

/// The time of the request is up: the server says so, or this side has not waited for it.
fn is_timeout(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded
        || (status.code() == Code::Cancelled && status.message().contains("Timeout expired"))
}

fn is_too_large(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("exceeds limit")
        || message.contains("exceeds size limit")
        || message.contains("message larger than max")
        || message.contains("larger than max")
}

/// The request has not left this machine.
fn is_not_sent(status: &Status) -> bool {
    let cause = std::error::Error::source(status).map(causes);
    cause.is_some_and(|cause| cause.contains("onnection refused") || cause.contains("dns error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_size_are_told_from_limits_of_rate() {
        for message in [
            "Blob data size exceeds limit.",
            "grpc: received message larger than max (5000000 vs. 4194304)",
        ] {
            assert!(is_too_large(message), "{message}");
        }
        assert!(!is_too_large("namespace rate limit exceeded"));
    }
}
