//! [`RunCounts`]: runs by status, for metrics and `/health`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use exomonad_schema::effects::workflow::WorkflowStatus;
use exomonad_workflow::store::{RunRow, is_open, within};
use tokio::time::MissedTickBehavior;

use super::view::RunChange;
use super::{Workflows, lock};

/// The time between two counts of open runs.
const COUNT: Duration = Duration::from_secs(5);

/// Numbers of runs. Labels are names that the configuration and the plugins give, never a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunCounts {
    /// Open runs by role and status, as they were counted last.
    pub open: BTreeMap<(String, WorkflowStatus), u64>,
    /// Runs that have ended in this process, by role, workflow and status.
    pub ended: BTreeMap<(String, String, WorkflowStatus), u64>,
    /// Starts after a trap in this process, by role and workflow.
    pub restarts: BTreeMap<(String, String), u64>,
}

impl RunCounts {
    /// The number of runs that cannot go on without an operator.
    pub fn stuck(&self) -> u64 {
        let stuck = self.open.iter();
        let stuck = stuck.filter(|((_, status), _)| *status == WorkflowStatus::Stuck);
        stuck.map(|(_, count)| count).sum()
    }

    /// Counts a change, if it is one that is counted.
    pub(super) fn note(&mut self, run: &RunRow, change: RunChange) {
        let (role, workflow) = (run.role.clone(), run.workflow.clone());
        match change {
            RunChange::Restart { .. } => *self.restarts.entry((role, workflow)).or_default() += 1,
            RunChange::Status { status } if !is_open(status) => {
                *self.ended.entry((role, workflow, status)).or_default() += 1;
            }
            RunChange::Status { .. } => {}
        }
    }
}

/// Counts the open runs every few seconds, until the host stops.
pub(super) async fn run(workflows: Arc<Workflows>) {
    let mut ticks = tokio::time::interval(COUNT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !workflows.is_closed() {
        ticks.tick().await;
        // Without a file there are no runs, and it is not made to count them.
        if !workflows.has_file() {
            continue;
        }
        // The scheduler logs a file that cannot be used, and tries again.
        if let Ok(store) = workflows.store().await
            && let Ok(open) = store.read(within::count_open).await
        {
            lock(&workflows.counts).open = open.into_iter().collect();
        }
    }
}
