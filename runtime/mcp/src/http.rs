//! Streamable HTTP, both eras on one URL: the era is told from each request.
//!
//! A request that names a revision in its `_meta`, or that only the stateless era has, is stateless; every
//! other is of a session, or begins one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use exomonad_core::values::Area;
use exomonad_host::client::SuspendedState;
use exomonad_host::{Caller, ClientCall, RequestHash, Role};
use exomonad_schema::{CallId, RawJson};
use futures_util::future::join_all;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::answer::response;
use crate::answer_log::LEFT;
use crate::capabilities::Capabilities;
use crate::client::RequestClient;
use crate::headers::{self, Meta};
use crate::kept_answers::KeptAnswers;
use crate::lists::lists_of;
use crate::message::{self, Id, Implementation, Message, Params, Request, object, text};
use crate::methods::{
    Answer, Context, Sealer, answer_request, initialize, input_responses, method, offered,
    principal, server_info,
};
use crate::request_state::RequestState;
use crate::revision::{Era, Revision};
use crate::rpc_error::RpcError;
use crate::sessions::{Session, Sessions};
use crate::streams::{self, Answering, FILTERS, Filter, Resumption, Watch};
use crate::{HttpRequest, Roles};

pub(crate) const SESSION: &str = "mcp-session-id";
pub(crate) const LAST_EVENT: &str = "last-event-id";
pub(crate) const INITIALIZE: &str = "initialize";
/// The notification that a session has begun.
pub(crate) const INITIALIZED: &str = "notifications/initialized";
pub(crate) const LISTEN: &str = "subscriptions/listen";
pub(crate) const CANCELLED: &str = "notifications/cancelled";
/// Resources that one subscription may be about.
const RESOURCES: usize = 1000;
/// The requests without which there is no stateless era.
const STATELESS: &[&str] = &["server/discover", LISTEN];

/// The endpoints of all roles: the sessions and streams that they share.
pub struct Endpoint {
    sessions: Sessions,
    /// Places for subscriptions, as many as were configured when the first began.
    subscriptions: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    /// Seals what calls did until they asked their clients; made at its first use.
    states: OnceLock<Arc<RequestState>>,
    /// The parts that are kept of answers that were too large.
    kept: Arc<KeptAnswers>,
    /// Places for streams of answers that have broken off.
    left: Arc<Semaphore>,
}

/// The answer to a request.
struct Answered {
    /// The status, in a response of its own.
    status: StatusCode,
    json: Vec<u8>,
    /// The call that it was.
    call_id: Option<CallId>,
    /// The scope that the caller's token lacks.
    scope: Option<String>,
}

impl Answered {
    fn ok(json: Vec<u8>, call_id: Option<CallId>) -> Self {
        Self {
            status: StatusCode::OK,
            json,
            call_id,
            scope: None,
        }
    }

    /// It as a response of its own.
    fn whole(self) -> Response {
        let mut response = with_call_id(json(self.status, self.json), self.call_id);
        if let Some(scope) = self.scope {
            response.extensions_mut().insert(NeededScope(scope));
        }
        response
    }
}

/// In the extensions of a response: the scope that the caller's token lacks.
#[derive(Clone, Debug)]
pub struct NeededScope(pub String);

/// A request that is part of a session, or begins one.
struct Sessionful<'a> {
    roles: &'a Arc<dyn Roles>,
    role: &'a Arc<Role>,
    caller: Caller,
    kept: &'a Arc<KeptAnswers>,
}

impl Endpoint {
    /// The endpoints of a host with this configuration.
    pub fn new(config: &exomonad_config::McpConfig) -> Self {
        Self {
            sessions: Sessions::default(),
            subscriptions: Arc::new(Semaphore::new(config.max_sessions as usize)),
            stopping: watch::Sender::new(false),
            states: OnceLock::new(),
            kept: Arc::default(),
            left: Arc::new(Semaphore::new(LEFT)),
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
        let begun = headers::check(http.headers, &request, &meta, &http.role);
        let begun = begun.and_then(|revision| match request.method == LISTEN {
            true => self.listen(&http, &request).map(Err),
            false => self
                .stateless_context(&http, &request, &meta, revision)
                .map(Ok),
        });
        let (context, said) = match begun {
            Ok(Ok(begun)) => begun,
            Ok(Err(stream)) => return stream,
            Err(error) => return refused(&error.answering(id), Era::Stateless),
        };
        let keep_alive = context.config.keep_alive.get();
        let answered = id.clone();
        let answering = async move {
            match answer_request(&context, request).await {
                Ok(answer) => {
                    let json = stateless_response(&context, &answered, &answer);
                    Answered::ok(json, answer.call_id)
                }
                Err(error) => failed(&error.answering(answered), Era::Stateless),
            }
        };
        respond(id, Box::pin(answering), said, keep_alive, None).await
    }

    /// The environment of a request without a session, and what is said to its client meanwhile.
    fn stateless_context(
        &self,
        http: &HttpRequest<'_>,
        request: &Request,
        meta: &Meta,
        revision: Revision,
    ) -> Result<(Context, Option<mpsc::Receiver<Bytes>>), RpcError> {
        let mut caller = http.caller.clone();
        caller.name = caller.name.or_else(|| meta.client());
        caller.traceparent = caller.traceparent.or_else(|| meta.traceparent());
        let mut context = Context {
            capabilities: meta.capabilities(),
            ..Context::new(http.roles, &http.role, revision, caller, &self.kept)
        };
        let params = &request.params;
        if !talks(request, revision, &http.role) && params.request_state.is_none() {
            return Ok((context, None));
        }
        let sealer = Sealer {
            states: self.states(http.roles)?,
            role: http.role.name().to_string(),
            principal: principal(&http.caller).as_bytes().to_vec(),
            method: request.method.clone(),
            params: digest(params),
        };
        let resumed = match &params.request_state {
            None => None,
            Some(state) => {
                let state = text(Some(state))
                    .ok_or_else(|| RpcError::params("`requestState` has to be a text"))?;
                Some(sealer.open(&state)?)
            }
        };
        if let Some(id) = resumed.as_ref().and_then(SuspendedState::call_id) {
            context.call_id = id;
        }
        let (client, said) = RequestClient::of_request(
            &context.capabilities,
            context.caller.name.clone(),
            revision.name(),
            meta.said(),
            context.call_id.clone(),
        );
        let answers = input_responses(params)?;
        let before = resumed.clone().unwrap_or_default();
        context.client = Some(Arc::new(ClientCall::new(
            Arc::new(client),
            answers,
            &before,
        )));
        context.resumed = resumed;
        context.sealer = Some(sealer);
        Ok((context, Some(said)))
    }

    /// The key that seals the states of calls.
    fn states(&self, roles: &Arc<dyn Roles>) -> Result<Arc<RequestState>, RpcError> {
        if let Some(states) = self.states.get() {
            return Ok(states.clone());
        }
        let made = Arc::new(RequestState::kept(&roles.state_dir())?);
        Ok(self.states.get_or_init(|| made).clone())
    }

    fn listen(&self, http: &HttpRequest<'_>, request: &Request) -> Result<Response, RpcError> {
        let wrong =
            || RpcError::params("`notifications` has to be an object that names what is wanted");
        let wanted = request.params.notifications.as_ref().ok_or_else(wrong)?;
        let wanted: HashMap<String, RawJson> = object(wanted).ok_or_else(wrong)?;
        let flag = |name: &str| {
            let wants = wanted.get(name).map(RawJson::parse::<Option<bool>>);
            wants.transpose().map(|wants| wants.flatten() == Some(true))
        };
        let mut filter = Filter::default();
        for (wants, name) in filter.lists.iter_mut().zip(FILTERS) {
            *wants = flag(name).map_err(|_| wrong())?;
        }
        let offered = offered(http.role.version().as_deref());
        for (wants, offers) in filter.lists.iter_mut().zip(offered.lists) {
            *wants &= offers;
        }
        if let Some(resources) = wanted
            .get("resourceSubscriptions")
            .filter(|_| offered.updates && http.caller.scopes().allows(Area::Resources))
        {
            filter.resources = resources.parse().map_err(|_| wrong())?;
            filter.resources.sort_unstable();
            filter.resources.dedup();
            if filter.resources.len() > RESOURCES {
                return Err(RpcError::params(format!(
                    "one subscription is about at most {RESOURCES} resources"
                )));
            }
        }
        let place = self.subscriptions.clone().try_acquire_owned().map_err(|_| {
            RpcError::server("there are as many subscriptions as there may be; `mcp.max_sessions` sets how many")
        })?;
        let watch = self.watch(http);
        Ok(streams::of_subscription(
            watch,
            request.id.clone(),
            filter,
            place,
        ))
    }

    /// Answers what is part of a session, or begins one.
    async fn sessionful(&self, http: HttpRequest<'_>, body: message::Body) -> Response {
        let sessionful = Sessionful {
            roles: http.roles,
            role: &http.role,
            caller: http.caller.clone(),
            kept: &self.kept,
        };
        if let message::Body::Single(Message::Request(request)) = &body
            && request.method == INITIALIZE
        {
            let begun = self.begin(&sessionful, request).await;
            return begun.unwrap_or_else(|error| {
                refused(&error.answering(request.id.clone()), Era::Sessionful)
            });
        }
        let id = match &body {
            message::Body::Single(Message::Request(request)) => request.id.clone(),
            _ => Id::null(),
        };
        let session = match self.session(&http) {
            Ok(session) => session,
            Err(error) => return refused(&error.answering(id), Era::Sessionful),
        };
        match body {
            message::Body::Single(Message::Request(request)) => {
                match sessionful.begin(&session, request, true) {
                    Ok((answering, said)) => {
                        let config = http.roles.config();
                        let keep_alive = config.keep_alive.get();
                        let may_resume = session.revision.has_priming();
                        let resumption =
                            (may_resume && !config.resume.get().is_zero()).then(|| Resumption {
                                session: session.clone(),
                                left: self.left.clone(),
                                config,
                            });
                        respond(id, answering, said, keep_alive, resumption).await
                    }
                    Err(error) => refused(&error.answering(id), Era::Sessionful),
                }
            }
            message::Body::Single(message) => {
                sessionful.take(&session, message);
                accepted()
            }
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
                    Ok(Message::Request(request)) => {
                        let id = request.id.clone();
                        // In one answer to several requests there is no place to say anything else.
                        let json = match sessionful.begin(&session, request, false) {
                            Ok((answering, _)) => answering.await.json,
                            Err(error) => error.answering(id.clone()).to_json(),
                        };
                        let left = |room: u64| room.checked_sub(json.len() as u64);
                        let fits = room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
                        Some(match fits {
                            Ok(_) => json,
                            Err(_) => too_large(&http.role).answering(id).to_json(),
                        })
                    }
                    Ok(message) => {
                        sessionful.take(&session, message);
                        None
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
    async fn begin(
        &self,
        sessionful: &Sessionful<'_>,
        request: &Request,
    ) -> Result<Response, RpcError> {
        let asked = text(request.params.protocol_version.as_ref());
        let asked = asked
            .ok_or_else(|| RpcError::params("`protocolVersion` has to be a revision of MCP"))?;
        let context = Context::new(
            sessionful.roles,
            sessionful.role,
            Revision::negotiated(&asked),
            sessionful.caller.clone(),
            sessionful.kept,
        );
        let Answer { json: result, .. } = initialize(&context).await?;
        let capabilities = Capabilities::read(request.params.capabilities.as_ref());
        let client = Implementation::name_of(request.params.client_info.as_ref());
        let role = context.role.name().clone();
        let session = self.sessions.begin(
            role,
            principal(&sessionful.caller),
            context.revision,
            client,
            capabilities,
            &context.config,
        );
        let session = session.ok_or_else(|| {
            RpcError::server("there are as many sessions as there may be, and none is idle; `mcp.max_sessions` sets how many")
        })?;
        let changes = sessionful.roles.changes(context.role.name());
        let lists = lists_of(Some(&context.role), &changes.borrow());
        session.begin_with(lists);
        let mut answered = json(StatusCode::OK, response(&request.id, &result, &[]));
        if let Ok(id) = HeaderValue::from_str(&session.id) {
            answered.headers_mut().insert(SESSION, id);
        }
        Ok(answered)
    }

    /// Answers a GET: the stream of a session.
    pub fn get(&self, http: &HttpRequest<'_>) -> Response {
        if is_stateless(http.headers) {
            return post_alone();
        }
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
        match self.session(http) {
            Ok(session) => {
                let last = headers::header(http.headers, LAST_EVENT);
                if let Some((log, seen)) = last.and_then(streams::answer_event) {
                    let log = session.answer_log(log);
                    let rest =
                        log.and_then(|log| streams::of_answer(log, seen, &http.roles.config()));
                    return rest.unwrap_or_else(|| {
                        let error = RpcError::invalid(
                            "what came after this event is not kept any more: send the request again",
                        );
                        refused(&error, Era::Sessionful)
                    });
                }
                let last = last.and_then(|id| id.parse().ok());
                streams::of_session(self.watch(http), &session, last)
            }
            Err(error) => refused(&error, Era::Sessionful),
        }
    }

    /// Answers a DELETE: the end of a session.
    pub fn delete(&self, http: &HttpRequest<'_>) -> Response {
        if is_stateless(http.headers) {
            return post_alone();
        }
        match self.session(http) {
            Ok(session) => {
                self.sessions.end(&session);
                StatusCode::NO_CONTENT.into_response()
            }
            Err(error) => refused(&error, Era::Sessionful),
        }
    }

    /// The session that the headers name.
    fn session(&self, http: &HttpRequest<'_>) -> Result<Arc<Session>, RpcError> {
        let headers = http.headers;
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
            .find(
                id,
                http.role.name(),
                principal(&http.caller),
                &http.roles.config(),
            )
            .ok_or_else(RpcError::session)
    }

    fn watch(&self, http: &HttpRequest<'_>) -> Watch {
        let (roles, role) = (http.roles, &http.role);
        Watch {
            is_permitted: http.is_permitted.clone(),
            versions: roles.versions(),
            changes: roles.changes(role.name()),
            config: roles.config(),
            roles: roles.clone(),
            role: role.name().clone(),
            stopping: self.stopping.subscribe(),
        }
    }
}

impl Sessionful<'_> {
    /// Takes a message that wants no answer.
    fn take(&self, session: &Session, message: Message) {
        match message {
            Message::Response(id, answer) => session.answered(&id, answer),
            Message::Notification(notification) if notification.method == CANCELLED => {
                let id = notification.params.request_id.as_ref();
                if let Some(id) = id.and_then(|json| Id::read(json.get())) {
                    session.cancel(&id);
                }
            }
            Message::Notification(_) | Message::Request(_) => {}
        }
    }

    /// Begins to answer a request. Gives the work, and what is said to the client meanwhile, if anything can be.
    fn begin(
        &self,
        session: &Arc<Session>,
        request: Request,
        may_talk: bool,
    ) -> Result<(Answering<Answered>, Option<mpsc::Receiver<Bytes>>), RpcError> {
        let id = request.id.clone();
        let Some(mut running) = session.run(&id) else {
            return Err(RpcError::invalid(
                "a request of this id is not answered yet",
            ));
        };
        let (revision, meta) = (session.revision, Meta::of(&request));
        let mut caller = self.caller.clone();
        caller.name = caller.name.or_else(|| session.client.clone());
        caller.traceparent = caller.traceparent.or_else(|| meta.traceparent());
        let mut context = Context {
            session: Some(session.clone()),
            capabilities: session.capabilities.clone(),
            ..Context::new(self.roles, self.role, revision, caller, self.kept)
        };
        let mut said = None;
        if may_talk && talks(&request, revision, self.role) {
            let (client, receiver) = RequestClient::of_session(
                session.clone(),
                meta.said(),
                context.config.client_answer.get(),
                context.call_id.clone(),
            );
            let none = SuspendedState::default();
            let call = ClientCall::new(Arc::new(client), HashMap::new(), &none);
            context.client = Some(Arc::new(call));
            said = Some(receiver);
        }
        let session = session.clone();
        let answering = async move {
            let lists = method(&request.method, revision.era()).and_then(|method| method.lists);
            if let Some(list) = lists
                && context.role.settled().await.is_ok()
            {
                // Before it is answered: what changes meanwhile is told.
                let changes = context.roles.changes(context.role.name());
                let [tools, prompts, resources] = lists_of(Some(&context.role), &changes.borrow());
                session.knows(list, [tools, prompts, resources]);
            }
            let answered = tokio::select! {
                answered = answer_request(&context, request) => answered,
                // Dropping the answer's future cancels the guest.
                _ = &mut running.cancelled => Err(RpcError::cancelled()),
            };
            match answered {
                Ok(answer) => {
                    let json = response(&id, &answer.json, &[]);
                    Answered::ok(json, answer.call_id)
                }
                Err(error) => failed(&error.answering(id), Era::Sessionful),
            }
        };
        Ok((Box::pin(answering), said))
    }
}

/// Answers with the outcome of some work, or with a stream if something is said to the client before.
async fn respond(
    id: Id,
    answering: Answering<Answered>,
    said: Option<mpsc::Receiver<Bytes>>,
    keep_alive: std::time::Duration,
    resumption: Option<Resumption>,
) -> Response {
    match said {
        None => answering.await.whole(),
        Some(said) => {
            let last = |answered: Answered| answered.json;
            let whole = Answered::whole;
            streams::answer_or_stream(id, answering, said, keep_alive, whole, last, resumption)
                .await
        }
    }
}

/// True if the guest may talk to the client while it answers this.
fn talks(request: &Request, revision: Revision, role: &Role) -> bool {
    let method = method(&request.method, revision.era());
    method.is_some_and(|method| method.talks)
        && role.version().is_none_or(|version| version.talks_to_client)
}

/// A result of the stateless era, which says what it is and who gives it.
fn stateless_response(context: &Context, id: &Id, answer: &Answer) -> Vec<u8> {
    let result_type = format!("\"{}\"", answer.result_type);
    let server = format!(
        r#"{{"io.modelcontextprotocol/serverInfo":{}}}"#,
        server_info(&context.role)
    );
    let ttl = context.config.list_ttl.get().as_millis().to_string();
    let members = [
        ("resultType", result_type.as_str()),
        ("_meta", server.as_str()),
        ("ttlMs", ttl.as_str()),
        // What there is may depend on the token.
        ("cacheScope", r#""private""#),
    ];
    let members = members
        .get(..if answer.is_cacheable { 4 } else { 2 })
        .unwrap_or_default();
    response(id, &answer.json, members)
}

/// A hash of what a call is about, however its JSON is written.
fn digest(params: &Params) -> String {
    let parts = [&params.name, &params.uri, &params.arguments];
    let parts = parts.map(|part| part.as_ref().map_or("null", RawJson::get));
    RequestHash::of("", format!("[{}]", parts.join(",")).as_bytes()).to_string()
}

/// The metadata of a message, if it is one of the stateless era.
pub(crate) fn stateless_meta(headers: &HeaderMap, message: &Request) -> Option<Meta> {
    let meta = Meta::of(message);
    if meta.names_revision() || STATELESS.contains(&message.method.as_str()) {
        return Some(meta);
    }
    (message.method != INITIALIZE && is_stateless(headers)).then_some(meta)
}

fn refused(error: &RpcError, era: Era) -> Response {
    failed(error, era).whole()
}

fn failed(error: &RpcError, era: Era) -> Answered {
    let status = StatusCode::from_u16(error.status(era)).unwrap_or(StatusCode::BAD_REQUEST);
    Answered {
        status,
        json: error.to_json(),
        call_id: None,
        scope: error.needed_scope(),
    }
}

/// The error of an answer that does not fit into that of its batch.
fn too_large(role: &Role) -> RpcError {
    let key = role.settings.limit_key("unread_answers");
    RpcError::server(format!(
        "the answers of one batch are larger than `{key}`; send fewer requests at once"
    ))
}

/// True for a request that names the stateless revision.
fn is_stateless(headers: &HeaderMap) -> bool {
    let version = headers::header(headers, headers::VERSION).and_then(Revision::named);
    version.is_some_and(|revision| revision.era() == Era::Stateless)
}

/// The stateless era has no GET and no DELETE.
fn post_alone() -> Response {
    let allow = [(header::ALLOW, HeaderValue::from_static("POST"))];
    (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
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
