//! [`Journal`]: the queue, the thread that writes, the bounds on size and age.
//!
//! Each process writes files of its own, named by time, process and number, and holds a lock on the one it
//! writes to. So any number of hosts share a folder: nobody appends to what another has written, and old files
//! are deleted by whoever finds too many, except those that are locked.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::codec::Body;
use crate::reader::Reader;
use crate::record::CallSummary;
use crate::recording::{Budget, Recording};
use crate::segment::{self, EXTENSION, FILE_HEAD};

/// The bounds of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all files together.
    pub size: u64,
    /// The age at which a file is deleted, counted from its last record.
    pub age: Duration,
    /// Bytes of one record.
    pub record: u64,
}

/// Bytes of records that are not yet in a file, of calls that run and of those that have ended.
const MEMORY: usize = 64 << 20;
/// Records that wait to be written.
const QUEUE: usize = 8192;
/// How long a batch is gathered: at most so much is lost when the host is killed.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes of records at which a batch is written at once.
const BATCH: usize = 1 << 20;
/// How often old files are looked for while nothing is written.
const IDLE: Duration = Duration::from_secs(60);
/// The files that the bound on size is divided into, about.
const FILES: u64 = 16;
/// Bytes of a file, at least and at most.
const SMALLEST_FILE: u64 = 64 << 10;
const LARGEST_FILE: u64 = 8 << 20;
/// How long whoever wants to read waits for what has ended before; a disk that hangs must not hang them.
const FLUSH: Duration = Duration::from_secs(5);
/// Bytes of a name in a summary.
const LONGEST_NAME: usize = 1 << 10;
/// Parts of a record's bound that its input and its output may take each.
const SHARE: u64 = 4;

/// A call that has ended, to be kept.
pub struct EndedCall<'a> {
    /// The summary; what the recording knows is filled in.
    pub summary: CallSummary,
    /// The input.
    pub input: &'a [u8],
    /// The output, if there is one.
    pub output: Option<&'a [u8]>,
    /// The failure, for a person.
    pub error: Option<&'a str>,
}

/// The journal of one process. Nothing is opened, and no thread runs, before the first record.
pub struct Journal {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    folder: PathBuf,
    bounds: Mutex<Bounds>,
    /// [`Bounds::record`], which every call asks for.
    largest_record: AtomicU64,
    is_started: AtomicBool,
    budget: Arc<Budget>,
    queue: Mutex<Queue>,
    /// There is something to write, or somebody waits.
    wake: Condvar,
    /// Something was written.
    done: Condvar,
    written: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    /// Frames, one behind the other.
    frames: Vec<u8>,
    /// Records in these.
    records: u64,
    /// Bytes that these have taken from the budget.
    taken: usize,
    is_flushed: bool,
    is_closed: bool,
    /// Records that were queued, and records that were written or given up, since the start.
    queued: u64,
    finished: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// A journal in this folder, which is made when it is first needed.
    pub fn new(folder: PathBuf, bounds: Bounds) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(Shared {
                folder,
                bounds: Mutex::new(bounds),
                largest_record: AtomicU64::new(bounds.record),
                is_started: AtomicBool::new(false),
                budget: Budget::new(MEMORY),
                queue: Mutex::default(),
                wake: Condvar::new(),
                done: Condvar::new(),
                written: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
            }),
            thread: Mutex::new(None),
        })
    }

    /// Changes the bounds, from the next file on.
    pub fn set_bounds(&self, bounds: Bounds) {
        *lock(&self.shared.bounds) = bounds;
        let largest = &self.shared.largest_record;
        largest.store(bounds.record, Ordering::Relaxed);
    }

    /// Begins to record a call.
    pub fn record(&self) -> Recording {
        let largest = self.shared.largest_record.load(Ordering::Relaxed);
        // What input and output take is not the events'.
        let events = usize::try_from(largest / SHARE * (SHARE - 2)).unwrap_or(usize::MAX);
        Recording::new(events, self.shared.budget.clone())
    }

    /// Keeps a call that has ended. Never waits: what does not fit is dropped, and counted.
    pub fn keep(&self, recording: &Recording, ended: EndedCall<'_>) {
        let recorded = recording.end();
        let largest = self.shared.largest_record.load(Ordering::Relaxed);
        let share = usize::try_from(largest / SHARE).unwrap_or(usize::MAX);
        let (input, output) = (
            cut(ended.input, share),
            ended.output.map(|all| cut(all, share)),
        );
        let error = ended.error.map(|all| cut_text(all, share.min(64 << 10)));
        let is_whole = input.len() == ended.input.len()
            && output.map(<[u8]>::len) == ended.output.map(<[u8]>::len);
        let mut summary = ended.summary;
        summary.effects = recorded.effects;
        summary.complete = is_whole && !recorded.is_cut;
        summary.used_sandbox = recorded.used_sandbox;
        truncate(&mut summary.name);
        if let Some(caller) = &mut summary.caller {
            truncate(caller);
        }
        let body = Body {
            input,
            input_bytes: ended.input.len() as u64,
            events: &recorded.events,
            output,
            error,
        };
        let mut frame = Vec::with_capacity(
            recorded.events.len() + input.len() + output.map_or(0, <[u8]>::len) + 1024,
        );
        segment::write_frame(&summary, &body, &mut frame);
        let budget = &self.shared.budget;
        budget.give_back(recorded.taken);
        if frame.is_empty() || !budget.take(frame.len()) {
            return self.shared.count_dropped(1);
        }
        if !self.put(&frame) {
            budget.give_back(frame.len());
            self.shared.count_dropped(1);
        }
    }

    /// Puts a frame into the queue; false if it is full.
    fn put(&self, frame: &[u8]) -> bool {
        self.start();
        let mut queue = lock(&self.shared.queue);
        if queue.is_closed || queue.records >= QUEUE as u64 {
            return false;
        }
        let before = queue.frames.len();
        queue.frames.extend_from_slice(frame);
        queue.records += 1;
        queue.queued += 1;
        queue.taken += frame.len();
        // It sleeps only while there is nothing, or gathers a batch.
        if before == 0 || (before < BATCH && queue.frames.len() >= BATCH) {
            self.shared.wake.notify_one();
        }
        true
    }

    fn start(&self) {
        if self.shared.is_started.load(Ordering::Acquire) {
            return;
        }
        let mut thread = lock(&self.thread);
        if thread.is_some() {
            return;
        }
        let shared = self.shared.clone();
        let started = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || Writer::new(shared).run());
        match started {
            Ok(started) => {
                *thread = Some(started);
                self.shared.is_started.store(true, Ordering::Release);
            }
            // The queue fills, and what does not fit is counted.
            Err(error) => {
                tracing::warn!(%error, "calls are not recorded: there is no thread for it")
            }
        }
    }

    /// Waits until every call that was kept before is in a file, or is known not to get there.
    pub fn flush(&self) {
        let mut queue = lock(&self.shared.queue);
        let (until, deadline) = (queue.queued, Instant::now() + FLUSH);
        queue.is_flushed = true;
        self.shared.wake.notify_one();
        while queue.finished < until {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.done.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Reads what was kept, by this process and others.
    pub fn reader(&self) -> Reader {
        Reader::new(self.shared.folder.clone())
    }

    /// Records that were written, and records that were dropped, since the start.
    pub fn counts(&self) -> (u64, u64) {
        let shared = &self.shared;
        (
            shared.written.load(Ordering::Relaxed),
            shared.dropped.load(Ordering::Relaxed),
        )
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        lock(&self.shared.queue).is_closed = true;
        self.shared.wake.notify_one();
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A panic in there has lost what it had; there is nobody to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn count_dropped(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }
}

fn cut(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}

fn cut_text(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn truncate(text: &mut String) {
    text.truncate(text.floor_char_boundary(LONGEST_NAME));
}

/// The thread that writes.
struct Writer {
    shared: Arc<Shared>,
    open: Option<OpenFile>,
    /// Files that this process has made.
    made: u32,
    /// True while writing fails: said once.
    is_failing: bool,
}

/// The file that is written to.
struct OpenFile {
    /// Locked as long as it is open.
    file: File,
    length: u64,
    since: Instant,
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            open: None,
            made: 0,
            is_failing: false,
        }
    }

    fn run(mut self) {
        loop {
            let (frames, records, taken, is_closed) = self.next_batch();
            if records > 0 {
                self.write(&frames, records);
                self.shared.budget.give_back(taken);
                lock(&self.shared.queue).finished += records;
                self.shared.done.notify_all();
            } else if is_closed {
                return;
            } else {
                self.look_after_files();
            }
        }
    }

    /// Waits for records, and for more of them for a moment; none after [`IDLE`].
    fn next_batch(&self) -> (Vec<u8>, u64, usize, bool) {
        let shared = &*self.shared;
        let is_empty = |queue: &mut Queue| queue.records == 0 && !queue.is_closed;
        let waited = shared
            .wake
            .wait_timeout_while(lock(&shared.queue), IDLE, is_empty);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        if queue.records > 0 {
            let gathers = |queue: &mut Queue| {
                !queue.is_flushed && !queue.is_closed && queue.frames.len() < BATCH
            };
            let waited = shared.wake.wait_timeout_while(queue, GATHER, gathers);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.is_flushed = false;
        let frames = std::mem::take(&mut queue.frames);
        let records = std::mem::take(&mut queue.records);
        let taken = std::mem::take(&mut queue.taken);
        (frames, records, taken, queue.is_closed)
    }

    /// Writes a batch, file by file.
    fn write(&mut self, frames: &[u8], records: u64) {
        let (mut rest, mut left) = (frames, records);
        while !rest.is_empty() {
            match self.write_some(rest) {
                Ok((bytes, records)) => {
                    rest = &rest[bytes..];
                    left = left.saturating_sub(records);
                    self.shared.written.fetch_add(records, Ordering::Relaxed);
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!(folder = %self.shared.folder.display(), "calls are recorded again");
                    }
                }
                Err(error) => {
                    self.shared.count_dropped(left);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(
                            folder = %self.shared.folder.display(),
                            %error,
                            "calls are not recorded: the journal cannot be written; \
                             exomonad_journal_records_total counts what is dropped"
                        );
                    }
                    return;
                }
            }
        }
    }

    /// Writes as many frames as the file still takes, one at least; gives their bytes and their number.
    fn write_some(&mut self, frames: &[u8]) -> io::Result<(usize, u64)> {
        let bounds = *lock(&self.shared.bounds);
        self.open = self.open.take().filter(|open| !is_done(open, &bounds));
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let opened = self.open_file();
                delete_old(&self.shared.folder, &bounds);
                opened?
            }
        };
        let room = file_size(&bounds).saturating_sub(open.length);
        let (mut bytes, mut records) = (0, 0);
        while bytes < frames.len() && (records == 0 || (bytes as u64) < room) {
            bytes += segment::frame_length(&frames[bytes..]);
            records += 1;
        }
        match open.file.write_all(&frames[..bytes]) {
            Ok(()) => {
                open.length += bytes as u64;
                self.open = Some(open);
                Ok((bytes, records))
            }
            Err(error) => {
                // Without its torn end the file is whole, and may be written to when there is room again.
                if open.file.set_len(open.length).is_ok() {
                    self.open = Some(open);
                }
                Err(error)
            }
        }
    }

    /// Makes a file that nobody else writes to.
    fn open_file(&mut self) -> io::Result<OpenFile> {
        make_folder(&self.shared.folder)?;
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let name = format!(
                "{:013}-{}-{}.{EXTENSION}",
                now.unwrap_or_default().as_millis(),
                std::process::id(),
                self.made
            );
            self.made = self.made.wrapping_add(1);
            // Appending, so that after a shorter `set_len` writing goes on at the end.
            let opened = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(self.shared.folder.join(name));
            match opened {
                Ok(mut file) => {
                    // Where a file system has no locks, files are told from old ones by their age.
                    let _ = file.try_lock();
                    file.write_all(FILE_HEAD)?;
                    return Ok(OpenFile {
                        file,
                        length: FILE_HEAD.len() as u64,
                        since: Instant::now(),
                    });
                }
                // A host in another container, with the same process id, in the same millisecond.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes a file that is old enough, and deletes those that are too old.
    fn look_after_files(&mut self) {
        let bounds = *lock(&self.shared.bounds);
        self.open = self.open.take().filter(|open| !is_done(open, &bounds));
        delete_old(&self.shared.folder, &bounds);
    }
}

/// True if the next records go into another file: this one is full, or old, or somebody has deleted it.
fn is_done(open: &OpenFile, bounds: &Bounds) -> bool {
    open.length >= file_size(bounds)
        || open.since.elapsed() >= bounds.age / 4
        || open.file.metadata().is_ok_and(|about| about.nlink() == 0)
}

fn file_size(bounds: &Bounds) -> u64 {
    (bounds.size / FILES).clamp(SMALLEST_FILE, LARGEST_FILE)
}

/// Makes the folder, closed to others. In a repository, git is told to leave the host's own folder alone.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let own = folder
        .ancestors()
        .find(|above| above.ends_with(".exomonad"));
    if let Some(ignore) = own.map(|own| own.join(".gitignore"))
        && !ignore.exists()
    {
        fs::write(ignore, "*\n")?;
    }
    Ok(())
}

/// Deletes files that are too old, and then the oldest until there is room for one more.
fn delete_old(folder: &Path, bounds: &Bounds) {
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "the journal's folder cannot be read");
            return;
        }
    };
    let mut size: u64 = files.values().map(|about| about.len()).sum();
    let room = bounds.size.saturating_sub(file_size(bounds));
    for (path, about) in files {
        let age = about.modified().ok().and_then(|at| at.elapsed().ok());
        let is_old = age.is_some_and(|age| age > bounds.age);
        if !is_old && size <= room {
            continue;
        }
        if is_in_use(&path, age) {
            continue;
        }
        match fs::remove_file(&path) {
            Ok(()) => size = size.saturating_sub(about.len()),
            // Another host was first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                size = size.saturating_sub(about.len());
            }
            Err(error) => {
                tracing::debug!(file = %path.display(), %error, "an old journal cannot be deleted");
            }
        }
    }
}

/// True if a process writes to this file.
fn is_in_use(path: &Path, age: Option<Duration>) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        // No locks here: one that was written to lately may be in use.
        Err(TryLockError::Error(_)) => age.is_none_or(|age| age < Duration::from_secs(3600)),
    }
}

/// The journal's files, oldest first.
pub(crate) fn files(folder: &Path) -> io::Result<BTreeMap<PathBuf, fs::Metadata>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let files = entries.flatten().filter_map(|entry| {
        let path = entry.path();
        let is_ours = path.extension().is_some_and(|end| end == EXTENSION);
        let about = entry.metadata().ok().filter(|about| about.is_file());
        about.filter(|_| is_ours).map(|about| (path, about))
    });
    Ok(files.collect())
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
