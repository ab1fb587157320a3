//! [`Left`]: what a run leaves to the one on the Temporal server that goes on in its place; and how a waiting run of
//! this host's own store goes over there.
//!
//! A run that goes over takes its history along: on the server its guest is called from its beginning, finds the
//! answers that it has had, and goes on with what it waits for. A timer has the rest of its time.
//!
//! The run here is stuck meanwhile (`moving`), so that it goes on in one place alone: a host that ends in between
//! leaves it so, and asking for the same again ends it in order.

use std::sync::Arc;

use exomonad_schema::effects::workflow::{WorkflowChild, WorkflowStatus};
use exomonad_schema::{Answer, Base64, EffectError, ErrorCode, RawJson, RoleName};
use exomonad_workflow::store::{Connection, Ended, HELD, InboxEntry, RunRow, within};
use exomonad_workflow::{Event, EventBody, StoreFailure};
use serde::{Deserialize, Serialize};

use super::active::unix_millis;
use super::remote::RemoteRuns;
use super::view::{HistoryEntry, RunChange};
use super::{Workflows, store_error};

type Answered<T> = Result<T, EffectError>;

/// The header of a run that goes on where another has ended.
pub const CONTINUED: &str = "exomonad-continued";

/// The code of a run that is on its way to the server.
const MOVING: &str = "moving";
/// Bytes that a header may have: a server takes no larger values by default, with what is around them.
const LARGEST: usize = (2 << 20) - (64 << 10);

/// The things that a run leaves to the one that goes on in its place. JSON stands in it as texts: as values it would
/// be nested deeper than it was.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Left {
    /// The published state, with its version.
    pub state: Option<(String, u32)>,
    /// The signals that it has not taken: names and payloads.
    #[serde(default)]
    pub signals: Vec<(String, String)>,
    /// The run of a host's own store whose history it goes on with, as JSON of [`MovedRun`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
    /// The length of that history.
    #[serde(skip)]
    pub position: usize,
}

/// A run of a host's own store that goes on at the server.
#[derive(Debug, Serialize, Deserialize)]
pub struct MovedRun {
    /// The id by which the guest knows it.
    pub run_id: String,
    /// When it began, in milliseconds since 1970.
    pub begun_at: i64,
    /// When it went over.
    pub moved_at: i64,
    /// The seed of its randomness.
    pub seed: Base64,
    /// The configuration that it began with.
    pub configuration: String,
    /// The state that the run before it has left.
    pub state_before: Option<String>,
    /// Steps that it has asked for.
    pub asked: u64,
    /// Its history.
    pub history: Vec<HistoryEntry>,
}

impl Left {
    /// The header, and its value.
    ///
    /// # Errors
    /// If the server would not take it.
    pub(super) fn to_header(&self) -> Answered<(&'static str, RawJson)> {
        let header =
            RawJson::new(self).map_err(|error| EffectError::internal(error.to_string()))?;
        match header.get().len() {
            size if size > LARGEST => Err(EffectError::new(
                ErrorCode::LimitExceeded,
                format!(
                    "what it takes along has {size} bytes, and {LARGEST} is the most that the server keeps"
                ),
            )),
            _ => Ok((CONTINUED, header)),
        }
    }

    /// The run of a host's own store, if it is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn moved(&self) -> serde_json::Result<Option<MovedRun>> {
        self.moved.as_deref().map(serde_json::from_str).transpose()
    }
}

impl Workflows {
    /// Lets a waiting run of this host's own go on at the server that the role's workflows are on. The run's id there.
    /// It is seen through also if whoever asks goes away.
    ///
    /// # Errors
    /// If it cannot be taken over, with the reason, or the server does not answer.
    pub async fn move_run(self: &Arc<Self>, run: &RunRow) -> Answered<String> {
        let (workflows, row) = (self.clone(), run.clone());
        let moved = tokio::spawn(async move { workflows.move_held(&row).await });
        let failed = |error: tokio::task::JoinError| EffectError::internal(error.to_string());
        moved.await.map_err(failed)?
    }

    async fn move_held(self: &Arc<Self>, run: &RunRow) -> Answered<String> {
        let remote = self.server_of(run).ok_or_else(|| {
            refused(
                run,
                "its role's workflows are not on a Temporal server: set `workflow_backend = \"temporal\"` for it",
            )
        })?;
        let store = self.opened().await?;
        let row = run.clone();
        let held = store.write(0, move |connection, _| hold(connection, &row));
        let (left, was_moving) = held.await.map_err(store_error)?;
        let begun = match was_moving {
            true => remote.moved_from(run).await?,
            false => None,
        };
        let run_id = match begun {
            Some(run_id) => run_id,
            None => match remote.take_over(run, &left).await {
                Ok(run_id) => run_id,
                // It may have begun there: whoever asks again finds out.
                Err(error)
                    if was_moving
                        || matches!(error.code, ErrorCode::Timeout | ErrorCode::Unavailable) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    let key = run.key;
                    let freed = store.write(0, move |connection, _| {
                        within::set_restarts(connection, key, 0, 0, "")?;
                        within::clear_error(connection, key)
                    });
                    freed.await.map_err(store_error)?;
                    self.wake_scheduler();
                    return Err(error);
                }
            },
        };
        loop {
            let (row, next) = (run.clone(), run_id.clone());
            let ended = store.write(0, move |connection, _| end(connection, &row, &next));
            match ended.await.map_err(store_error)? {
                // It came after the run was held.
                Some(came) => {
                    let (until, key) = (came.id, run.key);
                    remote.pass_on(run, came.entry).await?;
                    let taken = store.write(0, move |connection, _| {
                        within::take_inbox(connection, key, until, &[])
                    });
                    taken.await.map_err(store_error)?;
                }
                None => break,
            }
        }
        let status = WorkflowStatus::Continued;
        self.changed(run, RunChange::Status { status });
        Ok(run_id)
    }

    fn server_of(&self, run: &RunRow) -> Option<RemoteRuns> {
        let role: RoleName = run.role.parse().ok()?;
        self.remote(&role)
    }

    /// Refuses what would let a run go on, or end, here that has begun at the server.
    ///
    /// # Errors
    /// If it has, or nobody can tell.
    pub(super) async fn must_not_have_moved(self: &Arc<Self>, run: &RunRow) -> Answered<()> {
        if !is_moving(run) {
            return Ok(());
        }
        let begun = match self.server_of(run) {
            Some(remote) => remote.moved_from(run).await?,
            None => {
                return Err(EffectError::new(
                    ErrorCode::Conflict,
                    format!(
                        "run {} may have begun at the Temporal server: set `workflow_backend = \"temporal\"` for its role, so \
                         that the host can look",
                        run.run_id
                    ),
                ));
            }
        };
        match begun {
            None => Ok(()),
            Some(there) => Err(EffectError::new(
                ErrorCode::Conflict,
                format!(
                    "run {} has begun at the Temporal server, as run {there}: `exomonad workflow move` ends it here",
                    run.run_id
                ),
            )),
        }
    }
}

/// True for a run that is on its way to the server.
fn is_moving(run: &RunRow) -> bool {
    run.ended_at.is_none()
        && run.status == WorkflowStatus::Stuck
        && run.error_code.as_deref() == Some(MOVING)
}

fn refused(run: &RunRow, why: impl std::fmt::Display) -> EffectError {
    EffectError::new(
        ErrorCode::Conflict,
        format!("run {} cannot be moved: {why}", run.run_id),
    )
}

/// Holds a run that waits, so that it does not go on here, and reads what it takes along; and whether it was on its way
/// already.
fn hold(connection: &Connection, run: &RunRow) -> Result<(Left, bool), StoreFailure> {
    let row = within::run(connection, &run.run_id)?;
    let row = row.filter(|row| row.ended_at.is_none());
    let row = row.ok_or_else(|| not_movable(run, "it has ended"))?;
    let was_moving = is_moving(&row);
    let waits = matches!(
        row.status,
        WorkflowStatus::Waiting | WorkflowStatus::Sleeping
    );
    if !was_moving && (!waits || row.wake_at == Some(HELD)) {
        let status = exomonad_workflow::store::status_name(row.status);
        return Err(not_movable(
            run,
            format_args!("it is {status}: one that waits can be, once its steps are done"),
        ));
    }
    if row.parent.is_some() {
        return Err(not_movable(run, "it is the child of a run of this host"));
    }
    let history = within::history(connection, row.key, 0, u64::MAX >> 1)?;
    if let Some(open) = open_step(&history) {
        return Err(not_movable(run, open));
    }
    if !within::questions(connection, row.key)?.is_empty() {
        return Err(not_movable(
            run,
            "it waits for the client that has started it",
        ));
    }
    let position = history.len();
    let moved = MovedRun {
        run_id: row.run_id.clone(),
        begun_at: row.begun_at,
        moved_at: unix_millis(),
        seed: Base64(row.seed),
        configuration: row.configuration,
        state_before: row.state_before,
        asked: row.asked,
        history: history.into_iter().map(HistoryEntry::from).collect(),
    };
    let moved = serde_json::to_string(&moved)
        .map_err(|error| not_movable(run, format_args!("its history has no JSON: {error}")))?;
    within::stick(
        connection,
        row.key,
        MOVING,
        "it goes over to the Temporal server: `exomonad workflow move` again ends that, and `exomonad workflow repair \
         --retry` lets it go on here, if it has not begun there",
        None,
    )?;
    let left = Left {
        state: row.state.map(|state| (state, row.state_version)),
        moved: Some(moved),
        position,
        ..Left::default()
    };
    Ok((left, was_moving))
}

fn not_movable(run: &RunRow, why: impl std::fmt::Display) -> StoreFailure {
    let EffectError { code, message, .. } = refused(run, why);
    StoreFailure::refused(code, message)
}

/// A step or a child that has not come back, in words.
fn open_step(history: &[Event]) -> Option<String> {
    let mut open = std::collections::BTreeMap::new();
    for event in history {
        match &event.body {
            EventBody::Asked(request) => {
                let what = format!("step {} (`{}`) is under way", request.seq, request.effect);
                open.insert(request.seq, what);
            }
            EventBody::Attempt { seq, .. } => {
                open.entry(*seq)
                    .or_insert_with(|| format!("step {seq} is tried again"));
            }
            EventBody::Done { seq, answer, .. } => {
                open.remove(seq);
                if let Ok(Answer::Success(child)) =
                    serde_json::from_slice::<Answer<WorkflowChild>>(answer)
                    && let Some(handle) = child.handle
                {
                    let what = format!("its child `{}` has not ended", child.workflow_id);
                    open.insert(handle, what);
                }
            }
            _ => {}
        }
    }
    open.into_values().next()
}

/// Ends a run that goes on at the server, unless something has come for it meanwhile: then that is the answer.
fn end(
    connection: &Connection,
    run: &RunRow,
    next: &str,
) -> Result<Option<InboxEntry>, StoreFailure> {
    let row = within::run(connection, &run.run_id)?;
    if !row.is_some_and(|row| is_moving(&row)) {
        return Err(not_movable(
            run,
            "somebody has repaired or ended it meanwhile",
        ));
    }
    if let Some(entry) = within::inbox(connection, run.key)?.into_iter().next() {
        return Ok(Some(entry));
    }
    let ended = Ended {
        status: WorkflowStatus::Continued,
        output: None,
        error_code: None,
        error: None,
        state: None,
        at: unix_millis(),
        continued: None,
        answer: String::new(),
    };
    within::end(connection, run, &ended)?;
    within::set_continued_to(connection, run.key, next)?;
    Ok(None)
}
