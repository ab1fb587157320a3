//! The layer of metrics and spans: counts and times every effect, and shows it in the trace.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use exomonad_core::{BoxFuture, CallContext, EncodedAnswer};
use exomonad_engine::{HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_schema::{EffectKind, ErrorCode};
use exomonad_telemetry::{Metrics, spans};
use tracing::Instrument;

use super::Layer;

/// Counts, times and traces.
pub struct Observe<L> {
    metrics: Arc<Metrics>,
    inner: L,
}

impl<L: Layer> Observe<L> {
    pub fn new(metrics: Arc<Metrics>, inner: L) -> Self {
        Self { metrics, inner }
    }

    fn observed<'a, T: Send + 'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        performed: BoxFuture<'a, T>,
        outcome: fn(&T) -> Option<&'static str>,
    ) -> BoxFuture<'a, T> {
        let span = spans::effect(kind);
        let shown = span.clone();
        let observed = async move {
            let timer = self.metrics.effect(kind);
            let answer = performed.await;
            let failed = outcome(&answer);
            let outcome = failed.unwrap_or("ok");
            let took = timer.ended(outcome);
            if failed.is_some() {
                spans::failed(&shown, outcome);
            }
            tracing::debug!(
                effect = kind.capability(),
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

impl<L: Layer> Layer for Observe<L> {
    fn effect<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        let performed = self.inner.effect(call, kind, request);
        self.observed(call, kind, performed, |answer| {
            answer.error_code().map(ErrorCode::name)
        })
    }

    /// Counted as the effect that does the same.
    fn http<'a>(
        &'a self,
        call: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        let performed = self.inner.http(call, request);
        self.observed(call, EffectKind::HttpRequest, performed, |answer| {
            answer.as_ref().err().map(|error| match error {
                HttpError::TooLarge => ErrorCode::LimitExceeded.name(),
                HttpError::Failed(_) => ErrorCode::Unavailable.name(),
            })
        })
    }

    fn log(&self, call: &CallContext, level: LogLevel, message: &str) {
        self.inner.log(call, level, message);
    }

    fn log_level(&self, call: &CallContext) -> Option<LogLevel> {
        self.inner.log_level(call)
    }

    fn config(&self, call: &CallContext, key: &str) -> Option<String> {
        self.inner.config(call, key)
    }

    fn now(&self, call: &CallContext) -> SystemTime {
        self.inner.now(call)
    }

    fn monotonic(&self, call: &CallContext) -> Duration {
        self.inner.monotonic(call)
    }

    fn sleep<'a>(&'a self, call: &'a CallContext, time: Duration) -> BoxFuture<'a, ()> {
        self.inner.sleep(call, time)
    }

    fn random(&self, call: &CallContext, bytes: &mut [u8]) -> Result<(), String> {
        self.inner.random(call, bytes)
    }
}
