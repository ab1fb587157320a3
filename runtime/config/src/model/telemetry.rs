//! `[telemetry]`: traces, logs and metrics for a collector of the OpenTelemetry protocol.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::SecretSource;
use exomonad_core::values::{Attribute, Endpoint, Ratio, TimeSpan};

/// Traces, logs and metrics for a collector of the OpenTelemetry protocol (OTLP). Nothing is sent, and
/// no span is made, while there is no `endpoint`; `GET /metrics` is there in any case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Where the collector listens: `http://localhost:4318`, or with `https`. For `http/protobuf`
    /// `/v1/traces` and the like are added to it; `grpc` usually has port 4317.
    #[schemars(example = &"http://localhost:4318")]
    pub endpoint: Option<Endpoint>,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// The signals that it gets.
    pub signals: Vec<Signal>,
    /// File with headers that go with each request, such as `authorization=Bearer …`: `name=value`,
    /// separated by commas, each value percent-encoded. Read once at start, never shown.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/otlp-headers")]
    pub headers_file: Option<PathBuf>,
    /// Environment variable with those headers, instead of `headers_file`.
    #[schemars(extend("format" = "environment-variable"), example = &"OTLP_HEADERS")]
    pub headers_env: Option<String>,
    /// The part of all traces that is recorded, where a request does not bring one that its caller
    /// has decided on.
    pub sampling: Ratio,
    /// The name that the host goes by: `service.name`.
    pub service_name: String,
    /// Further attributes of the host, sent with everything, as `name=value`, such as
    /// `deployment.environment.name=production`.
    pub resource_attributes: Vec<Attribute>,
    /// How often what there is is sent.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub interval: TimeSpan,
    /// How long the collector may take for one batch; it is tried again within that time, then dropped.
    #[schemars(extend("x-minimum" = "10ms", "x-maximum" = "10m"))]
    pub time_limit: TimeSpan,
    /// How many spans, and how many lines of the log, wait to be sent at most. Further ones are
    /// dropped, and counted.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: u32,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: OtlpProtocol::Http,
            signals: vec![Signal::Traces, Signal::Logs, Signal::Metrics],
            headers_file: None,
            headers_env: None,
            sampling: Ratio::ALL,
            service_name: "exomonad".to_owned(),
            resource_attributes: Vec::new(),
            interval: TimeSpan::secs(5),
            time_limit: TimeSpan::secs(10),
            queue: 4096,
        }
    }
}

impl TelemetryConfig {
    /// Where the headers are, if there are any.
    pub fn headers_source(&self) -> Option<SecretSource> {
        SecretSource::of(self.headers_file.as_deref(), self.headers_env.as_deref())
    }

    /// True if the collector gets this.
    pub fn sends(&self, signal: Signal) -> bool {
        self.endpoint.is_some() && self.signals.contains(&signal)
    }
}

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Spans: what took how long within what.
    Traces,
    /// The lines of the log that `log.filter` lets through.
    Logs,
    /// The metrics that `GET /metrics` shows.
    Metrics,
}

/// How OTLP is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OtlpProtocol {
    /// By gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// By HTTP, in protobuf's binary form.
    #[serde(rename = "http/protobuf")]
    Http,
}
