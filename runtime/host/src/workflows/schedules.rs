//! Schedules: they start runs at given times.
//!
//! The row of a schedule has its next time. When that has come, one transaction starts the run and moves the time on,
//! so that a host that is killed at any moment starts one run for each time. The run's workflow id says which:
//! `nightly@2026-11-28T02:30:00Z`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_schema::effects::workflow::{
    OnParentEnd, WorkflowChild, WorkflowName, WorkflowStartChild,
};
use exomonad_schema::{BoundedText, EffectError, ErrorCode, RawJson, RoleName};
use exomonad_workflow::StoreFailure;
use exomonad_workflow::schedule::{Overlap, Plan, Spec, plan};
use exomonad_workflow::store::{Connection, NewRun, RunRow, ScheduleRow, Started, Store, within};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::active::unix_millis;
use super::{Workflows, store_error};
use crate::role::{Role, RoleSettings};

/// The id of a schedule, one of its role's: 1 to 200 characters.
pub type ScheduleId = BoundedText<1, 200>;

/// Schedules of one role.
const MOST: u64 = 1_000;
/// Schedules that are looked at together.
const BATCH: u64 = 100;
/// How often it looks by itself: the clock may have been set.
const LOOK: Duration = Duration::from_secs(1);
/// By how much a clock has gone back that was set, and not only adjusted.
const SET_BACK: i64 = 2_000;
/// How often it looks where there is no schedule.
const SELDOM: Duration = Duration::from_secs(60);
/// The pause before a schedule is tried again that could start no run.
const AGAIN: i64 = 5_000;
/// The next times that are shown.
const SHOWN: usize = 5;
/// How old a missed time may be, if the schedule does not say: a day.
const CATCH_UP: i64 = 86_400_000;

type Answered<T> = Result<T, EffectError>;

/// A schedule to set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetSchedule {
    /// The role.
    pub role: RoleName,
    /// The workflow's name.
    pub workflow: WorkflowName,
    /// The input of its runs.
    #[serde(default)]
    pub input: RawJson,
    /// Its times: `every 90m`, or minute, hour, day, month, weekday and a time zone (UTC if there is none), as in
    /// `30 2 * * 1-5 Europe/Berlin`.
    pub spec: String,
    /// The rule for a time at which the run before has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// How old a time may be that passed while no host ran, in milliseconds; one day when absent. The latest such
    /// time is made up for, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up_millis: Option<u64>,
    /// True to start nothing until it is resumed.
    #[serde(default)]
    pub paused: bool,
}

/// A schedule as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// Its id, one of its role's.
    pub id: String,
    /// The role.
    pub role: String,
    /// The workflow's name.
    pub workflow: String,
    /// The input of its runs.
    pub input: RawJson,
    /// Its times.
    pub spec: String,
    /// The rule for a time at which the run before has not ended.
    pub overlap: Overlap,
    /// How old a time may be that passed while no host ran, in milliseconds.
    pub catch_up_millis: i64,
    /// True if it starts nothing until it is resumed.
    pub paused: bool,
    /// Its next times, in milliseconds since 1970; none while it is paused.
    pub next_unix_millis: Vec<i64>,
    /// The time of a run that begins when the one before has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_unix_millis: Option<i64>,
    /// The time of the run that was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_unix_millis: Option<i64>,
    /// The workflow id of that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_workflow_id: Option<String>,
    /// Why the latest time has started no run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_unix_millis: i64,
}

impl From<ScheduleRow> for ScheduleView {
    fn from(row: ScheduleRow) -> Self {
        let spec = row.spec.parse::<Spec>().ok().filter(|_| !row.paused);
        let next = spec.zip(row.next_at).map_or_else(Vec::new, |(spec, next)| {
            let after = spec.upcoming(next, SHOWN - 1);
            std::iter::once(next).chain(after).collect()
        });
        Self {
            id: row.id,
            role: row.role,
            workflow: row.workflow,
            input: RawJson::from_text(row.input).unwrap_or_default(),
            spec: row.spec,
            overlap: Overlap::from_name(&row.overlap).unwrap_or_default(),
            catch_up_millis: row.catch_up,
            paused: row.paused,
            next_unix_millis: next,
            waiting_unix_millis: row.waiting_at,
            last_unix_millis: row.last_at,
            last_workflow_id: row.last_id,
            note: row.note,
            created_unix_millis: row.created_at,
        }
    }
}

/// A time as it stands in a workflow's id.
fn stamp(unix_millis: i64) -> String {
    match Timestamp::from_millisecond(unix_millis) {
        Ok(at) if unix_millis % 1000 == 0 => format!("{at:.0}"),
        Ok(at) => format!("{at:.3}"),
        Err(_) => unix_millis.to_string(),
    }
}

fn request(schedule: &ScheduleRow, at: i64) -> Answered<WorkflowStartChild> {
    let damaged = |_| EffectError::internal(format!("schedule `{}` is damaged", schedule.id));
    Ok(WorkflowStartChild {
        workflow: schedule.workflow.clone().try_into().map_err(damaged)?,
        input: RawJson::from_text(schedule.input.clone()).unwrap_or_default(),
        workflow_id: Some(
            format!("{}@{}", schedule.id, stamp(at))
                .try_into()
                .map_err(damaged)?,
        ),
        on_parent_end: OnParentEnd::Abandon,
    })
}

/// Refuses times for runs of a role whose workflows are on a Temporal server, which has schedules of its own.
fn must_be_local(role: &RoleSettings) -> Answered<()> {
    let Some(queue) = &role.temporal_task_queue else {
        return Ok(());
    };
    Err(EffectError::new(
        ErrorCode::Unsupported,
        format!(
            "the workflows of role `{}` are on the Temporal server, and so are their schedules: `exomonad temporal \
             schedule create --task-queue {queue}`",
            role.name
        ),
    ))
}

fn unknown(id: &str) -> EffectError {
    EffectError::new(ErrorCode::NotFound, format!("there is no schedule `{id}`"))
}

fn open_run(
    connection: &Connection,
    schedule: &ScheduleRow,
) -> Result<Option<RunRow>, StoreFailure> {
    let Some(id) = &schedule.last_id else {
        return Ok(None);
    };
    // One that was continued as new has the same id.
    let newest = within::newest(connection, &schedule.role, id)?;
    Ok(newest.filter(|run| run.ended_at.is_none()))
}

impl Workflows {
    /// Sets a schedule, in the place of the one with its id. True if there was none.
    ///
    /// # Errors
    /// If the role has no such workflow, the input does not fit, the times are none, or nothing can be written.
    pub async fn set_schedule(
        self: &Arc<Self>,
        role: &Role,
        id: &ScheduleId,
        set: SetSchedule,
    ) -> Answered<(ScheduleView, bool)> {
        let spec: Spec =
            set.spec
                .parse()
                .map_err(|error: exomonad_workflow::schedule::SpecError| {
                    EffectError::invalid_input(error.to_string())
                })?;
        let version = role
            .serving()
            .map_err(|error| EffectError::new(ErrorCode::Unavailable, error.to_string()))?;
        let now = unix_millis();
        let catch_up = set.catch_up_millis.map_or(Ok(CATCH_UP), i64::try_from);
        let mut row = ScheduleRow {
            id: id.to_string(),
            role: role.name().to_string(),
            workflow: set.workflow.to_string(),
            input: set.input.get().to_owned(),
            spec: spec.to_string(),
            overlap: set.overlap.name().to_owned(),
            catch_up: catch_up.unwrap_or(i64::MAX),
            paused: set.paused,
            next_at: spec.next(now),
            due_at: None,
            waiting_at: None,
            last_at: None,
            last_id: None,
            note: None,
            created_at: now,
            revision: 0,
        };
        row.due_at = row.next_at.filter(|_| !row.paused);
        super::check_id(id)?;
        // Its runs would be refused as this one is.
        must_be_local(&role.settings)?;
        self.new_run(&role.settings, &version, &request(&row, now)?)?;
        let store = self.store().await.map_err(store_error)?;
        let written = store.write(row.input.len(), move |connection, _| {
            let before = within::schedule(connection, &row.role, &row.id)?;
            let is_new = before.is_none();
            match before {
                Some(before) => {
                    row.last_at = before.last_at;
                    row.last_id = before.last_id;
                    row.created_at = before.created_at;
                    row.revision = before.revision;
                    // A time that has come and was not looked at is one of the times that are set now.
                    if before.spec == row.spec && !before.paused {
                        row.next_at = before.next_at.min(row.next_at).or(row.next_at);
                        row.due_at = row.next_at.filter(|_| !row.paused);
                    }
                }
                None if within::count_schedules(connection, &row.role)? >= MOST => {
                    return Err(StoreFailure::refused(
                        ErrorCode::LimitExceeded,
                        format!(
                            "role `{}` has {MOST} schedules, and that is the limit",
                            row.role
                        ),
                    ));
                }
                None => {}
            }
            within::set_schedule(connection, &row)?;
            Ok((row, is_new))
        });
        let (row, is_new) = written.await.map_err(store_error)?;
        self.schedules_changed();
        Ok((row.into(), is_new))
    }

    /// The schedules of these roles, or of all, by role and id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn schedules(
        self: &Arc<Self>,
        role: Option<RoleName>,
    ) -> Answered<Vec<ScheduleView>> {
        if !self.has_file() {
            return Ok(Vec::new());
        }
        let store = self.store().await.map_err(store_error)?;
        let rows = store.read(move |connection| {
            within::schedules(connection, role.as_ref().map(RoleName::as_str))
        });
        let rows = rows.await.map_err(store_error)?;
        Ok(rows.into_iter().map(ScheduleView::from).collect())
    }

    /// The schedule of this id.
    ///
    /// # Errors
    /// If there is none.
    pub async fn schedule(self: &Arc<Self>, role: &RoleName, id: &str) -> Answered<ScheduleView> {
        self.schedule_row(role, id).await.map(ScheduleView::from)
    }

    async fn schedule_row(self: &Arc<Self>, role: &RoleName, id: &str) -> Answered<ScheduleRow> {
        if !self.has_file() {
            return Err(unknown(id));
        }
        let store = self.store().await.map_err(store_error)?;
        let (role, wanted) = (role.clone(), id.to_owned());
        let row =
            store.read(move |connection| within::schedule(connection, role.as_str(), &wanted));
        row.await.map_err(store_error)?.ok_or_else(|| unknown(id))
    }

    /// Removes a schedule. Runs that it has started go on.
    ///
    /// # Errors
    /// If there is none.
    pub async fn delete_schedule(self: &Arc<Self>, role: &RoleName, id: &str) -> Answered<()> {
        self.schedule_row(role, id).await?;
        let store = self.store().await.map_err(store_error)?;
        let (role, wanted) = (role.clone(), id.to_owned());
        let removed = store.write(0, move |connection, _| {
            within::delete_schedule(connection, role.as_str(), &wanted)
        });
        match removed.await.map_err(store_error)? {
            true => Ok(()),
            false => Err(unknown(id)),
        }
    }

    /// Pauses a schedule, or resumes it. Times that pass while it is paused are not made up for.
    ///
    /// # Errors
    /// If there is none.
    pub async fn pause_schedule(
        self: &Arc<Self>,
        role: &RoleName,
        id: &str,
        paused: bool,
    ) -> Answered<ScheduleView> {
        let store = self.store().await.map_err(store_error)?;
        let (role, wanted) = (role.clone(), id.to_owned());
        let changed = store.write(0, move |connection, _| {
            let Some(mut row) = within::schedule(connection, role.as_str(), &wanted)? else {
                return Ok(None);
            };
            if row.paused != paused {
                row.paused = paused;
                row.waiting_at = None;
                row.note = None;
                row.next_at = row
                    .spec
                    .parse::<Spec>()
                    .ok()
                    .and_then(|spec| spec.next(unix_millis()));
                row.due_at = row.next_at.filter(|_| !paused);
                within::set_schedule(connection, &row)?;
            }
            Ok(Some(row))
        });
        let row = changed.await.map_err(store_error)?;
        self.schedules_changed();
        row.map(ScheduleView::from).ok_or_else(|| unknown(id))
    }

    /// Starts a run of a schedule now, whatever its times and its policy are.
    ///
    /// # Errors
    /// If there is no such schedule, or no such run can be started.
    pub async fn trigger_schedule(
        self: &Arc<Self>,
        role: &Role,
        id: &str,
    ) -> Answered<WorkflowChild> {
        let row = self.schedule_row(role.name(), id).await?;
        let version = role
            .serving()
            .map_err(|error| EffectError::new(ErrorCode::Unavailable, error.to_string()))?;
        let now = unix_millis();
        let run = self.new_run(&role.settings, &version, &request(&row, now)?)?;
        let store = self.store().await.map_err(store_error)?;
        let started = store.write(row.input.len(), move |connection, _| {
            let Some(mut row) = within::schedule(connection, &row.role, &row.id)? else {
                return Ok(None);
            };
            let started = within::start(connection, &run)?;
            row.last_at = Some(now);
            row.last_id = Some(run.workflow_id.clone());
            row.note = None;
            within::set_schedule(connection, &row)?;
            Ok(Some(started))
        });
        let started = started.await.map_err(store_error)?;
        self.wake_scheduler();
        let (row, started) = match started.ok_or_else(|| unknown(id))? {
            Started::New(row) => (row, true),
            Started::Open(row) => (row, false),
        };
        Ok(WorkflowChild {
            handle: None,
            workflow_id: row.workflow_id,
            run_id: row.run_id,
            started,
        })
    }

    fn schedules_changed(&self) {
        self.schedules.notify_one();
    }
}

/// Starts the runs of schedules until the host stops.
pub async fn run(workflows: Arc<Workflows>) {
    let mut clock = Clock::default();
    while !workflows.is_closed() {
        let pause = match workflows.has_file() {
            false => SELDOM,
            true => match workflows.store().await {
                Ok(store) => {
                    if clock.may_have_gone_back() {
                        bring_back(&store).await;
                    }
                    look(&workflows, &store).await
                }
                // Whoever wakes runs says so.
                Err(_) => LOOK,
            },
        };
        tokio::select! {
            () = workflows.schedules.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Watches for a clock that is set back.
#[derive(Default)]
struct Clock {
    /// When it was looked at: by the clock, and by one that nobody sets.
    looked: Option<(i64, Instant)>,
}

impl Clock {
    /// True if the clock has gone back since it was looked at, or may have while no host ran.
    fn may_have_gone_back(&mut self) -> bool {
        let now = (unix_millis(), Instant::now());
        let before = self.looked.replace(now);
        before.is_none_or(|(millis, moment)| {
            let passed = i64::try_from(moment.elapsed().as_millis()).unwrap_or(i64::MAX);
            now.0 < millis.saturating_add(passed).saturating_sub(SET_BACK)
        })
    }
}

/// Brings back times that were worked out with a clock that was ahead: no schedule waits longer than to its next
/// time from now.
async fn bring_back(store: &Store) {
    let now = unix_millis();
    let brought = store.write(0, move |connection, _| {
        let mut brought = Vec::new();
        for mut row in within::schedules(connection, None)? {
            let next = row
                .spec
                .parse::<Spec>()
                .ok()
                .and_then(|spec| spec.next(now));
            let is_ahead =
                |at: Option<i64>| next.is_some_and(|next| at.is_some_and(|at| at > next));
            if row.paused || !(is_ahead(row.next_at) || is_ahead(row.due_at)) {
                continue;
            }
            row.next_at = row.next_at.min(next);
            if is_ahead(row.due_at) {
                row.due_at = row.next_at;
            }
            within::set_schedule(connection, &row)?;
            brought.push(row.id);
        }
        Ok(brought)
    });
    match brought.await {
        Ok(schedules) if schedules.is_empty() => {}
        Ok(schedules) => tracing::warn!(
            ?schedules,
            "the clock was set back: these schedules had later times than their next one from now"
        ),
        Err(failure) => tracing::error!(%failure, "schedules cannot be written"),
    }
}

/// Starts what is due, and says when to look again.
async fn look(workflows: &Arc<Workflows>, store: &Store) -> Duration {
    loop {
        let now = unix_millis();
        let due = store
            .read(move |connection| {
                let due = within::due_schedules(connection, now, BATCH)?;
                Ok((due, within::next_due_schedule(connection)?))
            })
            .await;
        let (due, next) = match due {
            Ok(due) => due,
            Err(failure) => {
                tracing::error!(%failure, "schedules cannot be read");
                return LOOK;
            }
        };
        if due.is_empty() {
            let left = next.map(|next| next.saturating_sub(now));
            return match left {
                None => SELDOM,
                Some(left) => Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LOOK),
            };
        }
        // Beside each other: one whose plugin is being loaded holds up no other.
        let mut fired = JoinSet::new();
        for schedule in due {
            let (workflows, store) = (workflows.clone(), store.clone());
            fired.spawn(async move { fire(&workflows, &store, schedule).await });
        }
        let fired = fired.join_all().await;
        if let Some(failure) = fired.into_iter().find_map(Result::err) {
            tracing::error!(%failure, "schedules cannot be written");
            return LOOK;
        }
    }
}

/// The action of a schedule that is due.
async fn fire(
    workflows: &Arc<Workflows>,
    store: &Store,
    schedule: ScheduleRow,
) -> Result<(), StoreFailure> {
    let now = unix_millis();
    let prepared = prepare(workflows, &schedule).await;
    let overlap = Overlap::from_name(&schedule.overlap).unwrap_or_default();
    let spec = schedule.spec.parse::<Spec>();
    let revision = schedule.revision;
    let (role, id) = (schedule.role.clone(), schedule.id.clone());
    let done = store.write(schedule.input.len(), move |connection, _| {
        let Some(mut row) = within::schedule(connection, &role, &id)? else {
            return Ok(Done::Nothing);
        };
        // Somebody has set, paused or triggered it in between: it is read again.
        if row.revision != revision {
            return Ok(Done::Nothing);
        }
        let previous = open_run(connection, &row)?;
        let spec = match spec {
            Ok(spec) => spec,
            Err(error) => {
                row.due_at = None;
                row.note = Some(error.to_string());
                within::set_schedule(connection, &row)?;
                return Ok(Done::Nothing);
            }
        };
        let planned = plan(&row, &spec, overlap, previous.is_some(), now);
        if planned.terminates
            && let Some(previous) = previous
        {
            return Ok(Done::Terminate(Box::new(previous)));
        }
        let cancel = previous.filter(|_| planned.cancels);
        carry_out(connection, row, &planned, prepared, now)?;
        Ok(match cancel {
            Some(previous) => Done::Cancel(Box::new(previous)),
            None => Done::Started(planned.start.is_some()),
        })
    });
    match done.await? {
        Done::Nothing | Done::Started(false) => {}
        Done::Started(true) => workflows.wake_scheduler(),
        // Its run may end by itself meanwhile. The schedule stays due, or waits.
        Done::Cancel(previous) => {
            let _ = workflows.cancel(&previous, None).await;
        }
        Done::Terminate(previous) => {
            let reason = format!("schedule `{}` starts its next run", schedule.id);
            let _ = workflows.terminate(&previous, &reason).await;
        }
    }
    Ok(())
}

/// The work that the transaction of a schedule has left.
enum Done {
    Nothing,
    Started(bool),
    Cancel(Box<RunRow>),
    Terminate(Box<RunRow>),
}

/// A run of the schedule, but for its time; the reason if there can be none.
async fn prepare(workflows: &Arc<Workflows>, schedule: &ScheduleRow) -> Result<NewRun, String> {
    let role: RoleName = schedule
        .role
        .parse()
        .map_err(|_| format!("there is no role `{}`", schedule.role))?;
    let role = workflows
        .role(&role)
        .await
        .map_err(|error| error.to_string())?;
    must_be_local(&role.settings).map_err(|error| error.message)?;
    let version = role.serving().map_err(|error| error.to_string())?;
    let request = request(schedule, 0).map_err(|error| error.message)?;
    workflows
        .new_run(&role.settings, &version, &request)
        .map_err(|error| error.message)
}

/// Writes what is planned.
fn carry_out(
    connection: &Connection,
    mut row: ScheduleRow,
    planned: &Plan,
    prepared: Result<NewRun, String>,
    now: i64,
) -> Result<(), StoreFailure> {
    match (planned.start, prepared) {
        (Some(_), Err(reason)) => {
            // The time stays: it is tried again, and made up for when the plugin is there.
            row.due_at = Some(now + AGAIN);
            let note = Some(format!("no run could be started: {reason}"));
            if row.note != note {
                tracing::warn!(
                    schedule = row.id,
                    role = row.role,
                    reason,
                    "a schedule can start no run"
                );
                row.note = note;
            }
        }
        (start, prepared) => {
            row.next_at = planned.next_at;
            row.due_at = planned.due_at;
            row.waiting_at = planned.waiting_at;
            row.note.clone_from(&planned.note);
            if let (Some(at), Ok(mut run)) = (start, prepared) {
                run.workflow_id = format!("{}@{}", row.id, stamp(at));
                row.last_at = Some(at);
                row.last_id = Some(run.workflow_id.clone());
                within::start(connection, &run)?;
            }
        }
    }
    within::set_schedule(connection, &row)
}
