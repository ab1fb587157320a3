//! Server-sent events: the stream of a session, and that of a `subscriptions/listen`.
//!
//! A stream holds no events: it is asked for the next one when the client has taken the last, so that one
//! that stops reading costs nothing but its connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use exomonad_config::McpConfig;
use exomonad_host::Role;
use exomonad_schema::RoleName;
use futures_util::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::sleep;

use crate::Roles;
use crate::message::Id;
use crate::methods::server_info;
use crate::sessions::{Events, KnownTools, OpenStream, Session};

/// The notification that the list of tools is another one, in the sessionful era.
pub const TOOLS_CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// Keeps proxies and clients from taking the stream for dead.
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// The tools of a role, as the JSON that its plugin listed; `None` while no version serves.
pub fn tools_of(role: Option<&Arc<Role>>) -> Option<Bytes> {
    Some(role?.version()?.tools_json.clone())
}

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
    /// True when the host shuts down.
    pub stopping: watch::Receiver<bool>,
}

/// Why a stream goes on.
enum Wake {
    /// A role may serve another version.
    Versions,
    /// The host shuts down.
    Stopping,
    /// Nothing has happened for a while.
    Silence,
}

impl Watch {
    fn tools(&self) -> Option<Bytes> {
        tools_of(self.roles.role(&self.role).as_ref())
    }

    async fn wake(&mut self) -> Wake {
        let is_stopping = |stopping: &bool| *stopping;
        tokio::select! {
            changed = self.versions.changed() => changed.map_or(Wake::Stopping, |()| Wake::Versions),
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
    // The tools may have changed while nobody listened.
    session.0.knows_tools(watch.tools(), Some(TOOLS_CHANGED));
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
                Wake::Versions => self
                    .session
                    .0
                    .knows_tools(self.watch.tools(), Some(TOOLS_CHANGED)),
                Wake::Stopping => return None,
                Wake::Silence => return Some(COMMENT),
            }
        }
    }
}

/// The stream of a `subscriptions/listen`.
struct Subscription {
    watch: Watch,
    id: Id,
    wants_tools: bool,
    tools: KnownTools,
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
    wants_tools: bool,
    place: OwnedSemaphorePermit,
) -> Response {
    let mut tools = KnownTools::default();
    tools.update(watch.tools());
    let stream = Subscription {
        tools,
        watch,
        id,
        wants_tools,
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
                let granted = match self.wants_tools {
                    true => r#","notifications":{"toolsListChanged":true}"#,
                    false => r#","notifications":{}"#,
                };
                return Some(
                    self.notification("notifications/subscriptions/acknowledged", granted),
                );
            }
            SubscriptionState::Closed => return None,
            SubscriptionState::Open if !self.wants_tools => return Some(self.close()),
            SubscriptionState::Open => {}
        }
        loop {
            match self.watch.wake().await {
                Wake::Versions => {
                    if self.tools.update(self.watch.tools()) {
                        return Some(self.notification("notifications/tools/list_changed", ""));
                    }
                }
                Wake::Stopping => return Some(self.close()),
                Wake::Silence => return Some(COMMENT),
            }
        }
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

fn event(data: &str) -> Bytes {
    format!("event: message\ndata: {data}\n\n").into()
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
