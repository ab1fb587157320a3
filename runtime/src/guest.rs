//! The host as one call sees it: effects go through the role's pipeline, logs carry the call.

use std::sync::{Arc, LazyLock};

use exomonad_engine::{Host, HostFuture, HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_schema::{Bounds, CallContext, EffectHandler, EffectKind, EncodedAnswer, Service};
use exomonad_services::Http;
use exomonad_services::http::OutgoingRequest;

use crate::role::RoleSettings;

/// The functions of all effects, by [`EffectKind::index`]: what a plugin can import.
pub fn effect_functions() -> &'static [&'static str] {
    static FUNCTIONS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| EffectKind::ALL.iter().map(|kind| kind.function()).collect());
    &FUNCTIONS
}

/// Redirects that Extism's `http_request` follows.
const REDIRECTS: u64 = 10;

/// What one call reaches.
pub struct CallHost {
    call: CallContext,
    role: Arc<RoleSettings>,
    effects: Arc<dyn EffectHandler>,
    /// Whether Extism's `http_request` is answered: it takes the same grant as the effect.
    may_fetch: bool,
}

impl CallHost {
    /// The host of this call, with the role's effects.
    pub fn new(call: CallContext, role: Arc<RoleSettings>) -> Self {
        let effects = role.effects.clone();
        let fetch = EffectKind::HttpRequest.capability();
        Self {
            call,
            may_fetch: role.granted.contains(&fetch),
            role,
            effects,
        }
    }

    /// The host of a plugin that is asked to describe itself: it has no effects.
    pub fn of_description(call: CallContext, role: Arc<RoleSettings>) -> Self {
        Self {
            call,
            role,
            effects: Arc::new(NoEffects),
            may_fetch: false,
        }
    }
}

impl Host for CallHost {
    fn effect(&self, effect: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        Box::pin(async move {
            match EffectKind::ALL.get(effect) {
                Some(kind) => self
                    .effects
                    .handle(&self.call, *kind, &request)
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
        self.role.config.get(key).cloned()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Trace => exomonad_schema::effects::log::LogLevel::Trace,
            LogLevel::Debug => exomonad_schema::effects::log::LogLevel::Debug,
            LogLevel::Info => exomonad_schema::effects::log::LogLevel::Info,
            LogLevel::Warn => exomonad_schema::effects::log::LogLevel::Warn,
            LogLevel::Error => exomonad_schema::effects::log::LogLevel::Error,
        };
        exomonad_services::log::record(&self.call, level, message);
    }

    fn log_level(&self) -> Option<LogLevel> {
        use tracing::level_filters::LevelFilter;
        match LevelFilter::current().into_level()? {
            tracing::Level::TRACE => Some(LogLevel::Trace),
            tracing::Level::DEBUG => Some(LogLevel::Debug),
            tracing::Level::INFO => Some(LogLevel::Info),
            tracing::Level::WARN => Some(LogLevel::Warn),
            tracing::Level::ERROR => Some(LogLevel::Error),
        }
    }

    fn http(&self, request: HttpRequest) -> HostFuture<'_, Result<HttpResponse, HttpError>> {
        if !self.may_fetch {
            let capability = EffectKind::HttpRequest.capability();
            let reason = format!(
                "`http_request` is not granted; add \"{capability}\" to `{}effects` in exomonad.toml to grant \
                 it (a plugin that lists its tools or describes itself has no effects)",
                self.role.key_prefix
            );
            return Box::pin(std::future::ready(Err(HttpError::Failed(reason))));
        }
        let bounds = &self.call.bounds;
        let traceparent = self.call.traceparent.as_deref();
        Box::pin(fetch(&self.role.http, bounds, traceparent, request))
    }
}

/// Performs what Extism's `http_request` asks for, as the effect `HttpRequest` would.
pub async fn fetch(
    http: &Http,
    bounds: &Bounds,
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

/// Answers every effect that there are none while a plugin describes itself.
pub struct NoEffects;

impl EffectHandler for NoEffects {
    fn handle<'a>(
        &'a self,
        _call: &'a CallContext,
        kind: EffectKind,
        _request: &'a [u8],
    ) -> exomonad_schema::BoxFuture<'a, EncodedAnswer> {
        let error = exomonad_schema::EffectError::new(
            exomonad_schema::ErrorCode::EffectDenied,
            format!("{kind}: a plugin that lists its tools or describes itself has no effects"),
        );
        Box::pin(std::future::ready(EncodedAnswer::error(&error)))
    }
}
