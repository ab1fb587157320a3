//! [`Reader`]: lists and finds records while others write.
//!
//! There is no index: the files are bounded, a list reads summaries alone and stops at files that are older than
//! all that it shows, and nothing can disagree with the records. A file that somebody writes to may end within
//! a record; that is said only of files that nobody writes to.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
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

/// Where a record is.
type Place = (PathBuf, usize);

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
        let (found, warnings, has_more) = self.places(query, is_visible)?;
        let calls: Vec<CallSummary> = found.into_values().rev().map(|(call, _)| call).collect();
        Ok(Page {
            next: match (has_more, calls.last()) {
                (true, Some(last)) => Some(Cursor::after(last).to_string()),
                _ => None,
            },
            calls,
            warnings,
        })
    }

    /// The record of a call.
    ///
    /// # Errors
    /// If the folder cannot be read, or the record is damaged.
    pub fn find(&self, id: &CallId) -> io::Result<Option<CallRecord>> {
        for (path, _) in self.latest_first()? {
            let content = content(&path)?;
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

    /// Hands over the records that are wanted, oldest first, until `take` refuses one; gives warnings about
    /// what is damaged.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn records(
        &self,
        query: &Query,
        take: &mut dyn FnMut(CallRecord) -> bool,
    ) -> io::Result<Vec<String>> {
        let (found, mut warnings, _) = self.places(query, &mut |_| true)?;
        // One file after the other would not be in the order of time where several hosts write: the last one
        // that was read is kept.
        let mut open: Option<(PathBuf, Vec<u8>)> = None;
        for (_, (path, offset)) in found.into_values() {
            if open.as_ref().is_none_or(|(known, _)| *known != path) {
                open = content(&path).ok().map(|content| (path.clone(), content));
            }
            // Deleted since, to make room.
            let Some((_, content)) = &open else { continue };
            let Some(Ok(frame)) = segment::read_at(content, offset) else {
                continue;
            };
            match frame.record() {
                Ok(record) => {
                    if !take(record) {
                        break;
                    }
                }
                Err(damage) => warn(&mut warnings, &path, &damage),
            }
        }
        Ok(warnings)
    }

    /// The summaries that are wanted with their places, in their order; and whether there are more.
    #[expect(clippy::type_complexity, reason = "it is taken apart at once")]
    fn places(
        &self,
        query: &Query,
        is_visible: &mut dyn FnMut(&RoleName) -> bool,
    ) -> io::Result<(
        BTreeMap<(String, String), (CallSummary, Place)>,
        Vec<String>,
        bool,
    )> {
        let mut found: BTreeMap<(String, String), (CallSummary, Place)> = BTreeMap::new();
        let mut warnings = Vec::new();
        let mut has_more = false;
        for (path, changed) in self.latest_first()? {
            let newest = moment(changed + SLACK);
            let is_older = |oldest: &(String, String)| newest < oldest.0;
            let is_full = found.len() >= query.limit;
            if is_full && found.keys().next().is_some_and(is_older) {
                // Whether one of these matches is not worth reading them.
                has_more = true;
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
                    warnings.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            for frame in segment::read(&content) {
                match frame {
                    Ok(Frame {
                        summary, offset, ..
                    }) if query.matches(&summary) && is_visible(&summary.role) => {
                        let (at, id) = summary.order();
                        let key = (at.to_owned(), id.to_owned());
                        found.insert(key, (summary, (path.clone(), offset)));
                        if found.len() > query.limit {
                            found.pop_first();
                            has_more = true;
                        }
                    }
                    Ok(_) => {}
                    Err(damage) if damage.reason == TORN && is_written_to(&path) => {}
                    Err(damage) => warn(&mut warnings, &path, &damage),
                }
            }
        }
        Ok((found, warnings, has_more))
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

fn warn(warnings: &mut Vec<String>, path: &Path, damage: &Damage) {
    if warnings.len() < MOST_WARNINGS {
        warnings.push(named(path, damage));
    }
}
