//! Questions of runs to the clients that started them.
//!
//! A question is a step of the run: the history has it when it is asked, and its answer when that has come. Meanwhile
//! it is a row beside the history, so that a client is told of it, and answers it, also while the run is not in
//! memory. When the last question of a step is answered, the answer of the effect is made of the client's results by
//! the service that asked, and goes to the run's inbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use exomonad_core::{BoxFuture, CallClient, EncodedAnswer};
use exomonad_schema::effects::mcp::{McpClient, McpLog, McpProgress};
use exomonad_schema::{CallId, EffectError, ErrorCode, RawJson};
use exomonad_workflow::store::{InboxKind, NewInboxEntry, QuestionRow, RunRow, Store, within};
use exomonad_workflow::{RunKey, StoreFailure};
use tokio::sync::broadcast::error::RecvError;

use super::active::unix_millis;
use super::steps::effect_named;
use super::{Workflows, store_error};
use crate::client::{ClientCall, ClientTransport, KeyedQuestion, check_answer};
use crate::execution::Caller;
use crate::role::Role;

/// Steps of one run that may wait for its client at once.
pub const MOST_QUESTIONS: usize = 64;

/// A client's result, or why it gives none.
pub type ClientResult = Result<RawJson, EffectError>;

/// The client of a run: it is described, and asked by what the run's questions are shown to it.
struct AbsentClient(McpClient);

impl ClientTransport for AbsentClient {
    fn describe(&self) -> McpClient {
        self.0.clone()
    }

    fn progress(&self, _: McpProgress) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn log(&self, _: McpLog) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn ask<'a>(&'a self, _: &'a [KeyedQuestion]) -> Option<BoxFuture<'a, Vec<ClientResult>>> {
        None
    }

    fn refuses_by_protocol(&self) -> bool {
        false
    }
}

/// The client of a run, with results for the questions of one step; `None` if it was not started by one.
pub fn client_of(
    client: Option<&str>,
    answers: HashMap<String, ClientResult>,
) -> Option<Arc<ClientCall>> {
    let client: McpClient = serde_json::from_str(client?).ok()?;
    Some(Arc::new(ClientCall::answering(
        Arc::new(AbsentClient(client)),
        answers,
    )))
}

/// The key of a question among all that a run asks, from that among those of its step.
pub fn key_in_run(seq: u64, key: &str) -> String {
    format!("{seq}-{key}")
}

/// A step that asks, read from its row.
struct AskingStep {
    row: QuestionRow,
    questions: Vec<KeyedQuestion>,
    answers: HashMap<String, ClientResult>,
}

impl AskingStep {
    fn read(row: QuestionRow) -> Result<Self, StoreFailure> {
        let damaged = |error: serde_json::Error| {
            StoreFailure::Damaged(format!("its question {} is damaged: {error}", row.seq))
        };
        Ok(Self {
            questions: serde_json::from_str(&row.questions).map_err(damaged)?,
            answers: serde_json::from_str(&row.answers).map_err(damaged)?,
            row,
        })
    }

    fn open(&self) -> impl Iterator<Item = &KeyedQuestion> {
        let mut all = self.questions.iter();
        std::iter::from_fn(move || all.find(|asked| !self.answers.contains_key(&asked.key)))
    }
}

/// The steps of a run that ask.
fn asking(
    connection: &exomonad_workflow::store::Connection,
    run: RunKey,
) -> Result<Vec<AskingStep>, StoreFailure> {
    let rows = within::questions(connection, run)?.into_iter();
    rows.map(AskingStep::read).collect()
}

impl Workflows {
    /// The questions of a run that its client has not answered.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn questions(
        self: &Arc<Self>,
        role: &Role,
        run: &RunRow,
    ) -> Result<Vec<KeyedQuestion>, EffectError> {
        let store = self.opened().await?;
        let key = run.key;
        let steps = store.read(move |connection| asking(connection, key)).await;
        let mut open = Vec::new();
        for step in steps.map_err(store_error)? {
            let before = open.len();
            open.extend(step.open().cloned());
            // A host that was killed may have left one whose last answer had come.
            if open.len() == before {
                self.complete(&store, role, run, step).await?;
            }
        }
        Ok(open)
    }

    /// Gives a run its client's results, by the keys of its questions. What was not asked, or is answered already, is
    /// ignored.
    ///
    /// # Errors
    /// `invalid_input` if a result does not fit its question: then nothing is kept. Those of the store.
    pub async fn answer(
        self: &Arc<Self>,
        role: &Role,
        run: &RunRow,
        results: HashMap<String, ClientResult>,
    ) -> Result<(), EffectError> {
        let open = self.questions(role, run).await?;
        for question in &open {
            if let Some(Ok(result)) = results.get(&question.key) {
                check_answer(question, result)?;
            }
        }
        let store = self.opened().await?;
        let bytes = results.values().flatten().map(|result| result.get().len());
        let (key, bytes) = (run.key, bytes.sum());
        let written = store.write(bytes, move |connection, _| {
            for mut step in asking(connection, key)? {
                let open: Vec<String> = step.open().map(|asked| asked.key.clone()).collect();
                let mut is_new = false;
                for asked in open {
                    if let Some(result) = results.get(&asked) {
                        step.answers.insert(asked, result.clone());
                        is_new = true;
                    }
                }
                if is_new {
                    let answers = serde_json::to_string(&step.answers);
                    let answers =
                        answers.map_err(|error| StoreFailure::Damaged(error.to_string()))?;
                    within::set_answers(connection, key, step.row.seq, &answers)?;
                }
            }
            Ok(())
        });
        written.await.map_err(store_error)?;
        self.questions(role, run).await.map(drop)
    }

    /// Tells whoever waits for a run that it asks its client something.
    pub fn has_asked(&self, run: RunKey) {
        // Nobody may be waiting.
        let _ = self.asked.send(run);
    }

    /// Waits for a run to end as [`wait`](Self::wait) does, or to ask its client something: then the questions come
    /// with it.
    ///
    /// # Errors
    /// If there is no such run.
    pub async fn wait_or_asked(
        self: &Arc<Self>,
        role: &Role,
        run_id: &str,
        longest: Duration,
    ) -> Result<(RunRow, Vec<KeyedQuestion>), EffectError> {
        // Before the first look, so that nothing is missed.
        let mut asked = self.asked.subscribe();
        let deadline = tokio::time::Instant::now() + longest;
        loop {
            let run = self.find_here(role.name(), run_id).await?;
            if run.ended_at.is_none() {
                let questions = self.questions(role, &run).await?;
                if !questions.is_empty() {
                    return Ok((run, questions));
                }
            }
            let of_run = async {
                loop {
                    match asked.recv().await {
                        Ok(key) if key == run.key => return,
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => return,
                        Err(RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            tokio::select! {
                biased;
                () = of_run => {}
                ended = self.wait(role.name(), run_id, deadline.saturating_duration_since(tokio::time::Instant::now())) => {
                    return ended.map(|run| (run, Vec::new()));
                }
            }
        }
    }

    /// Puts the answer of a step into the run's inbox: all of its questions are answered.
    async fn complete(
        self: &Arc<Self>,
        store: &Store,
        role: &Role,
        run: &RunRow,
        step: AskingStep,
    ) -> Result<(), EffectError> {
        let (key, seq) = (run.key, step.row.seq);
        let prefix = key_in_run(seq, "");
        let answers = step.answers.into_iter().map(|(key, result)| {
            let of_step = key.strip_prefix(&prefix).unwrap_or(&key).to_owned();
            (of_step, result)
        });
        let call_id = run.run_id.parse().unwrap_or_else(|_| CallId::random());
        let mut context = role.settings.call(call_id, Caller::default());
        let client = client_of(run.client.as_deref(), answers.collect());
        context.client = client.clone().map(|client| client as Arc<dyn CallClient>);
        let kind = effect_named(&step.row.effect);
        let unusable = || {
            EncodedAnswer::error(&EffectError::internal(format!(
                "{}: this host cannot read the answers to what another version of it has asked",
                step.row.effect
            )))
        };
        let answer = match (kind, &client) {
            (Some(kind), Some(client)) => tokio::select! {
                biased;
                answer = role.settings.layers.effect(&context, kind, &step.row.request) => answer,
                _ = client.parked() => unusable(),
            },
            _ => unusable(),
        };
        let answer = String::from_utf8_lossy(&answer.into_json()).into_owned();
        let entry = NewInboxEntry {
            request: format!("client/{seq}"),
            kind: InboxKind::Answer,
            name: None,
            seq: Some(seq),
            payload: Some(answer),
            at: unix_millis(),
        };
        let bytes = entry.payload.as_ref().map_or(0, String::len);
        let posted = store.write(bytes, move |connection, _| {
            within::forget_questions(connection, key, seq..seq + 1)?;
            within::post(connection, key, &entry)
        });
        match posted.await {
            Ok(_) => self.nudge(&[key]),
            // The run has ended meanwhile: nobody waits for it.
            Err(StoreFailure::Refused {
                code: ErrorCode::NotFound,
                ..
            }) => {}
            Err(failure) => return Err(store_error(failure)),
        }
        Ok(())
    }
}
