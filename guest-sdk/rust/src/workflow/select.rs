//! Waiting for whatever comes first.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::Json;
use crate::types::WorkflowWait;
use crate::workflow::run::millis;
use crate::workflow::{Handle, WorkflowError};

/// A wait for several things, of which the first ends it.
///
/// ```ignore
/// match run.select().handle(&deploy).signal("stop").timeout(an_hour).wait()? {
///     First::Handle(_) => deploy.wait()?,
///     First::Signal { .. } => deploy.cancel()?,
///     First::Timeout => …
/// }
/// ```
#[derive(Debug, Default)]
#[must_use = "it waits when `wait` is called"]
pub struct Select {
    wait: WorkflowWait,
}

/// The first arrival.
#[derive(Clone, Debug, PartialEq)]
pub enum First {
    /// The handle at this position, in the order in which they were given. Waiting for it answers at once.
    Handle(usize),
    /// A signal, which is taken with this.
    Signal {
        /// Its name.
        name: String,
        /// Its payload.
        payload: Json,
    },
    /// The end of the time.
    Timeout,
}

impl Select {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Also waits for this handle.
    pub fn handle<T>(mut self, handle: &Handle<T>) -> Self {
        self.wait.handles.push(handle.id());
        self
    }

    /// Also waits for a signal of this name.
    pub fn signal(mut self, name: impl Into<String>) -> Self {
        self.wait.signals.push(name.into());
        self
    }

    /// Does not wait longer than this.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.wait.timeout_millis = Some(millis(timeout));
        self
    }

    /// Waits.
    ///
    /// # Errors
    /// If the run is cancelled meanwhile.
    pub fn wait(self) -> Result<First, WorkflowError> {
        let come = super::wait(&self.wait)?;
        let Some(first) = come.arrivals.into_iter().next() else {
            return Ok(First::Timeout);
        };
        if let Some(name) = first.signal {
            return Ok(First::Signal {
                name,
                payload: first.value,
            });
        }
        let position = |id| self.wait.handles.iter().position(|handle| *handle == id);
        match first.handle.and_then(position) {
            Some(position) => Ok(First::Handle(position)),
            None => Err(WorkflowError::new(
                "internal",
                "the host ended a wait by what was not waited for",
            )),
        }
    }
}

impl First {
    /// The payload of the signal.
    ///
    /// # Errors
    /// If it does not fit, or no signal came first.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, WorkflowError> {
        let Self::Signal { name, payload } = self else {
            return Err(WorkflowError::new("internal", "no signal came first"));
        };
        payload.parse().map_err(|problem| {
            let message = format!("the payload of the signal `{name}` does not fit: {problem}");
            WorkflowError::new("invalid_input", message)
        })
    }
}
