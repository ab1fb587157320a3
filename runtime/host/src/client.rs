//! [`ClientCall`]: the line from a call to the client that made it, by which a guest asks something in the middle of
//! its work.
//!
//! A guest that asks is not kept waiting: its run is dropped, with its sandbox and its permit. When the answer is
//! there it runs again on the record of what it did before ([`crate::pipeline::Resumed`]), asks again, and gets it.
//! So the same mechanism serves a client that answers in a minute on an open connection, and one that answers by
//! calling again ([`Suspended`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exomonad_core::mcp::{ClientCapability, Question};
use exomonad_core::{BoxFuture, CallClient};
use exomonad_schema::common::Context;
use exomonad_schema::effects::mcp::{McpClient, McpLog, McpProgress};
use exomonad_schema::{CallId, EffectError, ErrorCode, RawJson};
use exomonad_services::mcp::check_result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use crate::error::told;
use crate::json::UniqueKeys;
use crate::schema::Schema;
use crate::schema::work::Work;

/// A transport's side of the line.
pub trait ClientTransport: Send + Sync {
    /// Describes the client.
    fn describe(&self) -> McpClient;

    /// Reports progress, if the client has asked for it.
    fn progress(&self, progress: McpProgress) -> BoxFuture<'_, ()>;

    /// Sends a line of the log, if the client wants it.
    fn log(&self, line: McpLog) -> BoxFuture<'_, ()>;

    /// Asks the client, and waits for its answers, in the order of the questions; `None` if it is asked by the
    /// result of its call and answers by another one.
    fn ask<'a>(
        &'a self,
        questions: &'a [KeyedQuestion],
    ) -> Option<BoxFuture<'a, Vec<Result<RawJson, EffectError>>>>;

    /// True if a client without a capability is told by the protocol, and not by the guest.
    fn refuses_by_protocol(&self) -> bool;
}

/// A question with its key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyedQuestion {
    /// The key by which it is answered.
    pub key: String,
    /// The capability that the client needs for it.
    pub capability: ClientCapability,
    /// The parameters of its method.
    pub params: RawJson,
}

/// A call that has asked its client and goes on when that calls again.
#[derive(Clone, Debug)]
pub struct Suspended {
    /// The questions.
    pub questions: Vec<KeyedQuestion>,
    /// The state from which it goes on.
    pub state: SuspendedState,
}

/// The state from which a call goes on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuspendedState {
    /// The call as the guest knows it.
    pub context: Option<Context>,
    /// Answers to some of the questions that were asked at once.
    pub answers: HashMap<String, RawJson>,
    /// Questions that were asked and answered before.
    pub asked: u32,
    /// The run of a workflow that goes on with the call, if it was that which asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Everything that the guest did, as the journal writes it.
    #[serde(skip)]
    pub events: Vec<u8>,
}

impl SuspendedState {
    /// The id of the call.
    pub fn call_id(&self) -> Option<CallId> {
        self.context.as_ref().map(|context| context.call_id.clone())
    }
}

/// Why a run of the guest was given up.
#[derive(Clone, Debug)]
pub(crate) enum Parked {
    /// It asks these.
    Asking(Vec<KeyedQuestion>),
    /// The client cannot be asked this.
    Incapable(ClientCapability),
    /// The client's answer is none to what it was asked.
    WrongAnswer(String),
}

/// Steps that the check of a form may take: some tenths of a second.
const STEPS: u64 = 50_000_000;

/// Holds a client's result against its question: what a person has filled in has to fit the form.
///
/// # Errors
/// `invalid_input`, which is the client's mistake and not for the guest.
pub fn check_answer(question: &KeyedQuestion, result: &RawJson) -> Result<(), EffectError> {
    let method = question.capability.method();
    check_result(question.capability, result)
        .map_err(|error| EffectError::invalid_input(error.message))?;
    if question.capability != ClientCapability::ElicitForms {
        return Ok(());
    }
    let wrong = |what: String| {
        let key = &question.key;
        let message = format!("{method}: the answer to `{key}` does not fit the form: {what}");
        Err(EffectError::invalid_input(message))
    };
    let unreadable = |error: serde_json::Error| EffectError::invalid_input(error.to_string());
    let UniqueKeys(result) = result.parse().map_err(unreadable)?;
    if result["action"] != "accept" {
        return Ok(());
    }
    let Some(content) = result.get("content").filter(|content| content.is_object()) else {
        return wrong("it is accepted without `content`".to_owned());
    };
    let mut params: Value = question.params.parse().map_err(unreadable)?;
    // A form that cannot be checked is the guest's: it reads the answer itself.
    let Ok(form) = Schema::new(
        params["requestedSchema"].take(),
        &mut crate::schema::STATES.clone(),
    ) else {
        return Ok(());
    };
    match form.violations(content, &mut Work::new(STEPS)) {
        Ok(violations) if violations.is_empty() => Ok(()),
        Ok(violations) => wrong(told(&violations)),
        Err(_) => wrong("it is too much to check".to_owned()),
    }
}

/// The line of one call.
pub struct ClientCall {
    transport: Arc<dyn ClientTransport>,
    state: Mutex<State>,
    parked: Notify,
    /// Notified if a run that repeats does something else than the one before.
    pub(crate) diverged: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// The answers that no question has taken yet.
    answers: HashMap<String, Result<RawJson, EffectError>>,
    /// Questions that have been answered in earlier runs.
    answered: u32,
    /// Questions of this run, the answered ones among them.
    asked: u32,
    parked: Option<Parked>,
    /// The reason why the guest cannot run again.
    runs_once: Option<String>,
}

impl ClientCall {
    /// A line by this transport, with answers that the client has sent along.
    pub fn new(
        transport: Arc<dyn ClientTransport>,
        answers: HashMap<String, RawJson>,
        resumed: &SuspendedState,
    ) -> Self {
        let earlier = resumed.answers.clone().into_iter();
        let answers = earlier.chain(answers);
        let answers = answers.map(|(key, answer)| (key, Ok(answer))).collect();
        let mut call = Self::answering(transport, answers);
        let state = call.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.answered = resumed.asked;
        state.asked = resumed.asked;
        call
    }

    /// A line by this transport, with all results that the client has given.
    pub fn answering(
        transport: Arc<dyn ClientTransport>,
        answers: HashMap<String, Result<RawJson, EffectError>>,
    ) -> Self {
        let state = State {
            answers,
            ..State::default()
        };
        Self {
            transport,
            state: Mutex::new(state),
            parked: Notify::new(),
            diverged: Arc::default(),
        }
    }

    /// The results that the client has sent along.
    pub(crate) fn take_answers(&self) -> HashMap<String, Result<RawJson, EffectError>> {
        std::mem::take(&mut self.state().answers)
    }

    /// Asks the client for a run of a workflow. `None` if it answers by another call.
    pub(crate) async fn ask_for_run(
        &self,
        questions: &[KeyedQuestion],
    ) -> Option<HashMap<String, Result<RawJson, EffectError>>> {
        let answers = self.transport.ask(questions)?.await;
        let keys = questions.iter().map(|question| question.key.clone());
        Some(keys.zip(answers).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why the guest cannot be run again: then it cannot ask.
    pub(crate) fn runs_once(&self, reason: String) {
        self.state().runs_once = Some(reason);
    }

    /// Waits until the guest asks for what is not there.
    pub(crate) async fn parked(&self) -> Parked {
        loop {
            if let Some(parked) = self.state().parked.take() {
                return parked;
            }
            self.parked.notified().await;
        }
    }

    /// Asks the client; the guest may run again then. `None` if the client answers by another call.
    pub(crate) async fn ask_client(&self, questions: &[KeyedQuestion]) -> Option<()> {
        let answers = self.transport.ask(questions)?.await;
        let mut state = self.state();
        for (question, answer) in questions.iter().zip(answers) {
            state.answers.insert(question.key.clone(), answer);
        }
        // The next run asks the same again.
        state.asked = state.answered;
        Some(())
    }

    /// The state to go on from; everything but the record.
    pub(crate) fn suspend(&self, context: Context) -> SuspendedState {
        let state = self.state();
        let answers = state.answers.iter();
        let answers =
            answers.filter_map(|(key, answer)| Some((key.clone(), answer.as_ref().ok()?.clone())));
        SuspendedState {
            context: Some(context),
            answers: answers.collect(),
            asked: state.answered,
            run: None,
            events: Vec::new(),
        }
    }

    /// Waits without an end, since the run is dropped.
    async fn park<T>(&self, parked: Parked) -> T {
        self.state().parked = Some(parked);
        self.parked.notify_one();
        std::future::pending().await
    }

    async fn answers(&self, questions: Vec<Question>) -> Result<Vec<RawJson>, EffectError> {
        let client = self.transport.describe();
        let incapable = questions
            .iter()
            .map(|question| question.capability)
            .find(|capability| !capability.is_of(&client));
        if let Some(capability) = incapable {
            if self.transport.refuses_by_protocol() {
                return self.park(Parked::Incapable(capability)).await;
            }
            return Err(EffectError::new(
                ErrorCode::Unsupported,
                format!(
                    "the client does not take `{}`: it has not declared {}",
                    capability.method(),
                    capability.declared()
                ),
            ));
        }
        let parked = {
            let mut state = self.state();
            if let Some(reason) = &state.runs_once {
                return Err(EffectError::new(ErrorCode::Unsupported, reason));
            }
            let keyed: Vec<KeyedQuestion> = questions
                .into_iter()
                .map(|question| {
                    state.asked += 1;
                    KeyedQuestion {
                        key: question
                            .key
                            .unwrap_or_else(|| format!("input-{}", state.asked)),
                        capability: question.capability,
                        params: question.params,
                    }
                })
                .collect();
            let missing: Vec<KeyedQuestion> = keyed
                .iter()
                .filter(|question| !state.answers.contains_key(&question.key))
                .cloned()
                .collect();
            if missing.is_empty() {
                let wrong = keyed.iter().find_map(|question| {
                    let result = state.answers.get(&question.key)?.as_ref().ok()?;
                    check_answer(question, result).err()
                });
                match wrong {
                    Some(wrong) => Parked::WrongAnswer(wrong.message),
                    None => {
                        state.answered = state.asked;
                        let answers = keyed
                            .iter()
                            .filter_map(|question| state.answers.remove(&question.key));
                        return answers.collect();
                    }
                }
            } else {
                Parked::Asking(missing)
            }
        };
        self.park(parked).await
    }
}

impl CallClient for ClientCall {
    fn describe(&self) -> McpClient {
        self.transport.describe()
    }

    fn progress(&self, progress: McpProgress) -> BoxFuture<'_, ()> {
        self.transport.progress(progress)
    }

    fn log(&self, line: McpLog) -> BoxFuture<'_, ()> {
        self.transport.log(line)
    }

    fn ask(&self, questions: Vec<Question>) -> BoxFuture<'_, Result<Vec<RawJson>, EffectError>> {
        Box::pin(self.answers(questions))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// A client that shows forms, and answers by calling again.
    struct Later;

    impl ClientTransport for Later {
        fn describe(&self) -> McpClient {
            McpClient {
                connected: true,
                elicits_forms: true,
                ..McpClient::default()
            }
        }

        fn progress(&self, _: McpProgress) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }

        fn log(&self, _: McpLog) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }

        fn ask<'a>(
            &'a self,
            _: &'a [KeyedQuestion],
        ) -> Option<BoxFuture<'a, Vec<Result<RawJson, EffectError>>>> {
            None
        }

        fn refuses_by_protocol(&self) -> bool {
            true
        }
    }

    fn question(key: Option<&str>, capability: ClientCapability) -> Question {
        Question {
            key: key.map(str::to_owned),
            capability,
            params: RawJson::empty_object(),
        }
    }

    fn call(answers: &[&str], resumed: &SuspendedState) -> ClientCall {
        let declined = RawJson::from_text(r#"{"action":"decline"}"#.to_owned()).unwrap();
        let answers = answers
            .iter()
            .map(|key| ((*key).to_owned(), declined.clone()));
        ClientCall::new(Arc::new(Later), answers.collect(), resumed)
    }

    #[test]
    fn a_question_is_parked_until_its_answer_is_there_and_keys_count_on() {
        let first = call(&[], &SuspendedState::default());
        let form = || question(None, ClientCapability::ElicitForms);
        assert!(first.ask(vec![form()]).now_or_never().is_none());
        let Some(Parked::Asking(asked)) = first.parked().now_or_never() else {
            panic!("it asks");
        };
        assert_eq!(asked[0].key, "input-1");
        assert!(first.ask_client(&asked).now_or_never().unwrap().is_none());
        let second = call(&["input-1", "unknown"], &SuspendedState::default());
        assert!(second.ask(vec![form()]).now_or_never().unwrap().is_ok());
        assert!(second.ask(vec![form()]).now_or_never().is_none());
        let context = context();
        let state = second.suspend(context);
        assert_eq!(state.asked, 1);
        let third = call(&[], &state);
        assert!(third.ask(vec![form()]).now_or_never().is_none());
        let Some(Parked::Asking(asked)) = third.parked().now_or_never() else {
            panic!("it asks");
        };
        assert_eq!(asked[0].key, "input-2");
    }

    #[test]
    fn of_several_questions_only_those_without_an_answer_are_asked_again() {
        let both = || {
            ["a", "b"]
                .map(|key| question(Some(key), ClientCapability::ElicitForms))
                .to_vec()
        };
        let one = call(&["b"], &SuspendedState::default());
        assert!(one.ask(both()).now_or_never().is_none());
        let Some(Parked::Asking(asked)) = one.parked().now_or_never() else {
            panic!("it asks");
        };
        assert_eq!(asked.len(), 1);
        let state = one.suspend(context());
        let other = call(&["a"], &state);
        let answers = other.ask(both()).now_or_never().unwrap().unwrap();
        assert_eq!(answers.len(), 2);
    }

    #[test]
    fn an_answer_has_to_fit_its_question() {
        let form = r#"{"requestedSchema":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}"#;
        let question = |capability, params: &str| KeyedQuestion {
            key: "k".to_owned(),
            capability,
            params: RawJson::from_text(params.to_owned()).unwrap(),
        };
        let fits = |question: &KeyedQuestion, result: &str| {
            check_answer(question, &RawJson::from_text(result.to_owned()).unwrap()).is_ok()
        };
        let asked = question(ClientCapability::ElicitForms, form);
        for right in [
            r#"{"action":"accept","content":{"n":1,"more":true}}"#,
            r#"{"action":"decline"}"#,
            r#"{"action":"cancel","content":null}"#,
        ] {
            assert!(fits(&asked, right), "{right}");
        }
        for wrong in [
            r#"{"action":"accept","content":{"n":"1"}}"#,
            r#"{"action":"accept","content":{}}"#,
            r#"{"action":"accept","content":[]}"#,
            r#"{"action":"accept"}"#,
            r#"{"content":{"n":1}}"#,
            "{}",
            "7",
        ] {
            assert!(!fits(&asked, wrong), "{wrong}");
        }
        let asked = question(ClientCapability::ElicitUrls, "{}");
        assert!(fits(&asked, r#"{"action":"accept"}"#));
        let asked = question(ClientCapability::ListRoots, "{}");
        assert!(fits(&asked, r#"{"roots":[]}"#) && !fits(&asked, r#"{"roots":7}"#));
        // A form that nothing can be held against is the guest's matter.
        let odd = question(
            ClientCapability::ElicitForms,
            r#"{"requestedSchema":{"type":7}}"#,
        );
        assert!(fits(&odd, r#"{"action":"accept","content":{"n":1}}"#));
    }

    #[test]
    fn a_client_is_not_asked_for_what_it_has_not_declared() {
        let one = call(&[], &SuspendedState::default());
        let sample = vec![question(None, ClientCapability::Sample)];
        assert!(one.ask(sample).now_or_never().is_none());
        assert!(matches!(
            one.parked().now_or_never(),
            Some(Parked::Incapable(ClientCapability::Sample))
        ));
    }

    fn context() -> Context {
        Context {
            role: "tl".parse().unwrap(),
            call_id: CallId::from(7),
            principal: None,
            caller: None,
            traceparent: None,
        }
    }
}
