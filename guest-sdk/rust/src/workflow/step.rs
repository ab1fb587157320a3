//! Effects with retries and a time limit, and child runs.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Json;
use crate::effect::{EffectRequest, perform};
use crate::types::{ErrorCode, OnParentEnd, RetryPolicy, WorkflowStart, WorkflowStartChild};
use crate::workflow::run::millis;
use crate::workflow::{Handle, WorkflowError, WorkflowFunction};

/// An effect to be performed as a step, with options.
///
/// ```ignore
/// let page = run
///     .step(HttpRequest::new("https://example.com/"))
///     .retry(RetryPolicy::of_attempts(5).first_wait(Duration::from_secs(1)))
///     .timeout(Duration::from_secs(60))
///     .run()?;
/// ```
#[derive(Debug)]
#[must_use = "it is performed by `run` or `start`"]
pub struct Step<R> {
    request: R,
    retry: Option<RetryPolicy>,
    timeout: Option<Duration>,
}

impl<R: EffectRequest> Step<R> {
    pub(super) fn new(request: R) -> Self {
        Self {
            request,
            retry: None,
            timeout: None,
        }
    }

    /// Tries it again when it fails. A write whose outcome is unknown is not tried again by itself.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// The time for all attempts together; the step then fails with `timeout`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Performs it, and waits for its answer.
    ///
    /// # Errors
    /// If the last attempt fails, the time is up, or the run is cancelled.
    pub fn run(self) -> Result<R::Answer, WorkflowError> {
        match (&self.retry, self.timeout) {
            (None, None) => Ok(perform(&self.request)?),
            _ => self.start()?.wait(),
        }
    }

    /// Starts it, to run beside the workflow.
    ///
    /// # Errors
    /// If the host does not start it.
    pub fn start(self) -> Result<Handle<R::Answer>, WorkflowError> {
        // The effect is started by name, but only what the plugin imports counts as needed by it.
        #[cfg(target_family = "wasm")]
        std::hint::black_box(R::import());
        #[cfg(not(target_family = "wasm"))]
        crate::testing::know::<R>();
        let started = super::start(&WorkflowStart {
            request: Json::new(&self.request)?,
            retry: self.retry,
            timeout_millis: self.timeout.map(millis),
            ..WorkflowStart::new(R::CAPABILITY)
        })?;
        Ok(Handle::new(started.handle))
    }
}

impl RetryPolicy {
    /// So many attempts at most, the first one included; otherwise as the contract has it: after a second, two,
    /// four, up to a minute, if the service was unavailable, asked to slow down, took too long or had an internal
    /// error.
    pub fn of_attempts(attempts: u64) -> Self {
        Self {
            attempts: Some(attempts),
            ..Self::default()
        }
    }

    /// The wait before the second attempt.
    #[must_use]
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.initial_millis = Some(millis(wait));
        self
    }

    /// The longest wait.
    #[must_use]
    pub fn longest_wait(mut self, wait: Duration) -> Self {
        self.max_millis = Some(millis(wait));
        self
    }

    /// The growth of the wait from attempt to attempt: 200 percent doubles it.
    #[must_use]
    pub fn growth_percent(mut self, percent: u64) -> Self {
        self.backoff_percent = Some(percent);
        self
    }

    /// Tries again after every error but those.
    #[must_use]
    pub fn but_not_after(mut self, codes: impl IntoIterator<Item = ErrorCode>) -> Self {
        let codes = codes.into_iter().map(|code| code.name().to_owned());
        self.non_retryable.extend(codes);
        self
    }
}

impl WorkflowStartChild {
    /// The request for a run of a workflow of this plugin, by the name of its function; for tools and hooks.
    ///
    /// # Errors
    /// If the input has no JSON.
    pub fn of<W: WorkflowFunction>(input: &W::Input) -> serde_json::Result<Self>
    where
        W::Input: Serialize,
    {
        Ok(Self {
            input: Json::new(input)?,
            ..Self::new(W::ENTRY.name)
        })
    }
}

/// A child run to be started, with options.
#[derive(Debug)]
#[must_use = "it is started by `run` or `start`"]
pub struct Child<T> {
    request: WorkflowStartChild,
    output: std::marker::PhantomData<fn() -> T>,
}

impl<T> Child<T> {
    pub(super) fn new(workflow: &str, input: Json) -> Self {
        Self {
            request: WorkflowStartChild {
                input,
                ..WorkflowStartChild::new(workflow)
            },
            output: std::marker::PhantomData,
        }
    }

    /// Its id. If a run with this id is open, that is what is waited for, and nothing is started.
    pub fn id(mut self, workflow_id: impl Into<String>) -> Self {
        self.request.workflow_id = Some(workflow_id.into());
        self
    }

    /// Its fate when this run ends before; it is asked to cancel, if nothing is said.
    pub fn on_parent_end(mut self, fate: OnParentEnd) -> Self {
        self.request.on_parent_end = Some(fate);
        self
    }

    /// Starts it, to run beside the workflow.
    ///
    /// # Errors
    /// The host's, for example if there is no such workflow or the input does not match its schema.
    pub fn start(self) -> Result<Handle<T>, WorkflowError> {
        let child = super::start_child(&self.request)?;
        match child.handle {
            Some(handle) => Ok(Handle::new(handle)),
            None => Err(WorkflowError::new(
                "internal",
                "the host started a child without a handle",
            )),
        }
    }

    /// Starts it, and waits for its output.
    ///
    /// # Errors
    /// The host's; `workflow_failed` if it fails, with its failure as the details.
    pub fn run(self) -> Result<T, WorkflowError>
    where
        T: DeserializeOwned,
    {
        self.start()?.wait()
    }
}
