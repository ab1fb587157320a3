//! An OTLP collector that nobody here wrote, and what has reached it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use serde_json::Value;

use crate::{
    ChildGuard, PATIENCE, command, eventually, free_port, installed_by, repository,
    required_or_skip,
};

/// A collector on loopback, by gRPC and by HTTP. It ends when it is dropped.
pub struct Collector {
    _child: ChildGuard,
    ports: [u16; 2],
    requests: Arc<Mutex<Vec<Value>>>,
}

/// A span as it was received.
#[derive(Clone, Debug)]
pub struct TelemetryItem(pub Value);

impl Collector {
    /// Starts one; `None` when it cannot be installed here, which under CI is a failure.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::at([free_port(), free_port()])
    }

    /// Starts one where another was.
    #[must_use]
    pub fn again(ports: [u16; 2]) -> Option<Self> {
        Self::at(ports)
    }

    fn at(ports: [u16; 2]) -> Option<Self> {
        let mut child = ChildGuard::spawn(
            Command::new(python()?)
                .arg(repository().join("tests/telemetry/collector.py"))
                .args(ports.map(|port| port.to_string()))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit()),
        );
        let stdout = child.stdout.take().expect("it has an output");
        let requests: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (begun, begin) = mpsc::channel();
        let kept = requests.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).expect("the collector writes JSON");
                if line["grpc"].is_u64() {
                    let _ = begun.send(line);
                } else {
                    kept.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(line);
                }
            }
        });
        let ports = begin.recv_timeout(PATIENCE).expect("the collector begins");
        let port = |name: &str| {
            ports[name]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok())
        };
        Some(Self {
            ports: [port("grpc"), port("http")].map(|port| port.expect("a port")),
            _child: child,
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

    /// The items at these keys, one inside the other, each a list, in the requests of a signal.
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
    pub fn spans(&self) -> Vec<TelemetryItem> {
        let spans = self.items("traces", ["resourceSpans", "scopeSpans", "spans"]);
        spans.into_iter().map(TelemetryItem).collect()
    }

    /// Every line of the log so far.
    #[must_use]
    pub fn lines(&self) -> Vec<TelemetryItem> {
        let lines = self.items("logs", ["resourceLogs", "scopeLogs", "logRecords"]);
        lines.into_iter().map(TelemetryItem).collect()
    }

    /// Every metric so far.
    #[must_use]
    pub fn metrics(&self) -> Vec<TelemetryItem> {
        let metrics = self.items("metrics", ["resourceMetrics", "scopeMetrics", "metrics"]);
        metrics.into_iter().map(TelemetryItem).collect()
    }

    /// Waits for a span for which this holds.
    pub async fn span(&self, what: &str, is_it: impl Fn(&TelemetryItem) -> bool) -> TelemetryItem {
        eventually(what, async || {
            self.spans().into_iter().find(|span| is_it(span))
        })
        .await
    }
}

impl TelemetryItem {
    /// Its name.
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

/// Metrics in Prometheus' text, read by Prometheus' own parser; `None` when it cannot be installed here.
#[must_use]
pub fn parsed_metrics(text: &str) -> Option<Value> {
    let mut parser = Command::new(python()?);
    parser.arg(repository().join("tests/telemetry/parse_metrics.py"));
    Some(command::run(&mut parser, text.as_bytes()).exits(0).json())
}

/// A Python with the collector's packages.
fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = || required_or_skip("an OTLP collector", installed_by("otlp-collector"));
    PYTHON.get_or_init(|| found().map(PathBuf::from)).clone()
}
