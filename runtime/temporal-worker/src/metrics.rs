//! [`CoreMetrics`]: the metrics of Temporal's core, in the host's own registry. They are at `/metrics` and go to the
//! collector with the others; there is no second exporter. Durations are in seconds.

use std::any::Any;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    Counter as OtelCounter, Gauge as OtelGauge, Histogram as OtelHistogram, Meter,
    UpDownCounter as OtelUpDownCounter,
};
use temporalio_common::telemetry::metrics::core::CustomMetricAttributes;
use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, CounterBase, Gauge, GaugeBase, GaugeF64, GaugeF64Base, Histogram,
    HistogramBase, HistogramDuration, HistogramDurationBase, HistogramF64, HistogramF64Base,
    MetricAttributable, MetricAttributes, MetricParameters, MetricValue, NewAttributes,
    UpDownCounter, UpDownCounterBase, default_buckets_for,
};

/// The prefix of core's metrics, which its table of buckets does not have.
const PREFIX: &str = "temporal_";

/// The metrics of Temporal's core, in this meter.
#[derive(Debug)]
pub(crate) struct CoreMetrics(pub Meter);

/// The labels of an instrument.
#[derive(Clone, Debug, Default)]
struct Labels(Vec<KeyValue>);

impl CustomMetricAttributes for Labels {
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

fn labels(attributes: &MetricAttributes) -> Arc<Labels> {
    match attributes {
        MetricAttributes::Dynamic(labels) => labels.clone().as_any().downcast().unwrap_or_default(),
        _ => Arc::default(),
    }
}

fn extended(before: &Labels, more: NewAttributes) -> MetricAttributes {
    let mut labels = before.clone();
    for more in more.attributes {
        let value: opentelemetry::Value = match more.value {
            MetricValue::String(text) => text.into(),
            MetricValue::Int(number) => number.into(),
            MetricValue::Float(number) => number.into(),
            MetricValue::Bool(is_so) => is_so.into(),
        };
        // One of the same name is replaced.
        labels.0.retain(|label| label.key.as_str() != more.key);
        labels.0.push(KeyValue::new(more.key, value));
    }
    MetricAttributes::Dynamic(Arc::new(labels))
}

/// An instrument, and one with its labels.
struct Instrument<T>(T);

struct Labelled<T> {
    instrument: T,
    labels: Arc<Labels>,
}

/// Lets an instrument be labelled, and record by `$record`.
macro_rules! records {
    ($Instrument:ty, $Base:ident, $method:ident($value:ident: $Value:ty) => $record:ident($recorded:expr)) => {
        impl MetricAttributable<Box<dyn $Base>> for Instrument<$Instrument> {
            fn with_attributes(
                &self,
                attributes: &MetricAttributes,
            ) -> Result<Box<dyn $Base>, Box<dyn Error>> {
                Ok(Box::new(Labelled {
                    instrument: self.0.clone(),
                    labels: labels(attributes),
                }))
            }
        }

        impl $Base for Labelled<$Instrument> {
            fn $method(&self, $value: $Value) {
                self.instrument.$record($recorded, &self.labels.0);
            }
        }
    };
}

records!(OtelCounter<u64>, CounterBase, adds(value: u64) => add(value));
records!(OtelUpDownCounter<i64>, UpDownCounterBase, adds(value: i64) => add(value));
records!(OtelGauge<u64>, GaugeBase, records(value: u64) => record(value));
records!(OtelGauge<f64>, GaugeF64Base, records(value: f64) => record(value));
records!(OtelHistogram<u64>, HistogramBase, records(value: u64) => record(value));
records!(OtelHistogram<f64>, HistogramF64Base, records(value: f64) => record(value));
records!(OtelHistogram<f64>, HistogramDurationBase, records(value: Duration) => record(value.as_secs_f64()));

impl CoreMetrics {
    fn seconds(&self, params: MetricParameters) -> OtelHistogram<f64> {
        let name = params.name.trim_start_matches(PREFIX);
        let buckets = default_buckets_for(name, true).to_vec();
        self.0
            .f64_histogram(params.name)
            .with_description(params.description)
            .with_unit("s")
            .with_boundaries(buckets)
            .build()
    }
}

/// An instrument as core's parameters describe it.
macro_rules! instrument {
    ($meter:expr, $kind:ident, $params:ident) => {
        Arc::new(Instrument(
            $meter
                .$kind($params.name)
                .with_description($params.description)
                .with_unit($params.unit)
                .build(),
        ))
    };
}

impl CoreMeter for CoreMetrics {
    fn new_attributes(&self, attributes: NewAttributes) -> MetricAttributes {
        extended(&Labels::default(), attributes)
    }

    fn extend_attributes(
        &self,
        existing: MetricAttributes,
        attributes: NewAttributes,
    ) -> MetricAttributes {
        extended(&labels(&existing), attributes)
    }

    fn counter(&self, params: MetricParameters) -> Counter {
        Counter::new(instrument!(self.0, u64_counter, params))
    }

    fn histogram(&self, params: MetricParameters) -> Histogram {
        Histogram::new(instrument!(self.0, u64_histogram, params))
    }

    fn histogram_f64(&self, params: MetricParameters) -> HistogramF64 {
        HistogramF64::new(instrument!(self.0, f64_histogram, params))
    }

    fn histogram_duration(&self, params: MetricParameters) -> HistogramDuration {
        HistogramDuration::new(Arc::new(Instrument(self.seconds(params))))
    }

    fn gauge(&self, params: MetricParameters) -> Gauge {
        Gauge::new(instrument!(self.0, u64_gauge, params))
    }

    fn gauge_f64(&self, params: MetricParameters) -> GaugeF64 {
        GaugeF64::new(instrument!(self.0, f64_gauge, params))
    }

    fn up_down_counter(&self, params: MetricParameters) -> UpDownCounter {
        UpDownCounter::new(instrument!(self.0, i64_up_down_counter, params))
    }
}
