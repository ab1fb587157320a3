//! The effect pipeline: what lies between a guest's effect and the service that performs it.
//!
//! An effect is a request with an answer; a layer is an [`EffectHandler`] around another one. From the
//! outside in: is the role granted it → is it traced → the service. The journal will be one more layer.

use std::sync::Arc;
use std::time::Instant;

use exomonad_schema::{
    BoxFuture, CallContext, EffectError, EffectHandler, EffectKind, EncodedAnswer, ErrorCode,
};
use tracing::Instrument;

/// Builds the pipeline of one role over the services that all roles share.
pub fn pipeline(
    grants: impl Fn(&str) -> bool,
    grant_key: String,
    services: Arc<dyn EffectHandler>,
) -> Arc<dyn EffectHandler> {
    let granted = EffectKind::ALL
        .iter()
        .map(|kind| grants(kind.capability()))
        .collect();
    Arc::new(Granted {
        granted,
        grant_key,
        inner: Traced { inner: services },
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

/// Gives every effect a span, and a line that says how it ended.
struct Traced<H> {
    inner: H,
}

impl<H: EffectHandler> EffectHandler for Traced<H> {
    fn handle<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        let span = tracing::debug_span!(
            "effect",
            effect = kind.function(),
            role = %call.role,
            call_id = %call.call_id
        );
        if span.is_disabled() {
            return self.inner.handle(call, kind, request);
        }
        let timed = async move {
            let begin = Instant::now();
            let answer = self.inner.handle(call, kind, request).await;
            let outcome = answer.error_code().map_or("ok", ErrorCode::name);
            tracing::debug!(
                outcome,
                micros = begin.elapsed().as_micros() as u64,
                "effect done"
            );
            answer
        };
        Box::pin(timed.instrument(span))
    }
}
