//! The run of a workflow, as its function sees it.

use std::cell::RefCell;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::effect::EffectRequest;
use crate::types::{
    Context, Done, WorkflowFailure, WorkflowInfo, WorkflowInput, WorkflowPatched, WorkflowRunInfo,
    WorkflowSetState, WorkflowSignal, WorkflowSleep,
};
use crate::workflow::{Child, First, Handle, Select, Step, WorkflowError, WorkflowFunction};
use crate::{Json, ToolError};

type Compensation<S> = Box<dyn Fn(&Run<S>) -> Result<(), WorkflowError>>;

/// A run, whose published state has the type `S`.
pub struct Run<S = ()> {
    workflow_id: String,
    run_id: String,
    context: Context,
    previous_state: Option<S>,
    compensations: RefCell<Vec<Compensation<S>>>,
}

/// A [`Run`], by the state that it publishes.
#[doc(hidden)]
pub trait Published {
    /// The state's type.
    type State;
}

impl<S> Published for Run<S> {
    type State = S;
}

impl<S: DeserializeOwned> Run<S> {
    pub(super) fn new(input: WorkflowInput) -> Result<Self, ToolError> {
        let previous_state = match input.state.get() {
            "null" => None,
            _ => Some(input.state.parse().map_err(|problem| {
                ToolError::new(format!(
                    "the state of the run before does not fit: {problem}"
                ))
            })?),
        };
        Ok(Self {
            workflow_id: input.workflow_id,
            run_id: input.run_id,
            context: input.context,
            previous_state,
            compensations: RefCell::default(),
        })
    }
}

impl<S> Run<S> {
    /// The workflow's id, chosen by whoever started it.
    pub fn workflow_id(&self) -> &str {
        &self.workflow_id
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The call. Its id is the run's, however often that is resumed.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The state that the run before this one has published, if that was continued as new.
    pub fn previous_state(&self) -> Option<&S> {
        self.previous_state.as_ref()
    }

    /// Publishes the state: what queries see, and the next run if this one is continued as new.
    ///
    /// # Errors
    /// The host's, for example if the state is too large.
    pub fn set_state(&self, state: &S) -> Result<(), WorkflowError>
    where
        S: Serialize,
    {
        super::set_state(&WorkflowSetState::new(Json::new(state)?))?;
        Ok(())
    }

    /// Waits, for ten years at most. The run holds no memory, thread or sandbox meanwhile.
    ///
    /// # Errors
    /// If the run is cancelled.
    pub fn sleep(&self, duration: Duration) -> Result<(), WorkflowError> {
        super::sleep(&WorkflowSleep::new(millis(duration)))?;
        Ok(())
    }

    /// An effect with retries and a time limit, or one that runs beside the workflow. A plain call of the
    /// effect's function is a step too.
    pub fn step<R: EffectRequest>(&self, request: R) -> Step<R> {
        Step::new(request)
    }

    /// Starts an effect that runs beside the workflow.
    ///
    /// # Errors
    /// If the host does not start it.
    pub fn start<R: EffectRequest>(&self, request: R) -> Result<Handle<R::Answer>, WorkflowError> {
        self.step(request).start()
    }

    /// Starts a timer, to be waited for beside other things.
    ///
    /// # Errors
    /// If the host does not start it.
    pub fn timer(&self, duration: Duration) -> Result<Handle<Done>, WorkflowError> {
        self.start(WorkflowSleep::new(millis(duration)))
    }

    /// Performs effects beside each other, and returns the answer of each in the order of the requests.
    ///
    /// # Errors
    /// If the run is cancelled meanwhile. A step's own failure is its answer.
    pub fn parallel<R: EffectRequest>(
        &self,
        requests: impl IntoIterator<Item = R>,
    ) -> Result<Vec<crate::Result<R::Answer>>, WorkflowError> {
        let handles = requests.into_iter().map(|request| self.start(request));
        self.join(handles.collect::<Result<_, _>>()?)
    }

    /// Waits for all of them, and returns the answer of each in their order.
    ///
    /// # Errors
    /// If the run is cancelled meanwhile. A step's own failure is its answer.
    pub fn join<T: DeserializeOwned>(
        &self,
        handles: Vec<Handle<T>>,
    ) -> Result<Vec<crate::Result<T>>, WorkflowError> {
        Handle::wait_all(handles)
    }

    /// Waits for the first of them, and returns its position and its answer. The others are stopped.
    ///
    /// # Errors
    /// If the run is cancelled meanwhile, or the first one has failed, or there is none.
    pub fn race<T: DeserializeOwned>(
        &self,
        mut handles: Vec<Handle<T>>,
    ) -> Result<(usize, T), WorkflowError> {
        if handles.is_empty() {
            return Err(WorkflowError::new(
                "internal",
                "a race needs somebody who runs",
            ));
        }
        let mut select = self.select();
        for handle in &handles {
            select = select.handle(handle);
        }
        let First::Handle(position) = select.wait()? else {
            return Err(WorkflowError::new(
                "internal",
                "a race was ended by a signal",
            ));
        };
        let winner = handles.swap_remove(position);
        for loser in &handles {
            loser.cancel()?;
        }
        Ok((position, winner.wait()?))
    }

    /// A wait for whatever comes first of several things: steps, signals, a time.
    pub fn select(&self) -> Select {
        Select::new()
    }

    /// Waits for a signal, and returns its payload. Signals that came before were kept; the oldest is taken.
    ///
    /// # Errors
    /// If the run is cancelled meanwhile, or the payload does not fit.
    pub fn wait_signal<T: DeserializeOwned>(&self, name: &str) -> Result<T, WorkflowError> {
        self.select().signal(name).wait()?.payload()
    }

    /// Waits for a signal, but not longer than this; `None` when the time is up.
    ///
    /// # Errors
    /// If the run is cancelled meanwhile, or the payload does not fit.
    pub fn wait_signal_timeout<T: DeserializeOwned>(
        &self,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<T>, WorkflowError> {
        match self.select().signal(name).timeout(timeout).wait()? {
            First::Timeout => Ok(None),
            first => first.payload().map(Some),
        }
    }

    /// Sends a signal to the open run of another workflow of the role.
    ///
    /// # Errors
    /// The host's: `not_found` if no run with this id is open.
    pub fn signal(
        &self,
        workflow_id: &str,
        name: &str,
        payload: &impl Serialize,
    ) -> Result<(), WorkflowError> {
        super::signal(&WorkflowSignal {
            payload: Json::new(payload)?,
            ..WorkflowSignal::new(workflow_id, name)
        })?;
        Ok(())
    }

    /// A child run of a workflow of the same plugin, by the name of its function.
    ///
    /// # Errors
    /// If the input has no JSON.
    pub fn child<W: WorkflowFunction>(
        &self,
        input: &W::Input,
    ) -> Result<Child<W::Output>, WorkflowError>
    where
        W::Input: Serialize,
    {
        self.child_named(W::ENTRY.name, input)
    }

    /// A child run of a workflow of the role, by its name.
    ///
    /// # Errors
    /// If the input has no JSON.
    pub fn child_named<T>(
        &self,
        workflow: &str,
        input: &impl Serialize,
    ) -> Result<Child<T>, WorkflowError> {
        Ok(Child::new(workflow, Json::new(input)?))
    }

    /// True if a change of the workflow's code applies to this run: false for one that has come past this place
    /// with the code before the change.
    ///
    /// # Errors
    /// The host's.
    pub fn patched(&self, id: &str) -> Result<bool, WorkflowError> {
        Ok(super::patched(&WorkflowPatched::new(id))?.applies)
    }

    /// The run's number of steps, its beginning, and the host's advice to continue as new.
    ///
    /// # Errors
    /// The host's.
    pub fn info(&self) -> Result<WorkflowRunInfo, WorkflowError> {
        Ok(super::info(&WorkflowInfo::default())?)
    }

    /// The error that ends this run and starts it as a new one with this input, an empty history, and the state
    /// published last: `return Err(run.continue_as_new(&input))`.
    pub fn continue_as_new(&self, input: &impl Serialize) -> WorkflowError {
        match Json::new(input) {
            Ok(input) => WorkflowError::continue_as_new(input),
            Err(problem) => problem.into(),
        }
    }

    /// Registers what undoes the steps up to here. When the function returns an error, also when the run is
    /// cancelled, what was registered is called, the last first. Effects work in it.
    ///
    /// It is called a second time if the run is cancelled while it is at it, so it should be repeatable. A run
    /// that continues as new undoes nothing.
    pub fn add_compensation(
        &self,
        compensation: impl Fn(&Self) -> Result<(), WorkflowError> + 'static,
    ) {
        self.compensations.borrow_mut().push(Box::new(compensation));
    }

    /// Undoes what has a compensation, and returns how the run ends: by the error itself, or by
    /// `compensation_failed` if something could not be undone.
    pub(super) fn compensate(&self, error: WorkflowError) -> WorkflowError {
        if error.is_continuation() {
            return error;
        }
        let mut failures = Vec::new();
        loop {
            let next = self.compensations.borrow_mut().pop();
            let Some(compensation) = next else { break };
            let mut result = compensation(self);
            // A run is told once that it is cancelled: the second call is undisturbed.
            if result.as_ref().is_err_and(WorkflowError::is_cancelled) {
                result = compensation(self);
            }
            if let Err(failure) = result {
                failures.push(failure);
            }
        }
        if failures.is_empty() {
            return error;
        }
        let messages: Vec<_> = failures.iter().map(ToString::to_string).collect();
        WorkflowError::failed(WorkflowFailure {
            code: "compensation_failed".to_owned(),
            message: format!(
                "{error}; and this could not be undone: {}",
                messages.join("; ")
            ),
            details: Json::new(&serde_json::json!({
                "cause": { "code": error.code(), "message": error.message() },
                "failures": failures
                    .iter()
                    .map(|failure| serde_json::json!({ "code": failure.code(), "message": failure.message() }))
                    .collect::<Vec<_>>(),
            }))
            .ok(),
        })
    }
}

/// Whole milliseconds, a part of one counted as one.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
