//! A host whose effects have the answers that a case gives them, and that remembers the requests.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, PoisonError};

use exomonad_engine::{Host, HostFuture};
use exomonad_schema::{Base64, EffectKind};
use serde_json::{Value, json};

/// The functions of all effects.
pub static FUNCTIONS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| EffectKind::ALL.iter().map(|kind| kind.function()).collect());

/// The answer to an effect that the case says nothing about: only random bytes are to be had.
fn unasked(function: &str) -> Vec<u8> {
    let answer = match function {
        "random_bytes" => {
            let mut bytes = vec![0; 8];
            match getrandom::fill(&mut bytes) {
                Ok(()) => json!({"kind": "Success", "payload": {"bytes": Base64(bytes)}}),
                Err(error) => failure(&error.to_string()),
            }
        }
        _ => failure("the case has no answer"),
    };
    answer.to_string().into_bytes()
}

fn failure(message: &str) -> Value {
    json!({"kind": "Error", "payload": {"code": "internal", "message": message}})
}

/// A host for one call.
#[derive(Default)]
pub struct ContractHost {
    answers: Mutex<VecDeque<Vec<u8>>>,
    requests: Mutex<Vec<(&'static str, Vec<u8>)>>,
}

impl ContractHost {
    /// A host that answers the first effects so.
    pub fn answering(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            answers: Mutex::new(answers.into_iter().collect()),
            requests: Mutex::default(),
        }
    }

    /// The requests, with the functions' names.
    pub fn requests(&self) -> Vec<(&'static str, Vec<u8>)> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host for ContractHost {
    fn effect(&self, effect: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        let function = FUNCTIONS.get(effect).copied().unwrap_or("none");
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.push((function, request));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = answers.pop_front().unwrap_or_else(|| unasked(function));
        Box::pin(std::future::ready(answer))
    }
}
