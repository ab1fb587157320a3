//! The pipeline: everything that a guest can observe passes one stack of layers.
//!
//! A guest reaches outside its sandbox through the engine's `Host` alone: effects, Extism's `http_request`,
//! its configuration, log lines and the log level, clocks and randomness. [`CallHost`] hands each of these
//! to the role's stack:
//!
//! ```text
//! journal → metrics and spans → grants → services
//! ```
//!
//! Each is a [`Layer`] around the next. A layer that is put into [`stack`] sees every request of a guest
//! with its answer. The journal's is put around the stack of one call, if that is to be recorded: outside of the
//! grants, since a guest sees a refusal, too. In a replay [`Replayed`] stands in the place of the whole stack. A call
//! that has waited for its client is run again behind [`Resumed`], which repeats what it did before.
//! Limits are counted before the first layer, by the engine's meter: it holds them while it reads the request
//! from the guest's memory.

mod grants;
mod observe;
mod record;
mod replayed;
mod resumed;
mod services;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use exomonad_core::{BoxFuture, CallContext, EncodedAnswer};
use exomonad_engine::{Host, HostFuture, HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_schema::{EffectKind, Service};
use exomonad_telemetry::Metrics;

pub use self::grants::Grants;
pub use self::record::RecordLayer;
pub use self::replayed::Replayed;
pub use self::resumed::Resumed;
pub use self::services::{NoEffects, ServiceLayer, fetch};

/// Everything that a guest can ask of the host.
pub trait Layer: Send + Sync {
    /// Performs an effect, whose request is JSON.
    fn effect<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer>;

    /// Performs Extism's `http_request`.
    fn http<'a>(
        &'a self,
        call: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>>;

    /// Takes a line of the guest's log. Must not block.
    fn log(&self, call: &CallContext, level: LogLevel, message: &str);

    /// The least level that is logged; `None` if nothing is.
    fn log_level(&self, call: &CallContext) -> Option<LogLevel>;

    /// A value of the guest's configuration.
    fn config(&self, call: &CallContext, key: &str) -> Option<String>;

    /// The wall clock.
    fn now(&self, call: &CallContext) -> SystemTime;

    /// A clock that never goes back, from an arbitrary start.
    fn monotonic(&self, call: &CallContext) -> Duration;

    /// Waits for a guest that pauses by WASI.
    fn sleep<'a>(&'a self, call: &'a CallContext, time: Duration) -> BoxFuture<'a, ()>;

    /// Fills `bytes` with randomness fit for keys.
    ///
    /// # Errors
    /// A reason why there is none; it ends the call.
    fn random(&self, call: &CallContext, bytes: &mut [u8]) -> Result<(), String>;
}

/// The stack of a role, outermost layer first.
pub fn stack(grants: Grants, services: ServiceLayer, metrics: Arc<Metrics>) -> Arc<dyn Layer> {
    Arc::new(observe::Observe::new(
        metrics,
        grants::Granted::new(grants, services),
    ))
}

/// The host functions of all effects, by [`EffectKind::index`]: what a plugin can import.
pub fn effect_functions() -> &'static [&'static str] {
    static FUNCTIONS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| EffectKind::ALL.iter().map(|kind| kind.function()).collect());
    &FUNCTIONS
}

/// The host as the engine sees it during one call.
pub struct CallHost {
    call: CallContext,
    layers: Arc<dyn Layer>,
}

impl CallHost {
    /// The host of a call that goes through these layers.
    pub fn new(call: CallContext, layers: Arc<dyn Layer>) -> Self {
        Self { call, layers }
    }
}

impl Host for CallHost {
    fn effect(&self, effect: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        Box::pin(async move {
            match EffectKind::ALL.get(effect) {
                Some(kind) => self
                    .layers
                    .effect(&self.call, *kind, &request)
                    .await
                    .into_json(),
                // Not reached: the engine counts within the list it was given.
                None => Vec::new(),
            }
        })
    }

    fn is_log(&self, effect: usize) -> bool {
        EffectKind::ALL
            .get(effect)
            .is_some_and(|kind| kind.service() == Service::Log)
    }

    fn config(&self, key: &str) -> Option<String> {
        self.layers.config(&self.call, key)
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.layers.log(&self.call, level, message);
    }

    fn log_level(&self) -> Option<LogLevel> {
        self.layers.log_level(&self.call)
    }

    fn http(&self, request: HttpRequest) -> HostFuture<'_, Result<HttpResponse, HttpError>> {
        self.layers.http(&self.call, request)
    }

    fn now(&self) -> SystemTime {
        self.layers.now(&self.call)
    }

    fn monotonic(&self) -> Duration {
        self.layers.monotonic(&self.call)
    }

    fn sleep(&self, time: Duration) -> HostFuture<'_, ()> {
        self.layers.sleep(&self.call, time)
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), String> {
        self.layers.random(&self.call, bytes)
    }
}

#[cfg(test)]
mod tests;
