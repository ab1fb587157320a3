//! The [`Host`] trait: everything outside itself that a sandbox can reach.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

/// The future of a [`Host`] method; it borrows the host.
pub type HostFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The severity of a log message; the order and the numbers are Extism's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// A request of Extism's `http_request`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct HttpRequest {
    /// The absolute URL.
    pub url: String,
    /// Header fields, each name once.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The method; `GET` when absent.
    #[serde(default)]
    pub method: Option<String>,
    /// The body, empty if there is none. It is passed next to the JSON, not in it.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// The largest response body to read, in bytes.
    #[serde(skip)]
    pub max_response: u64,
}

/// The HTTP response. A status of 400 or more is a response too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// Header fields in lower case; repeated ones are joined by `, `.
    pub headers: std::collections::BTreeMap<String, String>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The reason why an HTTP request got no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The body is longer than the request allows.
    #[error("the response is longer than the limit")]
    TooLarge,
    /// Refused by the allow-list, unreachable, or interrupted.
    #[error("{0}")]
    Failed(String),
}

/// Everything outside itself that a sandbox can reach.
///
/// The engine knows no service: it passes an effect's bytes to the host and the response's bytes to the
/// guest. All waiting happens in these futures, which hold no thread. If a call is cancelled or runs out of
/// time, the future that it waits for is dropped.
pub trait Host: Send + Sync {
    /// Performs the effect with this index in the list that the plugin was loaded with.
    ///
    /// `request` is whatever the guest passed. A failure is a response too, encoded in bytes.
    fn effect(&self, effect: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>>;

    /// True if this effect's bytes count as log volume, which has a limit of its own.
    fn is_log(&self, effect: usize) -> bool {
        let _ = effect;
        false
    }

    /// The value of a configuration key that this plugin may see.
    fn config(&self, key: &str) -> Option<String> {
        let _ = key;
        None
    }

    /// Takes a log message. Must not block.
    fn log(&self, level: LogLevel, message: &str) {
        let _ = (level, message);
    }

    /// The lowest level that is recorded; `None` if nothing is.
    fn log_level(&self) -> Option<LogLevel> {
        None
    }

    /// Performs an HTTP request if its host is on the allow-list.
    fn http(&self, request: HttpRequest) -> HostFuture<'_, Result<HttpResponse, HttpError>> {
        let refusal = format!("HTTP request to {} is not allowed", request.url);
        Box::pin(std::future::ready(Err(HttpError::Failed(refusal))))
    }

    /// The wall clock.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// A clock that never goes back, from an arbitrary start.
    fn monotonic(&self) -> Duration {
        static START: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        START.elapsed()
    }

    /// Waits for a guest that pauses by WASI.
    fn sleep(&self, time: Duration) -> HostFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    /// Fills `bytes` with randomness fit for keys.
    ///
    /// # Errors
    /// The reason why this sandbox gets no randomness; it ends the call.
    fn random(&self, bytes: &mut [u8]) -> Result<(), String> {
        getrandom::fill(bytes).map_err(|error| format!("the system's randomness failed: {error}"))
    }
}
