//! The innermost layer: the services, the role's configuration, the system's clocks and randomness.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime};

use exomonad_core::{BoundsMap, BoxFuture, CallContext, EffectHandler, EncodedAnswer};
use exomonad_engine::{HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_schema::effects::log::LogLevel as LineLevel;
use exomonad_schema::{EffectError, EffectKind, ErrorCode};
use exomonad_services::Http;
use exomonad_services::http::OutgoingRequest;

use super::Layer;

/// Redirects that Extism's `http_request` follows.
const REDIRECTS: u64 = 10;

/// Performs what a guest asks for.
#[derive(Clone)]
pub struct ServiceLayer {
    /// Performs the effects.
    pub effects: Arc<dyn EffectHandler>,
    /// Performs Extism's `http_request`, which is no effect of the table.
    pub http: Arc<Http>,
    /// The configuration that the guest can read.
    pub config: Arc<BTreeMap<String, String>>,
}

impl Layer for ServiceLayer {
    fn effect<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        self.effects.handle(call, kind, request)
    }

    fn http<'a>(
        &'a self,
        call: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        let traceparent = call.traceparent.as_deref();
        Box::pin(fetch(&self.http, &call.bounds, traceparent, request))
    }

    fn log(&self, call: &CallContext, level: LogLevel, message: &str) {
        exomonad_services::log::record(call, line_level(level), message);
    }

    fn log_level(&self, _: &CallContext) -> Option<LogLevel> {
        log_level()
    }

    fn config(&self, _: &CallContext, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }

    fn now(&self, _: &CallContext) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self, _: &CallContext) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }

    fn sleep<'a>(&'a self, _: &'a CallContext, time: Duration) -> BoxFuture<'a, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn random(&self, _: &CallContext, bytes: &mut [u8]) -> Result<(), String> {
        getrandom::fill(bytes).map_err(|error| format!("the system's randomness failed: {error}"))
    }
}

/// A level of the engine as the contract has it.
pub(super) fn line_level(level: LogLevel) -> LineLevel {
    match level {
        LogLevel::Trace => LineLevel::Trace,
        LogLevel::Debug => LineLevel::Debug,
        LogLevel::Info => LineLevel::Info,
        LogLevel::Warn => LineLevel::Warn,
        LogLevel::Error => LineLevel::Error,
    }
}

/// A level of the contract as the engine has it.
pub(super) fn engine_level(level: LineLevel) -> LogLevel {
    match level {
        LineLevel::Trace => LogLevel::Trace,
        LineLevel::Debug => LogLevel::Debug,
        LineLevel::Info => LogLevel::Info,
        LineLevel::Warn => LogLevel::Warn,
        LineLevel::Error => LogLevel::Error,
    }
}

/// The least level that this process logs.
pub(super) fn log_level() -> Option<LogLevel> {
    use tracing::level_filters::LevelFilter;
    match LevelFilter::current().into_level()? {
        tracing::Level::TRACE => Some(LogLevel::Trace),
        tracing::Level::DEBUG => Some(LogLevel::Debug),
        tracing::Level::INFO => Some(LogLevel::Info),
        tracing::Level::WARN => Some(LogLevel::Warn),
        tracing::Level::ERROR => Some(LogLevel::Error),
    }
}

/// Answers every effect that there are none: for commands that load a plugin without a host.
pub struct NoEffects;

impl EffectHandler for NoEffects {
    fn handle<'a>(
        &'a self,
        _: &'a CallContext,
        kind: EffectKind,
        _: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        let message = format!("{kind}: this command performs no effects");
        let error = EffectError::new(ErrorCode::EffectDenied, message);
        Box::pin(std::future::ready(EncodedAnswer::error(&error)))
    }
}

/// Performs what Extism's `http_request` asks for, as the effect `HttpRequest` would.
///
/// # Errors
/// If the bounds forbid it, or no response came.
pub async fn fetch(
    http: &Http,
    bounds: &BoundsMap,
    traceparent: Option<&str>,
    request: HttpRequest,
) -> Result<HttpResponse, HttpError> {
    let failed = |reason: String| HttpError::Failed(reason);
    let method = request.method.as_deref().unwrap_or("GET");
    let outgoing = OutgoingRequest {
        method: method
            .to_ascii_uppercase()
            .parse()
            .map_err(|_| failed(format!("`{method}` is not an HTTP method")))?,
        url: request.url,
        headers: request.headers,
        body: request.body,
        max_redirects: REDIRECTS,
        time_limit: None,
        max_response: request.max_response,
    };
    let response = http
        .send(bounds, traceparent, outgoing)
        .await
        .map_err(|failure| failed(failure.message))?;
    if response.truncated {
        return Err(HttpError::TooLarge);
    }
    Ok(HttpResponse {
        status: response.status,
        headers: response.headers,
        body: response.body,
    })
}
