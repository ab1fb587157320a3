//! [`StepFeed`]: steps of runs as live events, for whoever follows them.
//!
//! Runs perform tens of thousands of steps a second, and mostly nobody looks: then a step costs the load of one
//! number. While a client follows runs, their steps become events, and those of no other run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exomonad_core::EncodedAnswer;
use exomonad_schema::ErrorCode;
use exomonad_workflow::store::RunRow;
use exomonad_workflow::{Event, EventBody, Machine, TIMER};

use super::active::{ActiveRun, unix_millis};
use super::lock;
use super::view::{RunEvent, StepChange, StepEvent};

/// The time for which steps stay events after a follower has gone: it may come back for what it has missed.
const LINGER: Duration = Duration::from_secs(60);
/// Followers that have gone, at most.
const GONE: usize = 64;
/// The code of a step that has succeeded.
const OK: &str = "ok";

/// Takes what happens to runs, of each run in its order. The tasks that drive runs call it, so it must not block.
pub trait RunObserver: Send + Sync {
    /// A run has changed.
    fn run_changed(&self, event: &RunEvent);
    /// A step has begun, or is answered.
    fn step_changed(&self, event: StepEvent);
}

/// A choice of runs by their names; a name that is absent chooses all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// The role.
    pub role: Option<String>,
    /// The workflow's name.
    pub workflow: Option<String>,
    /// The workflow's id, or the run's.
    pub run: Option<String>,
}

impl RunFilter {
    /// True for a run with these names.
    pub fn matches(&self, role: &str, workflow: &str, workflow_id: &str, run_id: &str) -> bool {
        let is = |wanted: &Option<String>, name: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == name)
        };
        is(&self.role, role)
            && is(&self.workflow, workflow)
            && (is(&self.run, workflow_id) || is(&self.run, run_id))
    }
}

/// The followers of steps.
#[derive(Default)]
pub struct StepFeed {
    /// The number of `followers`.
    count: AtomicUsize,
    followers: Mutex<Vec<Follower>>,
}

struct Follower {
    filter: RunFilter,
    /// The time of its end; `None` while it is there.
    gone: Option<Instant>,
}

/// While it lives, steps of the runs that it has chosen are events.
pub struct Following {
    feed: Arc<StepFeed>,
    filter: RunFilter,
}

impl StepFeed {
    /// Lets the steps of these runs be events.
    pub fn follow(self: &Arc<Self>, filter: RunFilter) -> Following {
        let mut followers = lock(&self.followers);
        let back = followers
            .iter_mut()
            .find(|follower| follower.gone.is_some() && follower.filter == filter);
        match back {
            Some(follower) => follower.gone = None,
            None => followers.push(Follower {
                filter: filter.clone(),
                gone: None,
            }),
        }
        self.count.store(followers.len(), Ordering::Relaxed);
        Following {
            feed: self.clone(),
            filter,
        }
    }

    /// True if somebody follows steps of any run.
    fn is_followed(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// True if somebody follows the steps of this run.
    fn wants(&self, run: &RunRow) -> bool {
        let mut followers = lock(&self.followers);
        let now = Instant::now();
        followers.retain(|follower| {
            let gone = follower.gone;
            gone.is_none_or(|gone| now.saturating_duration_since(gone) < LINGER)
        });
        self.count.store(followers.len(), Ordering::Relaxed);
        followers.iter().any(|follower| {
            let filter = &follower.filter;
            filter.matches(&run.role, &run.workflow, &run.workflow_id, &run.run_id)
        })
    }

    fn left(&self, filter: &RunFilter) {
        let mut followers = lock(&self.followers);
        if let Some(follower) = followers
            .iter_mut()
            .find(|follower| follower.gone.is_none() && follower.filter == *filter)
        {
            follower.gone = Some(Instant::now());
        }
        let gone = followers.iter().filter(|follower| follower.gone.is_some());
        if gone.count() > GONE
            && let Some(oldest) = followers.iter().filter_map(|follower| follower.gone).min()
        {
            followers.retain(|follower| follower.gone != Some(oldest));
        }
        self.count.store(followers.len(), Ordering::Relaxed);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.feed.left(&self.filter);
    }
}

impl ActiveRun {
    /// Tells followers that an attempt at a step begins.
    pub fn tell_begun(&self, step: u64, effect: &str, attempt: u32) {
        if self.workflows().step_feed.is_followed() {
            self.tell(step, Some(effect), attempt, StepChange::Begun);
        }
    }

    /// Tells followers that an attempt at a step has failed, and when the next one begins.
    pub fn tell_failed(
        &self,
        step: u64,
        effect: &str,
        attempt: u32,
        answer: &EncodedAnswer,
        next_unix_millis: i64,
    ) {
        if self.workflows().step_feed.is_followed() {
            let code = code(answer);
            let change = StepChange::Failed {
                code,
                next_unix_millis,
            };
            self.tell(step, Some(effect), attempt, change);
        }
    }

    /// Tells followers that a step is given up: nobody waits for its answer.
    pub fn tell_given_up(&self, step: u64, effect: &str) {
        if self.workflows().step_feed.is_followed() {
            let code = ErrorCode::Cancelled.to_string();
            self.tell(step, Some(effect), 1, StepChange::Answered { code });
        }
    }

    /// Tells followers what an entry of the history says of a step, before the machine knows it.
    pub fn tell_answered(&self, machine: &Machine, event: &Event) {
        if !self.workflows().step_feed.is_followed() {
            return;
        }
        match &event.body {
            EventBody::Done {
                seq,
                attempt,
                answer,
                request,
            } => {
                let asked = request.as_ref().map(|request| request.effect.as_str());
                let effect = asked.or(machine.effect_of(*seq));
                let code = code(&EncodedAnswer::recorded(answer.clone()));
                self.tell(*seq, effect, *attempt, StepChange::Answered { code });
            }
            EventBody::Fired { seq, .. } => {
                let code = OK.to_owned();
                self.tell(*seq, Some(TIMER), 1, StepChange::Answered { code });
            }
            // Told when the attempt begins, and when it fails.
            EventBody::Asked(_)
            | EventBody::Attempt { .. }
            | EventBody::Signaled { .. }
            | EventBody::CancelRequested
            | EventBody::Patched { .. } => {}
        }
    }

    fn tell(&self, step: u64, effect: Option<&str>, attempt: u32, change: StepChange) {
        let workflows = self.workflows();
        let Some(observer) = workflows.observer.get() else {
            return;
        };
        let run = &self.row;
        if !workflows.step_feed.wants(run) {
            return;
        }
        observer.step_changed(StepEvent {
            at: unix_millis(),
            role: run.role.clone(),
            workflow: run.workflow.clone(),
            workflow_id: run.workflow_id.clone(),
            run_id: run.run_id.clone(),
            step,
            effect: effect.map(str::to_owned),
            attempt,
            change,
        });
    }
}

fn code(answer: &EncodedAnswer) -> String {
    let code = answer.error_code();
    code.map_or_else(|| OK.to_owned(), |code| code.to_string())
}

#[cfg(test)]
mod tests {
    use exomonad_schema::effects::workflow::WorkflowStatus;

    use super::*;

    fn run(workflow_id: &str) -> RunRow {
        RunRow {
            key: 1,
            role: "tl".to_owned(),
            workflow: "ship".to_owned(),
            workflow_id: workflow_id.to_owned(),
            run_id: format!("run-{workflow_id}"),
            digest: String::new(),
            configuration: String::new(),
            input: String::new(),
            state_before: None,
            seed: Vec::new(),
            begun_at: 0,
            status: WorkflowStatus::Running,
            wake_at: None,
            asked: 0,
            state: None,
            state_version: 0,
            restarts: 0,
            parent: None,
            continued_from: None,
            continued_to: None,
            output: None,
            error_code: None,
            error: None,
            ended_at: None,
            client: None,
            started_by: None,
        }
    }

    fn of_run(run: &str) -> RunFilter {
        RunFilter {
            run: Some(run.to_owned()),
            ..RunFilter::default()
        }
    }

    #[test]
    fn steps_are_wanted_of_the_runs_that_a_client_follows_and_a_while_after_it_has_gone() {
        let feed = Arc::new(StepFeed::default());
        assert!(!feed.is_followed());
        let following = feed.follow(of_run("a"));
        assert!(feed.is_followed() && feed.wants(&run("a")) && !feed.wants(&run("b")));
        drop(following);
        assert!(feed.wants(&run("a")));
        // It comes back, and is not counted twice.
        drop(feed.follow(of_run("run-a")));
        drop(feed.follow(of_run("a")));
        assert_eq!(lock(&feed.followers).len(), 2);
        let long_ago = Instant::now().checked_sub(LINGER);
        for follower in lock(&feed.followers).iter_mut() {
            follower.gone = long_ago;
        }
        assert!(!feed.wants(&run("a")));
        assert!(!feed.is_followed());
    }

    #[test]
    fn followers_that_come_and_go_are_bounded() {
        let feed = Arc::new(StepFeed::default());
        let stays = feed.follow(of_run("stays"));
        for nth in 0..10 * GONE {
            drop(feed.follow(of_run(&format!("{nth}"))));
        }
        assert!(lock(&feed.followers).len() <= GONE + 1);
        assert!(feed.wants(&run("stays")));
        drop(stays);
    }
}
