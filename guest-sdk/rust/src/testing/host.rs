//! The fake host's state.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::{Value, json};

use crate::effect::EffectRequest;
use crate::testing::defaults;
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
    requests: RefCell<Vec<(&'static str, Vec<u8>)>>,
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

/// 2026-01-01T00:00:00Z.
const START_MILLIS: i64 = 1_767_225_600_000;

impl Default for State {
    fn default() -> Self {
        Self {
            answers: RefCell::default(),
            requests: RefCell::default(),
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

    /// Every request for an effect so far, in order.
    ///
    /// # Panics
    /// Never: each request was encoded from the type that it is decoded to.
    pub fn requests<R: EffectRequest>(&self) -> Vec<R> {
        let requests = self.state.requests.borrow();
        let of_this_effect = requests
            .iter()
            .filter(|(function, _)| *function == R::FUNCTION);
        of_this_effect
            .map(|(_, request)| match serde_json::from_slice(request) {
                Ok(request) => request,
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
            .map(|(function, _)| *function)
            .collect()
    }

    pub(super) fn state(&self) -> Rc<State> {
        Rc::clone(&self.state)
    }
}

impl State {
    pub(crate) fn perform(&self, function: &'static str, request: &[u8]) -> Vec<u8> {
        self.requests
            .borrow_mut()
            .push((function, request.to_vec()));
        if let Some(answer) = self.answers.borrow().get(function) {
            return answer(request);
        }
        defaults::answer(self, function, request).unwrap_or_else(|| {
            encode::<()>(&Err(EffectError {
                code: ErrorCode::NotConfigured,
                message: format!(
                    "the fake host has no answer for {function}; give it one with FakeHost::on"
                ),
                details: None,
            }))
        })
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
