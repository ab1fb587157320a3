//! Metrics of HTTP requests: one histogram, a series for each route and status.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Histogram};

/// Common statuses, bound in advance; others take a slower path.
const STATUSES: [u16; 14] = [
    200, 400, 401, 403, 404, 405, 413, 422, 429, 499, 500, 502, 503, 504,
];

/// The labels of a route, for metrics and spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLabels {
    /// The method, such as `GET`.
    pub method: &'static str,
    /// The path with its parameters in braces.
    pub path: &'static str,
}

type Row = [OnceLock<BoundHistogram<f64>>; STATUSES.len()];

/// The series of requests. Each appears when it is first recorded.
pub struct RequestMetrics {
    duration: Histogram<f64>,
    routes: Vec<(RouteLabels, Row)>,
    unrouted: Row,
}

impl RequestMetrics {
    pub(super) fn new(
        duration: Histogram<f64>,
        routes: impl IntoIterator<Item = RouteLabels>,
    ) -> Self {
        let routes = routes.into_iter();
        Self {
            duration,
            routes: routes.map(|labels| (labels, Row::default())).collect(),
            unrouted: Row::default(),
        }
    }

    /// The position of a route among those that the series were made for.
    pub fn route(&self, method: &str, path: &str) -> Option<usize> {
        self.routes
            .iter()
            .position(|(labels, _)| labels.path == path && labels.method == method)
    }

    /// The labels of the route at this position.
    pub fn labels(&self, route: usize) -> Option<RouteLabels> {
        self.routes.get(route).map(|(labels, _)| *labels)
    }

    /// Records a request. `route` is a position by [`route`](Self::route); `None` if it went to none.
    pub fn record(&self, route: Option<usize>, status: u16, took: Duration) {
        let found = route.and_then(|nth| self.routes.get(nth));
        let labels = found.map(|(labels, _)| *labels);
        let row = found.map_or(&self.unrouted, |(_, row)| row);
        let attributes = || {
            let method = labels.map_or("_OTHER", |labels| labels.method);
            let mut attributes = vec![
                KeyValue::new("http.request.method", method),
                KeyValue::new("http.response.status_code", i64::from(status)),
            ];
            attributes.extend(labels.map(|labels| KeyValue::new("http.route", labels.path)));
            attributes
        };
        let common = STATUSES.iter().position(|known| *known == status);
        match common.and_then(|nth| row.get(nth)) {
            Some(series) => series
                .get_or_init(|| self.duration.bind(&attributes()))
                .record(took.as_secs_f64()),
            None => self.duration.record(took.as_secs_f64(), &attributes()),
        }
    }
}
