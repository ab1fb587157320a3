//! Server-sent events: the stream of a session, that of a `subscriptions/listen`, and the answer to a request during
//! which something is said to the client.
//!
//! A stream holds no events: it is asked for the next one when the client has taken the last, so that one
//! that stops reading costs nothing but its connection. What a guest says to its client waits until that takes it,
//! and the guest waits with it, as long as its call may.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use exomonad_config::McpConfig;
use exomonad_core::mcp::RoleChanges;
use exomonad_host::HostError;
use exomonad_host::execution::{Running, spawn};
use exomonad_schema::RoleName;
use futures_util::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, sleep_until};

use crate::Roles;
use crate::answer_log::{self as log, AnswerLog};
use crate::lists::{KnownList, List, Listed, lists_of};
use crate::message::Id;
use crate::methods::server_info;
use crate::rpc_error::RpcError;
use crate::sessions::{Events, OpenStream, RESOURCE_UPDATED, Session};

/// Keeps proxies and clients from taking the stream for dead.
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// The changes that every stream waits for.
pub struct Watch {
    /// The roles, which may be replaced while the stream is open.
    pub roles: Arc<dyn Roles>,
    /// The role that the stream is of.
    pub role: RoleName,
    /// The configuration in force.
    pub config: McpConfig,
    /// Changes when a role serves another version.
    pub versions: watch::Receiver<()>,
    /// The news of the plugin for its clients.
    pub changes: watch::Receiver<RoleChanges>,
    /// True when the host shuts down.
    pub stopping: watch::Receiver<bool>,
    /// False once the client's token does not open the role any more.
    pub is_permitted: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Why a stream goes on.
enum Wake {
    /// A role may serve another version, or its plugin has told its clients something.
    Changes,
    /// The host shuts down.
    Stopping,
    /// Nothing has happened for a while.
    Silence,
}

impl Watch {
    fn lists(&self) -> [Listed; 3] {
        lists_of(self.roles.role(&self.role).as_ref(), &self.changes.borrow())
    }

    async fn wake(&mut self) -> Wake {
        let is_stopping = |stopping: &bool| *stopping;
        tokio::select! {
            changed = self.versions.changed() => changed.map_or(Wake::Stopping, |()| Wake::Changes),
            // Its sender is kept as long as the host runs.
            changed = self.changes.changed() => changed.map_or(Wake::Stopping, |()| Wake::Changes),
            _ = self.stopping.wait_for(is_stopping) => Wake::Stopping,
            () = sleep(self.config.keep_alive.get()) => Wake::Silence,
        }
    }
}

/// The stream of a session.
struct SessionStream {
    watch: Watch,
    session: OpenStream,
    number: u64,
    events: watch::Receiver<Events>,
    /// The id of the last event that was sent.
    sent: u64,
    /// True until the first event without data is sent, if there is to be one.
    unprimed: bool,
}

/// Answers with the stream of a session, after an event that the client has seen.
pub fn of_session(watch: Watch, session: &Arc<Session>, last_event_id: Option<u64>) -> Response {
    let (session, number, events) = session.open();
    let newest = events.borrow().last();
    // An id that was never given is another stream's: nothing is told twice.
    let sent = last_event_id.filter(|id| *id <= newest).unwrap_or(newest);
    let unprimed = session.0.revision.has_priming();
    // Something may have changed while nobody listened.
    session.0.tell(watch.lists(), &watch.changes.borrow());
    let stream = SessionStream {
        watch,
        session,
        number,
        events,
        sent,
        unprimed,
    };
    respond(stream::unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    }))
}

impl SessionStream {
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.unprimed) {
            return Some(format!("id: {}\ndata:\n\n", self.sent).into());
        }
        loop {
            if !(self.watch.is_permitted)() {
                return None;
            }
            {
                let events = self.events.borrow_and_update();
                if events.stream != self.number || events.has_ended {
                    return None;
                }
                if let Some((id, data)) = events.after(self.sent) {
                    self.sent = *id;
                    let data = String::from_utf8_lossy(data);
                    return Some(format!("event: message\nid: {id}\ndata: {data}\n\n").into());
                }
            }
            let wake = tokio::select! {
                changed = self.events.changed() => {
                    changed.ok()?;
                    continue;
                }
                wake = self.watch.wake() => wake,
            };
            match wake {
                Wake::Changes => {
                    let lists = self.watch.lists();
                    let changes = self.watch.changes.borrow_and_update();
                    self.session.0.tell(lists, &changes);
                }
                Wake::Stopping => return None,
                Wake::Silence => return Some(COMMENT),
            }
        }
    }
}

/// The notifications that a subscription wants.
#[derive(Default)]
pub struct Filter {
    /// By [`List`].
    pub lists: [bool; 3],
    /// The resources whose updates it wants.
    pub resources: Vec<String>,
}

/// The stream of a `subscriptions/listen`.
struct Subscription {
    watch: Watch,
    id: Id,
    filter: Filter,
    lists: [KnownList; 3],
    /// The last update that it knows of each resource.
    seen: Vec<u64>,
    state: SubscriptionState,
    _place: OwnedSemaphorePermit,
}

enum SubscriptionState {
    /// The client has not been told that it is subscribed.
    New,
    Open,
    /// The last message is sent.
    Closed,
}

/// Answers with the stream of a subscription.
pub fn of_subscription(
    watch: Watch,
    id: Id,
    filter: Filter,
    place: OwnedSemaphorePermit,
) -> Response {
    let mut lists: [KnownList; 3] = Default::default();
    for (known, listed) in lists.iter_mut().zip(watch.lists()) {
        known.update(listed);
    }
    let seen = vec![watch.changes.borrow().last(); filter.resources.len()];
    let stream = Subscription {
        lists,
        seen,
        watch,
        id,
        filter,
        state: SubscriptionState::New,
        _place: place,
    };
    respond(stream::unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    }))
}

impl Subscription {
    async fn next(&mut self) -> Option<Bytes> {
        match self.state {
            SubscriptionState::New => {
                self.state = SubscriptionState::Open;
                let granted = format!(r#","notifications":{}"#, self.granted());
                return Some(
                    self.notification("notifications/subscriptions/acknowledged", &granted),
                );
            }
            SubscriptionState::Closed => return None,
            SubscriptionState::Open if self.wants_nothing() => return Some(self.close()),
            SubscriptionState::Open => {}
        }
        loop {
            if !(self.watch.is_permitted)() {
                return Some(self.close());
            }
            if let Some(news) = self.news() {
                return Some(news);
            }
            match self.watch.wake().await {
                Wake::Changes => {}
                Wake::Stopping => return Some(self.close()),
                Wake::Silence => return Some(COMMENT),
            }
        }
    }

    fn wants_nothing(&self) -> bool {
        self.filter.lists == [false; 3] && self.filter.resources.is_empty()
    }

    /// The subscriptions that the client gets.
    fn granted(&self) -> String {
        let mut granted = json!({});
        for (list, name) in List::ALL.into_iter().zip(FILTERS) {
            if self.filter.lists[list as usize] {
                granted[name] = json!(true);
            }
        }
        if !self.filter.resources.is_empty() {
            granted["resourceSubscriptions"] = json!(self.filter.resources);
        }
        granted.to_string()
    }

    /// The first thing that the client does not know yet.
    fn news(&mut self) -> Option<Bytes> {
        for (list, listed) in List::ALL.into_iter().zip(self.watch.lists()) {
            if self.lists[list as usize].update(listed) && self.filter.lists[list as usize] {
                return Some(self.notification(list.changed(), ""));
            }
        }
        let updated = {
            let changes = self.watch.changes.borrow();
            let resources = self.filter.resources.iter().zip(&mut self.seen);
            let mut updated = resources.filter(|(uri, seen)| changes.has_updated(uri, **seen));
            updated.next().map(|(uri, seen)| {
                *seen = changes.last();
                format!(r#","uri":{}"#, json!(uri))
            })
        };
        updated.map(|params| self.notification(RESOURCE_UPDATED, &params))
    }

    fn notification(&self, method: &str, params: &str) -> Bytes {
        let id = self.id.as_json();
        let meta = format!(r#"{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
        event(&format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{meta}{params}}}}}"#
        ))
    }

    /// The response to the request, which ends the subscription.
    fn close(&mut self) -> Bytes {
        self.state = SubscriptionState::Closed;
        let id = self.id.as_json();
        let role = self.watch.roles.role(&self.watch.role);
        let server = role.map_or_else(
            || json!({"name": self.watch.role, "version": ""}),
            |role| server_info(&role),
        );
        let meta = format!(
            r#"{{"io.modelcontextprotocol/subscriptionId":{id},"io.modelcontextprotocol/serverInfo":{server}}}"#
        );
        event(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{meta}}}}}"#
        ))
    }
}

/// The names of the lists in a filter, in their order.
pub const FILTERS: [&str; 3] = [
    "toolsListChanged",
    "promptsListChanged",
    "resourcesListChanged",
];

fn event(data: &str) -> Bytes {
    format!("event: message\ndata: {data}\n\n").into()
}

/// JSON without ends of lines, which stand between two of its parts and nowhere else.
pub fn in_one_line(mut json: Vec<u8>) -> Vec<u8> {
    for byte in &mut json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    json
}

/// The work on a request: it gives a JSON-RPC response.
pub type Answering<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The way to resume the stream of an answer.
pub struct Resumption {
    /// The session that the request is part of.
    pub session: Arc<Session>,
    /// Places for streams that have broken off.
    pub left: Arc<Semaphore>,
    /// The configuration in force.
    pub config: McpConfig,
}

/// The stream of an answer that its client may come back to.
struct ResumableStream {
    log: Arc<AnswerLog>,
    number: u64,
    events: watch::Receiver<log::Events>,
    /// The last message that was sent.
    sent: u64,
    /// True until the first event without data is sent.
    unprimed: bool,
    /// True when there is nothing more to send.
    has_all: bool,
    keep_alive: Duration,
    /// When the client has to come back for the rest.
    until: Option<Instant>,
}

impl Drop for ResumableStream {
    fn drop(&mut self) {
        self.log.closed(self.number, self.has_all);
    }
}

/// The time after which a client comes back for the rest, in milliseconds.
const RETRY: u64 = 1_000;

/// The id of a message of the log of an answer, as a client gives it.
pub fn answer_event(id: &str) -> Option<(u64, u64)> {
    let (log, nth) = id.split_once('-')?;
    Some((log.parse().ok()?, nth.parse().ok()?))
}

/// Answers with the rest of an answer, after a message that the client has seen; `None` if it is not kept.
pub fn of_answer(log: Arc<AnswerLog>, seen: u64, config: &McpConfig) -> Option<Response> {
    let (number, events) = log.open(seen)?;
    let time = config.stream_time.get();
    let stream = ResumableStream {
        log,
        number,
        events,
        sent: seen,
        unprimed: true,
        has_all: false,
        keep_alive: config.keep_alive.get(),
        until: (!time.is_zero()).then(|| Instant::now() + time),
    };
    Some(respond(stream::unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    })))
}

impl ResumableStream {
    /// An event without data: the client can come back from here on.
    fn prime(&self) -> Bytes {
        let (log, sent) = (self.log.number, self.sent);
        format!("id: {log}-{sent}\nretry: {RETRY}\ndata:\n\n").into()
    }

    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.unprimed) {
            return Some(self.prime());
        }
        loop {
            let next = {
                let events = self.events.borrow_and_update();
                if events.stream != self.number {
                    return None;
                }
                let next = events.after(self.sent).cloned();
                self.has_all = next.is_none() && events.is_complete;
                next
            };
            if let Some((nth, message)) = next {
                self.sent = nth;
                self.log.sent(nth);
                let head = format!("event: message\nid: {}-{nth}\ndata: ", self.log.number);
                return Some([head.as_bytes(), &message, b"\n\n"].concat().into());
            }
            if self.has_all || self.until.is_some_and(|until| until <= Instant::now()) {
                return None;
            }
            let closes = async {
                match self.until {
                    Some(until) => sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.events.changed() => changed.ok()?,
                () = closes => return Some(self.prime()),
                () = sleep(self.keep_alive) => return Some(COMMENT),
            }
        }
    }
}

/// Waits for the answer to the request of this id. If something is said to the client before it is there, the response
/// is a stream of that, and the answer at its end. Dropping either cancels the work.
pub async fn answer_or_stream<T: Send + 'static>(
    id: Id,
    mut answering: Answering<T>,
    mut said: mpsc::Receiver<Bytes>,
    keep_alive: Duration,
    whole: impl FnOnce(T) -> Response,
    last: fn(T) -> Vec<u8>,
    resumption: Option<Resumption>,
) -> Response {
    let (first, work, outcome) = tokio::select! {
        biased;
        answer = &mut answering => match said.try_recv() {
            // It was said in the same breath.
            Ok(first) => (first, None, Some(Ok(answer))),
            Err(_) => return whole(answer),
        },
        Some(first) = said.recv() => {
            // A client that stops reading must not keep the work from its limits: it goes on by itself.
            (first, Some(spawn(async move { Ok(answering.await) })), None)
        }
    };
    let work = match (work, resumption) {
        (Some(work), Some(resumption)) => {
            return resumable(id, first, said, work, last, resumption);
        }
        (work, _) => work,
    };
    let stream = AnswerStream {
        id,
        first: Some(first),
        said,
        work,
        outcome,
        last,
        keep_alive,
    };
    respond(stream::unfold(stream, async |mut stream| {
        let event = stream.next().await?;
        Some((Ok(event), stream))
    }))
}

/// Answers with a stream that its client may come back to.
fn resumable<T: Send + 'static>(
    id: Id,
    first: Bytes,
    said: mpsc::Receiver<Bytes>,
    work: Running<T>,
    last: fn(T) -> Vec<u8>,
    resumption: Resumption,
) -> Response {
    let (log, logged) = resumption.session.log_answer(&resumption.left);
    log.add(first);
    let response = of_answer(log.clone(), 0, &resumption.config);
    let resume = resumption.config.resume.get();
    tokio::spawn(async move {
        let _logged = logged;
        log.take(id, said, work, last, resume).await;
    });
    // A log that is new has everything.
    response.unwrap_or_default()
}

/// The messages to the client during a request, and the answer.
struct AnswerStream<T> {
    id: Id,
    first: Option<Bytes>,
    said: mpsc::Receiver<Bytes>,
    /// The work, while it is under way.
    work: Option<Running<T>>,
    /// The outcome, until it is sent.
    outcome: Option<Result<T, HostError>>,
    last: fn(T) -> Vec<u8>,
    keep_alive: Duration,
}

impl<T: Send + 'static> AnswerStream<T> {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(data(&first));
        }
        if let Some(work) = &mut self.work {
            let outcome = tokio::select! {
                biased;
                Some(said) = self.said.recv() => return Some(data(&said)),
                outcome = work.ended() => outcome,
                () = sleep(self.keep_alive) => return Some(COMMENT),
            };
            self.work = None;
            self.outcome = Some(outcome);
        }
        // Something may have been said between the two looks.
        if let Ok(said) = self.said.try_recv() {
            return Some(data(&said));
        }
        let answer = match self.outcome.take()? {
            Ok(answer) => (self.last)(answer),
            Err(error) => RpcError::from(error).answering(self.id.clone()).to_json(),
        };
        Some(data(&in_one_line(answer)))
    }
}

fn data(json: &[u8]) -> Bytes {
    [b"event: message\ndata: ", json, b"\n\n"].concat().into()
}

fn respond(
    events: impl stream::Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
) -> Response {
    let mut response = Body::from_stream(events).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
