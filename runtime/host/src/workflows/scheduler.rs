//! The scheduler: wakes runs that are due, and clears away what is old.

use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_schema::effects::workflow::WorkflowStatus;
use exomonad_workflow::StoreFailure;
use exomonad_workflow::machine::Machine;
use exomonad_workflow::store::{RunRow, Store, within};

use super::active::{ActiveRun, unix_millis};
use super::view::RunChange;
use super::{Workflows, counts, lock, schedules};

/// Runs that are woken at once.
const BATCH: usize = 256;
/// How often it looks by itself: the clock may have been set, another host may have stopped.
const LOOK: Duration = Duration::from_secs(1);
/// How often it looks for another host that has stopped.
const TRY_AGAIN: Duration = Duration::from_secs(3);
/// The pause between two removals of old runs and versions, at most.
const CLEAR: Duration = Duration::from_secs(600);
/// The part of the retention that a run may stay longer, unless that is more than [`CLEAR`].
const OVERDUE: u32 = 10;
/// Runs that are removed in one transaction.
const CLEARED: u64 = 200;

/// Wakes runs until the host stops.
pub async fn run(workflows: Arc<Workflows>) {
    tokio::spawn(schedules::run(workflows.clone()));
    tokio::spawn(counts::run(workflows.clone()));
    let mut was_told = false;
    let mut cleared: Option<Instant> = None;
    while !workflows.is_closed() {
        // Without a file there is nothing to wake, and it is not made for that.
        if !workflows.has_file() {
            workflows.wake.notified().await;
            continue;
        }
        let store = match workflows.store().await {
            Ok(store) => store,
            Err(failure) => {
                if !std::mem::replace(&mut was_told, true) {
                    tracing::warn!(%failure, "this host runs no workflows for now, and tries again");
                }
                tokio::time::sleep(TRY_AGAIN).await;
                continue;
            }
        };
        if std::mem::take(&mut was_told) {
            tracing::info!("this host runs the workflows from now on");
        }
        workflows.look_for_file(&store);
        revive(&workflows, &store).await;
        let pause = match wake_due(&workflows, &store).await {
            Ok(pause) => pause,
            Err(failure) => {
                tracing::error!(%failure, "runs of workflows cannot be woken");
                LOOK
            }
        };
        let clear_every = CLEAR.min(workflows.settings().retention.get() / OVERDUE);
        if cleared.is_none_or(|at| at.elapsed() > clear_every) {
            cleared = Some(Instant::now());
            clear(&workflows, &store).await;
        }
        tokio::select! {
            () = workflows.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Lets runs go on whose roles have a plugin again.
async fn revive(workflows: &Workflows, store: &Store) {
    let roles = std::mem::take(&mut *lock(&workflows.revived));
    for role in roles {
        let of_role = role.clone();
        let revived = store.write(0, move |connection, _| within::revive(connection, &of_role));
        match revived.await {
            Ok(0) => {}
            Ok(runs) => tracing::info!(role, runs, "runs go on: their plugin is back"),
            Err(failure) => {
                tracing::warn!(%failure, role, "runs that wait for their plugin cannot be written");
                lock(&workflows.revived).insert(role);
            }
        }
    }
}

/// Wakes the runs that are due, and says when to look again.
async fn wake_due(workflows: &Arc<Workflows>, store: &Store) -> Result<Duration, StoreFailure> {
    loop {
        let room = workflows.free().min(BATCH);
        if room == 0 {
            // Whoever leaves wakes the scheduler.
            return Ok(LOOK);
        }
        let due = store.next_due().await?;
        let left = due.map(|due| due.saturating_sub(unix_millis()));
        match left {
            None => return Ok(LOOK),
            Some(left @ 1..) => {
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
                return Ok(left.min(LOOK));
            }
            Some(_) => {}
        }
        let rows = store.hold_due(unix_millis(), room as u64).await?;
        for row in rows {
            activate(workflows, store, row);
        }
    }
}

/// Takes a run into memory and drives it.
pub fn activate(workflows: &Arc<Workflows>, store: &Store, row: RunRow) {
    if workflows.is_closed() {
        return;
    }
    let (workflows, store) = (workflows.clone(), store.clone());
    let task = {
        let workflows = workflows.clone();
        async move {
            let key = row.key;
            let Ok(role) = row.role.parse() else {
                return;
            };
            let run = match load(&store, &row).await {
                Ok(machine) => {
                    Arc::new(ActiveRun::new(workflows.clone(), store, row, role, machine))
                }
                Err(failure) => {
                    give_up(&workflows, &store, &row, failure).await;
                    return;
                }
            };
            lock(&workflows.active).insert(key, run.clone());
            let status = WorkflowStatus::Running;
            workflows.changed(&run.row, RunChange::Status { status });
            run.drive().await;
        }
    };
    let mut tasks = lock(&workflows.tasks);
    // Those that have ended go.
    while tasks.try_join_next().is_some() {}
    tasks.spawn(task);
}

async fn load(store: &Store, row: &RunRow) -> Result<Machine, StoreFailure> {
    let mut machine = Machine::new(row.begun_at);
    let history = store.history(row.key, 0, u64::MAX >> 1).await?;
    machine.load(history, row.asked);
    Ok(machine)
}

/// A run whose history cannot be read: it is stuck if that is damaged, and else tried again.
async fn give_up(workflows: &Arc<Workflows>, store: &Store, row: &RunRow, failure: StoreFailure) {
    tracing::error!(run = row.run_id, %failure, "the history of a run cannot be read");
    let (key, reason) = (row.key, failure.to_string());
    let status = match failure {
        StoreFailure::Damaged(_) => WorkflowStatus::Stuck,
        _ => WorkflowStatus::Sleeping,
    };
    let written = store.write(0, move |connection, _| match status {
        WorkflowStatus::Stuck => within::stick(connection, key, "damaged", &reason, None),
        _ => within::set_restarts(connection, key, 0, unix_millis() + 5_000, &reason),
    });
    if written.await.is_ok() {
        workflows.changed(row, RunChange::Status { status });
    }
}

/// Removes runs that have ended long ago, and versions of plugins that no run needs.
async fn clear(workflows: &Arc<Workflows>, store: &Store) {
    let kept = workflows.settings().retention.get();
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    let before = unix_millis().saturating_sub(kept);
    loop {
        let removed = store.write(0, move |connection, _| {
            within::delete_before(connection, before, CLEARED)
        });
        match removed.await {
            Ok(removed) if removed >= CLEARED => tokio::task::yield_now().await,
            Ok(_) => break,
            Err(failure) => {
                tracing::warn!(%failure, "old runs of workflows cannot be removed");
                break;
            }
        }
    }
    if let Ok(digests) = store.read(within::open_digests).await {
        let needed = digests.into_iter().map(|(digest, _)| digest).collect();
        let workflows = workflows.clone();
        let removing = tokio::task::spawn_blocking(move || workflows.remove_spare(&needed));
        let _ = removing.await;
    }
}
