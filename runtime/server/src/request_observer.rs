//! Metrics and the span of a request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use tracing::Span;

use super::App;
use exomonad_telemetry::spans;

/// The status of a request whose client went away before the answer, as nginx has it.
const GONE: u16 = 499;

/// A request that is under way. Dropped without an answer, its client is gone.
pub struct RequestObserver {
    app: App,
    span: Span,
    /// Its position among the routes.
    route: Option<usize>,
    begin: Instant,
    status: u16,
}

impl RequestObserver {
    pub fn begin(app: &App, request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>();
        let route =
            matched.and_then(|path| app.requests.route(request.method().as_str(), path.as_str()));
        let span = spans::request(
            route.and_then(|nth| app.requests.labels(nth)),
            request.method(),
            request.uri().path(),
            request.version(),
            request.headers(),
        );
        Self {
            app: app.clone(),
            span,
            route,
            begin: Instant::now(),
            status: GONE,
        }
    }

    /// The span of the request.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// The request is answered.
    pub fn answered(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for RequestObserver {
    fn drop(&mut self) {
        self.app
            .requests
            .record(self.route, self.status, self.begin.elapsed());
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
