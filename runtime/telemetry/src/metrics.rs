//! Metrics registry: one set of instruments serves `/metrics` and the OTLP exporters.
//!
//! Recording is a handle that knows its series already ([`BoundCounter`], [`BoundHistogram`]): recording
//! compares no attributes. Every label has few values: roles, the tools that a plugin lists, the
//! effects, routes and codes there are; nothing that a request says becomes one. Names follow
//! OpenTelemetry's conventions where there are some.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use exomonad_schema::{EffectKind, RoleName};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, MeterProvider};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality,
};

use super::prometheus;
use super::queue::DropCounters;
use super::series::{CallMetrics, CallSeries, Series, Timer, effect_outcomes};
use crate::requests::{RequestMetrics, RouteLabels};

/// Seconds, from the cheapest effect to the slowest call.
const SECONDS: [f64; 20] = [
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// The instruments, and what reads them.
pub struct Metrics {
    reader: Arc<ManualReader>,
    /// Keeps the instruments alive.
    _provider: SdkMeterProvider,
    meter: Meter,
    effects: Vec<Series>,
    request_duration: Histogram<f64>,
    tools: CallMetrics,
    hooks: CallMetrics,
    limits: Counter<u64>,
    reloads: Counter<u64>,
}

impl Metrics {
    /// All instruments, for a host of this description.
    pub fn new(resource: Resource) -> Arc<Self> {
        let reader = Arc::new(ManualReader::builder().build());
        let provider = SdkMeterProvider::builder()
            .with_reader(Shared(reader.clone()))
            .with_resource(resource)
            .build();
        let meter = provider.meter("exomonad");
        let counter = |name, unit, says| {
            meter
                .u64_counter(name)
                .with_unit(unit)
                .with_description(says)
                .build()
        };
        let seconds = |name, says| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(says)
                .with_boundaries(SECONDS.to_vec())
                .build()
        };
        let family = |kind: &str, label, says: &str| CallMetrics {
            calls: counter(
                format!("exomonad.{kind}.calls"),
                "{call}",
                format!("{says} that have ended."),
            ),
            duration: seconds(
                format!("exomonad.{kind}.duration"),
                format!("How long {} took, waiting included.", says.to_lowercase()),
            ),
            label,
        };
        let effects = CallMetrics {
            calls: counter(
                "exomonad.effects".to_owned(),
                "{effect}",
                "Effects that guests asked for.".to_owned(),
            ),
            duration: seconds(
                "exomonad.effect.duration".to_owned(),
                "How long effects took.".to_owned(),
            ),
            label: "exomonad.effect",
        };
        let codes: &'static [&'static str] = effect_outcomes();
        Arc::new(Self {
            effects: EffectKind::ALL
                .iter()
                .map(|kind| {
                    effects.timed(vec![KeyValue::new(effects.label, kind.function())], codes)
                })
                .collect(),
            request_duration: seconds(
                "http.server.request.duration".to_owned(),
                "How long requests took.".to_owned(),
            ),
            tools: family("tool", "gen_ai.tool.name", "Calls of tools"),
            hooks: family("hook", "exomonad.hook", "Hooks"),
            limits: counter(
                "exomonad.limits.hit".to_owned(),
                "{hit}",
                "Limits that calls have hit, by their keys.".to_owned(),
            ),
            reloads: counter(
                "exomonad.reloads".to_owned(),
                "{reload}",
                "Plugins that were loaded, removed or refused.".to_owned(),
            ),
            reader,
            meter,
            _provider: provider,
        })
    }

    /// The meter, for gauges of what this crate knows nothing of.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Everything as it is now; `None` if it cannot be had.
    pub(super) fn collect(&self) -> Option<ResourceMetrics> {
        let mut collected = ResourceMetrics::default();
        self.reader.collect(&mut collected).ok()?;
        Some(collected)
    }

    /// Everything as it is now, as Prometheus reads it.
    pub fn text(&self) -> String {
        self.collect()
            .as_ref()
            .map(prometheus::text)
            .unwrap_or_default()
    }

    /// The series of a tool that a role's plugin lists.
    pub fn tool(&self, role: &RoleName, tool: &str) -> CallSeries {
        self.tools.series(role, tool)
    }

    /// The series of an event that a role's plugin decides on.
    pub fn hook(&self, role: &RoleName, event: &'static str) -> CallSeries {
        self.hooks.series(role, event)
    }

    /// Begins to time an effect.
    pub fn effect(&self, kind: EffectKind) -> Timer<'_> {
        // The table has a row for each of `EffectKind::ALL`.
        self.effects[kind.index()].begin()
    }

    /// Counts a call that hit one of its role's limits.
    pub fn hit(&self, role: &RoleName, limit: &'static str) {
        self.limits.add(
            1,
            &[
                KeyValue::new("exomonad.role", role.to_string()),
                KeyValue::new("exomonad.limit", limit),
            ],
        );
    }

    /// Counts a plugin that was loaded, removed or refused.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads
            .add(1, &[KeyValue::new("exomonad.outcome", outcome)]);
    }

    /// The series of requests to these routes.
    pub fn requests(&self, routes: impl IntoIterator<Item = RouteLabels>) -> RequestMetrics {
        RequestMetrics::new(self.request_duration.clone(), routes)
    }

    /// Shows how much telemetry was dropped.
    pub(super) fn count_drops(&self, drops: Arc<DropCounters>) {
        self.meter
            .u64_observable_counter("exomonad.telemetry.dropped")
            .with_unit("{item}")
            .with_description("Spans and lines of the log that were not sent.")
            .with_callback(move |observer| {
                for (signal, count) in [("traces", &drops.spans), ("logs", &drops.lines)] {
                    observer.observe(
                        count.load(Ordering::Relaxed),
                        &[KeyValue::new("exomonad.signal", signal)],
                    );
                }
            })
            .build();
    }
}

/// The reader as the provider and those who read have it.
#[derive(Debug)]
struct Shared(Arc<ManualReader>);

impl MetricReader for Shared {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
