//! Streamable HTTP, both eras on one URL: the era is told from each request.
//!
//! A request that names a revision in its `_meta`, or that only the stateless era has, is stateless; every
//! other is of a session, or begins one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use exomonad_host::{Caller, Role};
use exomonad_schema::{CallId, RoleName};
use futures_util::future::join_all;
use serde::Deserialize;
use tokio::sync::{Semaphore, watch};

use crate::answer::response;
use crate::headers::{self, Meta};
use crate::message::{self, Id, Implementation, Message, Request, object, text};
use crate::methods::{Answer, Context, LIST_TOOLS, answer_request, initialize, server_info};
use crate::revision::{Era, Revision};
use crate::rpc_error::RpcError;
use crate::sessions::{Session, Sessions};
use crate::streams::{self, Watch, tools_of};
use crate::{HttpRequest, Roles};

pub(crate) const SESSION: &str = "mcp-session-id";
pub(crate) const LAST_EVENT: &str = "last-event-id";
pub(crate) const INITIALIZE: &str = "initialize";
/// The notification that a session has begun.
pub(crate) const INITIALIZED: &str = "notifications/initialized";
pub(crate) const LISTEN: &str = "subscriptions/listen";
pub(crate) const CANCELLED: &str = "notifications/cancelled";
/// The requests without which there is no stateless era.
const STATELESS: &[&str] = &["server/discover", LISTEN];

/// The endpoints of all roles: the sessions and streams that they share.
pub struct Endpoint {
    sessions: Sessions,
    /// Places for subscriptions, as many as were configured when the first began.
    subscriptions: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

/// A request that is part of a session, or begins one.
struct Sessionful<'a> {
    roles: &'a Arc<dyn Roles>,
    role: &'a Arc<Role>,
    caller: Caller,
}

impl Endpoint {
    /// The endpoints of a host with this configuration.
    pub fn new(config: &exomonad_config::McpConfig) -> Self {
        Self {
            sessions: Sessions::default(),
            subscriptions: Arc::new(Semaphore::new(config.max_sessions as usize)),
            stopping: watch::Sender::new(false),
        }
    }

    /// Ends all streams: the host shuts down.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Answers a POST with this body.
    pub async fn post(
        &self,
        request: HttpRequest<'_>,
        body: Result<message::Body, RpcError>,
    ) -> Response {
        let stateless = match &body {
            Ok(message::Body::Single(
                Message::Request(message) | Message::Notification(message),
            )) => stateless_meta(request.headers, message),
            _ => None,
        };
        match (body, stateless) {
            (Ok(message::Body::Single(Message::Request(message))), Some(meta)) => {
                self.stateless(request, message, meta).await
            }
            // There is no notification that needs anything to be done: a closed connection cancels.
            (Ok(message::Body::Single(_)), Some(_)) => accepted(),
            (Ok(body), _) => self.sessionful(request, body).await,
            (Err(error), _) => refused(&error, Era::Sessionful),
        }
    }

    /// Answers a request of the stateless era.
    async fn stateless(&self, http: HttpRequest<'_>, request: Request, meta: Meta) -> Response {
        let id = request.id.clone();
        let answered = async {
            let revision = headers::check(http.headers, &request, &meta, &http.role)?;
            if request.method == LISTEN {
                return self.listen(&http, &request);
            }
            let mut caller = http.caller.clone();
            caller.name = caller.name.or_else(|| meta.client());
            caller.traceparent = caller.traceparent.or_else(|| meta.traceparent());
            let (role, config) = (http.role.clone(), http.roles.config());
            let ttl = config.list_ttl.get().as_millis().to_string();
            let context = Context {
                role,
                config,
                revision,
                caller,
            };
            let answer = answer_request(&context, request).await?;
            let server = format!(
                r#"{{"io.modelcontextprotocol/serverInfo":{}}}"#,
                server_info(&context.role)
            );
            let members = [
                ("resultType", r#""complete""#),
                ("_meta", server.as_str()),
                ("ttlMs", ttl.as_str()),
                // Which tools there are may depend on the token.
                ("cacheScope", r#""private""#),
            ];
            let members = members
                .get(..if answer.is_cacheable { 4 } else { 2 })
                .unwrap_or_default();
            let json_text = response(&id, &answer.json, members);
            Ok(with_call_id(
                json(StatusCode::OK, json_text),
                answer.call_id,
            ))
        };
        let answered: Result<Response, RpcError> = answered.await;
        answered.unwrap_or_else(|error| refused(&error.answering(id), Era::Stateless))
    }

    fn listen(&self, http: &HttpRequest<'_>, request: &Request) -> Result<Response, RpcError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Filter {
            #[serde(default)]
            tools_list_changed: bool,
        }
        let wrong =
            || RpcError::params("`notifications` has to be an object that names what is wanted");
        let filter = request.params.notifications.as_ref().ok_or_else(wrong)?;
        let filter: Filter = object(filter).ok_or_else(wrong)?;
        let place = self.subscriptions.clone().try_acquire_owned().map_err(|_| {
            RpcError::server("there are as many subscriptions as there may be; `mcp.max_sessions` sets how many")
        })?;
        let watch = self.watch(http.roles, &http.role);
        Ok(streams::of_subscription(
            watch,
            request.id.clone(),
            filter.tools_list_changed,
            place,
        ))
    }

    /// Answers what is part of a session, or begins one.
    async fn sessionful(&self, http: HttpRequest<'_>, body: message::Body) -> Response {
        let sessionful = Sessionful {
            roles: http.roles,
            role: &http.role,
            caller: http.caller.clone(),
        };
        if let message::Body::Single(Message::Request(request)) = &body
            && request.method == INITIALIZE
        {
            return self.begin(&sessionful, request).unwrap_or_else(|error| {
                refused(&error.answering(request.id.clone()), Era::Sessionful)
            });
        }
        let id = match &body {
            message::Body::Single(Message::Request(request)) => request.id.clone(),
            _ => Id::null(),
        };
        let session = match self.session(http.headers, http.role.name(), http.roles) {
            Ok(session) => session,
            Err(error) => return refused(&error.answering(id), Era::Sessionful),
        };
        match body {
            message::Body::Single(message) => match sessionful.message(&session, message).await {
                None => accepted(),
                Some(Ok((json_text, call_id))) => {
                    with_call_id(json(StatusCode::OK, json_text), call_id)
                }
                Some(Err(error)) => refused(&error, Era::Sessionful),
            },
            message::Body::Batch(_) if !session.revision.has_batches() => {
                let revision = session.revision.name();
                refused(
                    &RpcError::invalid(format!("revision {revision} has no batches")),
                    Era::Sessionful,
                )
            }
            message::Body::Batch(messages) => {
                let room = AtomicU64::new(http.role.admission.answers.bytes());
                let answers = messages.into_iter().map(async |message| match message {
                    Ok(Message::Request(request)) if request.method == INITIALIZE => Some(
                        RpcError::invalid("`initialize` comes alone")
                            .answering(request.id)
                            .to_json(),
                    ),
                    Ok(message) => {
                        let id = message.id();
                        let answered = sessionful.message(&session, message).await?;
                        let json = answered.map_or_else(|error| error.to_json(), |(json, _)| json);
                        let left = |room: u64| room.checked_sub(json.len() as u64);
                        let fits = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
                        Some(match fits {
                            Ok(_) => json,
                            Err(_) => too_large(&http.role).answering(id).to_json(),
                        })
                    }
                    Err(error) => Some(error.to_json()),
                });
                let answers = join_all(answers).await;
                let mut answers = answers.into_iter().flatten();
                let Some(first) = answers.next() else {
                    return accepted();
                };
                let mut list = [b"[", first.as_slice()].concat();
                for answer in answers {
                    list.push(b',');
                    list.extend_from_slice(&answer);
                }
                list.push(b']');
                json(StatusCode::OK, list)
            }
        }
    }

    /// Begins a session.
    fn begin(&self, sessionful: &Sessionful<'_>, request: &Request) -> Result<Response, RpcError> {
        let asked = text(request.params.protocol_version.as_ref());
        let asked = asked
            .ok_or_else(|| RpcError::params("`protocolVersion` has to be a revision of MCP"))?;
        let context = Context {
            role: sessionful.role.clone(),
            config: sessionful.roles.config(),
            revision: Revision::negotiated(&asked),
            caller: sessionful.caller.clone(),
        };
        let client = Implementation::name_of(request.params.client_info.as_ref());
        let role = context.role.name().clone();
        let session = self
            .sessions
            .begin(role, context.revision, client, &context.config);
        let session = session.ok_or_else(|| {
            RpcError::server("there are as many sessions as there may be, and none is idle; `mcp.max_sessions` sets how many")
        })?;
        session.knows_tools(tools_of(Some(&context.role)), None);
        let Answer { json: result, .. } = initialize(&context)?;
        let mut answered = json(StatusCode::OK, response(&request.id, &result, &[]));
        if let Ok(id) = HeaderValue::from_str(&session.id) {
            answered.headers_mut().insert(SESSION, id);
        }
        Ok(answered)
    }

    /// Answers a GET: the stream of a session.
    pub fn get(&self, http: &HttpRequest<'_>) -> Response {
        let accepts = headers::header(http.headers, header::ACCEPT.as_str()).unwrap_or("*/*");
        if !["text/event-stream", "text/*", "*/*"]
            .iter()
            .any(|kind| accepts.contains(kind))
        {
            let error = RpcError::invalid(
                "a stream of a session is `text/event-stream`, which `Accept` leaves out",
            );
            return json(StatusCode::NOT_ACCEPTABLE, error.to_json());
        }
        match self.session(http.headers, http.role.name(), http.roles) {
            Ok(session) => {
                let last = headers::header(http.headers, LAST_EVENT).and_then(|id| id.parse().ok());
                streams::of_session(self.watch(http.roles, &http.role), &session, last)
            }
            Err(error) => refused(&error, Era::Sessionful),
        }
    }

    /// Answers a DELETE: the end of a session.
    pub fn delete(&self, http: &HttpRequest<'_>) -> Response {
        match self.session(http.headers, http.role.name(), http.roles) {
            Ok(session) => {
                self.sessions.end(&session);
                StatusCode::NO_CONTENT.into_response()
            }
            Err(error) => refused(&error, Era::Sessionful),
        }
    }

    /// The session that the headers name.
    fn session(
        &self,
        headers: &HeaderMap,
        role: &RoleName,
        roles: &Arc<dyn Roles>,
    ) -> Result<Arc<Session>, RpcError> {
        if let Some(version) = headers::header(headers, headers::VERSION)
            && Revision::named(version).is_none()
        {
            return Err(RpcError::version(version, &Revision::names()));
        }
        let id = headers::header(headers, SESSION);
        let id = id.ok_or_else(|| {
            RpcError::invalid("the header `Mcp-Session-Id` is missing: `initialize` begins a session and gives its id")
        })?;
        self.sessions
            .find(id, role, &roles.config())
            .ok_or_else(RpcError::session)
    }

    fn watch(&self, roles: &Arc<dyn Roles>, role: &Role) -> Watch {
        Watch {
            versions: roles.versions(),
            config: roles.config(),
            roles: roles.clone(),
            role: role.name().clone(),
            stopping: self.stopping.subscribe(),
        }
    }
}

impl Sessionful<'_> {
    /// Answers a message; `None` if it wants no answer.
    async fn message(
        &self,
        session: &Session,
        message: Message,
    ) -> Option<Result<(Vec<u8>, Option<CallId>), RpcError>> {
        match message {
            Message::Response => None,
            Message::Notification(notification) => {
                if notification.method == CANCELLED
                    && let Some(id) = notification
                        .params
                        .request_id
                        .as_ref()
                        .and_then(|json| Id::read(json.get()))
                {
                    session.cancel(&id);
                }
                None
            }
            Message::Request(request) => Some(self.request(session, request).await),
        }
    }

    async fn request(
        &self,
        session: &Session,
        request: Request,
    ) -> Result<(Vec<u8>, Option<CallId>), RpcError> {
        let id = request.id.clone();
        let Some(mut running) = session.run(&id) else {
            return Err(
                RpcError::invalid("a request of this id is not answered yet").answering(id),
            );
        };
        let mut caller = self.caller.clone();
        caller.name = caller.name.or_else(|| session.client.clone());
        caller.traceparent = caller
            .traceparent
            .or_else(|| Meta::of(&request).traceparent());
        let context = Context {
            role: self.role.clone(),
            config: self.roles.config(),
            revision: session.revision,
            caller,
        };
        if request.method == LIST_TOOLS && context.role.settled().await.is_ok() {
            // Before it is answered: what changes meanwhile is told.
            session.knows_tools(tools_of(Some(&context.role)), None);
        }
        let answered = answer_request(&context, request);
        let answer = tokio::select! {
            answered = answered => answered?,
            // Dropping the answer's future cancels the guest.
            _ = &mut running.cancelled => return Err(RpcError::cancelled().answering(id)),
        };
        Ok((response(&id, &answer.json, &[]), answer.call_id))
    }
}

/// The metadata of a message, if it is one of the stateless era.
pub(crate) fn stateless_meta(headers: &HeaderMap, message: &Request) -> Option<Meta> {
    let meta = Meta::of(message);
    if meta.names_revision() || STATELESS.contains(&message.method.as_str()) {
        return Some(meta);
    }
    let version = headers::header(headers, headers::VERSION).and_then(Revision::named);
    let is_stateless = message.method != INITIALIZE
        && version.is_some_and(|revision| revision.era() == Era::Stateless);
    is_stateless.then_some(meta)
}

fn refused(error: &RpcError, era: Era) -> Response {
    let status = StatusCode::from_u16(error.status(era)).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, error.to_json())
}

/// The error of an answer that does not fit into that of its batch.
fn too_large(role: &Role) -> RpcError {
    let key = role.settings.limit_key("unread_answers");
    RpcError::server(format!(
        "the answers of one batch are larger than `{key}`; send fewer requests at once"
    ))
}

fn accepted() -> Response {
    StatusCode::ACCEPTED.into_response()
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The call's id, to find it in the log.
fn with_call_id(mut response: Response, id: Option<CallId>) -> Response {
    if let Some(Ok(value)) = id.map(|id| HeaderValue::from_str(id.as_str())) {
        response.headers_mut().insert("x-exomonad-call-id", value);
    }
    response
}
