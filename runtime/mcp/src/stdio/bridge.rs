//! [`Bridge`]: messages to an endpoint, and what it answers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request as HttpMessage, StatusCode, header,
};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use exomonad_schema::RoleName;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::events::Events;
use super::{ANSWER, Exchange};
use crate::headers;
use crate::http::{CANCELLED, INITIALIZED, LAST_EVENT, SESSION, stateless_meta};
use crate::lists::List;
use crate::message::{Id, Message, Request};
use crate::rpc_error::{NO_SESSION, RpcError};
use crate::sessions::notification;

/// Headers that an endpoint may ask for, one after the other.
const HEADERS: usize = 32;
/// The pause before a stream that has ended is opened again; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A session of the bridge.
#[derive(Clone)]
struct Opened {
    id: HeaderValue,
    revision: HeaderValue,
    /// The message that began it, to begin another with.
    initialize: Bytes,
}

/// The way of one client to an endpoint.
pub struct Bridge {
    exchange: Arc<dyn Exchange>,
    path: String,
    output: mpsc::Sender<Bytes>,
    session: Mutex<Option<Opened>>,
    /// Requests to the client that it has not answered.
    owed: watch::Sender<HashSet<Id>>,
    /// Held while a session is begun again: one does it for all.
    beginning: tokio::sync::Mutex<()>,
}

/// The answer of an endpoint.
enum Answer {
    /// Messages, as they come.
    Events(Response),
    /// A message, or nothing.
    Whole(StatusCode, Bytes),
}

/// The part of an answer that the bridge understands.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Understood {
    error: Option<UnderstoodError>,
    result: Option<UnderstoodResult>,
    /// Of a problem document.
    detail: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UnderstoodError {
    code: i32,
    data: Option<serde_json::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UnderstoodResult {
    protocol_version: Option<String>,
    capabilities: serde_json::Value,
}

impl Bridge {
    /// A bridge to the endpoint of a role. What it says goes to `output`, in lines.
    pub fn new(exchange: Arc<dyn Exchange>, role: &RoleName, output: mpsc::Sender<Bytes>) -> Self {
        Self {
            exchange,
            path: format!("/role/{role}/mcp"),
            output,
            session: Mutex::default(),
            owed: watch::Sender::default(),
            beginning: tokio::sync::Mutex::default(),
        }
    }

    /// Ready when the client owes an answer.
    pub async fn owed(&self) {
        let mut owed = self.owed.subscribe();
        // The sender is this bridge's own.
        let _ = owed.wait_for(|owed| !owed.is_empty()).await;
    }

    /// Notes that the client has answered a request.
    pub fn is_answered(&self, id: &Id) {
        self.owed.send_modify(|owed| {
            owed.remove(id);
        });
    }

    /// Notes a request to the client, or that one is not waited for any more, if this message is that.
    fn note(&self, message: &[u8]) {
        match Message::read_one(message) {
            Some(Message::Request(request)) => self.owed.send_modify(|owed| {
                owed.insert(request.id);
            }),
            Some(Message::Notification(notification)) if notification.method == CANCELLED => {
                let id = notification.params.request_id.as_ref();
                if let Some(id) = id.and_then(|json| Id::read(json.get())) {
                    self.is_answered(&id);
                }
            }
            _ => {}
        }
    }

    /// Ready when nobody reads any more.
    pub async fn closed(&self) {
        self.output.closed().await;
    }

    fn session(&self) -> Option<Opened> {
        self.session
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends a message of a session, or of none.
    async fn send(
        &self,
        method: Method,
        body: Bytes,
        mut headers: HeaderMap,
    ) -> Result<Response, String> {
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, text/event-stream"),
        );
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        let mut request = HttpMessage::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self
            .path
            .parse()
            .map_err(|error| format!("{}: {error}", self.path))?;
        *request.headers_mut() = headers;
        self.exchange.exchange(request).await
    }

    /// Writes a message in a line.
    async fn say(&self, json: &[u8]) {
        let mut line = BytesMut::with_capacity(json.len() + 1);
        // Within JSON an end of line stands between two parts, and nowhere else.
        line.extend(json.iter().map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        }));
        line.extend_from_slice(b"\n");
        // Nobody reads: then the input ends, too.
        let _ = self.output.send(line.freeze()).await;
    }

    /// Says that a message is refused.
    pub async fn refuse(&self, error: RpcError) {
        self.say(&error.to_json()).await;
    }

    /// Begins a session, and says what comes of it.
    pub async fn begin(&self, id: Id, initialize: Bytes) {
        match self.initialize(initialize).await {
            Ok(answer) => self.say(&answer).await,
            Err(message) => self.refuse(RpcError::server(message).answering(id)).await,
        }
    }

    async fn initialize(&self, initialize: Bytes) -> Result<Bytes, String> {
        let response = self
            .send(Method::POST, initialize.clone(), HeaderMap::new())
            .await?;
        let id = response.headers().get(SESSION).cloned();
        let (status, answer) = whole(response).await?;
        let understood: Understood = serde_json::from_slice(&answer).unwrap_or_default();
        if let Some(detail) = understood.detail {
            return Err(detail);
        }
        let revision = understood.result.and_then(|result| result.protocol_version);
        let revision = revision.and_then(|revision| HeaderValue::from_str(&revision).ok());
        if let (Some(id), Some(revision)) = (id, revision) {
            let opened = Opened {
                id,
                revision,
                initialize,
            };
            *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        } else if understood.error.is_none() {
            return Err(format!(
                "the endpoint has begun no session: it answered {status}"
            ));
        }
        Ok(answer)
    }

    /// Begins the session again, if it is still this one: the host was restarted.
    async fn begin_again(&self, old: &Opened) -> Result<(), String> {
        let _one_at_a_time = self.beginning.lock().await;
        if self.session().is_some_and(|session| session.id != old.id) {
            return Ok(());
        }
        let begun = self.initialize(old.initialize.clone()).await?;
        let initialized = format!(r#"{{"jsonrpc":"2.0","method":"{INITIALIZED}"}}"#);
        self.send(
            Method::POST,
            initialized.into(),
            session_headers(self.session().as_ref()),
        )
        .await?;
        // Other plugins may serve now.
        let understood: Understood = serde_json::from_slice(&begun).unwrap_or_default();
        let result = understood.result.unwrap_or_default();
        for list in List::ALL {
            if result.capabilities[list.name()]["listChanged"] == true {
                self.say(&notification(list.changed(), None)).await;
            }
        }
        Ok(())
    }

    /// Sends a request, and says what is answered.
    pub async fn ask(&self, request: Request, body: Bytes) {
        let answered = if stateless_meta(&HeaderMap::new(), &request).is_some() {
            self.ask_stateless(&request, body).await
        } else if self.session().is_none() {
            // The endpoint would speak of headers, which nobody writes here.
            let error = RpcError::invalid(
                "`initialize` begins a session, and comes first; requests of revisions without sessions name theirs in `_meta`",
            );
            return self.refuse(error.answering(request.id)).await;
        } else {
            self.ask_in_session(body).await
        };
        if let Err(message) = answered {
            self.refuse(RpcError::server(message).answering(request.id))
                .await;
        }
    }

    /// Sends what wants no answer, or several.
    pub async fn forward(&self, body: Bytes) {
        if self.session().is_none() {
            tracing::warn!("a message came before `initialize`, which begins a session");
            return;
        }
        if let Err(error) = self.ask_in_session(body).await {
            tracing::warn!(error, "a message could not be delivered");
        }
    }

    async fn ask_in_session(&self, body: Bytes) -> Result<(), String> {
        let session = self.session();
        let headers = session_headers(session.as_ref());
        let mut answer = self.answer(body.clone(), headers).await?;
        if let (Answer::Whole(StatusCode::NOT_FOUND, json), Some(session)) = (&answer, &session)
            && error_of(json).is_some_and(|error| error.code == NO_SESSION)
        {
            self.begin_again(session).await?;
            answer = self
                .answer(body, session_headers(self.session().as_ref()))
                .await?;
        }
        self.relay(answer).await
    }

    async fn ask_stateless(&self, request: &Request, body: Bytes) -> Result<(), String> {
        let mut headers = headers::mirrored(request);
        for _ in 0..HEADERS {
            let answer = self.answer(body.clone(), headers.clone()).await?;
            // Which parameters it wants as headers is in the tool's schema, which it knows.
            if let Answer::Whole(StatusCode::BAD_REQUEST, json) = &answer
                && let Some(data) = error_of(json).and_then(|error| error.data)
                && let (Some(name), Some(value)) =
                    (data["header"].as_str(), data["expected"].as_str())
                && let (Ok(name), Ok(value)) =
                    (HeaderName::try_from(name), HeaderValue::from_str(value))
                && headers.insert(name, value).is_none()
            {
                continue;
            }
            return self.relay(answer).await;
        }
        Err("the endpoint asks for ever more headers".to_owned())
    }

    async fn answer(&self, body: Bytes, headers: HeaderMap) -> Result<Answer, String> {
        let response = self.send(Method::POST, body, headers).await?;
        if is_events(&response) {
            return Ok(Answer::Events(response));
        }
        let (status, body) = whole(response).await?;
        Ok(Answer::Whole(status, body))
    }

    async fn relay(&self, answer: Answer) -> Result<(), String> {
        match answer {
            Answer::Events(response) => self.relay_events(response, &mut None).await,
            Answer::Whole(_, json) if json.is_empty() => Ok(()),
            Answer::Whole(status, json) => {
                // A refusal that comes before MCP: a wrong token, a role that is gone.
                let understood: Result<Understood, _> = serde_json::from_slice(&json);
                match understood {
                    Ok(Understood {
                        detail: Some(detail),
                        ..
                    }) => Err(detail),
                    Err(_) if !json.starts_with(b"[") => {
                        Err(format!("the endpoint answered {status}"))
                    }
                    _ => {
                        self.say(&json).await;
                        Ok(())
                    }
                }
            }
        }
    }

    /// Writes the messages of a stream until it ends, and notes the id of its last event.
    async fn relay_events(
        &self,
        response: Response,
        last: &mut Option<HeaderValue>,
    ) -> Result<(), String> {
        let mut chunks = response.into_body().into_data_stream();
        let mut events = Events::default();
        while let Some(chunk) = chunks.next().await {
            events.add(&chunk.map_err(|error| format!("the stream broke off: {error}"))?)?;
            while let Some(event) = events.next() {
                if let Some(id) = event.id {
                    *last = HeaderValue::from_bytes(&id).ok();
                }
                if !event.data.is_empty() {
                    self.note(&event.data);
                    self.say(&event.data).await;
                }
            }
        }
        Ok(())
    }

    /// Writes the events of the session, for as long as there is one.
    pub async fn follow_events(&self) {
        let mut last: Option<HeaderValue> = None;
        let mut pause = PAUSE;
        while let Some(session) = self.session() {
            let mut headers = session_headers(Some(&session));
            if let Some(last) = &last {
                headers.insert(LAST_EVENT, last.clone());
            }
            match self.send(Method::GET, Bytes::new(), headers).await {
                Ok(response) if is_events(&response) => {
                    pause = PAUSE;
                    // However it ended, it is opened again.
                    let _ = self.relay_events(response, &mut last).await;
                }
                Ok(response) if response.status() == StatusCode::NOT_FOUND => {
                    last = None;
                    if let Err(error) = self.begin_again(&session).await {
                        tracing::warn!(error, "the session could not be begun again");
                    }
                }
                // The endpoint has no such stream.
                Ok(_) => return,
                Err(error) => tracing::warn!(error, "the events of the session do not come"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Ends the session.
    pub async fn end(&self) {
        if let Some(session) = self.session() {
            // It would end by itself.
            let _ = self
                .send(
                    Method::DELETE,
                    Bytes::new(),
                    session_headers(Some(&session)),
                )
                .await;
        }
    }
}

fn session_headers(session: Option<&Opened>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(session) = session {
        headers.insert(SESSION, session.id.clone());
        headers.insert(headers::VERSION, session.revision.clone());
    }
    headers
}

fn is_events(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    response.status().is_success()
        && kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

async fn whole(response: Response) -> Result<(StatusCode, Bytes), String> {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), ANSWER).await;
    Ok((
        status,
        body.map_err(|error| format!("the answer broke off: {error}"))?,
    ))
}

fn error_of(json: &[u8]) -> Option<UnderstoodError> {
    serde_json::from_slice::<Understood>(json).ok()?.error
}
