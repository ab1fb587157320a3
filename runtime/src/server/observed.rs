//! A request as traces and metrics see it.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use tracing::Span;

use super::App;
use super::routes::ROUTES;
use crate::telemetry::{Metrics, spans};

/// The status that stands for a client that did not wait for its answer, as nginx has it.
const GONE: u16 = 499;

/// A request that is under way. Dropped without an answer, its client is gone.
pub struct Observed {
    metrics: Arc<Metrics>,
    span: Span,
    /// Its place among the routes.
    route: Option<usize>,
    begin: Instant,
    status: u16,
}

impl Observed {
    pub fn begin(app: &App, request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let route = matched.and_then(|path| {
            ROUTES.iter().position(|route| {
                route.path == path.as_str() && route.method == request.method().as_str()
            })
        });
        let span = spans::request(
            route.and_then(|nth| ROUTES.get(nth)),
            request.method(),
            request.uri().path(),
            request.version(),
            request.headers(),
        );
        Self {
            metrics: app.house.metrics.clone(),
            span,
            route,
            begin: Instant::now(),
            status: GONE,
        }
    }

    /// What happens while the request is answered belongs into this span.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The request is answered.
    pub fn answered(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        self.metrics
            .request(self.route, self.status, self.begin.elapsed());
        if self.span.is_disabled() {
            return;
        }
        match self.status {
            GONE => spans::failed(&self.span, "cancelled"),
            status => {
                self.span
                    .record("http.response.status_code", i64::from(status));
                if status >= 500 {
                    spans::failed(&self.span, &status.to_string());
                }
            }
        }
    }
}
