//! [`Reader`]: lists and finds records while others write.
//!
//! There is no index: the files are bounded, a list reads summaries alone and stops at files that are older than
//! all that it shows, and nothing can disagree with the records. A file that somebody writes to may end within
//! a record; that is said only of files that nobody writes to.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use exomonad_schema::{CallId, RoleName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{CallRecord, CallSummary, moment};
use crate::segment::{self, Damage, Frame, TORN};
use crate::writer::files;

/// Bytes of a file that are read: more than any has.
const MOST_BYTES: u64 = 256 << 20;
/// How far the time of a file's last change may lie before that of its last record: kernels keep a coarse clock.
const SLACK: Duration = Duration::from_secs(1);
/// Files that are open while records are read.
const OPEN_FILES: usize = 4;
/// Warnings of one answer; one file may be damaged in many places.
const MOST_WARNINGS: usize = 20;

/// The calls that are wanted.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Of this role.
    pub role: Option<String>,
    /// Of this tool, event or export.
    pub name: Option<String>,
    /// Those that have failed.
    pub failed: bool,
    /// Those with this outcome.
    pub outcome: Option<String>,
    /// Those that began at this moment or later, as [`moment`] writes it.
    pub since: Option<String>,
    /// Those before this call in the order of the list: where a page goes on.
    pub before: Option<Cursor>,
    /// So many, the latest.
    pub limit: usize,
}

impl Query {
    fn matches(&self, call: &CallSummary) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        is(&self.role, call.role.as_str())
            && is(&self.name, &call.name)
            && is(&self.outcome, &call.outcome)
            && (!self.failed || call.has_failed())
            && self.since.as_ref().is_none_or(|since| call.at >= *since)
            && self
                .before
                .as_ref()
                .is_none_or(|before| call.order() < (&before.at, &before.id))
    }
}

/// A place in the list of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: String,
    id: String,
}

impl Cursor {
    /// Behind this call.
    pub fn after(call: &CallSummary) -> Self {
        Self {
            at: call.at.clone(),
            id: call.id.to_string(),
        }
    }

    /// The cursor that a page has given.
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('/')?;
        let id: CallId = id.parse().ok()?;
        humantime::parse_rfc3339(at).ok()?;
        Some(Self {
            at: at.to_owned(),
            id: id.to_string(),
        })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.at, self.id)
    }
}

/// A part of the list of calls, latest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The calls.
    pub calls: Vec<CallSummary>,
    /// The value of `before` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Files that are damaged, with what was skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Reads a folder of records.
#[derive(Clone, Debug)]
pub struct Reader {
    folder: PathBuf,
}

/// The result of a scan of the files.
struct Scan<T> {
    files: Vec<PathBuf>,
    /// The calls, by [`CallSummary::order`].
    found: BTreeMap<(String, String), Found<T>>,
    warnings: Vec<String>,
    /// True if there may be more than the limit.
    has_more: bool,
}

/// A call that is found.
struct Found<T> {
    /// The part of its summary that is kept.
    kept: T,
    /// Its file, among those of the scan.
    file: usize,
    /// Where it begins there.
    offset: usize,
    /// Its bytes there.
    length: usize,
}

impl Reader {
    /// Of this folder; it need not be there.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Calls that are wanted, and that may be seen, latest first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(
        &self,
        query: &Query,
        is_visible: &mut dyn FnMut(&RoleName) -> bool,
    ) -> io::Result<Page> {
        let scan = self.scan(query, is_visible, |call| call)?;
        let found = scan.found.into_values().rev();
        let calls: Vec<CallSummary> = found.map(|call| call.kept).collect();
        Ok(Page {
            next: match (scan.has_more, calls.last()) {
                (true, Some(last)) => Some(Cursor::after(last).to_string()),
                _ => None,
            },
            calls,
            warnings: scan.warnings,
        })
    }

    /// The record of a call.
    ///
    /// # Errors
    /// If the folder cannot be read, or the record is damaged.
    pub fn find(&self, id: &CallId) -> io::Result<Option<CallRecord>> {
        for (path, _) in self.latest_first()? {
            let content = match content(&path) {
                Ok(content) => content,
                // Deleted since, to make room.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for frame in segment::read(&content).flatten() {
                if frame.summary.id == *id {
                    return frame.record().map(Some).map_err(|damage| {
                        io::Error::new(io::ErrorKind::InvalidData, named(&path, &damage))
                    });
                }
            }
        }
        Ok(None)
    }

    /// Hands over the records that are wanted, and that may be seen, oldest first, until `take` refuses one; gives
    /// warnings about what is damaged. Holds one record at a time, and some hundred bytes of each that is wanted.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn records(
        &self,
        query: &Query,
        is_visible: &mut dyn FnMut(&RoleName) -> bool,
        take: &mut dyn FnMut(CallRecord) -> bool,
    ) -> io::Result<Vec<String>> {
        let scan = self.scan(query, is_visible, |_| ())?;
        let mut warnings = scan.warnings;
        // Where several hosts write, the order of time goes back and forth between their files.
        let mut open: VecDeque<(usize, File)> = VecDeque::new();
        for call in scan.found.into_values() {
            let Some(path) = scan.files.get(call.file) else {
                continue;
            };
            let file = match open.iter().position(|(known, _)| *known == call.file) {
                Some(nth) => &open[nth].1,
                None => {
                    // One that has been deleted since, to make room, has no records.
                    let Ok(file) = File::open(path) else {
                        continue;
                    };
                    open.truncate(OPEN_FILES - 1);
                    open.push_front((call.file, file));
                    &open[0].1
                }
            };
            let mut bytes = vec![0; call.length];
            let read = file.read_exact_at(&mut bytes, call.offset as u64);
            let record = match read {
                Ok(()) => segment::read_frame(&bytes, call.offset)
                    .and_then(|frame| frame.record())
                    .map_err(|damage| named(path, &damage)),
                Err(error) => Err(format!("{}: {error}", path.display())),
            };
            match record {
                Ok(record) => {
                    if !take(record) {
                        break;
                    }
                }
                Err(warning) => warn(&mut warnings, warning),
            }
        }
        Ok(warnings)
    }

    /// Reads summaries, of the latest files first, until there cannot be later ones than those that are found.
    fn scan<T>(
        &self,
        query: &Query,
        is_visible: &mut dyn FnMut(&RoleName) -> bool,
        keep: impl Fn(CallSummary) -> T,
    ) -> io::Result<Scan<T>> {
        let mut scan = Scan {
            files: Vec::new(),
            found: BTreeMap::new(),
            warnings: Vec::new(),
            has_more: false,
        };
        for (path, changed) in self.latest_first()? {
            let newest = moment(changed + SLACK);
            let is_older = |oldest: &(String, String)| newest < oldest.0;
            let is_full = scan.found.len() >= query.limit;
            if is_full && scan.found.keys().next().is_some_and(is_older) {
                // Whether one of these matches is not worth reading them.
                scan.has_more = true;
                break;
            }
            if query.since.as_ref().is_some_and(|since| newest < *since) {
                break;
            }
            let content = match content(&path) {
                Ok(content) => content,
                // Deleted since, to make room.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    scan.warnings.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            let file = scan.files.len();
            for frame in segment::read(&content) {
                match frame {
                    Ok(Frame {
                        summary,
                        offset,
                        length,
                        ..
                    }) if query.matches(&summary) && is_visible(&summary.role) => {
                        let (at, id) = summary.order();
                        let key = (at.to_owned(), id.to_owned());
                        let call = Found {
                            kept: keep(summary),
                            file,
                            offset,
                            length,
                        };
                        scan.found.insert(key, call);
                        if scan.found.len() > query.limit {
                            scan.found.pop_first();
                            scan.has_more = true;
                        }
                    }
                    Ok(_) => {}
                    Err(damage) if damage.reason == TORN && is_written_to(&path) => {}
                    Err(damage) => warn(&mut scan.warnings, named(&path, &damage)),
                }
            }
            scan.files.push(path);
        }
        Ok(scan)
    }

    /// The files with the times of their last changes, latest first.
    fn latest_first(&self) -> io::Result<Vec<(PathBuf, SystemTime)>> {
        let mut files: Vec<_> = files(&self.folder)?
            .into_iter()
            .map(|(path, about)| (path, changed(&about)))
            .collect();
        files.sort_by_key(|(_, changed)| std::cmp::Reverse(*changed));
        Ok(files)
    }
}

fn changed(about: &fs::Metadata) -> SystemTime {
    // Every Unix has it.
    about.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?
        .take(MOST_BYTES)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// True if a process may be in the middle of writing to this file.
fn is_written_to(path: &Path) -> bool {
    let tried = File::open(path).map(|file| file.try_lock_shared());
    matches!(tried, Ok(Err(TryLockError::WouldBlock)))
}

fn named(path: &Path, damage: &Damage) -> String {
    format!("{}: {damage}", path.display())
}

fn warn(warnings: &mut Vec<String>, warning: String) {
    if warnings.len() < MOST_WARNINGS {
        warnings.push(warning);
    }
}
