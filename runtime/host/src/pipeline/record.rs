//! The layer of the journal: writes down what a guest asks for and what it is answered, for one call.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exomonad_core::{BoxFuture, CallContext, EncodedAnswer};
use exomonad_engine::{HttpError, HttpRequest, HttpResponse, LogLevel};
use exomonad_journal::Recording;
use exomonad_journal::codec::Part;
use exomonad_schema::EffectKind;

use super::Layer;
use super::services::line_level;

/// Records one call; made for it, around the layers of its role.
pub struct RecordLayer {
    recording: Arc<Recording>,
    inner: Arc<dyn Layer>,
}

impl RecordLayer {
    /// Records what goes through these layers.
    pub fn new(recording: Arc<Recording>, inner: Arc<dyn Layer>) -> Self {
        Self { recording, inner }
    }
}

impl Layer for RecordLayer {
    fn effect<'a>(
        &'a self,
        call: &'a CallContext,
        kind: EffectKind,
        request: &'a [u8],
    ) -> BoxFuture<'a, EncodedAnswer> {
        Box::pin(async move {
            self.recording.add(Part::Effect {
                name: kind.capability(),
                request,
            });
            let begin = Instant::now();
            let answer = self.inner.effect(call, kind, request).await;
            self.recording.add(Part::EffectAnswer {
                took: begin.elapsed(),
                answer: answer.json(),
            });
            answer
        })
    }

    fn http<'a>(
        &'a self,
        call: &'a CallContext,
        request: HttpRequest,
    ) -> BoxFuture<'a, Result<HttpResponse, HttpError>> {
        Box::pin(async move {
            self.recording.add(Part::Http {
                method: request.method.as_deref().unwrap_or("GET"),
                url: &request.url,
                headers: &request.headers,
                body: &request.body,
            });
            let begin = Instant::now();
            let answer = self.inner.http(call, request).await;
            let took = begin.elapsed();
            self.recording.add(match &answer {
                Ok(response) => Part::HttpResponse {
                    took,
                    status: response.status,
                    headers: &response.headers,
                    body: &response.body,
                },
                Err(HttpError::TooLarge) => Part::HttpTooLarge { took },
                Err(HttpError::Failed(message)) => Part::HttpFailed { took, message },
            });
            answer
        })
    }

    fn log(&self, call: &CallContext, level: LogLevel, message: &str) {
        self.recording.add(Part::Log {
            level: line_level(level),
            message,
        });
        self.inner.log(call, level, message);
    }

    fn log_level(&self, call: &CallContext) -> Option<LogLevel> {
        let level = self.inner.log_level(call);
        self.recording.add(Part::LogLevel(level.map(line_level)));
        level
    }

    fn config(&self, call: &CallContext, key: &str) -> Option<String> {
        let value = self.inner.config(call, key);
        self.recording.add(Part::Config {
            key,
            value: value.as_deref(),
        });
        value
    }

    fn now(&self, call: &CallContext) -> SystemTime {
        let now = self.inner.now(call);
        self.recording.add(Part::Now(unix_nanos(now)));
        now
    }

    fn monotonic(&self, call: &CallContext) -> Duration {
        let now = self.inner.monotonic(call);
        self.recording.add(Part::Monotonic(nanos(now)));
        now
    }

    fn sleep<'a>(&'a self, call: &'a CallContext, time: Duration) -> BoxFuture<'a, ()> {
        self.recording.add(Part::Sleep(nanos(time)));
        self.inner.sleep(call, time)
    }

    fn random(&self, call: &CallContext, bytes: &mut [u8]) -> Result<(), String> {
        let result = self.inner.random(call, bytes);
        self.recording.add(match &result {
            Ok(()) => Part::Random(bytes),
            Err(reason) => Part::NoRandom(reason),
        });
        result
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// From 1677 to 2262; a clock beyond stands at the end.
fn unix_nanos(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
    }
}
