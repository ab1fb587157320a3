//! MCP over standard input and output: a bridge to an endpoint that speaks Streamable HTTP, in another
//! process or in this one. One JSON a line; the output has nothing else.
//!
//! The endpoint does everything. The bridge keeps the session's id, writes the headers that HTTP wants, and
//! begins the session again where a host was restarted, so that a client does not notice.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request as HttpMessage, StatusCode, header,
};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use exomonad_schema::RoleName;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::headers::{self, Meta};
use crate::http::{
    CANCELLED, INITIALIZE, INITIALIZED, LAST_EVENT, LISTEN, SESSION, stateless_meta,
};
use crate::message::{Body, Id, Message, Request};
use crate::rpc_error::{NO_SESSION, RpcError};
use crate::streams::TOOLS_CHANGED;

/// Lines that wait to be read, and to be written.
const LINES: usize = 16;
/// Bytes that one answer, or one event, may have.
const ANSWER: usize = 1 << 30;
/// Headers that an endpoint may ask for, one after the other.
const HEADERS: usize = 32;
/// The pause before a stream that has ended is opened again; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// An answer that is being waited for. Dropping it cancels the request.
pub type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Response, String>> + Send + 'a>>;

/// The way to an endpoint.
pub trait Exchange: Send + Sync + 'static {
    /// Sends a request, whose address is a path. The error is for a user.
    fn exchange(&self, request: HttpMessage<Bytes>) -> Exchanged<'_>;
}

/// A line of the input.
pub enum Line {
    /// Its bytes, without the end of the line.
    Bytes(Bytes),
    /// It is longer than a message may be.
    TooLong,
}

/// Starts to read lines of standard input, each of at most so many bytes. It ends when the input does.
pub fn read_lines(longest: u64) -> mpsc::Receiver<Line> {
    let (send, lines) = mpsc::channel(LINES);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Ok(Some(line)) = read_line(&mut input, longest) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Starts to write to standard output. It ends when nothing more is sent, or when nobody reads.
pub fn write_lines() -> (mpsc::Sender<Bytes>, JoinHandle<()>) {
    let (send, mut lines) = mpsc::channel::<Bytes>(LINES);
    let writer = thread::spawn(move || {
        let mut output = io::stdout().lock();
        while let Some(line) = lines.blocking_recv() {
            if output
                .write_all(&line)
                .and_then(|()| output.flush())
                .is_err()
            {
                return;
            }
        }
    });
    (send, writer)
}

fn read_line(input: &mut impl BufRead, longest: u64) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(longest.saturating_add(1))
        .read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(Line::Bytes(line.into())));
    }
    if line.len() as u64 <= longest {
        // The last one may lack its end.
        return Ok((!line.is_empty()).then(|| Line::Bytes(line.into())));
    }
    drop(line);
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

/// Serves a client until its input ends, then answers what is still running.
pub async fn serve(
    exchange: Arc<dyn Exchange>,
    role: &RoleName,
    mut lines: mpsc::Receiver<Line>,
    output: mpsc::Sender<Bytes>,
) {
    let bridge = Arc::new(Bridge {
        exchange,
        path: format!("/role/{role}/mcp"),
        output,
        session: Mutex::default(),
        beginning: tokio::sync::Mutex::default(),
    });
    let mut tasks = Tasks::default();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => tasks.line(&bridge, line).await,
                None => break,
            },
            Some(_) = tasks.all.join_next() => tasks.running.retain(|_, task| !task.is_finished()),
            () = bridge.output.closed() => return,
        }
    }
    // Streams would never end.
    for stream in &tasks.streams {
        stream.abort();
    }
    while tasks.all.join_next().await.is_some() {}
    bridge.end().await;
}

/// The work of a client.
#[derive(Default)]
struct Tasks {
    all: JoinSet<()>,
    /// Requests that can be cancelled.
    running: HashMap<Id, AbortHandle>,
    /// Streams, which end with the input.
    streams: Vec<AbortHandle>,
}

impl Tasks {
    async fn line(&mut self, bridge: &Arc<Bridge>, line: Line) {
        let body = match line {
            Line::Bytes(bytes) if bytes.trim_ascii().is_empty() => return,
            Line::Bytes(bytes) => bytes,
            Line::TooLong => {
                return bridge
                    .refuse(RpcError::invalid(
                        "the line is longer than a message may be",
                    ))
                    .await;
            }
        };
        let message = match Body::read(body.clone()) {
            Ok(message) => message,
            Err(error) => return bridge.refuse(error).await,
        };
        match message {
            Body::Single(Message::Request(request))
                if request.method == INITIALIZE && !names_revision(&request) =>
            {
                bridge.begin(request.id, body).await;
            }
            Body::Single(Message::Request(request)) => {
                let (id, is_stream) = (request.id.clone(), request.method == LISTEN);
                let asking = bridge.clone();
                let task = self
                    .all
                    .spawn(async move { asking.ask(request, body).await });
                if is_stream {
                    self.streams.retain(|stream| !stream.is_finished());
                    self.streams.push(task.clone());
                }
                self.running.insert(id, task);
            }
            // Dropping the exchange cancels the request, in both eras.
            Body::Single(Message::Notification(request)) if request.method == CANCELLED => {
                let id = request
                    .params
                    .request_id
                    .as_ref()
                    .and_then(|json| Id::read(json.get()));
                if let Some(task) = id.and_then(|id| self.running.remove(&id)) {
                    task.abort();
                }
            }
            Body::Single(Message::Notification(request)) => {
                let is_initialized = request.method == INITIALIZED;
                bridge.forward(body).await;
                if is_initialized {
                    let listening = bridge.clone();
                    let task = self
                        .all
                        .spawn(async move { listening.follow_events().await });
                    self.streams.push(task);
                }
            }
            Body::Single(Message::Response) | Body::Batch(_) => {
                let asking = bridge.clone();
                self.all.spawn(async move { asking.forward(body).await });
            }
        }
    }
}

fn names_revision(request: &Request) -> bool {
    Meta::of(request).names_revision()
}

/// A session of the bridge.
#[derive(Clone)]
struct Opened {
    id: HeaderValue,
    revision: HeaderValue,
    /// The message that began it, to begin another with.
    initialize: Bytes,
}

struct Bridge {
    exchange: Arc<dyn Exchange>,
    path: String,
    output: mpsc::Sender<Bytes>,
    session: Mutex<Option<Opened>>,
    /// Held while a session is begun again: one does it for all.
    beginning: tokio::sync::Mutex<()>,
}

/// What an endpoint has answered.
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
}

impl Bridge {
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

    async fn refuse(&self, error: RpcError) {
        self.say(&error.to_json()).await;
    }

    /// Begins a session, and says what comes of it.
    async fn begin(&self, id: Id, initialize: Bytes) {
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
        self.initialize(old.initialize.clone()).await?;
        let initialized = format!(r#"{{"jsonrpc":"2.0","method":"{INITIALIZED}"}}"#);
        self.send(
            Method::POST,
            initialized.into(),
            session_headers(self.session().as_ref()),
        )
        .await?;
        // Other plugins may serve now.
        self.say(TOOLS_CHANGED.as_bytes()).await;
        Ok(())
    }

    /// Sends a request, and says what is answered.
    async fn ask(&self, request: Request, body: Bytes) {
        let answered = if stateless_meta(&HeaderMap::new(), &request).is_some() {
            self.ask_stateless(&request, body).await
        } else {
            self.ask_in_session(body).await
        };
        if let Err(message) = answered {
            self.refuse(RpcError::server(message).answering(request.id))
                .await;
        }
    }

    /// Sends what wants no answer, or several.
    async fn forward(&self, body: Bytes) {
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
                    self.say(&event.data).await;
                }
            }
        }
        Ok(())
    }

    /// Writes the events of the session, for as long as there is one.
    async fn follow_events(&self) {
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
    async fn end(&self) {
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

/// Server-sent events, as they come in.
#[derive(Default)]
struct Events {
    received: BytesMut,
    id: Option<Bytes>,
    data: BytesMut,
}

struct Event {
    id: Option<Bytes>,
    data: Bytes,
}

impl Events {
    fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.received.extend_from_slice(bytes);
        match self.received.len() + self.data.len() > ANSWER {
            true => Err("an event of the stream is too long".to_owned()),
            false => Ok(()),
        }
    }

    /// The next event that is complete.
    fn next(&mut self) -> Option<Event> {
        while let Some(end) = memchr::memchr(b'\n', &self.received) {
            let line = self.received.split_to(end + 1).freeze();
            let line = line.slice(..line.trim_ascii_end().len());
            let value = |field: &[u8]| {
                let value = line.strip_prefix(field)?;
                Some(line.slice_ref(value.strip_prefix(b" ").unwrap_or(value)))
            };
            if line.is_empty() {
                let event = Event {
                    id: self.id.take(),
                    data: self.data.split().freeze(),
                };
                if event.id.is_some() || !event.data.is_empty() {
                    return Some(event);
                }
            } else if let Some(data) = value(b"data:") {
                self.data.extend_from_slice(&data);
            } else if let Some(id) = value(b"id:") {
                self.id = Some(id);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_up_to_their_bound() {
        let mut input = &b"{}\n\n12345678\n1234567890\nabc\nlast"[..];
        let mut read = Vec::new();
        while let Some(line) = read_line(&mut input, 8).unwrap() {
            read.push(match line {
                Line::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(read, ["{}", "", "12345678", "too long", "abc", "last"]);
    }

    #[test]
    fn events_are_put_together_wherever_they_are_cut() {
        let stream = b": comment\n\nid: 0\ndata:\n\nevent: message\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: x\n\n";
        for size in 1..stream.len() {
            let (mut events, mut seen) = (Events::default(), Vec::new());
            for chunk in stream.chunks(size) {
                events.add(chunk).unwrap();
                while let Some(event) = events.next() {
                    seen.push((event.id.map(|id| id.to_vec()), event.data.to_vec()));
                }
            }
            let expected: [(Option<Vec<u8>>, Vec<u8>); 3] = [
                (Some(b"0".to_vec()), Vec::new()),
                (Some(b"7".to_vec()), br#"{"a":1}"#.to_vec()),
                (None, b"x".to_vec()),
            ];
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }
}
