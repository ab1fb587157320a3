//! The transport's side of the line from a call to its client, in both eras.
//!
//! With a session the client is asked on the stream that answers its request, and answers by a message of its own.
//! Without one it is asked by the result of its call, and answers by calling again.

use std::sync::Arc;

use bytes::Bytes;
use exomonad_core::BoxFuture;
use exomonad_host::client::{ClientTransport, KeyedQuestion};
use exomonad_schema::effects::mcp::{McpClient, McpLog, McpLogLevel, McpProgress};
use exomonad_schema::{CallId, EffectError, ErrorCode, RawJson};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Duration, timeout};

use crate::capabilities::Capabilities;
use crate::message::text;
use crate::sessions::{Session, notification};
use crate::streams::in_one_line;

/// Messages to a client that wait for it to take them.
const SAID: usize = 16;

/// The client of one request.
pub struct RequestClient {
    /// The session, in the era that has them.
    session: Option<Arc<Session>>,
    client: McpClient,
    /// The token by which the client knows the progress of its request.
    progress_token: Option<RawJson>,
    /// The least level of lines, of a request without a session.
    log_level: Option<McpLogLevel>,
    said: mpsc::Sender<Bytes>,
    /// The time that the client may take to answer.
    patience: Duration,
    call: CallId,
}

/// The part of a request's `_meta` that is about what is said during it.
#[derive(Default)]
pub struct SaidMeta {
    progress_token: Option<RawJson>,
    log_level: Option<McpLogLevel>,
}

impl SaidMeta {
    /// It, from a token that is a text or a number, and a level. What is neither is not there.
    pub fn new(token: Option<&RawJson>, log_level: Option<&RawJson>) -> Self {
        let is_token =
            |token: &&RawJson| token.get().parse::<i64>().is_ok() || text(Some(token)).is_some();
        Self {
            progress_token: token.filter(is_token).cloned(),
            log_level: log_level.and_then(|json| json.parse().ok()),
        }
    }
}

impl RequestClient {
    /// The client of a request in a session, and what is said to it.
    pub fn of_session(
        session: Arc<Session>,
        meta: SaidMeta,
        patience: Duration,
        call: CallId,
    ) -> (Self, mpsc::Receiver<Bytes>) {
        let name = session.client.clone();
        let client = session.capabilities.describe(name, session.revision.name());
        let (said, receiver) = mpsc::channel(SAID);
        let client = Self {
            session: Some(session),
            client,
            progress_token: meta.progress_token,
            log_level: None,
            said,
            patience,
            call,
        };
        (client, receiver)
    }

    /// The client of a request without a session, and what is said to it.
    pub fn of_request(
        capabilities: &Capabilities,
        name: Option<String>,
        revision: &str,
        meta: SaidMeta,
        call: CallId,
    ) -> (Self, mpsc::Receiver<Bytes>) {
        let (said, receiver) = mpsc::channel(SAID);
        let client = Self {
            session: None,
            client: capabilities.describe(name, revision),
            progress_token: meta.progress_token,
            log_level: meta.log_level,
            said,
            patience: Duration::ZERO,
            call,
        };
        (client, receiver)
    }

    /// Says something; if nobody listens any more, the call ends anyway.
    async fn say(&self, message: Bytes) {
        let _ = self.said.send(message).await;
    }

    async fn notify(&self, method: &str, params: &Value) {
        let params = in_one_line(params.to_string().into_bytes());
        let params = String::from_utf8_lossy(&params);
        self.say(notification(method, Some(&params))).await;
    }

    /// Asks the client of a session one thing.
    async fn ask_one(
        &self,
        session: &Session,
        question: &KeyedQuestion,
        nth: usize,
    ) -> Result<RawJson, EffectError> {
        let failed = |code, message: String| EffectError::new(code, message);
        let method = question.capability.method();
        let Some(mut asked) = session.ask() else {
            let message = format!("{method}: the client owes too many answers already");
            return Err(failed(ErrorCode::LimitExceeded, message));
        };
        let mut params: Value = question.params.parse().unwrap_or_default();
        if params["mode"] == "url" {
            params["elicitationId"] = json!(format!("{}-{}-{nth}", self.call, question.key));
        }
        let id = asked.id.as_json().to_owned();
        let request =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        self.say(in_one_line(request.into_bytes()).into()).await;
        match timeout(self.patience, &mut asked.answer).await {
            Ok(Ok(Ok(result))) => Ok(result),
            Ok(Ok(Err(error))) => Err(refused(method, &error)),
            Ok(Err(_)) => Err(failed(
                ErrorCode::Unavailable,
                format!("{method}: the client's session has ended"),
            )),
            Err(_) => {
                let params = json!({"requestId": json_of(&id), "reason": "it took too long"});
                self.notify("notifications/cancelled", &params).await;
                let message = format!(
                    "{method}: the client has not answered within {:?}; `mcp.client_answer` sets how long it may take",
                    self.patience
                );
                Err(failed(ErrorCode::Timeout, message))
            }
        }
    }
}

fn json_of(id: &str) -> Value {
    serde_json::from_str(id).unwrap_or_default()
}

/// The client's error, for the guest.
fn refused(method: &str, error: &RawJson) -> EffectError {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        message: String,
    }
    let refusal: Refusal = error.parse().unwrap_or_default();
    let shown: String = refusal.message.chars().take(1000).collect();
    EffectError::new(
        ErrorCode::Unavailable,
        format!("{method}: the client refuses: {shown}"),
    )
    .with_details(error)
}

impl ClientTransport for RequestClient {
    fn describe(&self) -> McpClient {
        self.client.clone()
    }

    fn progress(&self, progress: McpProgress) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let Some(token) = &self.progress_token else {
                return;
            };
            let mut params = json!(progress);
            params["progressToken"] = json!(token);
            self.notify("notifications/progress", &params).await;
        })
    }

    fn log(&self, line: McpLog) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let least = match &self.session {
                Some(session) => Some(session.log_level()),
                None => self.log_level,
            };
            if least.is_some_and(|least| line.level >= least) {
                self.notify("notifications/message", &json!(line)).await;
            }
        })
    }

    fn ask<'a>(
        &'a self,
        questions: &'a [KeyedQuestion],
    ) -> Option<BoxFuture<'a, Vec<Result<RawJson, EffectError>>>> {
        let session = self.session.as_ref()?;
        let questions = questions.iter().enumerate();
        let answers = questions.map(|(nth, question)| self.ask_one(session, question, nth));
        Some(Box::pin(join_all(answers)))
    }

    fn refuses_by_protocol(&self) -> bool {
        self.session.is_none()
    }
}
