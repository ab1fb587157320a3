//! [`Store`]: runs and their histories in the host's state file.
//!
//! The file is the key-value store's, `state.sqlite3`: what a workflow writes under a key and the entry of its
//! history commit together. One thread writes, and commits whatever has come in the meantime as one group, so a
//! hundred runs share one sync of the disk. Whoever needs to know that something is on disk waits for it
//! ([`write`](Store::write)); what only has to be in order does not ([`append`](Store::append)).
//!
//! Rows have checksums: a damaged history is told from a sound one and stops its run alone.

mod rows;
mod schedules;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::{Arc, Mutex, PoisonError};

use exomonad_kv::{KvConfig, StoreError};
use exomonad_schema::effects::workflow::{OnParentEnd, WorkflowStatus};
use exomonad_schema::{ErrorCode, RoleName};
pub use rusqlite::Connection;

pub use rows::{
    Continuation, EndEffects, Ended, Filter, InboxEntry, InboxKind, NewInboxEntry, NewRun, Page,
    Pause, QuestionRow, RunRow, Started, Wake,
};
pub use rows::{PLUGIN_GONE, ROLE_GONE};
pub use schedules::ScheduleRow;
use tokio::sync::oneshot;
pub use writer::Room;
use writer::Writer;

use crate::event::Event;

/// A run's key in the file.
pub type RunKey = i64;

/// `wake_at` of a run that a host has in memory.
pub const HELD: i64 = -1;

/// Signals that may wait for one run.
pub const MOST_SIGNALS: u64 = 10_000;

/// Requests of signals that are known for one run: the latest. One that comes again is no other signal.
pub const SIGNAL_REQUESTS: u64 = 10_000;

/// A failure of the store, for many who wait for one commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFailure {
    /// The file cannot be read or written.
    #[error("the workflows' file cannot be used: {0}")]
    Unavailable(String),
    /// Another host has gone on with the run.
    #[error("another host has written to the history of this run")]
    Fenced,
    /// A row is not as it was written.
    #[error("{0}")]
    Damaged(String),
    /// The request cannot be met as things are.
    #[error("{message}")]
    Refused {
        /// The kind of refusal.
        code: ErrorCode,
        /// The reason.
        message: String,
    },
}

impl StoreFailure {
    /// A refusal.
    pub fn refused(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Refused { code, message }
    }
}

impl From<StoreError> for StoreFailure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Quota { .. } => Self::refused(ErrorCode::LimitExceeded, error.to_string()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StoreFailure {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(failure, Some(message)) = &error
            && failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            && message.contains("event.")
        {
            return Self::Fenced;
        }
        Self::Unavailable(error.to_string())
    }
}

/// Runs and their histories. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    config: KvConfig,
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    /// The file that was opened.
    file: Option<FileId>,
    /// Held while this process drives the runs of the file.
    _lock: File,
}

/// A file's device and number.
type FileId = (u64, u64);

fn file_id(config: &KvConfig) -> Option<FileId> {
    let about = std::fs::metadata(config.file()).ok()?;
    Some((about.dev(), about.ino()))
}

fn displaced() -> StoreFailure {
    StoreFailure::Unavailable("the state file was removed or replaced".to_owned())
}

/// Work that is queued.
pub struct Pending<T>(oneshot::Receiver<Result<T, StoreFailure>>);

impl<T> Pending<T> {
    /// Waits until it is on disk.
    ///
    /// # Errors
    /// Those of the work, and of its group's commit.
    pub async fn committed(self) -> Result<T, StoreFailure> {
        let stopped = || StoreFailure::Unavailable("the host is stopping".to_owned());
        self.0.await.map_err(|_| stopped())?
    }
}

/// The reason why a host does not drive the runs of its state folder.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process does.
    #[error("another exomonad runs the workflows of {0}; this one does not")]
    Taken(String),
    /// The file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The lock or the thread cannot be made.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Store {
    /// Opens the file, and makes it where it is missing. Blocks for some milliseconds.
    ///
    /// # Errors
    /// If another process drives its runs, or the file cannot be used.
    pub fn open(config: &KvConfig) -> Result<Self, OpenError> {
        let connection = exomonad_kv::open_or_create(config)?;
        let path = config.dir.join("workflows.lock");
        let lock = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Taken(config.dir.display().to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // What a host that was killed had in memory goes on at once.
        connection
            .execute(
                "UPDATE run SET wake_at = 0 WHERE wake_at = ?1 AND ended_at IS NULL",
                [HELD],
            )
            .map_err(StoreError::from)?;
        Ok(Self(Arc::new(Shared {
            file: file_id(config),
            config: config.clone(),
            writer: Writer::spawn(connection)?,
            readers: Mutex::default(),
            _lock: lock,
        })))
    }

    /// True if the file that is open is no longer the one of its path: somebody has removed or replaced it, and what
    /// is written now nobody will find.
    pub fn is_displaced(&self) -> bool {
        file_id(&self.0.config) != self.0.file
    }

    /// Waits until there is room for so many bytes among those that wait to be written.
    pub async fn room(&self, bytes: usize) -> Room {
        self.0.writer.room(bytes).await
    }

    /// Queues events of a run's history, in the order of the calls of this function. Nobody waits for the disk.
    pub fn append(
        &self,
        room: Room,
        run: RunKey,
        events: Vec<Event>,
        failed: impl FnOnce(StoreFailure) + Send + 'static,
    ) {
        let work = move |connection: &Connection| rows::insert_events(connection, run, &events);
        self.0.writer.push(room, work, failed);
    }

    /// Queues work in the order of the calls of this function and of [`append`](Self::append). An error takes back
    /// what the work has done.
    pub fn begin<T: Send + 'static>(
        &self,
        room: Room,
        work: impl FnOnce(&Connection, &KvConfig) -> Result<T, StoreFailure> + Send + 'static,
    ) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        self.begin_then(room, work, move |result| {
            let _ = answer.send(result);
        });
        Pending(answered)
    }

    /// Queues work as [`begin`](Self::begin) does. When it is on disk, or has failed, the thread that writes calls
    /// `then`.
    pub fn begin_then<T: Send + 'static>(
        &self,
        room: Room,
        work: impl FnOnce(&Connection, &KvConfig) -> Result<T, StoreFailure> + Send + 'static,
        then: impl FnOnce(Result<T, StoreFailure>) + Send + 'static,
    ) {
        let config = self.0.config.clone();
        let work = move |connection: &Connection| work(connection, &config);
        self.0.writer.begin(room, work, then);
    }

    /// Does work in the next group and waits until it is on disk. An error takes back what the work has done.
    ///
    /// # Errors
    /// That of the work, or of the commit.
    pub async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Connection, &KvConfig) -> Result<T, StoreFailure> + Send + 'static,
    ) -> Result<T, StoreFailure> {
        let room = self.room(bytes).await;
        self.begin(room, work).committed().await
    }

    /// Reads on a thread that may wait for the disk.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreFailure> + Send + 'static,
    ) -> Result<T, StoreFailure> {
        let shared = self.0.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let idle = shared.lock_readers().pop();
            let connection = match idle {
                Some(connection) => connection,
                // Never the file that somebody has put in the place of ours.
                None if file_id(&shared.config) != shared.file => return Err(displaced()),
                None => exomonad_kv::open_existing(&shared.config)?.ok_or_else(displaced)?,
            };
            let result = work(&connection);
            if !matches!(result, Err(StoreFailure::Unavailable(_))) {
                shared.lock_readers().push(connection);
            }
            result
        });
        reading.await.unwrap_or_else(|_| {
            let failed = "reading failed in the host; its log says more";
            Err(StoreFailure::Unavailable(failed.to_owned()))
        })
    }

    /// Writes what waits and closes the file. Blocks for some milliseconds.
    pub fn close(&self) {
        self.0.writer.close();
        self.0.lock_readers().clear();
    }

    /// Starts a run, unless one with its id is open: then that is the answer.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn start(&self, run: NewRun) -> Result<Started, StoreFailure> {
        let bytes = run.input.len();
        self.write(bytes, move |connection, _| rows::start(connection, &run))
            .await
    }

    /// The run with this run id.
    ///
    /// # Errors
    /// Those of the file, and that its row is damaged.
    pub async fn run(&self, run_id: String) -> Result<Option<RunRow>, StoreFailure> {
        self.read(move |connection| rows::run(connection, &run_id))
            .await
    }

    /// The newest run of a workflow's id.
    ///
    /// # Errors
    /// Those of the file, and that its row is damaged.
    pub async fn newest(
        &self,
        role: RoleName,
        workflow_id: String,
    ) -> Result<Option<RunRow>, StoreFailure> {
        self.read(move |connection| rows::newest(connection, role.as_str(), &workflow_id))
            .await
    }

    /// The runs that fit a filter, newest first.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn list(&self, filter: Filter) -> Result<Page<RunRow>, StoreFailure> {
        self.read(move |connection| rows::list(connection, &filter))
            .await
    }

    /// A part of a run's history.
    ///
    /// # Errors
    /// Those of the file, and that an entry is damaged.
    pub async fn history(
        &self,
        run: RunKey,
        from: u64,
        limit: u64,
    ) -> Result<Vec<Event>, StoreFailure> {
        self.read(move |connection| rows::history(connection, run, from, limit))
            .await
    }

    /// A part of a run's history, to be shown: it ends early where entries are large.
    ///
    /// # Errors
    /// Those of the file, and that an entry is damaged.
    pub async fn history_page(
        &self,
        run: RunKey,
        from: u64,
        limit: u64,
    ) -> Result<Page<Event>, StoreFailure> {
        self.read(move |connection| rows::history_page(connection, run, from, limit))
            .await
    }

    /// Puts something into a run's inbox. False if it was there already.
    ///
    /// # Errors
    /// Those of the file; and if the run has ended, or too much waits for it.
    pub async fn post(&self, run: RunKey, entry: NewInboxEntry) -> Result<bool, StoreFailure> {
        let bytes = entry.payload.as_ref().map_or(0, String::len);
        self.write(bytes, move |connection, _| {
            rows::post(connection, run, &entry)
        })
        .await
    }

    /// Marks runs as held by this host, those that are due first; returns them.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn hold_due(&self, now: i64, limit: u64) -> Result<Vec<RunRow>, StoreFailure> {
        self.write(0, move |connection, _| {
            rows::hold_due(connection, now, limit)
        })
        .await
    }

    /// When the next run is due that no host holds.
    ///
    /// # Errors
    /// Those of the file.
    pub async fn next_due(&self) -> Result<Option<i64>, StoreFailure> {
        self.read(rows::next_due).await
    }
}

impl Shared {
    fn lock_readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Functions over one connection, for work that is more than one of them.
pub mod within {
    pub use super::rows::{
        ask, clear_error, count_open, delete_before, end, forget_questions, history, inbox,
        insert_events, newest, open_digests, owners, pause, post, post_signal_once, questions,
        revive, run, set_answers, set_asked, set_continued_to, set_digest, set_restarts, start,
        stick, take_inbox, truncate, wake,
    };
    pub use super::schedules::{
        count_schedules, delete_schedule, due_schedules, next_due_schedule, schedule, schedules,
        set_schedule,
    };
}

/// The status of a run as it is kept.
pub fn status_name(status: WorkflowStatus) -> &'static str {
    match status {
        WorkflowStatus::Running => "running",
        WorkflowStatus::Sleeping => "sleeping",
        WorkflowStatus::Waiting => "waiting",
        WorkflowStatus::Stuck => "stuck",
        WorkflowStatus::Completed => "completed",
        WorkflowStatus::Failed => "failed",
        WorkflowStatus::Cancelled => "cancelled",
        WorkflowStatus::Terminated => "terminated",
        WorkflowStatus::Continued => "continued",
    }
}

/// True for the status of a run that has not ended.
pub fn is_open(status: WorkflowStatus) -> bool {
    match status {
        WorkflowStatus::Running
        | WorkflowStatus::Sleeping
        | WorkflowStatus::Waiting
        | WorkflowStatus::Stuck => true,
        WorkflowStatus::Completed
        | WorkflowStatus::Failed
        | WorkflowStatus::Cancelled
        | WorkflowStatus::Terminated
        | WorkflowStatus::Continued => false,
    }
}

/// The statuses, in the order of their declaration.
pub const STATUSES: [WorkflowStatus; 9] = [
    WorkflowStatus::Running,
    WorkflowStatus::Sleeping,
    WorkflowStatus::Waiting,
    WorkflowStatus::Stuck,
    WorkflowStatus::Completed,
    WorkflowStatus::Failed,
    WorkflowStatus::Cancelled,
    WorkflowStatus::Terminated,
    WorkflowStatus::Continued,
];

fn on_parent_end_name(fate: OnParentEnd) -> &'static str {
    match fate {
        OnParentEnd::Cancel => "cancel",
        OnParentEnd::Abandon => "abandon",
        OnParentEnd::Terminate => "terminate",
    }
}

#[cfg(test)]
mod tests;
