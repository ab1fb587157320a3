//! The layer of a call that is resumed: what the guest did before is answered from the record of it, and from where
//! that ends everything goes on to the layers below.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exomonad_core::{BoxFuture, CallContext, EncodedAnswer};
use exomonad_engine::{HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_journal::{Answers, HttpAnswer, HttpRequestRef, Reply};
use exomonad_schema::EffectKind;
use tokio::sync::Notify;

use super::Layer;
use super::services::{engine_level, line_level};

/// Answers from the record of what the call did before, and goes on where it ends.
pub struct Resumed {
    answers: Arc<Answers>,
    inner: Arc<dyn Layer>,
    stopped: Arc<Notify>,
}

impl Resumed {
    /// Goes on in these layers. `stopped` is notified if the guest does something else than before.
    pub fn new(answers: Arc<Answers>, inner: Arc<dyn Layer>, stopped: Arc<Notify>) -> Self {
        Self {
            answers,
            inner,
            stopped,
        }
    }

    /// Never ready: whoever runs the guest drops it.
    async fn stop<T>(&self) -> T {
        self.stopped.notify_one();
        std::future::pending().await
    }
}

impl Layer for Resumed {
    fn effect<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        match self.answers.effect(kind.capability(), request) {
            Reply::Answer(answer) => Box::pin(std::future::ready(EncodedAnswer::recorded(answer))),
            Reply::Live => self.inner.effect(call, kind, request),
            Reply::Stop => Box::pin(self.stop()),
        }
    }

    fn http<'a>(
        &'a self,
        call: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        let reply = self.answers.http(HttpRequestRef {
            method: request.method.as_deref().unwrap_or("GET"),
            url: &request.url,
            headers: &request.headers,
            body: &request.body,
        });
        match reply {
            Reply::Answer(answer) => Box::pin(std::future::ready(http_answer(answer))),
            Reply::Live => self.inner.http(call, request),
            Reply::Stop => Box::pin(self.stop()),
        }
    }

    fn log(&self, call: &CallContext, level: LogLevel, message: &str) {
        if !self.answers.resumed_log(line_level(level), message) {
            self.inner.log(call, level, message);
        }
    }

    fn log_level(&self, call: &CallContext) -> Option<LogLevel> {
        match self.answers.resumed_log_level() {
            Some(level) => level.map(engine_level),
            None => self.inner.log_level(call),
        }
    }

    fn config(&self, call: &CallContext, key: &str) -> Option<String> {
        self.answers
            .resumed_config(key)
            .unwrap_or_else(|| self.inner.config(call, key))
    }

    fn now(&self, call: &CallContext) -> SystemTime {
        match self.answers.resumed_now() {
            Some(nanos) => moment(nanos),
            None => self.inner.now(call),
        }
    }

    fn monotonic(&self, call: &CallContext) -> Duration {
        match self.answers.resumed_monotonic() {
            Ok(nanos) => Duration::from_nanos(nanos),
            // The host may have been started again since.
            Err(last) => self.inner.monotonic(call).max(Duration::from_nanos(last)),
        }
    }

    fn sleep<'a>(&'a self, call: &'a CallContext, time: Duration) -> BoxFuture<'a, ()> {
        match self.answers.resumed_sleep() {
            true => Box::pin(std::future::ready(())),
            false => self.inner.sleep(call, time),
        }
    }

    fn random(&self, call: &CallContext, bytes: &mut [u8]) -> Result<(), String> {
        self.answers
            .resumed_random(bytes)
            .unwrap_or_else(|| self.inner.random(call, bytes))
    }
}

/// A recorded answer to Extism's `http_request`, as the engine has it.
pub(super) fn http_answer(answer: HttpAnswer) -> Result<HttpResponse, HttpError> {
    match answer {
        HttpAnswer::Response {
            status,
            headers,
            body,
        } => Ok(HttpResponse {
            status,
            headers,
            body: body.0,
        }),
        HttpAnswer::TooLarge {} => Err(HttpError::TooLarge),
        HttpAnswer::Failed { message } => Err(HttpError::Failed(message)),
    }
}

/// A moment, from nanoseconds since 1970.
pub(super) fn moment(nanos: i64) -> SystemTime {
    let since = Duration::from_nanos(nanos.unsigned_abs());
    let moment = match nanos < 0 {
        false => UNIX_EPOCH.checked_add(since),
        true => UNIX_EPOCH.checked_sub(since),
    };
    moment.unwrap_or(UNIX_EPOCH)
}
