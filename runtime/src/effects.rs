//! The effect pipeline: what lies between a guest's effect and the service that performs it.
//!
//! An effect is a request with an answer; a layer is an [`EffectHandler`] around another one. From the
//! outside in: it is counted, timed and traced → is the role granted it → the service. The journal will be one more layer.

use std::sync::Arc;

use exomonad_schema::{
    BoxFuture, CallContext, EffectError, EffectHandler, EffectKind, EncodedAnswer, ErrorCode,
};
use tracing::Instrument;

use crate::telemetry::{Metrics, spans};

/// Builds the pipeline of one role over the services that all roles share.
pub fn pipeline(
    grants: impl Fn(&str) -> bool,
    grant_key: String,
    services: Arc<dyn EffectHandler>,
    metrics: Arc<Metrics>,
) -> Arc<dyn EffectHandler> {
    let granted = EffectKind::ALL
        .iter()
        .map(|kind| grants(kind.capability()))
        .collect();
    Arc::new(Observed {
        metrics,
        inner: Granted {
            granted,
            grant_key,
            inner: services,
        },
    })
}

/// Refuses what the role is not granted.
struct Granted<H> {
    /// By [`EffectKind::index`].
    granted: Vec<bool>,
    /// The key of the configuration that grants effects to this role.
    grant_key: String,
    inner: H,
}

impl<H: EffectHandler> EffectHandler for Granted<H> {
    fn handle<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        if self.granted.get(kind.index()).copied().unwrap_or(false) {
            return self.inner.handle(call, kind, request);
        }
        tracing::warn!(role = %call.role, call_id = %call.call_id, effect = kind.function(), "effect denied");
        let capability = kind.capability();
        let error = EffectError::new(
            ErrorCode::EffectDenied,
            format!(
                "{kind}: role `{}` is not granted `{capability}`; add \"{capability}\" to `{}` in exomonad.toml to grant it",
                call.role, self.grant_key
            ),
        );
        Box::pin(std::future::ready(EncodedAnswer::error(&error)))
    }
}

/// Counts and times every effect, shows it in the trace, and has a line that says how it ended.
struct Observed<H> {
    metrics: Arc<Metrics>,
    inner: H,
}

impl<H: EffectHandler> EffectHandler for Observed<H> {
    fn handle<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        let span = spans::effect(kind);
        let shown = span.clone();
        let observed = async move {
            let mark = self.metrics.effect(kind);
            let answer = self.inner.handle(call, kind, request).await;
            let outcome = answer.error_code().map_or("ok", ErrorCode::name);
            let took = mark.ended(outcome);
            if answer.error_code().is_some() {
                spans::failed(&shown, outcome);
            }
            tracing::debug!(
                effect = kind.function(),
                role = %call.role,
                call_id = %call.call_id,
                outcome,
                micros = took.as_micros() as u64,
                "effect done"
            );
            answer
        };
        match span.is_disabled() {
            true => Box::pin(observed),
            false => Box::pin(observed.instrument(span)),
        }
    }
}
