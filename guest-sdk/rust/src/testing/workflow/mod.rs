//! Workflows in simulated time.
//!
//! ```
//! use std::time::Duration;
//!
//! use exomonad_guest::prelude::*;
//! use exomonad_guest::testing::FakeHost;
//! use exomonad_guest::workflow::Run;
//! use serde_json::json;
//!
//! /// Waits a month for an approval.
//! #[workflow(signals(approve = String))]
//! fn approval(run: &Run) -> Result<Option<String>, WorkflowError> {
//!     run.wait_signal_timeout("approve", Duration::from_secs(30 * 86_400))
//! }
//!
//! plugin! { name: "example", tools: [], workflows: [approval] }
//! # fn main() {
//! let week = Duration::from_secs(7 * 86_400);
//! let host = FakeHost::new().signal_at(week, "approve", json!("Ada"));
//! let ended = host.run_workflow(&PLUGIN, "approval", &json!(null));
//! assert_eq!((ended.output(), ended.elapsed), (json!("Ada"), week));
//! # }
//! ```
//!
//! The clock jumps to whatever is due next. Of several things that a workflow waits for, the first that comes is
//! taken; what is due at the same time comes in the order in which it was started. Effects take no time, unless
//! [`takes`](FakeHost::takes) says so. When a run has ended it is called once more with the answers that it got: a
//! workflow that then asks for something else fails the test, as it would be stuck on a real host.

mod answer;
mod due;
mod run;
mod simulation;
mod world;

pub(super) use simulation::Simulation;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use crate::Json;
use crate::effect::EffectRequest;
use crate::plugin::Plugin;
use crate::testing::{FakeHost, context};
use crate::types::{
    EffectError, WorkflowEnd, WorkflowFailure, WorkflowMigrateInput, WorkflowOutcome,
    WorkflowQueryInput,
};

type ChildAnswer = dyn Fn(Value) -> Result<Value, EffectError>;

/// The arrangements of a test for a workflow.
pub(super) struct Script {
    signals: RefCell<Vec<(Duration, String, Value)>>,
    cancels: RefCell<Vec<Duration>>,
    /// By host function, the time that an attempt takes.
    durations: RefCell<HashMap<&'static str, Duration>>,
    children: RefCell<HashMap<String, (Duration, Rc<ChildAnswer>)>>,
    unpatched: RefCell<BTreeSet<String>>,
    many_steps: Cell<u64>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            signals: RefCell::default(),
            cancels: RefCell::default(),
            durations: RefCell::default(),
            children: RefCell::default(),
            unpatched: RefCell::default(),
            many_steps: Cell::new(10_000),
        }
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct FinishedRun {
    /// Its end, as the host gets it; of the last run, if it was continued as new.
    pub outcome: WorkflowOutcome,
    /// The states that it has published, in order.
    pub states: Vec<Value>,
    /// The simulated time from its beginning to its end.
    pub elapsed: Duration,
    /// The number of runs: one more than the times that it was continued as new.
    pub runs: usize,
}

impl FinishedRun {
    /// Its output.
    ///
    /// # Panics
    /// If it has not completed.
    pub fn output(&self) -> Value {
        assert_eq!(
            self.outcome.end,
            WorkflowEnd::Completed,
            "{:?}",
            self.outcome
        );
        parse(&self.outcome.output)
    }

    /// Its failure.
    ///
    /// # Panics
    /// If it has not failed.
    pub fn failure(&self) -> &WorkflowFailure {
        match &self.outcome.failure {
            Some(failure) => failure,
            None => panic!("it has not failed: {:?}", self.outcome),
        }
    }

    /// True if it has ended because it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.outcome.end == WorkflowEnd::Cancelled
    }
}

fn parse(json: &Json) -> Value {
    // Whatever is in a `Json` is JSON.
    json.parse().unwrap_or_default()
}

impl FakeHost {
    /// Sends a signal to the workflow, so long after its beginning.
    #[must_use]
    pub fn signal_at(self, after: Duration, name: &str, payload: Value) -> Self {
        let signal = (after, name.to_owned(), payload);
        self.state().script.signals.borrow_mut().push(signal);
        self
    }

    /// Cancels the workflow, so long after its beginning.
    #[must_use]
    pub fn cancel_at(self, after: Duration) -> Self {
        self.state().script.cancels.borrow_mut().push(after);
        self
    }

    /// Lets each attempt at an effect take this time within a workflow.
    #[must_use]
    pub fn takes<R: EffectRequest>(self, duration: Duration) -> Self {
        self.state()
            .script
            .durations
            .borrow_mut()
            .insert(R::FUNCTION, duration);
        self
    }

    /// Answers children of this workflow by a closure, from their input to their output, after a time. Children of
    /// other workflows of the plugin run as the workflow itself does.
    #[must_use]
    pub fn on_child(
        self,
        workflow: &str,
        takes: Duration,
        answer: impl Fn(Value) -> Result<Value, EffectError> + 'static,
    ) -> Self {
        let answer: Rc<ChildAnswer> = Rc::new(answer);
        self.state()
            .script
            .children
            .borrow_mut()
            .insert(workflow.to_owned(), (takes, answer));
        self
    }

    /// Lets a change of the code not apply, as in a run that came past it before the change.
    #[must_use]
    pub fn without_patch(self, id: &str) -> Self {
        self.state()
            .script
            .unpatched
            .borrow_mut()
            .insert(id.to_owned());
        self
    }

    /// Advises a run to continue as new after so many steps; 10,000 as on a real host, if nothing is said.
    #[must_use]
    pub fn suggests_continue_as_new_after(self, steps: u64) -> Self {
        self.state().script.many_steps.set(steps);
        self
    }

    /// The time on the host's clock, in milliseconds since 1970, also for a closure that answers by the time.
    pub fn unix_millis(&self) -> i64 {
        self.state().unix_millis.get()
    }

    /// Runs a workflow to its end, in simulated time.
    ///
    /// # Panics
    /// If it waits for what never comes, or asks for something else when it is called again with the same answers.
    pub fn run_workflow(
        &self,
        plugin: &'static Plugin,
        workflow: &str,
        input: &Value,
    ) -> FinishedRun {
        self.run(|| Simulation::run(self.state(), plugin, workflow, input))
    }

    /// Asks a workflow's query about a published state.
    ///
    /// # Errors
    /// If the query fails.
    pub fn query_workflow(
        &self,
        plugin: &Plugin,
        workflow: &str,
        query: &str,
        arguments: &Value,
        state: &Value,
    ) -> Result<Value, crate::ToolError> {
        let input = WorkflowQueryInput {
            workflow: workflow.to_owned(),
            query: query.to_owned(),
            arguments: arguments.clone().into(),
            state: state.clone().into(),
            context: context(),
        };
        Ok(parse(&plugin.query_workflow(&input)?.value))
    }

    /// Brings a published state of an older version to the current one.
    ///
    /// # Errors
    /// If the workflow cannot.
    pub fn migrate_workflow(
        &self,
        plugin: &Plugin,
        workflow: &str,
        from_version: u32,
        state: &Value,
    ) -> Result<Value, crate::ToolError> {
        let current = plugin.workflows.iter().find(|one| one.name == workflow);
        let input = WorkflowMigrateInput {
            workflow: workflow.to_owned(),
            state: state.clone().into(),
            from_version,
            to_version: current.map_or(0, |workflow| workflow.state_version),
            context: context(),
        };
        Ok(parse(&plugin.migrate_workflow(&input)?.state))
    }
}
