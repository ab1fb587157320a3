//! The host as one call sees it: effects go through the role's pipeline, logs carry the call.

use std::sync::{Arc, LazyLock};

use exomonad_engine::{Host, HostFuture, HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_schema::{CallContext, EffectHandler, EffectKind, EncodedAnswer, Service};

use crate::http::HttpClient;
use crate::role::RoleSettings;

/// The functions of all effects, by [`EffectKind::index`]: what a plugin can import.
pub fn effect_functions() -> &'static [&'static str] {
    static FUNCTIONS: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| EffectKind::ALL.iter().map(|kind| kind.function()).collect());
    &FUNCTIONS
}

/// What one call reaches.
pub struct CallHost {
    call: CallContext,
    role: Arc<RoleSettings>,
    effects: Arc<dyn EffectHandler>,
}

impl CallHost {
    /// The host of this call, with the role's effects.
    pub fn new(call: CallContext, role: Arc<RoleSettings>) -> Self {
        let effects = role.effects.clone();
        Self {
            call,
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
        Box::pin(async move {
            HttpClient::shared()?
                .send(request, |host| {
                    self.role
                        .http_hosts
                        .iter()
                        .any(|allowed| allowed.matches(host))
                })
                .await
        })
    }
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
