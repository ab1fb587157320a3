//! The layer of a replay: a record answers in the place of the services, and nothing is performed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use exomonad_core::{BoxFuture, CallContext, EncodedAnswer};
use exomonad_engine::{HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_journal::{Answers, HttpRequestRef, Reply};
use exomonad_schema::EffectKind;
use tokio::sync::Notify;

use super::Layer;
use super::resumed::{http_answer, moment};
use super::services::{engine_level, line_level, log_level};

/// Answers from a record.
pub struct Replayed {
    answers: Arc<Answers>,
    /// The role's configuration today, for keys that the recorded call did not read.
    config: Arc<BTreeMap<String, String>>,
    stopped: Notify,
}

impl Replayed {
    /// Answers from this record.
    pub fn new(answers: Arc<Answers>, config: Arc<BTreeMap<String, String>>) -> Self {
        Self {
            answers,
            config,
            stopped: Notify::new(),
        }
    }

    /// Waits until the guest asks for what the record has no answer to. It never gets one: whoever runs it
    /// drops it then.
    pub async fn stopped(&self) {
        self.stopped.notified().await;
    }

    async fn or_stop<T>(&self, reply: Reply<T>) -> T {
        match reply {
            Reply::Answer(answer) => answer,
            // A record that is replayed to its end does not go on.
            Reply::Stop | Reply::Live => {
                self.stopped.notify_one();
                std::future::pending().await
            }
        }
    }
}

impl Layer for Replayed {
    fn effect<'a>(
        &'a self,
        _: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        Box::pin(async move {
            let reply = self.answers.effect(kind.capability(), request);
            EncodedAnswer::recorded(self.or_stop(reply).await)
        })
    }

    fn http<'a>(
        &'a self,
        _: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        Box::pin(async move {
            let reply = self.answers.http(HttpRequestRef {
                method: request.method.as_deref().unwrap_or("GET"),
                url: &request.url,
                headers: &request.headers,
                body: &request.body,
            });
            http_answer(self.or_stop(reply).await)
        })
    }

    fn log(&self, _: &CallContext, level: LogLevel, message: &str) {
        self.answers.log(line_level(level), message);
    }

    fn log_level(&self, _: &CallContext) -> Option<LogLevel> {
        let today = log_level().map(line_level);
        self.answers.log_level(today).map(engine_level)
    }

    fn config(&self, _: &CallContext, key: &str) -> Option<String> {
        self.answers.config(key, || self.config.get(key).cloned())
    }

    fn now(&self, _: &CallContext) -> SystemTime {
        moment(self.answers.now())
    }

    fn monotonic(&self, _: &CallContext) -> Duration {
        Duration::from_nanos(self.answers.monotonic())
    }

    /// The clock that the guest reads next has gone on as it did.
    fn sleep<'a>(&'a self, _: &'a CallContext, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn random(&self, _: &CallContext, bytes: &mut [u8]) -> Result<(), String> {
        self.answers.random(bytes)
    }
}
