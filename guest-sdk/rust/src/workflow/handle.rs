//! Steps, timers and child runs that were started.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::effect::decode_answer;
use crate::types::{EffectError, WorkflowArrival, WorkflowCancel, WorkflowWait};
use crate::workflow::WorkflowError;

/// A step, a timer or a child run that was started, and will answer with a `T`.
#[derive(Debug)]
#[must_use = "the end of a run stops what it has started: wait for it"]
pub struct Handle<T> {
    id: u64,
    answer: PhantomData<fn() -> T>,
}

impl<T> Handle<T> {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            answer: PhantomData,
        }
    }

    /// Its number within the run.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Stops it. Its answer is the error `cancelled`, unless it was done before.
    ///
    /// # Errors
    /// The host's.
    pub fn cancel(&self) -> Result<(), WorkflowError> {
        super::cancel(&WorkflowCancel::new(self.id))?;
        Ok(())
    }
}

impl<T: DeserializeOwned> Handle<T> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// If it has failed, or the run is cancelled meanwhile.
    pub fn wait(self) -> Result<T, WorkflowError> {
        self.outcome()?.map_err(WorkflowError::of_step)
    }

    /// Waits for the answer. A failure is an answer too, to be told apart from the run's own cancellation.
    ///
    /// # Errors
    /// If the run is cancelled meanwhile.
    pub fn outcome(self) -> Result<crate::Result<T>, WorkflowError> {
        let mut answers = Self::wait_all(vec![self])?;
        answers.pop().ok_or_else(missing)
    }

    pub(super) fn wait_all(handles: Vec<Self>) -> Result<Vec<crate::Result<T>>, WorkflowError> {
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let arrived = super::wait(&WorkflowWait {
            handles: handles.iter().map(Self::id).collect(),
            all: true,
            ..WorkflowWait::default()
        })?;
        let arrived: BTreeMap<u64, WorkflowArrival> = arrived
            .arrivals
            .into_iter()
            .filter_map(|arrival| Some((arrival.handle?, arrival)))
            .collect();
        handles
            .iter()
            .map(|handle| arrived.get(&handle.id).map(decode).ok_or_else(missing))
            .collect()
    }
}

fn decode<T: DeserializeOwned>(arrival: &WorkflowArrival) -> crate::Result<T> {
    decode_answer(arrival.value.get().as_bytes())
        .map_err(|problem| EffectError::unreadable("workflow_wait", &problem))
        .flatten()
}

fn missing() -> WorkflowError {
    WorkflowError::new(
        "internal",
        "the host ended a wait for all handles without the answer of each",
    )
}
