//! MCP over standard input and output: a bridge to an endpoint that speaks Streamable HTTP, in another
//! process or in this one. One JSON a line; the output has nothing else.
//!
//! The endpoint does everything. The bridge keeps the session's id, writes the headers that HTTP wants, and
//! begins the session again where a host was restarted, so that a client does not notice.

mod bridge;
mod events;
mod lines;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::Request as HttpMessage;
use axum::response::Response;
use bytes::Bytes;
use exomonad_schema::RoleName;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use self::bridge::Bridge;
pub use self::lines::{Line, read_lines, write_lines};
use crate::headers::Meta;
use crate::http::{CANCELLED, INITIALIZE, INITIALIZED, LISTEN};
use crate::message::{Body, Id, Message, Request};
use crate::rpc_error::RpcError;

/// Bytes that one answer, or one event, may have.
const ANSWER: usize = 1 << 30;

/// An answer that is being waited for. Dropping it cancels the request.
pub type Exchanged<'a> = Pin<Box<dyn Future<Output = Result<Response, String>> + Send + 'a>>;

/// The way to an endpoint.
pub trait Exchange: Send + Sync + 'static {
    /// Sends a request, whose address is a path. The error is for a user.
    fn exchange(&self, request: HttpMessage<Bytes>) -> Exchanged<'_>;
}

/// Serves a client until its input ends, then answers what is still running.
pub async fn serve(
    exchange: Arc<dyn Exchange>,
    role: &RoleName,
    mut lines: mpsc::Receiver<Line>,
    output: mpsc::Sender<Bytes>,
) {
    let bridge = Arc::new(Bridge::new(exchange, role, output));
    let mut tasks = Tasks::default();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => tasks.line(&bridge, line).await,
                None => break,
            },
            Some(_) = tasks.all.join_next() => tasks.running.retain(|_, task| !task.is_finished()),
            () = bridge.closed() => return,
        }
    }
    // Streams would never end.
    for stream in &tasks.streams {
        stream.abort();
    }
    // Nor would a request whose client owes an answer that cannot come any more.
    tokio::select! {
        () = async { while tasks.all.join_next().await.is_some() {} } => {}
        () = bridge.owed() => {}
    }
    drop(tasks);
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
                // A cancellation could be of either.
                if self
                    .running
                    .get(&id)
                    .is_some_and(|task| !task.is_finished())
                {
                    let error = RpcError::invalid("a request of this id is not answered yet");
                    return bridge.refuse(error.answering(id)).await;
                }
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
            message => {
                if let Body::Single(Message::Response(id, _)) = &message {
                    bridge.is_answered(id);
                }
                let asking = bridge.clone();
                self.all.spawn(async move { asking.forward(body).await });
            }
        }
    }
}

fn names_revision(request: &Request) -> bool {
    Meta::of(request).names_revision()
}
