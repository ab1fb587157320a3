//! Telemetry of the host: the log on standard error, metrics, and traces, logs and metrics for a collector
//! that speaks the OpenTelemetry protocol (OTLP).
//!
//! | module | subject |
//! |---|---|
//! | `metrics` | the registry of metrics, one set for `/metrics` and for the collector |
//! | `series`, `requests` | series with their labels bound, through which is recorded |
//! | `prometheus` | metrics in Prometheus' text format |
//! | `spans` | spans of requests, calls and effects |
//! | `queue`, `export` | bounded queues, and the tasks that send what is in them |
//! | `otlp` | the exporters: gRPC or HTTP |
//!
//! Without a collector the last two rows are not there: the target of spans is off, and a span that is off
//! costs a load and a comparison.

mod export;
mod metrics;
mod otlp;
mod prometheus;
mod queue;
pub mod requests;
mod series;
pub mod spans;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use exomonad_config::{Config, LogConfig, LogFormat, SecretError, Signal, TelemetryConfig};
use exomonad_core::span::TARGET;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, FilterFn, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use self::export::Export;
use self::otlp::OtlpExporters;

pub use self::metrics::Metrics;
pub use self::prometheus::MEDIA_TYPE;
pub use self::requests::{RequestMetrics, RouteLabels};
pub use self::series::{CallSeries, Timer};

/// Filters for libraries' own lines, before the configuration's, so that it can still ask for them by name.
/// The client of Docker would repeat whole requests, environment variables included. The compiler of WASM
/// prints each function it compiles in all its forms: gigabytes, and minutes, for one plugin under `trace`.
/// Spans are the exporter's.
const QUIET: &str =
    "notify=warn,bollard=info,cranelift=info,regalloc2=info,wasmtime=info,exomonad::span=off";

/// The libraries that send telemetry. Their own log lines are not exported: exporting them would make more.
const CARRIERS: [&str; 7] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "reqwest",
    "tonic",
    "tower",
];

/// The reason why telemetry, or the log, cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The filter cannot be read.
    #[error("`log.filter` is not one: `{0}`: {1}")]
    Filter(String, tracing_subscriber::filter::ParseError),
    /// The headers for the collector cannot be read any more.
    #[error(transparent)]
    Headers(#[from] SecretError),
    /// The collector cannot be spoken to as configured.
    #[error("telemetry cannot be sent to {endpoint}: {reason}")]
    Exporter {
        /// Its address.
        endpoint: String,
        /// The reason.
        reason: String,
    },
    /// There is a log already.
    #[error("no log: {0}")]
    Log(#[from] tracing_subscriber::util::TryInitError),
}

/// The exporters that run; none without a collector.
#[derive(Default)]
pub struct Telemetry(Option<(OtlpExporters, Export)>);

impl Telemetry {
    /// Starts the log, and sending traces and logs if a collector is configured; `client` makes the HTTP
    /// client for it.
    ///
    /// # Errors
    /// If a part of the configuration cannot be used.
    pub fn start(
        config: &Config,
        env: impl Fn(&str) -> Option<String>,
        client: impl FnOnce() -> Result<reqwest::Client, String>,
    ) -> Result<Self, StartError> {
        let Some(exporters) = OtlpExporters::of(&config.telemetry, env, client)? else {
            start_log(&config.log, &config.log.filter)?;
            return Ok(Self(None));
        };
        let (telemetry, filter) = (&config.telemetry, config.log.filter.as_str());
        let mut export = Export::new(telemetry);
        let traces = match telemetry.sends(Signal::Traces) {
            true => Some(traces(telemetry, &exporters, &mut export)?),
            false => None,
        };
        let logs = match telemetry.sends(Signal::Logs) {
            true => Some(logs(telemetry, &exporters, &mut export, filter)?),
            false => None,
        };
        tracing_subscriber::registry()
            .with(lines(&config.log).with_filter(env_filter(filter)?))
            .with(traces)
            .with(logs)
            .try_init()?;
        Ok(Self(Some((exporters, export))))
    }

    /// Sends metrics, too, if a collector wants them.
    ///
    /// # Errors
    /// If the collector cannot be spoken to as configured.
    pub fn send_metrics(
        &mut self,
        config: &TelemetryConfig,
        metrics: &Arc<Metrics>,
    ) -> Result<(), StartError> {
        if let Some((exporters, export)) = &mut self.0 {
            metrics.count_drops(export.drops());
            if config.sends(Signal::Metrics) {
                export.metrics(exporters.metrics()?, metrics.clone());
            }
        }
        Ok(())
    }

    /// Sends what there still is, for at most so long.
    pub async fn finish(self, within: Duration) {
        if let Some((_, export)) = self.0 {
            export.finish(within).await;
        }
    }
}

/// Starts the log alone.
///
/// # Errors
/// If the filter is none.
pub fn start_log(config: &LogConfig, filter: &str) -> Result<(), StartError> {
    tracing_subscriber::registry()
        .with(env_filter(filter)?)
        .with(lines(config))
        .try_init()?;
    Ok(())
}

fn env_filter(filter: &str) -> Result<EnvFilter, StartError> {
    EnvFilter::try_new(format!("{QUIET},{filter}"))
        .map_err(|error| StartError::Filter(filter.to_owned(), error))
}

/// The log on standard error.
fn lines<S>(config: &LogConfig) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match config.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Pretty => lines.with_ansi(has_colors()).boxed(),
    }
}

/// True for a terminal whose user has not turned colors off (<https://no-color.org>).
fn has_colors() -> bool {
    let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !is_off && std::io::stderr().is_terminal()
}

/// The attributes of the host that go with everything it sends.
pub fn resource(config: &TelemetryConfig) -> Resource {
    let pair =
        |name: &str, value: &str| opentelemetry::KeyValue::new(name.to_owned(), value.to_owned());
    let named = [
        pair("service.name", &config.service_name),
        pair("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let more = config
        .resource_attributes
        .iter()
        .map(|attribute| pair(&attribute.name, &attribute.value));
    // The first of two of one name stays, and the name has a key of its own.
    let more = more.filter(|pair| pair.key.as_str() != "service.name");
    Resource::builder_empty()
        .with_attributes(named.into_iter().chain(more))
        .build()
}

fn traces<S>(
    config: &TelemetryConfig,
    exporters: &OtlpExporters,
    export: &mut Export,
) -> Result<impl Layer<S> + use<S>, StartError>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let resource = resource(config);
    let share = Sampler::TraceIdRatioBased(config.sampling.get());
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_resource(resource.clone())
        .with_span_processor(export.spans(exporters.spans(&resource)?))
        .build();
    // The layer's tracer keeps the provider.
    Ok(tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("exomonad"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(TARGET, Level::INFO)))
}

fn logs<S>(
    config: &TelemetryConfig,
    exporters: &OtlpExporters,
    export: &mut Export,
    filter: &str,
) -> Result<impl Layer<S> + use<S>, StartError>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let resource = resource(config);
    let provider = SdkLoggerProvider::builder()
        .with_resource(resource.clone())
        .with_log_processor(export.lines(exporters.logs(&resource)?))
        .build();
    // Without a hint of its own the filter would make everybody believe that all is wanted.
    let not_the_carriers = FilterFn::new(is_not_a_carriers).with_max_level_hint(LevelFilter::TRACE);
    Ok(OpenTelemetryTracingBridge::new(&provider)
        .with_filter(env_filter(filter)?.and(not_the_carriers)))
}

fn is_not_a_carriers(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    !CARRIERS.contains(&root) && !root.starts_with("opentelemetry")
}
