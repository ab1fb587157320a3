//! [`Audit`]: a line for each call, and for each operation on workflows, in the log and in a file.
//!
//! A line says who has called what, with which outcome, and the SHA-256 of the arguments: enough to prove later which
//! arguments they were, and nothing of what is in them. Lines for the file go through a queue of bounded length to a
//! thread, so that no call waits for a disk; those that find it full are dropped, and the log says how many.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use exomonad_config::AuditConfig;
use exomonad_core::CallContext;
use exomonad_journal::record::OK;
use exomonad_schema::{CallId, RoleName};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::HostError;
use crate::execution::Caller;

/// The target of the lines in the log.
pub const TARGET: &str = "exomonad::audit";

/// Lines that wait for the disk.
const QUEUE: usize = 8_192;
/// Bytes that are written at once.
const BATCH: usize = 256 << 10;
/// The time that a host that stops waits for the disk.
const FLUSH: Duration = Duration::from_secs(5);
/// Characters of a name; a request may name a tool as it likes.
const LONGEST_NAME: usize = 128;
/// The outcome of a call that nobody waited for any more.
const CANCELLED: &str = "cancelled";
/// Refusals of a host that has too much to do: no call was made, and they come in any number.
const NO_CALL: [&str; 2] = ["queue_full", "rate_limited"];

/// The way of lines to the log and the file.
pub struct Audit {
    config: AuditConfig,
    /// Begun with the first line.
    writer: OnceLock<Option<SyncSender<Message>>>,
    dropped: AtomicU64,
}

enum Message {
    Line(Vec<u8>),
    /// Everything before it is to be written.
    Flush(SyncSender<()>),
}

/// Something that a caller does to a role, beside calls of its guest.
pub struct Operation<'a> {
    /// The role.
    pub role: RoleName,
    /// The caller.
    pub caller: Caller,
    /// The operation, such as `workflow signal`.
    pub kind: &'static str,
    /// The name of what it is done to, such as the workflow's.
    pub name: &'a str,
    /// The parameters; their hash is written.
    pub arguments: &'a str,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    role: &'a str,
    kind: &'a str,
    name: &'a str,
    call_id: &'a str,
    outcome: &'a str,
    arguments_sha256: &'a str,
    micros: u64,
}

/// A call whose line is written when it ends. Dropped before it has an outcome, it was cancelled.
pub struct AuditedCall {
    audit: Arc<Audit>,
    context: CallContext,
    kind: &'static str,
    name: String,
    sha256: String,
    at: SystemTime,
    began: Instant,
    has_ended: bool,
}

impl Audit {
    /// Lines for the log, and for a file if one is configured. Nothing is opened before the first line.
    pub fn new(config: &AuditConfig) -> Arc<Self> {
        Arc::new(Self {
            config: config.clone(),
            writer: OnceLock::new(),
            dropped: AtomicU64::new(0),
        })
    }

    /// Notes that a call begins: of a tool, a hook, an export. `sha256` is of its arguments.
    pub fn begin(
        self: &Arc<Self>,
        context: &CallContext,
        kind: &'static str,
        name: &str,
        sha256: String,
    ) -> AuditedCall {
        let shown = |character: char| match character.is_control() {
            true => char::REPLACEMENT_CHARACTER,
            false => character,
        };
        AuditedCall {
            audit: self.clone(),
            context: context.clone(),
            kind,
            name: name.chars().take(LONGEST_NAME).map(shown).collect(),
            sha256,
            at: SystemTime::now(),
            began: Instant::now(),
            has_ended: false,
        }
    }

    /// Does something that is no call of a guest, such as a signal to a run, with a line of its own.
    ///
    /// # Errors
    /// Those of the work; `code` names them.
    pub async fn operation<T, E>(
        self: &Arc<Self>,
        operation: Operation<'_>,
        code: impl Fn(&E) -> &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let caller = operation.caller;
        let proven = caller.principal.as_ref();
        let name = proven.and_then(|principal| principal.name.as_deref());
        let context = CallContext {
            caller: name.map(str::to_owned).or(caller.name),
            principal: caller.principal,
            ..CallContext::new(operation.role, CallId::random())
        };
        let sha256 = sha256(operation.arguments.as_bytes());
        let audited = self.begin(&context, operation.kind, operation.name, sha256);
        let done = work.await;
        audited.end(done.as_ref().map_or_else(code, |_| OK), done.is_ok());
        done
    }

    /// Waits until what was said is in the file, for a few seconds at most.
    pub fn flush(&self) {
        if let Some(Some(writer)) = self.writer.get() {
            let (done, written) = sync_channel(1);
            if writer.send(Message::Flush(done)).is_ok() {
                let _ = written.recv_timeout(FLUSH);
            }
        }
    }

    fn write(&self, path: &Path, line: &Line<'_>) {
        let writer = self.writer.get_or_init(|| self.start(path));
        let (Some(writer), Ok(mut line)) = (writer, serde_json::to_vec(line)) else {
            return;
        };
        line.push(b'\n');
        match writer.try_send(Message::Line(line)) {
            Ok(()) => {
                let dropped = self.dropped.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    tracing::error!(
                        dropped,
                        "lines of the audit file are lost: the disk was too slow"
                    );
                }
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn start(&self, path: &Path) -> Option<SyncSender<Message>> {
        let (send, receive) = sync_channel(QUEUE);
        let mut file = AuditFile {
            path: path.to_owned(),
            max_size: self.config.max_file_size.get(),
            max_files: self.config.max_files,
            open: None,
            is_failing: false,
            is_torn: false,
        };
        let thread = std::thread::Builder::new().name("audit".to_owned());
        match thread.spawn(move || file.serve(&receive)) {
            Ok(_) => Some(send),
            Err(error) => {
                tracing::error!(%error, "no thread for the audit file: it is not written");
                None
            }
        }
    }
}

impl AuditedCall {
    /// Ends with this outcome: `ok`, `tool_error` or the code of a failure. `is_made` is false for a call that was
    /// refused before a guest ran.
    pub fn end(mut self, outcome: &str, is_made: bool) {
        self.tell(outcome, is_made);
    }

    /// Ends with this error.
    pub fn end_refused(self, error: &HostError) {
        let is_made = matches!(error, HostError::Guest { .. } | HostError::InputRequired(_));
        self.end(error.code(), is_made);
    }

    fn tell(&mut self, outcome: &str, is_made: bool) {
        self.has_ended = true;
        if NO_CALL.contains(&outcome) {
            return;
        }
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let context = &self.context;
        let (role, call_id) = (context.role.as_str(), context.call_id.as_str());
        let principal = context.principal.as_ref().map(|principal| &*principal.id);
        let caller = context.caller.as_deref();
        let (kind, name, sha256) = (self.kind, self.name.as_str(), self.sha256.as_str());
        // `tool` is the field by which lines of calls were always found.
        match is_made {
            true => tracing::info!(
                target: TARGET,
                role, tool = name, call_id, is_error = outcome != OK, principal, caller, outcome,
                arguments_sha256 = sha256, micros, "{kind} call"
            ),
            false => tracing::info!(
                target: TARGET,
                role, tool = name, call_id, principal, caller, outcome, arguments_sha256 = sha256, micros, kind,
                "call refused"
            ),
        }
        let Some(file) = &self.audit.config.file else {
            return;
        };
        let line = Line {
            at: humantime::format_rfc3339_micros(self.at).to_string(),
            principal,
            caller,
            role,
            kind,
            name,
            call_id,
            outcome,
            arguments_sha256: sha256,
            micros,
        };
        self.audit.write(file, &line);
    }
}

impl Drop for AuditedCall {
    fn drop(&mut self) {
        if !self.has_ended {
            self.tell(CANCELLED, true);
        }
    }
}

/// The SHA-256 of arguments, in hexadecimal.
pub fn sha256(arguments: &[u8]) -> String {
    // Each call has one: digit by digit, without formatting.
    let digits = Sha256::digest(arguments).into_iter();
    let digits = digits.flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// The file, and those before it.
struct AuditFile {
    path: PathBuf,
    max_size: u64,
    max_files: u32,
    open: Option<File>,
    /// True while nothing can be written: each outage is logged once.
    is_failing: bool,
    /// True if the file may end within a line.
    is_torn: bool,
}

impl AuditFile {
    fn serve(&mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut lines = Vec::new();
            let mut flushed = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Line(line) => lines.extend_from_slice(&line),
                    Message::Flush(done) => flushed.push(done),
                }
                next = match lines.len() < BATCH {
                    true => messages.try_recv().ok(),
                    false => None,
                };
            }
            self.append_or_complain(&lines);
            for done in flushed {
                let _ = done.try_send(());
            }
        }
    }

    fn append_or_complain(&mut self, lines: &[u8]) {
        match self.append(lines) {
            Ok(()) if self.is_failing => {
                self.is_failing = false;
                tracing::info!(file = %self.path.display(), "the audit file is written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.open = None;
                self.is_torn = true;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(file = %self.path.display(), %error, "the audit file cannot be written: lines are lost");
                }
            }
        }
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        // Another process, or a program that rotates logs, may have put another file in its place.
        let there = fs::metadata(&self.path).ok();
        let is_ours = |open: &File| {
            let open = open.metadata().ok();
            let id = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
            open.as_ref().map(id) == there.as_ref().map(id)
        };
        if !self.open.as_ref().is_some_and(is_ours) {
            self.open = None;
        }
        let size = there.as_ref().map_or(0, fs::Metadata::len);
        if size > 0 && size.saturating_add(lines.len() as u64) > self.max_size {
            self.rotate()?;
        }
        let mut file = match self.open.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        if self.is_torn {
            // The next line is no part of one that the disk had no room for.
            file.write_all(b"\n")?;
            self.is_torn = false;
        }
        file.write_all(lines)?;
        self.open = Some(file);
        Ok(())
    }

    /// Gives each file the number of the one before it; the last one goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        let numbered = |number: u32| match number {
            0 => self.path.clone(),
            _ => {
                let mut name = self.path.clone().into_os_string();
                name.push(format!(".{number}"));
                PathBuf::from(name)
            }
        };
        let last = self.max_files.saturating_sub(1);
        let gone = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        };
        fs::remove_file(numbered(last)).or_else(gone)?;
        for number in (0..last).rev() {
            fs::rename(numbered(number), numbered(number + 1)).or_else(gone)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, max_size: u64, max_files: u32) -> AuditFile {
        AuditFile {
            path: path.to_owned(),
            max_size,
            max_files,
            open: None,
            is_failing: false,
            is_torn: false,
        }
    }

    #[test]
    fn files_are_bounded_in_size_and_number_and_hold_the_latest_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit/calls.jsonl");
        let mut file = file(&path, 100, 3);
        for nth in 0..100 {
            file.append(format!("{{\"nth\":{nth:02}}}\n").as_bytes())
                .unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["calls.jsonl", "calls.jsonl.1", "calls.jsonl.2"]);
        let all: String = ["calls.jsonl.2", "calls.jsonl.1", "calls.jsonl"]
            .map(|name| fs::read_to_string(path.with_file_name(name)).unwrap())
            .concat();
        assert!(all.len() <= 300 && all.ends_with("{\"nth\":99}\n"), "{all}");
        let numbers: Vec<u32> = all
            .lines()
            .map(|line| line[7..9].parse().unwrap())
            .collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{numbers:?}"
        );
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_another_program_has_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.jsonl");
        let mut file = file(&path, 1 << 20, 3);
        file.append(b"1\n").unwrap();
        fs::rename(&path, path.with_extension("old")).unwrap();
        file.append(b"2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "2\n");
    }
}
