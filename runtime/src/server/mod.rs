//! The HTTP server: routes, who may use them, and how it ends.

pub mod guard;
mod linger;
mod listen;
mod named;
mod observed;
pub mod openapi;
pub mod problem;
pub mod report;
pub mod routes;

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tracing::Instrument;

use self::guard::{Access, Guard};
pub use self::listen::serve;
use self::observed::Observed;
use self::routes::ROUTES;
use crate::failure::Failure;
use crate::house::House;
use crate::json;
use crate::plugins::reload::ReloadHandle;
use crate::role::Role;

/// What every handler has.
#[derive(Clone)]
pub struct App(Arc<AppState>);

/// See [`App`].
pub struct AppState {
    /// Engines, services, roles.
    pub house: Arc<House>,
    /// The task that loads plugins.
    pub reload: ReloadHandle,
    /// Who may ask.
    pub guard: Guard,
    /// When the host started.
    pub started: Instant,
    draining: AtomicBool,
}

impl std::ops::Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl App {
    /// The state of a server that serves this house.
    pub fn new(house: Arc<House>, reload: ReloadHandle, guard: Guard) -> Self {
        Self(Arc::new(AppState {
            house,
            reload,
            guard,
            started: Instant::now(),
            draining: AtomicBool::new(false),
        }))
    }

    /// Says that no more work is wanted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether the host is shutting down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// The role of this name, if the request may use it. Without the right token it is not told apart
    /// whether there is one.
    fn role(&self, name: &str, headers: &HeaderMap) -> Result<Arc<Role>, Failure> {
        match name.parse() {
            Ok(name) => self.guard.check_token(&Access::Role(&name), headers)?,
            Err(_) => self.guard.check_token(&Access::Operator, headers)?,
        }
        self.house.role(name)
    }

    /// The JSON of a body: read only when the request is known to be allowed.
    async fn parse<T: DeserializeOwned>(&self, body: Body) -> Result<T, Failure> {
        let limit = self.house.config.server.max_body;
        let too_large = || Failure::BodyTooLarge(limit.get());
        // One that says so itself is not even received.
        if body.size_hint().lower() > limit.get() {
            return Err(too_large());
        }
        let bytes = axum::body::to_bytes(body, limit.as_usize()).await;
        let bytes = bytes.map_err(|error| match error.source() {
            Some(source) if source.is::<LengthLimitError>() => too_large(),
            _ => Failure::InvalidRequest(format!("the body cannot be read: {error}")),
        })?;
        let bytes = json::readable(bytes).map_err(Failure::InvalidRequest)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Failure::InvalidRequest(format!("the body is not what this endpoint takes: {error}"))
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

/// What holds for every request: the names in it are this server's, and it ends in time, its body included.
async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let observed = Observed::begin(&app, &request);
    let (request, unread) = Watched::over(request);
    let limit = app.house.config.server.request_timeout;
    let mut response = match app.guard.check_names(request.uri(), request.headers()) {
        Err(failure) => failure.into_response(),
        // Dropping the work cancels it, down to the guest.
        Ok(()) => {
            let answered = next.run(request).instrument(observed.span());
            match tokio::time::timeout(limit.get(), answered).await {
                Ok(response) => response,
                Err(_) => Failure::Timeout(limit.to_string()).into_response(),
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
struct Watched {
    body: Body,
    unread: Arc<AtomicBool>,
}

impl Watched {
    /// The request, and whether there is more of its body.
    fn over(request: Request) -> (Request, Arc<AtomicBool>) {
        let (head, body) = request.into_parts();
        let unread = Arc::new(AtomicBool::new(!body.is_end_stream()));
        let watched = Self {
            body,
            unread: unread.clone(),
        };
        (Request::from_parts(head, Body::new(watched)), unread)
    }
}

impl HttpBody for Watched {
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

async fn no_route(request: Request) -> Failure {
    Failure::NoRoute(format!("{} {}", request.method(), request.uri().path()))
}

async fn wrong_method(request: Request) -> Failure {
    Failure::MethodNotAllowed(format!(
        "{} does not take {}; GET /openapi.json lists what it takes",
        request.uri().path(),
        request.method()
    ))
}
