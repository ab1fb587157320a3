//! [`ActiveRun`]: a run that this host has in memory, and the task that drives it.
//!
//! A *turn* is one call of the guest's `handle_workflow`, from its beginning. It ends when the guest ends, or when
//! the guest waits for something that is not there: then its sandbox is dropped. What comes begins the next turn.
//! Between two turns the run holds neither sandbox nor permit; and if nothing is under way in the host either, the
//! run leaves memory and is a row.

use std::collections::{BTreeSet, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exomonad_engine::{CallError, Limit};
use exomonad_schema::effects::workflow::WorkflowStatus;
use exomonad_schema::{Answer, EffectError, ErrorCode, RawJson, RoleName};
use exomonad_workflow::machine::Attempt;
use exomonad_workflow::store::{
    Continuation, Ended, InboxKind, NewRun, PLUGIN_GONE, Pause, RunRow, Store, Wake, within,
};
use exomonad_workflow::{EventBody, Machine, MismatchError, StoreFailure};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio::task::AbortHandle;

use super::durable::{DurableRun, RunEnd, Stop, Timer, TurnState, call_guest};
use super::view::RunChange;
use super::{CANCELLED, Workflows};
use crate::execution::{code, explain};
use crate::plugins::version::PluginVersion;
use crate::role::Role;

/// How long a guest that waits for a step keeps its sandbox.
const KEEP: Duration = Duration::from_secs(1);
/// Steps of a run that are performed at once; the others wait for their turn.
const STEPS: usize = 64;
/// Waits for a time that is nearer than this stay in memory.
const SOON: i64 = 2_000;
/// How often a turn is looked at: for the time that its guest computes, and for a clock that was set.
const LOOK: Duration = Duration::from_millis(100);
/// The pause before a run is read again whose history could not be written.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// Longest wait before a run that traps is started again.
const LONGEST_RESTART: Duration = Duration::from_secs(3600);

/// A run in memory.
pub struct ActiveRun {
    /// The run as it was read.
    pub row: RunRow,
    /// Its role.
    pub role_name: RoleName,
    workflows: Arc<Workflows>,
    store: Store,
    state: Mutex<RunState>,
    /// Bounds the steps that are performed at once.
    pub beside: Semaphore,
    /// Wakes the guest that waits.
    pub arrived: Notify,
    /// Wakes the task that drives the run.
    pub attention: Notify,
}

/// The state of a run in memory.
pub struct RunState {
    turn: TurnState,
    /// Steps that are being performed.
    pub steps: HashMap<u64, Performing>,
    /// Timers that are set, those that are due first before the others.
    pub timers: BTreeSet<Timer>,
    /// True while no guest runs, and the driver waits for something to come.
    pub rests: bool,
    /// Something is in the inbox.
    pub has_mail: bool,
    digest: String,
    /// Traps since it last went on.
    restarts: u32,
}

impl Deref for RunState {
    type Target = TurnState;

    fn deref(&self) -> &TurnState {
        &self.turn
    }
}

impl DerefMut for RunState {
    fn deref_mut(&mut self) -> &mut TurnState {
        &mut self.turn
    }
}

/// A step that is being performed.
#[derive(Debug)]
pub enum Performing {
    /// Within the guest's call, which waits for it.
    InCall,
    /// By itself.
    Task(AbortHandle),
}

impl RunState {
    /// True if a step is being performed, or done.
    pub fn is_under_way(&self, seq: u64) -> bool {
        self.machine.is_done(seq) || self.steps.contains_key(&seq)
    }

    /// Stops a step, and tells if it was being performed.
    pub fn abort_step(&mut self, seq: u64) -> bool {
        let step = self.steps.remove(&seq);
        if let Some(Performing::Task(task)) = &step {
            task.abort();
        }
        step.is_some()
    }

    /// Stops all steps that are being performed.
    pub fn abort_steps(&mut self) {
        for (_, step) in self.steps.drain() {
            if let Performing::Task(task) = step {
                task.abort();
            }
        }
    }
}

/// The end of a turn.
enum Turn {
    /// The guest has ended.
    Output(Arc<PluginVersion>, Vec<u8>),
    /// It waits.
    Paused,
    /// It trapped, or exceeded a limit.
    Failed { code: &'static str, message: String },
    /// It was ended from outside.
    Stopped(Stop),
    /// There is no plugin to run it with.
    NoPlugin { code: &'static str, message: String },
}

/// The step after a turn.
enum Next {
    Again,
    Leave,
}

impl ActiveRun {
    /// A run with its history.
    pub fn new(
        workflows: Arc<Workflows>,
        store: Store,
        row: RunRow,
        role_name: RoleName,
        machine: Machine,
    ) -> Self {
        Self {
            role_name,
            workflows,
            store,
            state: Mutex::new(RunState {
                turn: TurnState::new(
                    machine,
                    row.state.clone().map(|state| (state, row.state_version)),
                ),
                steps: HashMap::new(),
                timers: BTreeSet::new(),
                rests: false,
                has_mail: true,
                digest: row.digest.clone(),
                restarts: row.restarts,
            }),
            row,
            beside: Semaphore::new(STEPS),
            arrived: Notify::new(),
            attention: Notify::new(),
        }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The workflows that it is one of.
    pub fn workflows(&self) -> &Arc<Workflows> {
        &self.workflows
    }

    /// The state.
    pub fn lock(&self) -> MutexGuard<'_, RunState> {
        // Whatever panicked beside it, the history on disk decides.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name of a step that nothing else has.
    pub fn step_id(&self, seq: u64) -> String {
        format!("{}/{seq}", self.row.run_id)
    }

    /// The failed attempts at a step.
    pub fn attempts(&self, seq: u64) -> Option<Attempt> {
        self.lock().machine.attempts(seq).cloned()
    }

    /// Says that something is in the inbox.
    pub fn has_mail(&self) {
        self.lock().has_mail = true;
        self.attention.notify_one();
    }

    fn failed(self: &Arc<Self>) -> impl FnOnce(StoreFailure) + Send + 'static {
        let run = Arc::downgrade(self);
        move |failure| {
            if let Some(run) = run.upgrade() {
                run.stop(Stop::Store(failure));
            }
        }
    }

    /// Puts something into the history. Nobody waits for the disk: what depends on it is written after it.
    pub async fn arrive(self: &Arc<Self>, arrival: EventBody) {
        self.arrive_from(None, arrival).await;
    }

    /// Puts something into the history. With it ends the step that it is the answer of: between the two the run
    /// must not seem to wait for something else.
    pub async fn arrive_from(self: &Arc<Self>, step: Option<u64>, arrival: EventBody) {
        let room = self.store.room(arrival.size()).await;
        {
            let mut state = self.lock();
            if let Some(step) = step {
                state.steps.remove(&step);
            }
            if let Some(event) = state.machine.arrive(unix_millis(), arrival) {
                self.tell_answered(&state.machine, &event);
                self.store
                    .append(room, self.row.key, vec![event], self.failed());
                state.has_news = true;
            }
            self.wake(&state);
        }
    }

    /// Wakes whoever waits for what has come: the guest, or the driver while it rests.
    pub fn wake(&self, state: &RunState) {
        match state.rests {
            true => self.attention.notify_one(),
            false => self.arrived.notify_waiters(),
        }
    }

    /// Puts something into the history and waits until it is on disk. False if it cannot be: the run is stopped.
    pub async fn arrive_durably(self: &Arc<Self>, arrival: EventBody) -> bool {
        let room = self.store.room(arrival.size()).await;
        let key = self.row.key;
        let pending = {
            let mut state = self.lock();
            let Some(event) = state.machine.arrive(unix_millis(), arrival) else {
                return true;
            };
            self.store.begin(room, move |connection, _| {
                within::insert_events(connection, key, &[event])
            })
        };
        match pending.committed().await {
            Ok(()) => true,
            Err(failure) => {
                self.stop(Stop::Store(failure));
                false
            }
        }
    }

    /// Drives the run until it leaves memory.
    pub async fn drive(self: Arc<Self>) {
        loop {
            if let Err(failure) = self.read_mail().await {
                self.lock().stop.get_or_insert(Stop::Store(failure));
            }
            let turn = self.turn().await;
            let next = match turn {
                Turn::Paused => self.rest().await,
                Turn::Output(version, output) => self.ended(&version, &output).await,
                Turn::Failed { code, message } => self.restart(code, &message).await,
                Turn::NoPlugin { code, message } => self.stuck(code, &message).await,
                Turn::Stopped(stop) => self.stopped(stop).await,
            };
            if matches!(next, Next::Leave) {
                break;
            }
        }
        self.lock().abort_steps();
        self.workflows.leave(&self);
    }

    /// One call of the guest.
    async fn turn(self: &Arc<Self>) -> Turn {
        if let Some(stop) = self.lock().stop.take() {
            return Turn::Stopped(stop);
        }
        let no_plugin = |code, message: String| Turn::NoPlugin { code, message };
        let role = match self.workflows.role(&self.role_name).await {
            Ok(role) => role,
            Err(error) => return no_plugin(error.code(), error.to_string()),
        };
        let wanted = self.lock().digest.clone();
        let version = match self.workflows.version(&role, &self.row, &wanted).await {
            Ok(version) => version,
            Err(message) => return no_plugin(PLUGIN_GONE, message),
        };
        let turn = self.turn_with(&role, version.clone()).await;
        let has_moved = version.plugin.digest() != wanted;
        match turn {
            // The new version of the plugin does not fit: the run stays on its own.
            Turn::Stopped(Stop::Mismatch(_)) | Turn::Failed { .. } | Turn::Output(..)
                if has_moved && let Some(mismatch) = self.misfit(&turn) =>
            {
                self.workflows
                    .does_not_fit(&self.row.run_id, version.plugin.digest());
                tracing::info!(
                    role = %self.role_name, run = self.row.run_id, %mismatch,
                    "the run stays on the version of the plugin that it began with"
                );
                match self.workflows.kept(&role, &wanted).await {
                    Ok(old) => self.turn_with(&role, old).await,
                    Err(_) => Turn::Stopped(Stop::Mismatch(mismatch)),
                }
            }
            turn => {
                if has_moved && matches!(turn, Turn::Output(..) | Turn::Paused) {
                    self.move_to(version.plugin.digest()).await;
                }
                turn
            }
        }
    }

    /// The reason why a version does not fit the run's history, if this turn shows one.
    fn misfit(&self, turn: &Turn) -> Option<MismatchError> {
        match turn {
            Turn::Stopped(Stop::Mismatch(mismatch)) => Some(mismatch.clone()),
            Turn::Output(..) => self.lock().machine.end().err(),
            // It traps where the other version did not.
            Turn::Failed { message, .. } => {
                let state = self.lock();
                state.machine.repeats().then(|| MismatchError {
                    seq: state.machine.steps(),
                    recorded: "there".to_owned(),
                    asked: format!("nothing: it failed ({message})"),
                })
            }
            _ => None,
        }
    }

    async fn move_to(&self, digest: &str) {
        self.lock().digest = digest.to_owned();
        let (key, digest) = (self.row.key, digest.to_owned());
        let moved = self.store.write(0, move |connection, _| {
            within::set_digest(connection, key, &digest)
        });
        // If it cannot be written, the old digest stands there, and the run moves again next time.
        let _ = moved.await;
    }

    async fn turn_with(self: &Arc<Self>, role: &Arc<Role>, version: Arc<PluginVersion>) -> Turn {
        let _turn = self.workflows.permit().await;
        let _permit = match role.admission.admit().await {
            Ok(permit) => permit,
            Err(_) => {
                // Calls of the role fill its queue: the run takes its turn after them.
                tokio::time::sleep(LOOK).await;
                self.lock().has_news = true;
                return Turn::Paused;
            }
        };
        {
            let mut state = self.lock();
            state.begin();
            state.timers.clear();
            state.rests = false;
        }
        let call = match call_guest(self, role, &version) {
            Ok(call) => call,
            Err(error) => {
                return Turn::Failed {
                    code: "internal",
                    message: format!("the input of the run is not JSON: {error}"),
                };
            }
        };
        let limits = role.settings.limits;
        tokio::pin!(call);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.next_timer();
            tokio::select! {
                biased;
                result = &mut call => {
                    return match result {
                        Ok(output) => Turn::Output(version, output.bytes),
                        Err(error) => match self.lock().stop.take() {
                            Some(stop) => Turn::Stopped(stop),
                            None => failed(&error, |error| explain(&role.settings, error)),
                        },
                    };
                }
                () = self.attention.notified() => {}
                () = until(due) => {}
                _ = look.tick() => {}
            }
            self.fire_timers().await;
            if let Err(failure) = self.read_mail().await {
                return Turn::Stopped(Stop::Store(failure));
            }
            let mut state = self.lock();
            if let Some(stop) = state.stop.take() {
                return Turn::Stopped(stop);
            }
            if let Some(too_long) = self.too_long(&state) {
                return Turn::Stopped(too_long);
            }
            if state.computed() > limits.wall_time {
                let hit = limits.exceeded(Limit::WallTime);
                return Turn::Failed {
                    code: "limit_exceeded",
                    message: hit.set_by(&role.settings.limit_key(hit.limit.key())),
                };
            }
            if pauses(&mut state) {
                return Turn::Paused;
            }
        }
    }

    /// The time of the next timer.
    fn next_timer(&self) -> Option<i64> {
        self.lock().timers.first().map(|timer| timer.due)
    }

    async fn fire_timers(self: &Arc<Self>) {
        loop {
            let due = {
                let mut state = self.lock();
                match state.timers.first().copied() {
                    Some(timer) if timer.due <= unix_millis() => {
                        state.timers.remove(&timer);
                        timer
                    }
                    _ => return,
                }
            };
            let (seq, since) = (due.seq, Some(due.since));
            self.arrive(EventBody::Fired { seq, since }).await;
        }
    }

    /// Takes what waits in the inbox into the history.
    async fn read_mail(self: &Arc<Self>) -> Result<(), StoreFailure> {
        if !std::mem::take(&mut self.lock().has_mail) {
            return Ok(());
        }
        let key = self.row.key;
        let mail = self
            .store
            .read(move |connection| within::inbox(connection, key))
            .await?;
        let Some(last) = mail.last().map(|entry| entry.id) else {
            return Ok(());
        };
        let room = self.store.room(0).await;
        let pending = {
            let mut state = self.lock();
            let mut events = Vec::with_capacity(mail.len());
            for entry in mail {
                let entry = entry.entry;
                let payload = entry
                    .payload
                    .unwrap_or_else(|| "null".to_owned())
                    .into_bytes();
                let arrival = match (entry.kind, entry.seq) {
                    (InboxKind::Signal, _) => EventBody::Signaled {
                        name: entry.name.unwrap_or_default(),
                        payload,
                    },
                    (InboxKind::Child | InboxKind::Answer, Some(seq)) => EventBody::Done {
                        seq,
                        attempt: 1,
                        answer: payload,
                        request: None,
                    },
                    _ => EventBody::CancelRequested,
                };
                if let Some(event) = state.machine.arrive(unix_millis(), arrival) {
                    self.tell_answered(&state.machine, &event);
                    events.push(event);
                }
            }
            state.has_news = true;
            self.store.begin(room, move |connection, _| {
                within::take_inbox(connection, key, last, &events)
            })
        };
        self.arrived.notify_waiters();
        pending.committed().await
    }

    /// Waits between two turns for something to come.
    async fn rest(self: &Arc<Self>) -> Next {
        loop {
            self.fire_timers().await;
            if let Err(failure) = self.read_mail().await {
                return self.stopped(Stop::Store(failure)).await;
            }
            let pause = {
                let mut state = self.lock();
                if state.stop.is_some() || std::mem::take(&mut state.has_news) {
                    return Next::Again;
                }
                state.rests = true;
                let wake_at = state.timers.first().map(|timer| timer.due);
                let is_soon = wake_at.is_some_and(|due| due < unix_millis() + SOON);
                let waits_here = is_soon || !state.steps.is_empty();
                (!waits_here).then(|| Pause {
                    status: match wake_at {
                        Some(_) => WorkflowStatus::Sleeping,
                        None => WorkflowStatus::Waiting,
                    },
                    wake_at,
                    asked: state.machine.asked_before(),
                    state: state.published.clone(),
                })
            };
            if let Some(pause) = pause {
                let key = self.row.key;
                let status = pause.status;
                let paused = self
                    .store
                    .write(0, move |connection, _| {
                        within::pause(connection, key, &pause)
                    })
                    .await;
                match paused {
                    Ok(Wake::Asleep) => {
                        self.workflows
                            .changed(&self.row, RunChange::Status { status });
                        return Next::Leave;
                    }
                    Ok(Wake::Held) => self.lock().has_mail = true,
                    Err(failure) => return self.stopped(Stop::Store(failure)).await,
                }
                continue;
            }
            let due = self.next_timer();
            tokio::select! {
                () = self.attention.notified() => {}
                () = until(due) => {}
                // The clock may be set.
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    /// The guest has ended.
    async fn ended(self: &Arc<Self>, version: &PluginVersion, output: &[u8]) -> Next {
        let finished = self.lock().machine.end();
        if let Err(mismatch) = finished {
            return self.stopped(Stop::Mismatch(mismatch)).await;
        }
        let end = match RunEnd::of(version, &self.row.workflow, output) {
            Ok(end) => end,
            Err(message) => return self.restart("invalid_answer", &message).await,
        };
        let (published, signals, was_cancelled) = {
            let state = self.lock();
            let machine = &state.machine;
            (
                state.published.clone(),
                machine.untaken_signals(),
                machine.is_cancelled(),
            )
        };
        let mut ended = Ended {
            status: WorkflowStatus::Completed,
            output: None,
            error_code: None,
            error: None,
            state: published.clone(),
            at: unix_millis(),
            continued: None,
            answer: String::new(),
        };
        match end {
            RunEnd::Completed(output) => {
                ended.answer = format!(r#"{{"kind":"Success","payload":{output}}}"#);
                ended.output = Some(output);
            }
            RunEnd::Failed {
                code,
                message,
                details,
            } => ended = fails(ended, &code, message, details),
            RunEnd::Cancelled => {
                let why = match was_cancelled {
                    true => CANCELLED,
                    false => "it says so itself",
                };
                ended = fails(ended, "cancelled", why.to_owned(), None);
                ended.status = WorkflowStatus::Cancelled;
            }
            RunEnd::Continued(input) => {
                ended.status = WorkflowStatus::Continued;
                let (state_before, state_version) = match published {
                    Some((state, version)) => (Some(state), version),
                    None => (self.row.state_before.clone(), self.row.state_version),
                };
                let next = NewRun {
                    input,
                    state_before,
                    state_version,
                    run_id: super::new_run_id(),
                    digest: version.plugin.digest().to_owned(),
                    seed: super::seed(),
                    at: ended.at,
                    wake_at: 0,
                    continued_from: Some(self.row.run_id.clone()),
                    ..super::again(&self.row)
                };
                let run = Box::new(next);
                ended.continued = Some(Continuation { run, signals });
            }
        }
        self.finish(ended).await
    }

    /// Writes the end of the run.
    async fn finish(self: &Arc<Self>, ended: Ended) -> Next {
        let (row, status) = (self.row.clone(), ended.status);
        let bytes = ended.output.as_ref().map_or(0, String::len);
        let written = self
            .store
            .write(bytes, move |connection, _| {
                within::end(connection, &row, &ended)
            })
            .await;
        match written {
            Ok(effects) => {
                self.workflows
                    .changed(&self.row, RunChange::Status { status });
                self.workflows.ended_with_parent(&effects.terminated);
                self.workflows.nudge(&effects.woken);
                Next::Leave
            }
            // Somebody else has ended it.
            Err(StoreFailure::Refused { .. }) => Next::Leave,
            Err(failure) => self.stopped(Stop::Store(failure)).await,
        }
    }

    /// Starts a guest again that has trapped, after a pause; or gives up.
    async fn restart(self: &Arc<Self>, code: &'static str, message: &str) -> Next {
        let restarts = {
            let mut state = self.lock();
            state.restarts += 1;
            state.restarts
        };
        let (most, delay) = self.workflows.restarts();
        tracing::warn!(
            role = %self.role_name, workflow = self.row.workflow, run = self.row.run_id, code, restarts,
            "the workflow's plugin failed: {message}"
        );
        if restarts > most {
            let message = format!("it failed {restarts} times, the last time so: {message}");
            return self.stuck(code, &message).await;
        }
        let doubled = 2_u32.saturating_pow(restarts.saturating_sub(1));
        let delay = delay.saturating_mul(doubled).min(LONGEST_RESTART);
        let (key, told) = (self.row.key, format!("{code}: {message}"));
        let noted = self.store.write(0, move |connection, _| {
            within::set_restarts(
                connection,
                key,
                restarts,
                exomonad_workflow::store::HELD,
                &told,
            )
        });
        if let Err(failure) = noted.await {
            return self.stopped(Stop::Store(failure)).await;
        }
        self.workflows
            .changed(&self.row, RunChange::Restart { restarts });
        let until = tokio::time::Instant::now() + delay;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Next::Again,
                () = self.attention.notified() => {
                    if self.lock().stop.is_some() {
                        return Next::Again;
                    }
                }
            }
        }
    }

    /// Stops the run until an operator repairs it.
    async fn stuck(self: &Arc<Self>, code: &str, message: &str) -> Next {
        tracing::error!(
            role = %self.role_name, workflow = self.row.workflow, workflow_id = self.row.workflow_id,
            run = self.row.run_id, code, "the run is stuck: {message}; `exomonad workflow repair` helps"
        );
        let key = self.row.key;
        let (code, message) = (code.to_owned(), message.to_owned());
        let asked = self.lock().machine.asked_before();
        let written = self
            .store
            .write(0, move |connection, _| {
                within::stick(connection, key, &code, &message, Some(asked))
            })
            .await;
        match written {
            Ok(()) => {
                self.workflows.changed(
                    &self.row,
                    RunChange::Status {
                        status: WorkflowStatus::Stuck,
                    },
                );
                Next::Leave
            }
            Err(failure) => self.stopped(Stop::Store(failure)).await,
        }
    }

    async fn stopped(self: &Arc<Self>, stop: Stop) -> Next {
        match stop {
            Stop::Ended => Next::Leave,
            Stop::Mismatch(mismatch) => {
                let digest = self.lock().digest.clone();
                let message = format!("{mismatch} (plugin {digest})");
                Box::pin(self.stuck("mismatch", &message)).await
            }
            Stop::TooLong(message) => {
                let ended = Ended {
                    status: WorkflowStatus::Failed,
                    output: None,
                    error_code: None,
                    error: None,
                    state: self.lock().published.clone(),
                    at: unix_millis(),
                    continued: None,
                    answer: String::new(),
                };
                let ended = fails(ended, "history_limit", message, None);
                Box::pin(self.finish(ended)).await
            }
            Stop::Store(StoreFailure::Damaged(reason)) => {
                Box::pin(self.stuck("damaged", &reason)).await
            }
            Stop::Store(StoreFailure::Fenced) => {
                tracing::error!(
                    run = self.row.run_id,
                    "another host goes on with the run: this one leaves it"
                );
                Next::Leave
            }
            Stop::Store(failure) => {
                tracing::error!(run = self.row.run_id, %failure, "the run waits until its history can be written");
                self.read_again().await
            }
        }
    }

    /// Takes the history from the disk again, since what is in memory is ahead of it.
    async fn read_again(self: &Arc<Self>) -> Next {
        self.lock().abort_steps();
        loop {
            tokio::time::sleep(AFTER_FAILURE).await;
            let key = self.row.key;
            let (most, _) = self.workflows.largest_history();
            let limit = most.saturating_mul(2).saturating_add(1_000);
            match self.store.history(key, 0, limit).await {
                Ok(history) => {
                    let mut state = self.lock();
                    let asked = self.row.asked;
                    state.machine = Machine::new(self.row.begun_at);
                    state.machine.load(history, asked);
                    state.stop = None;
                    state.has_mail = true;
                    return Next::Again;
                }
                Err(StoreFailure::Damaged(reason)) => {
                    return Box::pin(self.stuck("damaged", &reason)).await;
                }
                Err(_) if self.workflows.is_closed() => return Next::Leave,
                Err(_) => {}
            }
        }
    }
}

/// True if the guest's sandbox is of no use for now.
fn pauses(state: &mut RunState) -> bool {
    let Some(since) = state.blocked else {
        return false;
    };
    let is_soon = state.timers.first().is_some_and(|timer| {
        timer.due < unix_millis() + i64::try_from(KEEP.as_millis()).unwrap_or(0)
    });
    if state.steps.is_empty() && !is_soon {
        return true;
    }
    since.elapsed() >= KEEP
}

async fn until(moment: Option<i64>) {
    match moment {
        None => std::future::pending().await,
        Some(moment) => {
            let left = u64::try_from(moment.saturating_sub(unix_millis())).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
    }
}

fn failed(error: &CallError, explain: impl FnOnce(&CallError) -> String) -> Turn {
    match error {
        CallError::Busy(_) => Turn::Failed {
            code: "no_sandbox",
            message: error.to_string(),
        },
        error => Turn::Failed {
            code: code(error),
            message: explain(error),
        },
    }
}

fn fails(ended: Ended, code: &str, message: String, details: Option<RawJson>) -> Ended {
    let error = EffectError::new(ErrorCode::WorkflowFailed, message.clone()).with_details(
        &json!({"code": code, "message": message, "details": details.as_ref().map(RawJson::get)}),
    );
    let answer = serde_json::to_string(&Answer::<()>::Error(error)).unwrap_or_default();
    Ended {
        status: WorkflowStatus::Failed,
        error_code: Some(code.to_owned()),
        error: Some(message),
        output: None,
        continued: None,
        answer,
        ..ended
    }
}

/// Milliseconds since 1970.
pub fn unix_millis() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}
