//! One run: what it has asked for and what has come for it.

use std::collections::BTreeMap;

use crate::Json;
use crate::testing::workflow::answer;
use crate::types::{
    Done, OnParentEnd, RetryPolicy, WorkflowArrival, WorkflowArrivals, WorkflowOutcome,
};

/// A run of the simulation.
pub(super) struct SimulatedRun {
    pub workflow: String,
    pub workflow_id: String,
    pub run_id: String,
    pub input: Json,
    /// The state of the run before, if this one continues it.
    pub previous_state: Json,
    pub states: Vec<Json>,
    pub begun_at: i64,
    /// The calls that were answered, in order.
    pub calls: Vec<Call>,
    /// The number of those that the code has repeated since it was last called.
    pub repeated: usize,
    /// The steps, timers and children, by handle.
    pub steps: Vec<Step>,
    signals: BTreeMap<u64, (String, Json)>,
    cancels: BTreeMap<u64, ()>,
    next_position: u64,
    /// The call that is not answered yet.
    pub blocked: Option<Blocked>,
    /// Who waits for its end: run and handle.
    pub watchers: Vec<(usize, u64)>,
    pub on_parent_end: OnParentEnd,
    pub outcome: Option<WorkflowOutcome>,
}

/// A call of a host function that was answered.
pub(super) struct Call {
    pub function: &'static str,
    pub request: Vec<u8>,
    pub answer: Vec<u8>,
}

/// A call that waits.
pub(super) struct Blocked {
    pub function: &'static str,
    pub request: Vec<u8>,
    pub wait: Wait,
    pub form: Form,
}

/// The form of a blocked call's answer.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// That of its only step.
    OfStep,
    /// The arrivals so far.
    Arrivals,
}

/// The things that a call waits for.
#[derive(Default)]
pub(super) struct Wait {
    pub handles: Vec<u64>,
    pub all: bool,
    pub signals: Vec<String>,
    pub timer: Option<u64>,
}

/// Something that was started.
pub(super) struct Step {
    pub kind: StepKind,
    pub retry: Option<RetryPolicy>,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Its position in the order of what came, and its answer.
    pub done: Option<(u64, Vec<u8>)>,
}

pub(super) enum StepKind {
    Timer,
    Effect {
        function: &'static str,
        request: Vec<u8>,
    },
    /// A child that runs; `None` for one that a closure answers.
    Child(Option<usize>),
}

impl SimulatedRun {
    pub fn new(workflow: &str, workflow_id: &str, run_id: String, input: Json, at: i64) -> Self {
        Self {
            workflow: workflow.to_owned(),
            workflow_id: workflow_id.to_owned(),
            run_id,
            input,
            previous_state: Json::default(),
            states: Vec::new(),
            begun_at: at,
            calls: Vec::new(),
            repeated: 0,
            steps: Vec::new(),
            signals: BTreeMap::new(),
            cancels: BTreeMap::new(),
            next_position: 0,
            blocked: None,
            watchers: Vec::new(),
            on_parent_end: OnParentEnd::Cancel,
            outcome: None,
        }
    }

    /// The run that continues this one, with the signals that it has not taken.
    pub fn continued(&mut self, run_id: String, input: Json, at: i64) -> Self {
        let mut next = Self::new(&self.workflow, &self.workflow_id, run_id, input, at);
        next.previous_state = self.states.last().cloned().unwrap_or_default();
        next.on_parent_end = self.on_parent_end;
        next.watchers = std::mem::take(&mut self.watchers);
        for (name, payload) in std::mem::take(&mut self.signals).into_values() {
            next.signal(name, payload);
        }
        next
    }

    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }

    pub fn start(&mut self, kind: StepKind, retry: Option<RetryPolicy>) -> u64 {
        self.steps.push(Step {
            kind,
            retry,
            attempts: 0,
            done: None,
        });
        self.steps.len() as u64 - 1
    }

    pub fn step(&mut self, handle: u64) -> Option<&mut Step> {
        self.steps.get_mut(usize::try_from(handle).ok()?)
    }

    /// Ends a step, unless it has ended.
    pub fn finish(&mut self, handle: u64, answer: Vec<u8>) {
        let position = self.position();
        if let Some(step) = self.step(handle)
            && step.done.is_none()
        {
            step.done = Some((position, answer));
        }
    }

    pub fn signal(&mut self, name: String, payload: Json) {
        let position = self.position();
        self.signals.insert(position, (name, payload));
    }

    pub fn cancel(&mut self) {
        let position = self.position();
        self.cancels.insert(position, ());
    }

    /// True if the run has not heard yet that it was asked to cancel.
    pub fn has_cancel(&self) -> bool {
        !self.cancels.is_empty()
    }

    fn position(&mut self) -> u64 {
        self.next_position += 1;
        self.next_position
    }

    /// True if the call that waits can be answered.
    pub fn is_ready(&self) -> bool {
        self.blocked
            .as_ref()
            .is_some_and(|blocked| self.first(&blocked.wait).is_some())
    }

    /// Answers the call that waits, if something has come for it.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let blocked = self.blocked.as_ref()?;
        let (_, first) = self.first(&blocked.wait)?;
        let blocked = self.blocked.take()?;
        Some(self.answer(&blocked, first))
    }

    /// The first arrival of those that end a wait, with its position.
    fn first(&self, wait: &Wait) -> Option<(u64, First)> {
        let handles = match wait.all {
            true => {
                let all: Option<Vec<u64>> =
                    wait.handles.iter().map(|one| self.done(*one)).collect();
                all.and_then(|positions| positions.into_iter().max())
                    .map(|position| (position, First::All))
            }
            false => {
                let done = wait.handles.iter().filter_map(|handle| {
                    let position = self.done(*handle)?;
                    Some((position, First::Handle(*handle)))
                });
                done.min_by_key(|(position, _)| *position)
            }
        };
        let signal = self
            .signals
            .iter()
            .find(|(_, (name, _))| wait.signals.contains(name))
            .map(|(position, _)| (*position, First::Signal(*position)));
        let timer = wait.timer.and_then(|timer| self.done(timer));
        let cancel = self.cancels.first_key_value();
        [
            handles,
            signal,
            timer.map(|position| (position, First::Timeout)),
            cancel.map(|(position, ())| (*position, First::Cancel(*position))),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(position, _)| *position)
    }

    /// The position at which a step has ended.
    fn done(&self, handle: u64) -> Option<u64> {
        let step = self.steps.get(usize::try_from(handle).ok()?)?;
        step.done.as_ref().map(|(position, _)| *position)
    }

    fn answer(&mut self, blocked: &Blocked, first: First) -> Vec<u8> {
        let wait = &blocked.wait;
        if let First::Cancel(position) = first {
            self.cancels.remove(&position);
            if let Form::OfStep = blocked.form {
                for handle in &wait.handles {
                    self.finish(*handle, answer::cancelled());
                }
            }
            return answer::cancelled();
        }
        let mut arrivals = match (&first, wait.all) {
            (First::Handle(handle), _) => vec![*handle],
            (_, true) => {
                let mut done: Vec<(u64, u64)> = wait
                    .handles
                    .iter()
                    .filter_map(|handle| Some((self.done(*handle)?, *handle)))
                    .collect();
                done.sort_unstable();
                done.dedup();
                done.into_iter().map(|(_, handle)| handle).collect()
            }
            (_, false) => Vec::new(),
        }
        .into_iter()
        .filter_map(|handle| {
            let (_, answer) = self.step(handle)?.done.as_ref()?;
            Some((handle, answer.clone()))
        })
        .collect::<Vec<_>>();
        if let Form::OfStep = blocked.form {
            return arrivals
                .pop()
                .map_or_else(answer::done, |(_, answer)| answer);
        }
        let mut arrivals: Vec<_> = arrivals
            .into_iter()
            .map(|(handle, answer)| WorkflowArrival {
                handle: Some(handle),
                signal: None,
                value: answer::to_json(&answer),
            })
            .collect();
        if let First::Signal(position) = first
            && let Some((name, payload)) = self.signals.remove(&position)
        {
            arrivals.push(WorkflowArrival {
                handle: None,
                signal: Some(name),
                value: payload,
            });
        }
        answer::success(&WorkflowArrivals {
            arrivals,
            timed_out: matches!(first, First::Timeout),
        })
    }

    /// The things that the run waits for, for a person.
    pub fn describe_wait(&self) -> String {
        let Some(blocked) = &self.blocked else {
            return "nothing".to_owned();
        };
        let signals: Vec<_> = blocked
            .wait
            .signals
            .iter()
            .map(|name| format!("the signal `{name}`"))
            .collect();
        match signals.is_empty() {
            false => signals.join(" or "),
            true => format!("the answer of {}", blocked.function),
        }
    }
}

#[derive(Clone, Copy)]
enum First {
    All,
    Handle(u64),
    Signal(u64),
    Timeout,
    Cancel(u64),
}

/// The answer of a timer.
pub(super) const FIRED: Done = Done {};
