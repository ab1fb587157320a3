//! The HTTP server: routes, access, problem documents, graceful shutdown.

pub mod error;
pub mod guard;
mod linger;
mod listen;
pub mod openapi;
mod path_params;
pub mod problem;
mod request_observer;
pub mod routes;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use exomonad_host::plugins::reload::ReloadHandle;
use exomonad_host::{HostError, Role, Runtime, json};
use exomonad_telemetry::{RequestMetrics, RouteLabels};
use http_body::{Frame, SizeHint};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use self::error::RequestError;
use self::guard::{Access, Guard};
pub use self::listen::serve;
use self::request_observer::RequestObserver;
use self::routes::ROUTES;

/// The state of the server, shared by all handlers.
#[derive(Clone)]
pub struct App(Arc<AppState>);

/// See [`App`].
pub struct AppState {
    /// Engines, services, roles.
    pub runtime: Arc<Runtime>,
    /// The task that loads plugins.
    pub reload: ReloadHandle,
    /// Checks names and tokens.
    pub guard: Guard,
    /// The series of requests.
    pub requests: RequestMetrics,
    draining: AtomicBool,
}

impl std::ops::Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl App {
    /// The state of a server that serves this runtime.
    pub fn new(runtime: Arc<Runtime>, reload: ReloadHandle, guard: Guard) -> Self {
        let routes = ROUTES.iter().map(|route| RouteLabels {
            method: route.method,
            path: route.path,
        });
        Self(Arc::new(AppState {
            requests: runtime.metrics.requests(routes),
            runtime,
            reload,
            guard,
            draining: AtomicBool::new(false),
        }))
    }

    /// Says that no more work is wanted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// True while the host shuts down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// The role of this name, if the request may use it. Unknown and forbidden roles look identical.
    fn role(&self, name: &str, headers: &HeaderMap) -> Result<Arc<Role>, RequestError> {
        match name.parse() {
            Ok(name) => self.guard.check_token(&Access::Role(&name), headers)?,
            Err(_) => self.guard.check_token(&Access::Operator, headers)?,
        }
        Ok(self.runtime.role(name)?)
    }

    /// The JSON of a body: read only when the request is known to be allowed.
    async fn parse<T: DeserializeOwned>(&self, body: Body) -> Result<T, RequestError> {
        let limit = self.runtime.config.server.max_body;
        let too_large = || RequestError::BodyTooLarge(limit.get());
        // One that says so itself is not even received.
        if body.size_hint().lower() > limit.get() {
            return Err(too_large());
        }
        let bytes = axum::body::to_bytes(body, limit.as_usize()).await;
        let bytes = bytes.map_err(|error| match error.source() {
            Some(source) if source.is::<LengthLimitError>() => too_large(),
            _ => HostError::InvalidRequest(format!("the body cannot be read: {error}")).into(),
        })?;
        let bytes = json::sanitize(bytes).map_err(HostError::InvalidRequest)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            HostError::InvalidRequest(format!("the body is not what this endpoint takes: {error}"))
                .into()
        })
    }
}

/// All endpoints behind the guard.
pub fn router(app: App) -> Router {
    let routes = ROUTES.iter().fold(Router::new(), |router, route| {
        router.route(route.path, (route.handler)())
    });
    routes
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(app.clone(), admit))
        .with_state(app)
}

/// Middleware for every request: checks its Host and Origin, and ends it in time, its body included.
async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let observed = RequestObserver::begin(&app, &request);
    let (request, unread) = TrackedBody::track(request);
    let limit = app.runtime.config.server.request_timeout;
    let mut response = match app.guard.check_names(request.uri(), request.headers()) {
        Err(failure) => failure.into_response(),
        // Dropping the work cancels it, down to the guest.
        Ok(()) => {
            let answered = next.run(request).instrument(observed.span());
            match tokio::time::timeout(limit.get(), answered).await {
                Ok(response) => response,
                Err(_) => RequestError::Timeout(limit.to_string()).into_response(),
            }
        }
    };
    observed.answered(response.status());
    if unread.load(Ordering::Relaxed) {
        // The connection ends then, and a client that is not told would send its next request into it.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// A request's body that notes when it has been read to its end.
struct TrackedBody {
    body: Body,
    unread: Arc<AtomicBool>,
}

impl TrackedBody {
    /// The request with its body tracked, and a flag that is true while there is more of it.
    fn track(request: Request) -> (Request, Arc<AtomicBool>) {
        let (head, body) = request.into_parts();
        let unread = Arc::new(AtomicBool::new(!body.is_end_stream()));
        let tracked = Self {
            body,
            unread: unread.clone(),
        };
        (Request::from_parts(head, Body::new(tracked)), unread)
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.unread.store(false, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn no_route(request: Request) -> RequestError {
    RequestError::NoRoute(format!("{} {}", request.method(), request.uri().path()))
}

async fn wrong_method(request: Request) -> RequestError {
    RequestError::MethodNotAllowed(format!(
        "{} does not take {}; GET /openapi.json lists what it takes",
        request.uri().path(),
        request.method()
    ))
}
