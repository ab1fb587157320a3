//! [`CrashClass`]: what becomes of an effect if the host is killed while it is under way.

use exomonad_schema::EffectKind;
use serde::Deserialize;

/// The fate of an effect if the host is killed between the guest's request and the entry of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashClass {
    /// It changes nothing: it is performed again. It is written down once, with its answer.
    Read,
    /// It writes to the state file: in the transaction of its entry, hence exactly once.
    Transaction,
    /// It may be performed again without harm. The request is written down before.
    Repeatable,
    /// A look tells if it has happened. The request is written down before.
    Reconciled,
    /// It happens at most once. The request is written down before; after a crash the guest is told
    /// `outcome_unknown`.
    Once,
}

impl CrashClass {
    /// True if doing it again might do it twice.
    pub fn changes(self) -> bool {
        matches!(self, Self::Once | Self::Transaction | Self::Reconciled)
    }
}

/// The parts of `http.request` that decide about its class.
#[derive(Deserialize)]
struct HttpParts {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
}

/// The header by which a server tells a repeated request (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The class of an effect with this request.
pub fn crash_class(kind: EffectKind, request: &[u8]) -> CrashClass {
    use EffectKind as Kind;
    match kind {
        Kind::KvSet | Kind::KvDelete | Kind::WorkflowStartChild | Kind::WorkflowSignal => {
            CrashClass::Transaction
        }
        // Doing these again gives what doing them once gives.
        Kind::GitFetch
        | Kind::GitPush
        | Kind::GitStage
        | Kind::GitSwitchBranch
        | Kind::DockerPull
        | Kind::DockerStop
        // Pausing twice is pausing once.
        | Kind::TemporalPauseSchedule
        | Kind::TemporalUnpauseSchedule
        | Kind::GitHubUpdateIssue
        | Kind::GitHubUpdatePr
        | Kind::GitHubRequestReviewers => CrashClass::Repeatable,
        Kind::GitHubCreatePr | Kind::DockerSpawn => CrashClass::Reconciled,
        // By the id the server knows a repetition.
        _ if request_id_field(kind).is_some() => CrashClass::Repeatable,
        Kind::HttpRequest => match serde_json::from_slice::<HttpParts>(request) {
            Ok(parts) => http_class(parts.method.as_deref(), parts.headers.keys()),
            // It is refused before it is sent.
            Err(_) => CrashClass::Read,
        },
        _ => match kind.access() {
            exomonad_schema::Access::Read => CrashClass::Read,
            exomonad_schema::Access::Write => CrashClass::Once,
        },
    }
}

/// The field of an effect's request by which the server knows one that is sent again. A step's own id goes into
/// it, if the guest has given none.
pub fn request_id_field(kind: EffectKind) -> Option<&'static str> {
    use EffectKind as Kind;
    match kind {
        Kind::TemporalStartWorkflow
        | Kind::TemporalSignalWithStart
        | Kind::TemporalSignalWorkflow
        | Kind::TemporalCancelWorkflow
        | Kind::TemporalCreateSchedule
        | Kind::TemporalTriggerSchedule => Some("requestId"),
        Kind::TemporalUpdateWorkflow => Some("updateId"),
        _ => None,
    }
}

/// The class of an HTTP request with this method and these headers.
pub fn http_class<'a>(
    method: Option<&str>,
    mut headers: impl Iterator<Item = &'a String>,
) -> CrashClass {
    let is_read = ["GET", "HEAD", "OPTIONS"]
        .iter()
        .any(|read| method.unwrap_or("GET").eq_ignore_ascii_case(read));
    if is_read {
        return CrashClass::Read;
    }
    match headers.any(|name| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY)) {
        true => CrashClass::Repeatable,
        false => CrashClass::Once,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_that_only_reads_is_performed_again_and_no_write_is_unless_it_says_so() {
        let http = |request: &str| crash_class(EffectKind::HttpRequest, request.as_bytes());
        assert_eq!(http(r#"{"url":"http://a"}"#), CrashClass::Read);
        assert_eq!(
            http(r#"{"url":"http://a","method":"HEAD"}"#),
            CrashClass::Read
        );
        assert_eq!(
            http(r#"{"url":"http://a","method":"POST"}"#),
            CrashClass::Once
        );
        let keyed = r#"{"url":"http://a","method":"POST","headers":{"Idempotency-Key":"7"}}"#;
        assert_eq!(http(keyed), CrashClass::Repeatable);
        let temporal = |kind| crash_class(kind, b"{}");
        assert_eq!(
            temporal(EffectKind::TemporalStartWorkflow),
            CrashClass::Repeatable
        );
        assert_eq!(
            temporal(EffectKind::TemporalTerminateWorkflow),
            CrashClass::Once
        );
        for kind in EffectKind::ALL {
            let class = crash_class(*kind, b"{}");
            if kind.access() == exomonad_schema::Access::Read {
                assert_eq!(class, CrashClass::Read, "{kind}");
            } else if *kind != EffectKind::HttpRequest {
                assert_ne!(class, CrashClass::Read, "{kind}");
            }
        }
    }
}
