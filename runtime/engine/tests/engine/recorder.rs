//! A host that records, and plugins in WAT.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exomonad_engine::{
    CallError, Engine, EngineConfig, Host, HostFuture, HttpError, HttpRequest, HttpResponse,
    Limits, LoadError, LoadOptions, LogLevel, Manifest, Output, Plugin,
};

/// The effects that the test host performs.
pub const EFFECTS: &[&str] = &["reverse", "sleep"];

/// A host that records what it is asked for.
#[derive(Default)]
pub struct Recorder {
    pub logs: Mutex<Vec<(LogLevel, String)>>,
    pub requests: Mutex<Vec<HttpRequest>>,
    pub effects: Mutex<Vec<Vec<u8>>>,
    /// Set when a sleeping effect is dropped before it ends.
    pub cancelled: Arc<std::sync::atomic::AtomicBool>,
}

struct OnDrop(Arc<std::sync::atomic::AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Host for Recorder {
    fn effect(&self, effect: usize, mut request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        self.effects.lock().unwrap().push(request.clone());
        match effect {
            0 => {
                request.reverse();
                Box::pin(std::future::ready(request))
            }
            _ => {
                let millis = String::from_utf8_lossy(&request).parse().unwrap_or(0);
                let cancelled = self.cancelled.clone();
                Box::pin(async move {
                    let guard = OnDrop(cancelled);
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    std::mem::forget(guard);
                    b"slept".to_vec()
                })
            }
        }
    }

    fn config(&self, key: &str) -> Option<String> {
        (key == "greeting").then(|| "hello".to_owned())
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.logs.lock().unwrap().push((level, message.to_owned()));
    }

    fn log_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Debug)
    }

    fn http(&self, request: HttpRequest) -> HostFuture<'_, Result<HttpResponse, HttpError>> {
        let answer = if request.url.starts_with("https://allowed.test/") {
            Ok(HttpResponse {
                status: 418,
                headers: [("x-pot".to_owned(), "tea".to_owned())].into(),
                body: [b"body:".as_slice(), &request.body].concat(),
            })
        } else {
            Err(HttpError::Failed(format!(
                "HTTP request to {} is not allowed",
                request.url
            )))
        };
        self.requests.lock().unwrap().push(request);
        Box::pin(std::future::ready(answer))
    }
}

/// An engine with a pool that fits a test.
pub fn engine() -> Engine {
    Engine::new(EngineConfig {
        sandboxes: 64,
        ..EngineConfig::default()
    })
    .unwrap()
}

pub async fn try_load(wat: &str) -> Result<Plugin, LoadError> {
    let options = LoadOptions {
        effects: EFFECTS,
        ..LoadOptions::default()
    };
    engine()
        .load(&Manifest::of_module(wat.as_bytes().to_vec()), &options)
        .await
}

pub async fn load(wat: &str) -> Plugin {
    try_load(wat).await.unwrap()
}

pub async fn call(plugin: &Plugin, export: &str, input: &[u8]) -> Result<Output, CallError> {
    call_within(plugin, Limits::default(), export, input).await
}

pub async fn call_within(
    plugin: &Plugin,
    limits: Limits,
    export: &str,
    input: &[u8],
) -> Result<Output, CallError> {
    plugin
        .call(Arc::new(Recorder::default()), limits, export, input)
        .await
}

/// A module that imports the whole Extism ABI, with the given functions, and a helper that makes a block
/// of a string in its own memory.
pub fn with_abi(body: &str) -> String {
    format!(
        r#"(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "memory_bytes" (func $memory_bytes (result i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64)))
  (import "extism:host/env" "http_status_code" (func $http_status_code (result i32)))
  (import "extism:host/env" "http_headers" (func $http_headers (result i64)))
  (import "extism:host/env" "log_info" (func $log_info (param i64)))
  (import "extism:host/env" "log_error" (func $log_error (param i64)))
  (import "extism:host/env" "get_log_level" (func $get_log_level (result i32)))
  (import "extism:host/user" "reverse" (func $reverse (param i64) (result i64)))
  (import "extism:host/user" "sleep" (func $sleep (param i64) (result i64)))
  (memory (export "memory") 1)
  (func $block (param $at i32) (param $len i32) (result i64)
    (local $block i64) (local $i i32)
    (local.set $block (call $alloc (i64.extend_i32_u (local.get $len))))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $len))
        (then
          (call $store_u8
            (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))
            (i32.load8_u (i32.add (local.get $at) (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (local.get $block))
  (func $answer (param $block i64)
    (call $output_set (local.get $block) (call $length (local.get $block))))
  {body})"#
    )
}
