//! [`Writer`]: the thread that writes, in groups.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::StoreFailure;

/// Bytes that may wait to be written, in units of [`UNIT`].
const ROOM: usize = 64 << 10;
/// The unit of waiting bytes: 1 KiB.
const UNIT: usize = 1 << 10;
/// Pieces of work in one group: a bound on how long the first of them waits.
const GROUP: usize = 1024;

/// The end of a piece of work, after the commit of its group.
type After = Box<dyn FnOnce(Result<(), StoreFailure>) + Send>;

/// A piece of work; its result says what to do when its group is on disk, or is not.
///
/// It gets no connection if no transaction could begin, and returns a failure that spoils its whole group.
type Work =
    Box<dyn FnOnce(Result<&Connection, StoreFailure>) -> (Option<StoreFailure>, After) + Send>;

enum Job {
    Work(Work, Option<OwnedSemaphorePermit>),
    Close,
}

/// The thread that writes.
pub(super) struct Writer {
    jobs: Sender<Job>,
    room: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Room for some bytes among those that wait to be written.
pub struct Room(Option<OwnedSemaphorePermit>);

impl Writer {
    /// Starts the thread.
    pub(super) fn spawn(connection: Connection) -> io::Result<Self> {
        let (jobs, received) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("workflows".to_owned())
            .spawn(move || run(&connection, &received))?;
        Ok(Self {
            jobs,
            room: Arc::new(Semaphore::new(ROOM)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits until there is room for so many bytes.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let units = bytes.div_ceil(UNIT).clamp(1, ROOM);
        let units = u32::try_from(units).unwrap_or(1);
        // It is never closed.
        Room(self.room.clone().acquire_many_owned(units).await.ok())
    }

    /// Queues work whose success nobody waits for.
    pub(super) fn push(
        &self,
        room: Room,
        work: impl FnOnce(&Connection) -> Result<(), StoreFailure> + Send + 'static,
        failed: impl FnOnce(StoreFailure) + Send + 'static,
    ) {
        let work: Work = Box::new(move |connection| {
            let result = connection.and_then(work);
            let spoils = spoils(&result);
            let after: After = Box::new(move |committed| {
                if let Err(failure) = result.and(committed) {
                    failed(failure);
                }
            });
            (spoils, after)
        });
        // A send fails when the thread has ended: the host stops, and the run goes on with its next start.
        let _ = self.jobs.send(Job::Work(work, room.0));
    }

    /// Queues work, and what is to be done when it is on disk or has failed.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        room: Room,
        work: impl FnOnce(&Connection) -> Result<T, StoreFailure> + Send + 'static,
        then: impl FnOnce(Result<T, StoreFailure>) + Send + 'static,
    ) {
        let work: Work = Box::new(move |connection| {
            let result = connection.and_then(|connection| within_savepoint(connection, work));
            let spoils = spoils(&result);
            let after: After = Box::new(move |committed| {
                // An error of the work's own is the better one.
                then(result.and_then(|done| committed.map(|()| done)));
            });
            (spoils, after)
        });
        // If the thread has ended, `then` is dropped with the work.
        let _ = self.jobs.send(Job::Work(work, room.0));
    }

    /// Writes what waits, and ends.
    pub(super) fn close(&self) {
        let _ = self.jobs.send(Job::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The last owner may be work that it has just done.
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// A file that cannot be written spoils the whole group: histories have no gaps.
fn spoils<T>(result: &Result<T, StoreFailure>) -> Option<StoreFailure> {
    match result {
        Err(failure @ (StoreFailure::Unavailable(_) | StoreFailure::Fenced)) => {
            Some(failure.clone())
        }
        _ => None,
    }
}

/// Work of several statements is taken back as a whole, and the group goes on.
fn within_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreFailure>,
) -> Result<T, StoreFailure> {
    let run = |sql: &str| connection.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT job")?;
    let result = work(connection);
    match &result {
        Ok(_) => run("RELEASE job")?,
        Err(_) => {
            run("ROLLBACK TO job")?;
            run("RELEASE job")?;
        }
    }
    result
}

fn run(connection: &Connection, jobs: &Receiver<Job>) {
    connection.set_prepared_statement_cache_capacity(128);
    while let Ok(Job::Work(first, permit)) = jobs.recv() {
        let mut held = Vec::new();
        let mut closes = false;
        let begun = connection.execute_batch("BEGIN IMMEDIATE");
        let mut sound = begun.map_err(unwritable);
        let mut after = Vec::new();
        let mut next = Some((first, permit));
        while let Some((work, permit)) = next.take() {
            held.push(permit);
            let (spoils, and_then) = work(sound.clone().map(|()| connection));
            after.push(and_then);
            if let Some(failure) = spoils {
                sound = Err(failure);
            }
            if sound.is_err() || after.len() >= GROUP {
                break;
            }
            match jobs.try_recv() {
                Ok(Job::Work(work, permit)) => next = Some((work, permit)),
                Ok(Job::Close) => closes = true,
                Err(_) => {}
            }
        }
        let committed = sound.and_then(|()| connection.execute_batch("COMMIT").map_err(unwritable));
        if committed.is_err() && !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for after in after {
            after(committed.clone());
        }
        drop(held);
        if closes {
            return;
        }
    }
}

fn unwritable(error: rusqlite::Error) -> StoreFailure {
    tracing::error!(%error, "the workflows' histories cannot be written");
    StoreFailure::from(error)
}
