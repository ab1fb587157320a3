//! Metrics as Prometheus' text, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>), with the names that OpenTelemetry's
//! specification has for them
//! (<https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>).

use std::fmt::{Display, Write};

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, Metric, MetricData, ResourceMetrics,
};

/// The media type of the text.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything, in the order of the instruments.
pub fn text(metrics: &ResourceMetrics) -> String {
    let mut text = String::with_capacity(32 << 10);
    let about: Vec<KeyValue> = metrics
        .resource()
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect();
    head(&mut text, "target_info", "gauge", "What this host is.");
    sample(&mut text, "target_info", about.iter(), None, 1);
    for scope in metrics.scope_metrics() {
        for metric in scope.metrics() {
            match metric.data() {
                AggregatedMetrics::F64(data) => family(&mut text, metric, data),
                AggregatedMetrics::U64(data) => family(&mut text, metric, data),
                AggregatedMetrics::I64(data) => family(&mut text, metric, data),
            }
        }
    }
    text
}

fn family<T: Display + Copy>(text: &mut String, metric: &Metric, data: &MetricData<T>) {
    let says = metric.description();
    match data {
        MetricData::Gauge(gauge) => {
            let name = name(metric, false);
            head(text, &name, "gauge", says);
            for point in gauge.data_points() {
                sample(text, &name, point.attributes(), None, point.value());
            }
        }
        MetricData::Sum(sum) => {
            let name = name(metric, sum.is_monotonic());
            let kind = if sum.is_monotonic() {
                "counter"
            } else {
                "gauge"
            };
            head(text, &name, kind, says);
            for point in sum.data_points() {
                sample(text, &name, point.attributes(), None, point.value());
            }
        }
        MetricData::Histogram(histogram) => {
            let name = name(metric, false);
            head(text, &name, "histogram", says);
            for point in histogram.data_points() {
                buckets(text, &name, point);
            }
        }
        // The host has none.
        MetricData::ExponentialHistogram(_) => {}
    }
}

fn buckets<T: Display + Copy>(text: &mut String, name: &str, point: &HistogramDataPoint<T>) {
    let bucket = format!("{name}_bucket");
    let mut below = 0;
    for (bound, count) in point.bounds().zip(point.bucket_counts()) {
        below += count;
        sample(
            text,
            &bucket,
            point.attributes(),
            Some(&bound.to_string()),
            below,
        );
    }
    sample(
        text,
        &bucket,
        point.attributes(),
        Some("+Inf"),
        point.count(),
    );
    sample(
        text,
        &format!("{name}_sum"),
        point.attributes(),
        None,
        point.sum(),
    );
    sample(
        text,
        &format!("{name}_count"),
        point.attributes(),
        None,
        point.count(),
    );
}

fn head(text: &mut String, name: &str, kind: &str, says: &str) {
    let says = says.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a string cannot fail.
    let _ = write!(text, "# HELP {name} {says}\n# TYPE {name} {kind}\n");
}

fn sample<'a>(
    text: &mut String,
    name: &str,
    labels: impl Iterator<Item = &'a KeyValue>,
    below: Option<&str>,
    value: impl Display,
) {
    text.push_str(name);
    let labels = labels.map(|label| (fitting(label.key.as_str()), label.value.as_str()));
    let below = below.map(|below| ("le".to_owned(), below.into()));
    let mut before = '{';
    for (name, value) in labels.chain(below) {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _ = write!(text, "{before}{name}=\"{value}\"");
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

/// The name of a metric: with its unit, and `_total` if it only grows.
fn name(metric: &Metric, is_total: bool) -> String {
    let mut name = fitting(metric.name());
    let unit = match metric.unit() {
        "s" => "seconds",
        "By" => "bytes",
        // A count of things in braces has no unit; there are no others.
        _ => "",
    };
    if !unit.is_empty() && !name.ends_with(unit) {
        name = format!("{name}_{unit}");
    }
    if is_total && !name.ends_with("_total") {
        name.push_str("_total");
    }
    name
}

/// A name with `_` in place of what Prometheus does not allow in one.
fn fitting(name: &str) -> String {
    let mut fitting = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() => fitting.push(letter),
            // One for a run of them.
            _ if fitting.ends_with('_') => {}
            _ => fitting.push('_'),
        }
    }
    match fitting.chars().next() {
        Some('0'..='9') => format!("_{fitting}"),
        Some(_) => fitting,
        None => "_".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_nothing_that_prometheus_does_not_allow() {
        for (name, fits) in [
            (
                "http.server.request.duration",
                "http_server_request_duration",
            ),
            ("a--b..c", "a_b_c"),
            ("9lives", "_9lives"),
            ("ä", "_"),
            ("", "_"),
        ] {
            assert_eq!(fitting(name), fits);
        }
    }

    #[test]
    fn whatever_a_label_says_it_stays_within_its_line() {
        let mut text = String::new();
        let label = [KeyValue::new("who", "a\"b\\c\nd")];
        sample(&mut text, "m", label.iter(), Some("+Inf"), 1.5);
        assert_eq!(text, "m{who=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 1.5\n");
    }
}
