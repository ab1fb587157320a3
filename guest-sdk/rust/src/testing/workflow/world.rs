//! The runs of a simulation, and their relations.

use crate::Json;
use crate::testing::workflow::answer;
use crate::testing::workflow::due::{Agenda, Due};
use crate::testing::workflow::run::SimulatedRun;
use crate::types::{OnParentEnd, WorkflowEnd, WorkflowOutcome, WorkflowRun, WorkflowStatus};

#[derive(Default)]
pub(super) struct World {
    pub runs: Vec<SimulatedRun>,
    pub agenda: Agenda,
    /// The run whose code is being called.
    pub current: usize,
    /// The children of a run, by parent.
    pub children: Vec<(usize, usize)>,
}

impl World {
    /// Adds a run, whose code is to be called.
    pub fn add(&mut self, run: SimulatedRun) -> usize {
        self.runs.push(run);
        self.runs.len() - 1
    }

    /// A run's id that no other run has.
    pub fn run_id(&self) -> String {
        format!("run-{}", self.runs.len() + 1)
    }

    /// The newest run of a workflow's id.
    pub fn newest(&self, workflow_id: &str) -> Option<usize> {
        let of_this_id = |run: &SimulatedRun| run.workflow_id == workflow_id;
        self.runs.iter().rposition(of_this_id)
    }

    /// The open run of a workflow's id.
    pub fn open(&self, workflow_id: &str) -> Option<usize> {
        self.newest(workflow_id)
            .filter(|run| self.runs[*run].is_open())
    }

    /// The run that continues this one, if it has ended so; else the run itself.
    pub fn successor(&self, run: usize) -> usize {
        let ended = self.runs[run].outcome.as_ref();
        match ended.is_some_and(|outcome| outcome.end == WorkflowEnd::ContinueAsNew) {
            true => self.open(&self.runs[run].workflow_id).unwrap_or(run),
            false => run,
        }
    }

    /// The next run but this one that can go on.
    pub fn ready(&self, driver: Option<usize>) -> Option<usize> {
        let is_ready = |(index, run): &(usize, &SimulatedRun)| {
            Some(*index) != driver && run.is_open() && run.is_ready()
        };
        Some(self.runs.iter().enumerate().find(is_ready)?.0)
    }

    /// Ends a run, and tells those who wait for it. Returns the run that continues it.
    pub fn end(&mut self, run: usize, outcome: WorkflowOutcome, now: i64) -> Option<usize> {
        let run_id = self.run_id();
        let ended = &mut self.runs[run];
        ended.blocked = None;
        ended.outcome = Some(outcome.clone());
        let continued = (outcome.end == WorkflowEnd::ContinueAsNew)
            .then(|| ended.continued(run_id, outcome.input.clone(), now));
        let workflow_id = ended.workflow_id.clone();
        for (watcher, handle) in std::mem::take(&mut ended.watchers) {
            self.runs[watcher].finish(handle, answer::of_child(&workflow_id, &outcome));
        }
        let children = self.children.clone();
        for (_, child) in children.into_iter().filter(|(parent, _)| *parent == run) {
            self.end_child(child, now);
        }
        let next = self.add(continued?);
        // As a child it stays one of the same parent.
        let parent = self.children.iter().find(|(_, child)| *child == run);
        if let Some((parent, _)) = parent.copied() {
            self.children.push((parent, next));
        }
        Some(next)
    }

    fn end_child(&mut self, child: usize, now: i64) {
        let run = &mut self.runs[child];
        if !run.is_open() {
            return;
        }
        match run.on_parent_end {
            OnParentEnd::Cancel => self.agenda.add(now, Due::Cancel { run: child }),
            OnParentEnd::Abandon => {}
            OnParentEnd::Terminate => {
                run.blocked = None;
                run.outcome = Some(WorkflowOutcome {
                    end: WorkflowEnd::Failed,
                    output: Json::default(),
                    failure: None,
                    input: Json::default(),
                });
            }
        }
    }

    /// A run, as others see it.
    pub fn view(&self, run: usize) -> WorkflowRun {
        let run = &self.runs[run];
        let outcome = run.outcome.as_ref();
        let status = match outcome.map(|outcome| outcome.end) {
            None => WorkflowStatus::Running,
            Some(WorkflowEnd::Completed) => WorkflowStatus::Completed,
            Some(WorkflowEnd::Failed) => WorkflowStatus::Failed,
            Some(WorkflowEnd::Cancelled) => WorkflowStatus::Cancelled,
            Some(WorkflowEnd::ContinueAsNew) => WorkflowStatus::Continued,
        };
        let output = outcome.filter(|outcome| outcome.end == WorkflowEnd::Completed);
        WorkflowRun {
            workflow: run.workflow.clone(),
            workflow_id: run.workflow_id.clone(),
            run_id: run.run_id.clone(),
            status,
            output: output.map(|outcome| outcome.output.clone()),
            error: outcome
                .and_then(|outcome| outcome.failure.as_ref())
                .map(|failure| failure.message.clone()),
            state: run.states.last().cloned(),
        }
    }
}
