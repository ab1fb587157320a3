//! The context of one effect: its kind, its role, its subject, its deadline, its requests and its errors.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use exomonad_core::policy::{Ruling, refusal};
use exomonad_core::{BoundsMap, CallContext, RoleKeys, span};
use exomonad_schema::effects::temporal::TemporalName;
use exomonad_schema::{Access, EffectError, EffectKind, ErrorCode, RoleName};
use serde::Serialize;
use temporalio_client::tonic;
use temporalio_common::payload_visitor::PayloadVisitable;
use temporalio_protos::temporal::api::common::v1::Header;
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;

use crate::Temporal;
use crate::codec::Undecodable;
use crate::connection::{Connection, time_left};
use crate::payload;
use crate::policy::{Scope, TemporalBounds};

/// An effect of a role on something of the server's.
pub(crate) struct EffectContext<'s> {
    pub(crate) service: &'s Temporal,
    kind: EffectKind,
    role: RoleName,
    bounds: Arc<BoundsMap>,
    traceparent: Option<String>,
    /// The namespace that the effect is in.
    pub(crate) namespace: String,
    /// The subject that the guest has named, as messages have it: `workflow "w1"`.
    subject: String,
    deadline: Instant,
    limit: Duration,
}

/// Details of an error, for programs.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Details {
    /// The name of the gRPC status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The run that is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The failure of an update.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failure: Vec<exomonad_schema::effects::temporal::TemporalFailure>,
    /// True if the change may have happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub outcome_unknown: bool,
}

/// The end of a message when a change may have happened.
pub(crate) const OUTCOME_UNKNOWN: &str =
    "; it may have happened all the same: look before trying again";

/// Sends one request of the workflow service, or of another one, within the effect's time, and gives its answer.
macro_rules! rpc {
    ($context:expr, $method:ident($request:expr)) => {
        rpc!($context, workflow_service, $method($request))
    };
    ($context:expr, $service:ident, $method:ident($request:expr)) => {{
        use tracing::Instrument as _;
        let context = $context;
        let connection = context.connect().await?;
        let span = context.span(stringify!($method));
        let request = context.request($request, &span);
        let mut service = connection.$service();
        let answer = service.$method(request).instrument(span.clone());
        match context.answered(answer, &span).await? {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(context.refused(&status)),
        }
    }};
}
pub(crate) use rpc;

impl Temporal {
    /// Begins an effect, if the role's bounds allow it. `subject` is what the guest has named.
    pub(crate) fn begin(
        &self,
        kind: EffectKind,
        call: &CallContext,
        subject: impl Display,
        scope: Scope<'_>,
    ) -> Result<EffectContext<'_>, EffectError> {
        let limit = self.config.time_limit.get();
        let context = EffectContext {
            service: self,
            kind,
            role: call.role.clone(),
            bounds: call.bounds.clone(),
            traceparent: call.traceparent.clone(),
            namespace: scope.namespace.unwrap_or(&self.config.namespace).to_owned(),
            subject: subject.to_string(),
            deadline: deadline_after(limit),
            limit,
        };
        let verdicts = context.bounds().decide(&self.config, kind, Some(scope));
        match refusal(&verdicts) {
            None => Ok(context),
            Some(verdict) => {
                let subject = verdict.subject.as_deref().unwrap_or("it");
                let key = context.key(verdict.key);
                let why = match &verdict.ruling {
                    Ruling::Empty(help) => format!(
                        "role `{}` reaches nothing of a Temporal server: `{key}` in exomonad.toml is empty; {help}",
                        context.role
                    ),
                    _ => format!(
                        "role `{}` may not reach {subject:?}; if it is meant to, add it to `{key}` in exomonad.toml",
                        context.role
                    ),
                };
                Err(context.error(ErrorCode::Forbidden, why))
            }
        }
    }
}

impl EffectContext<'_> {
    /// Another limit for the whole effect, as its request asks for: waiting may take long.
    pub(crate) fn wait_at_most(&mut self, limit: Duration) {
        self.limit = limit;
        self.deadline = deadline_after(limit);
    }

    pub(crate) fn kind(&self) -> EffectKind {
        self.kind
    }

    pub(crate) fn bounds(&self) -> &TemporalBounds {
        self.bounds.get()
    }

    /// The name by which the server's records know who has asked.
    pub(crate) fn identity(&self) -> String {
        format!("exomonad/{}", self.role)
    }

    /// The key that sets a field of the role, for messages.
    fn key(&self, field: &str) -> String {
        self.bounds.get::<RoleKeys>().key(&self.role, field)
    }

    /// The connection, within the effect's time.
    pub(crate) async fn connect(&self) -> Result<Connection, EffectError> {
        match tokio::time::timeout_at(self.deadline, self.service.connection()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.not_connected(&error)),
            Err(_) => Err(self.timed_out(false)),
        }
    }

    /// The header by which a workflow that is started belongs to the trace of whoever starts it.
    pub(crate) fn trace(&self) -> Option<Header> {
        let traceparent = span::traceparent(&Span::current()).or_else(|| self.traceparent.clone());
        let mut header = Header::default();
        header
            .fields
            .extend(traceparent.map(|parent| payload::trace_header(&parent)));
        (!header.fields.is_empty()).then_some(header)
    }

    /// A request whose values go as the host's codec has them.
    pub(crate) async fn encoded<M: PayloadVisitable>(
        &self,
        mut request: M,
    ) -> Result<M, EffectError> {
        self.service.codec().encode(&mut request).await?;
        Ok(request)
    }

    /// An answer with its values as they were before they were encoded. One that cannot be decoded stays as it is.
    pub(crate) async fn decoded<M: PayloadVisitable>(&self, mut answer: M) -> M {
        let codec = self.service.codec();
        // It fails for none of them.
        let _ = codec.decode(&mut answer, Undecodable::Stays).await;
        answer
    }

    /// A request with the time that is left for it, and the trace that it is part of.
    pub(crate) fn request<R>(&self, message: R, span: &Span) -> tonic::Request<R> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(time_left(self.deadline));
        let metadata = request.metadata_mut();
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = value.parse() {
                metadata.insert(name, value);
            }
        };
        if let Some(traceparent) = &self.traceparent {
            set("traceparent", traceparent);
        }
        span::propagate(span, |name, value| set(name, &value));
        request
    }

    /// Waits for an answer until the deadline.
    pub(crate) async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, tonic::Status>>,
        span: &Span,
    ) -> Result<Result<T, tonic::Status>, EffectError> {
        let answered = tokio::time::timeout_at(self.deadline, answer).await;
        match &answered {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => span::failed(span, &format!("{:?}", status.code())),
            Err(_) => span::failed(span, ErrorCode::Timeout.name()),
        }
        answered.map_err(|_| self.timed_out(self.is_write()))
    }

    /// The trace span of one request.
    pub(crate) fn span(&self, method: &'static str) -> Span {
        tracing::info_span!(
            target: span::TARGET,
            "temporal",
            otel.name = method,
            otel.kind = "client",
            rpc.system = "grpc",
            rpc.service = "temporal.api.workflowservice.v1.WorkflowService",
            rpc.method = method,
            exomonad.effect = self.kind.function(),
            error.type = Empty,
            otel.status_code = Empty,
        )
    }

    /// `temporal.start_workflow of workflow "w1" in namespace "default": …`.
    pub(crate) fn error(&self, code: ErrorCode, what_and_remedy: impl Display) -> EffectError {
        EffectError::new(
            code,
            format!(
                "{} of {} in namespace {:?}: {what_and_remedy}",
                self.kind, self.subject, self.namespace
            ),
        )
    }

    /// The effect changes something.
    pub(crate) fn is_write(&self) -> bool {
        self.kind.access() == Access::Write
    }

    /// The workflow, or the schedule, does not exist, or the role may not know of it.
    pub(crate) fn not_found(&self) -> EffectError {
        self.error(
            ErrorCode::NotFound,
            "there is none with this id, or the role's bounds leave it out; check the id, the namespace and \
             `temporal.workflow_types` of the role",
        )
    }

    /// The time is up.
    pub(crate) fn timed_out(&self, outcome_unknown: bool) -> EffectError {
        let check = match self.kind {
            EffectKind::TemporalQueryWorkflow | EffectKind::TemporalUpdateWorkflow => {
                "check that a worker polls the workflow's task queue"
            }
            _ => "check that the server is well",
        };
        let look = if outcome_unknown { OUTCOME_UNKNOWN } else { "" };
        self.error(
            ErrorCode::Timeout,
            format_args!("no answer within {:?}; {check}{look}", self.limit),
        )
        .with_details(&Details {
            outcome_unknown,
            ..Details::default()
        })
    }
}

/// The moment after a time; a time too long for the clock is a day.
fn deadline_after(limit: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(limit)
        .unwrap_or_else(|| now + Duration::from_secs(86_400))
}

/// The id of a request that the server knows again: the guest's own, or one that nothing else has.
pub(crate) fn request_id(given: Option<&TemporalName>) -> Result<String, EffectError> {
    if let Some(given) = given {
        return Ok(given.to_string());
    }
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|error| {
        EffectError::internal(format!("no randomness for a request id: {error}"))
    })?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
