//! The fake host's state.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::effect::EffectRequest;
use crate::testing::defaults;
use crate::testing::workflow::{Script, Simulation};
use crate::types::{EffectError, ErrorCode};

type Answerer = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A host for tests, with answers that the test defines.
#[derive(Default)]
pub struct FakeHost {
    state: Rc<State>,
}

/// The host's state, and the requests made to it.
pub(crate) struct State {
    answers: RefCell<HashMap<&'static str, Answerer>>,
    /// By capability, the host function.
    functions: RefCell<HashMap<&'static str, &'static str>>,
    requests: RefCell<Vec<Recorded>>,
    /// The test's arrangements for a workflow.
    pub(super) script: Script,
    /// The simulation that performs the effects of a workflow.
    pub(super) simulation: RefCell<Option<Rc<Simulation>>>,
    input: RefCell<Vec<u8>>,
    output: RefCell<Option<Vec<u8>>>,
    error: RefCell<Option<String>>,
    config: RefCell<BTreeMap<String, String>>,
    variables: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Keys and values, as JSON.
    pub(super) kv: RefCell<BTreeMap<String, Value>>,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) unix_millis: Cell<i64>,
    /// The last number of the random sequence.
    pub(super) random: Cell<u64>,
}

/// A request, and when it was performed.
struct Recorded {
    function: &'static str,
    request: Vec<u8>,
    unix_millis: i64,
}

/// 2026-01-01T00:00:00Z.
const START_MILLIS: i64 = 1_767_225_600_000;

impl Default for State {
    fn default() -> Self {
        Self {
            answers: RefCell::default(),
            functions: RefCell::default(),
            requests: RefCell::default(),
            script: Script::default(),
            simulation: RefCell::default(),
            input: RefCell::default(),
            output: RefCell::default(),
            error: RefCell::default(),
            config: RefCell::default(),
            variables: RefCell::default(),
            kv: RefCell::default(),
            unix_millis: Cell::new(START_MILLIS),
            random: Cell::new(0),
        }
    }
}

impl FakeHost {
    /// An empty host, at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers an effect by a closure; its argument's type determines the effect.
    #[must_use]
    pub fn on<R: EffectRequest>(
        self,
        answer: impl Fn(R) -> crate::Result<R::Answer> + 'static,
    ) -> Self {
        let answerer = move |request: &[u8]| match serde_json::from_slice(request) {
            Ok(request) => encode(&answer(request)),
            Err(problem) => panic!("{} got what it does not take: {problem}", R::FUNCTION),
        };
        self.state
            .answers
            .borrow_mut()
            .insert(R::FUNCTION, Box::new(answerer));
        self.state.know::<R>();
        self
    }

    /// Sets the value of a key of [`config`](crate::config).
    #[must_use]
    pub fn config(self, key: &str, value: &str) -> Self {
        self.state
            .config
            .borrow_mut()
            .insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets the value of a key of the key-value store.
    #[must_use]
    pub fn kv(self, key: &str, value: Value) -> Self {
        self.state.kv.borrow_mut().insert(key.to_owned(), value);
        self
    }

    /// Sets the clock, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn clock(self, unix_millis: i64) -> Self {
        self.state.unix_millis.set(unix_millis);
        self
    }

    /// The value of a key of the key-value store.
    pub fn kv_value(&self, key: &str) -> Option<Value> {
        self.state.kv.borrow().get(key).cloned()
    }

    /// Every request for an effect so far, in order; within a workflow each attempt.
    ///
    /// # Panics
    /// Never: each request was encoded from the type that it is decoded to.
    pub fn requests<R: EffectRequest>(&self) -> Vec<R> {
        let timed = self.timed_requests();
        timed.into_iter().map(|(_, request)| request).collect()
    }

    /// Every request for an effect so far, with the time on the host's clock in milliseconds since 1970.
    ///
    /// # Panics
    /// Never: each request was encoded from the type that it is decoded to.
    pub fn timed_requests<R: EffectRequest>(&self) -> Vec<(i64, R)> {
        let requests = self.state.requests.borrow();
        let of_this_effect = requests
            .iter()
            .filter(|recorded| recorded.function == R::FUNCTION);
        of_this_effect
            .map(|recorded| match serde_json::from_slice(&recorded.request) {
                Ok(request) => (recorded.unix_millis, request),
                Err(problem) => panic!("{} was asked {problem}", R::FUNCTION),
            })
            .collect()
    }

    /// The host functions called so far, in order.
    pub fn functions(&self) -> Vec<&'static str> {
        self.state
            .requests
            .borrow()
            .iter()
            .map(|recorded| recorded.function)
            .collect()
    }

    pub(super) fn state(&self) -> Rc<State> {
        Rc::clone(&self.state)
    }
}

impl State {
    pub(crate) fn perform(&self, function: &'static str, request: &[u8]) -> Vec<u8> {
        let simulation = self.simulation.borrow().clone();
        match simulation {
            Some(simulation) => simulation.perform(function, request),
            None => self.perform_now(function, request),
        }
    }

    /// Performs an effect without a simulation.
    pub(super) fn perform_now(&self, function: &'static str, request: &[u8]) -> Vec<u8> {
        self.record(function, request);
        self.answer_of_test(function, request)
            .or_else(|| defaults::answer(self, function, request))
            .unwrap_or_else(|| {
                encode::<()>(&Err(EffectError {
                    code: ErrorCode::NotConfigured,
                    message: format!(
                        "the fake host has no answer for {function}; give it one with FakeHost::on"
                    ),
                    details: None,
                }))
            })
    }

    /// The answer of the closure that the test has set.
    pub(super) fn answer_of_test(&self, function: &str, request: &[u8]) -> Option<Vec<u8>> {
        let answers = self.answers.borrow();
        answers.get(function).map(|answer| answer(request))
    }

    pub(super) fn record(&self, function: &'static str, request: &[u8]) {
        self.requests.borrow_mut().push(Recorded {
            function,
            request: request.to_vec(),
            unix_millis: self.unix_millis.get(),
        });
    }

    /// Remembers an effect, so that a workflow can start it by its capability.
    pub(crate) fn know<R: EffectRequest>(&self) {
        self.functions
            .borrow_mut()
            .insert(R::CAPABILITY, R::FUNCTION);
    }

    /// The host function of a capability.
    pub(super) fn function_of(&self, capability: &str) -> Option<&'static str> {
        self.functions.borrow().get(capability).copied()
    }

    pub(crate) fn input(&self) -> Vec<u8> {
        self.input.borrow().clone()
    }

    pub(crate) fn set_output(&self, output: &[u8]) {
        self.output.replace(Some(output.to_vec()));
    }

    pub(crate) fn set_error(&self, message: &str) {
        self.error.replace(Some(message.to_owned()));
    }

    pub(crate) fn config_value(&self, key: &str) -> Option<String> {
        self.config.borrow().get(key).cloned()
    }

    pub(crate) fn variable(&self, key: &str) -> Option<Vec<u8>> {
        self.variables.borrow().get(key).cloned()
    }

    pub(crate) fn set_variable(&self, key: &str, value: Option<&[u8]>) {
        let mut variables = self.variables.borrow_mut();
        match value {
            Some(value) => variables.insert(key.to_owned(), value.to_vec()),
            None => variables.remove(key),
        };
    }
}

/// The JSON of an answer, as the host writes it.
pub(super) fn encode<T: serde::Serialize>(answer: &crate::Result<T>) -> Vec<u8> {
    let envelope = match answer {
        Ok(payload) => json!({ "kind": "Success", "payload": payload }),
        Err(error) => json!({ "kind": "Error", "payload": error }),
    };
    envelope.to_string().into_bytes()
}
