//! The series of one tool, hook or effect: how often, with which outcome, and how long.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use exomonad_schema::{ErrorCode, RoleName};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

/// The outcome of a call that nobody waits for any more.
const CANCELLED: &str = "cancelled";

/// Common outcomes, pre-bound; others take the slow path.
const OF_CALLS: &[&str] = &[
    "ok",
    "tool_error",
    "invalid_arguments",
    "guest_failed",
    "guest_trapped",
    "limit_exceeded",
    "invalid_answer",
    "queue_full",
    "no_sandbox",
    CANCELLED,
];

/// How effects end.
pub fn effect_outcomes() -> &'static [&'static str] {
    static OUTCOMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    OUTCOMES.get_or_init(|| {
        let codes = ErrorCode::ALL.iter().map(|code| code.name());
        std::iter::once("ok").chain(codes).collect()
    })
}

/// A counter with an outcome, and a histogram without.
pub struct CallMetrics {
    /// Counts.
    pub calls: Counter<u64>,
    /// Times.
    pub duration: Histogram<f64>,
    /// The label for what is counted.
    pub label: &'static str,
}

impl CallMetrics {
    /// The series with these labels, and one of these outcomes.
    pub fn timed(&self, common: Vec<KeyValue>, outcomes: &'static [&'static str]) -> Series {
        Series {
            calls: self.calls.clone(),
            duration: self.duration.clone(),
            bound: OnceLock::new(),
            series: outcomes.iter().map(|_| OnceLock::new()).collect(),
            common,
            outcomes,
        }
    }

    /// The series of what a role has under this name.
    pub fn series(&self, role: &RoleName, name: &str) -> CallSeries {
        let common = vec![
            KeyValue::new("exomonad.role", role.to_string()),
            KeyValue::new(self.label, name.to_owned()),
        ];
        CallSeries(self.timed(common, OF_CALLS))
    }
}

/// The series of one tool, hook or effect. Each appears when it is first recorded.
pub struct Series {
    calls: Counter<u64>,
    duration: Histogram<f64>,
    bound: OnceLock<BoundHistogram<f64>>,
    series: Box<[OnceLock<BoundCounter<u64>>]>,
    common: Vec<KeyValue>,
    outcomes: &'static [&'static str],
}

impl Series {
    /// Begins to time one.
    pub fn begin(&self) -> Timer<'_> {
        Timer {
            timed: Some(self),
            begin: Instant::now(),
        }
    }

    fn record(&self, took: Duration, outcome: &'static str) {
        let duration = self.bound.get_or_init(|| self.duration.bind(&self.common));
        duration.record(took.as_secs_f64());
        let attributes = || {
            let mut attributes = self.common.clone();
            attributes.push(KeyValue::new("exomonad.outcome", outcome));
            attributes
        };
        let nth = self.outcomes.iter().position(|known| *known == outcome);
        match nth.and_then(|nth| self.series.get(nth)) {
            Some(series) => series.get_or_init(|| self.calls.bind(&attributes())).add(1),
            None => self.calls.add(1, &attributes()),
        }
    }
}

/// The series of a tool or a hook of a role.
pub struct CallSeries(Series);

impl CallSeries {
    /// Begins to time a call.
    pub fn begin(&self) -> Timer<'_> {
        self.0.begin()
    }
}

/// Something that is being timed. Dropped without an outcome, it was cancelled.
pub struct Timer<'t> {
    timed: Option<&'t Series>,
    begin: Instant,
}

impl Timer<'_> {
    /// Ends it with this outcome, `ok` or a code, and says how long it took.
    pub fn ended(mut self, outcome: &'static str) -> Duration {
        self.end(outcome)
    }

    fn end(&mut self, outcome: &'static str) -> Duration {
        let took = self.begin.elapsed();
        if let Some(timed) = self.timed.take() {
            timed.record(took, outcome);
        }
        took
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if self.timed.is_some() {
            self.end(CANCELLED);
        }
    }
}
