//! The layer of grants: refuses effects that the role is not granted, and requests that are too large.

use std::time::{Duration, SystemTime};

use exomonad_config::ByteSize;
use exomonad_core::{BoxFuture, CallContext, EncodedAnswer};
use exomonad_engine::{HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_schema::{EffectError, EffectKind, ErrorCode};

use super::Layer;

/// The effects that a role is granted.
#[derive(Clone, Debug)]
pub struct Grants {
    /// By [`EffectKind::index`].
    granted: Vec<bool>,
    /// The end of the sentence that refuses an effect: what to do about it.
    remedy: Remedy,
    /// Bytes that a request may have, and the key that sets it.
    largest: Option<(u64, String)>,
}

#[derive(Clone, Debug)]
enum Remedy {
    /// A block for the configuration file that grants it; `{capability}` is filled in.
    Block(String),
    /// Nothing can be done: a plugin that describes itself has no effects.
    Describing,
}

impl Grants {
    /// The grants of a role. `block` is the text that tells how to grant one more, with `{capability}` in
    /// the place of its name.
    pub fn new(is_granted: impl Fn(&str) -> bool, block: String) -> Self {
        Self {
            granted: EffectKind::ALL
                .iter()
                .map(|kind| is_granted(kind.capability()))
                .collect(),
            remedy: Remedy::Block(block),
            largest: None,
        }
    }

    /// No grants: for a plugin that lists its tools or describes itself.
    pub fn of_description() -> Self {
        Self {
            granted: Vec::new(),
            remedy: Remedy::Describing,
            largest: None,
        }
    }

    /// Refuses requests of more bytes than this; `key` sets the number.
    #[must_use]
    pub fn with_largest_request(self, bytes: u64, key: String) -> Self {
        Self {
            largest: Some((bytes, key)),
            ..self
        }
    }

    /// The reason why a request of this many bytes is refused.
    fn too_large(&self, asked: &str, bytes: usize) -> Option<String> {
        let (most, key) = self.largest.as_ref()?;
        (bytes as u64 > *most).then(|| {
            format!(
                "{asked}: the request has {bytes} bytes, and the limit is {}; `{key}` sets it",
                ByteSize::bytes(*most)
            )
        })
    }

    /// True if this effect is granted.
    pub fn contains(&self, kind: EffectKind) -> bool {
        self.granted.get(kind.index()).copied().unwrap_or(false)
    }

    fn refusal(&self, call: &CallContext, kind: EffectKind, asked: &str) -> String {
        tracing::warn!(role = %call.role, call_id = %call.call_id, effect = kind.capability(), "effect denied");
        let capability = kind.capability();
        match &self.remedy {
            Remedy::Block(block) => format!(
                "{asked}: role `{}` is not granted `{capability}`; {}",
                call.role,
                block.replace("{capability}", capability)
            ),
            Remedy::Describing => {
                format!("{asked}: a plugin that lists its tools or describes itself has no effects")
            }
        }
    }
}

/// Refuses what is not granted; see [`Grants`].
pub struct Granted<L> {
    grants: Grants,
    inner: L,
}

impl<L> Granted<L> {
    pub fn new(grants: Grants, inner: L) -> Self {
        Self { grants, inner }
    }
}

impl<L: Layer> Layer for Granted<L> {
    fn effect<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        if self.grants.contains(kind) {
            return match self.grants.too_large(kind.capability(), request.len()) {
                None => self.inner.effect(call, kind, request),
                Some(message) => {
                    let error = EffectError::new(ErrorCode::LimitExceeded, message);
                    Box::pin(std::future::ready(EncodedAnswer::error(&error)))
                }
            };
        }
        let message = self.grants.refusal(call, kind, kind.capability());
        let error = EffectError::new(ErrorCode::EffectDenied, message);
        Box::pin(std::future::ready(EncodedAnswer::error(&error)))
    }

    /// Takes the same grant as the effect.
    fn http<'a>(
        &'a self,
        call: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        if self.grants.contains(EffectKind::HttpRequest) {
            return match self.grants.too_large("http_request", request.body.len()) {
                None => self.inner.http(call, request),
                Some(message) => Box::pin(std::future::ready(Err(HttpError::Failed(message)))),
            };
        }
        let message = self
            .grants
            .refusal(call, EffectKind::HttpRequest, "http_request");
        Box::pin(std::future::ready(Err(HttpError::Failed(message))))
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
