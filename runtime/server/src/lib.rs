//! The HTTP server: routes, access, problem documents, graceful shutdown.

pub mod calls;
mod challenge;
pub mod error;
pub mod events;
pub mod guard;
mod identity;
pub mod in_process;
mod linger;
mod listen;
mod mcp;
pub mod openapi;
mod path_params;
pub mod problem;
mod request_observer;
pub mod routes;
pub mod schedules;
pub mod serving;
mod unread;
pub mod visible_roles;
pub mod workflows;

use std::error::Error;
use std::fmt::Display;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use exomonad_access::Access;
use exomonad_core::values::Area;
use exomonad_core::{Principal, aside};
use exomonad_host::answer_memory::AnswerMemory;
use exomonad_host::plugins::reload::{Changes, Reconfigured};
use exomonad_host::{HostError, Role, json};
use exomonad_mcp::Endpoint;
use exomonad_telemetry::{Metrics, RequestMetrics, RouteLabels};
use http_body::{Frame, SizeHint};
use http_body_util::LengthLimitError;
use reqwest::Client;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tracing::Instrument;

use self::challenge::Challenge;
use self::error::RequestError;
use self::events::ring::EventRing;
use self::identity::Identity;
pub use self::listen::serve;
use self::request_observer::RequestObserver;
use self::routes::ROUTES;
use self::serving::{ReadConfig, Serving};

/// The state of the server, shared by all handlers.
#[derive(Clone)]
pub struct App(Arc<AppState>);

/// See [`App`].
pub struct AppState {
    serving: RwLock<Arc<Serving>>,
    read_config: ReadConfig,
    /// Held while the configuration is read again: one at a time.
    reloading: Mutex<()>,
    /// The metrics of the host.
    pub metrics: Arc<Metrics>,
    /// The series of requests.
    pub requests: RequestMetrics,
    /// The sessions and streams of MCP.
    pub mcp: Endpoint,
    /// The latest events.
    pub events: Arc<EventRing>,
    /// The memory for answers that are of no role.
    answers: AnswerMemory,
    draining: AtomicBool,
    /// Fetches the keys of authorization servers.
    client: Client,
}

impl AppState {
    /// The part that answers requests now. A request keeps the one it began with.
    pub fn serving(&self) -> Arc<Serving> {
        self.serving
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl std::ops::Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl App {
    /// The state of a server. `read_config` is asked when the configuration is to be read again. Call it inside a
    /// tokio runtime.
    pub fn new(serving: Serving, read_config: ReadConfig, client: Client) -> Self {
        let routes = ROUTES.iter().map(|route| RouteLabels {
            method: route.method,
            path: route.path,
        });
        let metrics = serving.runtime.metrics.clone();
        let events = Arc::new(EventRing::empty());
        serving.runtime.workflows.observe(events.clone());
        events::collect_plugins(&events, &serving.runtime);
        Self(Arc::new(AppState {
            requests: metrics.requests(routes),
            mcp: Endpoint::new(&serving.runtime.config.mcp),
            events,
            answers: unread::of_host(),
            metrics,
            serving: RwLock::new(Arc::new(serving)),
            read_config,
            reloading: Mutex::new(()),
            draining: AtomicBool::new(false),
            client,
        }))
    }

    /// Reads the configuration again, and reconciles the roles with the plugin folder. A configuration that
    /// is wrong, or cannot be put into force, leaves the old one in force.
    ///
    /// # Errors
    /// If the host is shutting down.
    pub async fn reload(&self) -> Result<Changes, RequestError> {
        let _one_at_a_time = self.reloading.lock().await;
        let configuration = self.reconfigure().await;
        let reconciled = self.serving().reload.reconcile_now().await;
        let mut changes = reconciled.ok_or(RequestError::Draining)?;
        changes.configuration = configuration;
        Ok(changes)
    }

    /// Puts a changed configuration into force; `None` if it has not changed.
    async fn reconfigure(&self) -> Option<Reconfigured> {
        let old = self.serving();
        let refused = |problem: String| {
            tracing::error!(
                problem,
                "the configuration is not reloaded: the old one stays in force"
            );
            Some(Reconfigured {
                applied: false,
                problem: Some(problem),
                needs_restart: Vec::new(),
            })
        };
        let (config, tokens) = match (self.read_config)() {
            Ok(read) => read,
            Err(problem) => return refused(problem),
        };
        // Tokens may have changed in their files, whatever the configuration says.
        if config == old.runtime.config && old.guard.has(&tokens) {
            return None;
        }
        let needs_restart = serving::needs_restart(&old.runtime.config, &config);
        let env = |name: &str| std::env::var(name).ok();
        let new = match old.runtime.reopen(config, env) {
            Ok(runtime) => old.start_after(runtime, tokens, &self.client),
            Err(error) => return refused(format!("{error:#}")),
        };
        // Until its plugins are loaded the old roles answer.
        new.reload.ready().await;
        let file = new.runtime.config.file.display().to_string();
        let new = Arc::new(new);
        events::collect_plugins(&self.events, &new.runtime);
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = new.clone();
        new.runtime.announce();
        tracing::info!(
            file,
            needs_restart = needs_restart.join(", "),
            "the configuration is reloaded"
        );
        Some(Reconfigured {
            applied: true,
            problem: None,
            needs_restart: needs_restart.into_iter().map(str::to_owned).collect(),
        })
    }

    /// Says that no more work is wanted.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.mcp.stop();
        self.events.stop();
    }

    /// True while the host shuts down.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// The role of this name and who asks for it, if the request may use it. Unknown and forbidden roles look
    /// identical. Scopes are left to whatever is asked of the role.
    fn role(
        &self,
        name: &str,
        identity: &Identity,
    ) -> Result<(Arc<Role>, Option<Arc<Principal>>), RequestError> {
        self.admitted(name, None, identity)
    }

    /// As [`role`](Self::role), for a request about an area of the role, if it is about one.
    fn admitted(
        &self,
        name: &str,
        area: Option<Area>,
        identity: &Identity,
    ) -> Result<(Arc<Role>, Option<Arc<Principal>>), RequestError> {
        let serving = self.serving();
        let parsed = name.parse();
        let access = match (&parsed, area) {
            (Ok(name), None) => Access::Role(name),
            (Ok(name), Some(area)) => Access::Area(name, area),
            (Err(_), _) => Access::Operator,
        };
        let principal = serving.guard.check(access, &identity.credentials)?;
        Ok((serving.runtime.role(name)?, principal))
    }

    /// Checks that the request is the operator's.
    fn check_operator(&self, identity: &Identity) -> Result<Option<Arc<Principal>>, RequestError> {
        let guard = &self.serving().guard;
        guard.check(Access::Operator, &identity.credentials)
    }

    /// The JSON object of a body: read only when the request is known to be allowed.
    async fn parse<T: DeserializeOwned + Send + 'static>(
        &self,
        body: Body,
    ) -> Result<T, RequestError> {
        Ok(self.read(body, parse_object).await??)
    }

    /// As [`parse`](Self::parse); a request without a body leaves everything out.
    async fn parse_optional<T: Default + DeserializeOwned + Send + 'static>(
        &self,
        body: Body,
    ) -> Result<T, RequestError> {
        let read = |bytes: Bytes| match bytes.is_empty() {
            true => Ok(T::default()),
            false => parse_object(bytes),
        };
        Ok(self.read(body, read).await??)
    }

    /// A body, read by this function when the request is known to be allowed.
    async fn read<T: Send + 'static>(
        &self,
        body: Body,
        read: impl FnOnce(Bytes) -> T + Send + 'static,
    ) -> Result<T, RequestError> {
        let limit = self.serving().runtime.config.server.max_body;
        let too_large = || RequestError::BodyTooLarge(limit);
        // One that says so itself is not even received.
        if body.size_hint().lower() > limit.get() {
            return Err(too_large());
        }
        let bytes = axum::body::to_bytes(body, limit.as_usize()).await;
        let bytes = bytes.map_err(|error| match error.source() {
            Some(source) if source.is::<LengthLimitError>() => too_large(),
            _ => HostError::InvalidRequest(format!("the body cannot be read: {error}")).into(),
        })?;
        let done = aside(bytes.len() > SMALL_BODY, move || read(bytes)).await;
        done.map_err(|_| {
            HostError::Internal("reading the body failed in the host".to_owned()).into()
        })
    }
}

/// Bytes of a body up to which it is read on the thread that serves the request.
const SMALL_BODY: usize = 64 << 10;

/// An object of this form. A list of its values in their order is none, though serde would take it.
fn parse_object<T: DeserializeOwned>(bytes: Bytes) -> Result<T, HostError> {
    let is_list = bytes.trim_ascii_start().starts_with(b"[");
    parse_json(bytes).and_then(|parsed| match is_list {
        false => Ok(parsed),
        true => Err(not_taken("it is a list, not an object")),
    })
}

fn parse_json<T: DeserializeOwned>(bytes: Bytes) -> Result<T, HostError> {
    let bytes = json::sanitize(bytes).map_err(HostError::InvalidRequest)?;
    serde_json::from_slice(&bytes).map_err(not_taken)
}

fn not_taken(reason: impl Display) -> HostError {
    HostError::InvalidRequest(format!(
        "the body is not what this endpoint takes: {reason}"
    ))
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
        .layer(cross_origin(app.clone()))
        .with_state(app)
}

/// Lets pages of `server.allowed_origins` read answers: browsers ask before they send a token, and keep from a page
/// what no header allows. Whether a request is answered at all the guard decides.
fn cross_origin(app: App) -> CorsLayer {
    let is_allowed =
        move |origin: &HeaderValue, _: &Parts| app.serving().guard.allows_origin(origin.as_bytes());
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(Duration::from_secs(600))
}

/// Headers of answers that pages may read.
const EXPOSED: [&str; 4] = [
    "mcp-session-id",
    "retry-after",
    "www-authenticate",
    "x-exomonad-call-id",
];

/// Middleware for every request: checks its Host and Origin, reads its token, and ends it in time, its body included.
async fn admit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let observed = RequestObserver::begin(&app, &request);
    let serving = app.serving();
    let limit = serving.runtime.config.server.request_timeout;
    let (uri, headers) = (request.uri(), request.headers());
    let challenge = Challenge::of(serving.clone(), uri, headers);
    let admitted = match serving.guard.check_names(uri, headers) {
        Err(error) => Err(error),
        // The keys of a token's issuer may have to be fetched.
        Ok(()) => tokio::time::timeout(limit.get(), serving.guard.credentials(uri, headers))
            .await
            .unwrap_or_else(|_| Err(RequestError::Timeout(limit.to_string()))),
    };
    let admitted = admitted.inspect(|credentials| {
        let identity = Identity::new(credentials.clone(), request.headers());
        request.extensions_mut().insert(identity);
    });
    let (request, unread) = TrackedBody::track(request);
    let mut response = match admitted {
        Err(error) => error.into_response(),
        // Dropping the work cancels it, down to the guest.
        Ok(credentials) => {
            let answered = async { unread::hold(&app.answers, next.run(request).await).await };
            let answered = answered.instrument(observed.span());
            let mut response = match tokio::time::timeout(limit.get(), answered).await {
                Ok(response) => response,
                Err(_) => RequestError::Timeout(limit.to_string()).into_response(),
            };
            challenge.add(&mut response, &credentials);
            response
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
