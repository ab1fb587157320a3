//! A receiver of OTLP that nobody here wrote, and what has reached it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use serde_json::Value;

use crate::{PATIENCE, eventually, program};

/// A receiver on loopback, by gRPC and by HTTP. It ends when it is dropped.
pub struct Receiver {
    child: Child,
    ports: [u16; 2],
    requests: Arc<Mutex<Vec<Value>>>,
}

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct Received(pub Value);

impl Receiver {
    /// Starts one; `None` when it cannot be installed here, which under CI is a failure.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::at(&[])
    }

    /// Starts one where another was.
    #[must_use]
    pub fn again(ports: [u16; 2]) -> Option<Self> {
        Self::at(&ports)
    }

    fn at(ports: &[u16]) -> Option<Self> {
        let python = python()?;
        let mut child = Command::new(python)
            .arg(folder().join("telemetry/receiver.py"))
            .args(ports.iter().map(ToString::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the receiver starts");
        let stdout = child.stdout.take().expect("it has an output");
        let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (begun, begin) = mpsc::channel();
        let kept = requests.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).expect("the receiver writes JSON");
                if line["grpc"].is_u64() {
                    let _ = begun.send(line);
                } else {
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            }
        });
        let ports = begin.recv_timeout(PATIENCE).expect("the receiver begins");
        let port = |name: &str| {
            ports[name]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
        };
        Some(Self {
            ports: [port("grpc"), port("http")].map(|port| port.expect("a port")),
            child,
            requests,
        })
    }

    /// Where it listens: by gRPC, by HTTP.
    #[must_use]
    pub fn ports(&self) -> [u16; 2] {
        self.ports
    }

    /// The address for gRPC.
    #[must_use]
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// The address for HTTP.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    /// Every request so far: how it came, what it is, its headers, its message.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What is at these keys, one inside the other, each a list, in the requests of a signal.
    fn items(&self, signal: &str, keys: [&str; 3]) -> Vec<Value> {
        let requests = self.requests().into_iter();
        let messages = requests
            .filter(|request| request["signal"] == signal)
            .map(|request| request["message"].clone());
        keys.iter()
            .fold(messages.collect(), |parts: Vec<Value>, key| {
                let inner = parts.iter().filter_map(|part| part[key].as_array());
                inner.flatten().cloned().collect()
            })
    }

    /// Every span so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Received> {
        let spans = self.items("traces", ["resourceSpans", "scopeSpans", "spans"]);
        spans.into_iter().map(Received).collect()
    }

    /// Every line of the log so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Received> {
        let lines = self.items("logs", ["resourceLogs", "scopeLogs", "logRecords"]);
        lines.into_iter().map(Received).collect()
    }

    /// Every metric so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<Received> {
        let metrics = self.items("metrics", ["resourceMetrics", "scopeMetrics", "metrics"]);
        metrics.into_iter().map(Received).collect()
    }

    /// Waits for a span for which this holds.
    pub async fn span(&self, what: &str, is_it: impl Fn(&Received) -> bool) -> Received {
        eventually(what, async || {
            self.spans().into_iter().find(|span| is_it(span))
        })
        .await
    }
}

impl Received {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// A field that is text.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// An attribute as text, whatever it is; empty if there is none of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> String {
        attribute(&self.0["attributes"], name)
    }
}

/// An attribute in a list of them.
fn attribute(attributes: &Value, name: &str) -> String {
    let mut all = attributes.as_array().into_iter().flatten();
    let found = all.find(|attribute| attribute["key"] == name);
    let value = found.and_then(|found| found["value"].as_object()?.values().next().cloned());
    match value {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Metrics in Prometheus' text, read by Prometheus' own parser; `None` when it cannot be installed here.
#[must_use]
pub fn parsed_metrics(text: &str) -> Option<Value> {
    let mut command = Command::new(python()?);
    command.arg(folder().join("telemetry/parse_metrics.py"));
    Some(program::run(&mut command, text.as_bytes()).exits(0).json())
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A Python with the receiver's packages.
fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(installed).clone()
}

fn installed() -> Option<PathBuf> {
    let script = folder().join("../scripts/otlp-receiver");
    let output = Command::new(script).stderr(Stdio::inherit()).output();
    let output = output.ok().filter(|output| output.status.success());
    let Some(output) = output else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "under CI nothing is skipped, and scripts/otlp-receiver fails"
        );
        println!("SKIPPED: scripts/otlp-receiver cannot install a receiver here");
        return None;
    };
    Some(PathBuf::from(
        String::from_utf8_lossy(&output.stdout).trim(),
    ))
}
