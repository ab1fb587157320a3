//! Reflogs: the earlier values of a branch, HEAD or the stash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use exomonad_schema::{EffectError, ErrorCode};
use git2::{Oid, Signature};

use super::RepoWriter;
use crate::open::OpenRepo;

/// A line to add to a reflog.
pub(super) struct Entry<'e> {
    pub(super) old: Option<Oid>,
    pub(super) new: Oid,
    pub(super) who: &'e Signature<'e>,
    /// The operation, in one line.
    pub(super) message: &'e str,
}

/// The reflog of a reference, under the git folder it belongs to.
pub(super) fn path(git_dir: &Path, reference: &str) -> PathBuf {
    git_dir.join("logs").join(reference)
}

/// Adds a line to a reflog, if the repository keeps one. The reference's
/// lock is held, which guards its log too.
pub(super) fn append(
    writer: &RepoWriter<'_>,
    log: &Path,
    is_always_kept: bool,
    entry: &Entry<'_>,
) -> Result<(), EffectError> {
    if !log.exists() && !is_always_kept && !keeps_logs(writer) {
        return Ok(());
    }
    let line = line(entry);
    (|| {
        if let Some(parent) = log.parent() {
            fs::create_dir_all(parent)?;
        }
        // One write, so that no line is torn.
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(log)?
            .write_all(&line)
    })()
    .map_err(|error: io::Error| {
        writer.context().error(
            ErrorCode::Unavailable,
            format_args!("the reflog cannot be written: {error}; check that the disk has room"),
        )
    })
}

/// `<old> <new> <name> <<email>> <seconds> <offset>\t<message>\n`
pub(super) fn line(entry: &Entry<'_>) -> Vec<u8> {
    let when = entry.who.when();
    let minutes = when.offset_minutes();
    let message: String = entry
        .message
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect();
    let mut line = format!("{} {} ", entry.old.unwrap_or(Oid::ZERO_SHA1), entry.new).into_bytes();
    line.extend_from_slice(entry.who.name_bytes());
    line.extend_from_slice(b" <");
    line.extend_from_slice(entry.who.email_bytes());
    let rest = format!(
        "> {} {}{:02}{:02}\t{}\n",
        when.seconds(),
        when.sign(),
        minutes.abs() / 60,
        minutes.abs() % 60,
        message.trim()
    );
    line.extend_from_slice(rest.as_bytes());
    line
}

/// `core.logAllRefUpdates`, which is on except in bare repositories.
fn keeps_logs(writer: &RepoWriter<'_>) -> bool {
    let set = writer
        .git2()
        .config()
        .and_then(|config| config.get_string("core.logAllRefUpdates"));
    match set.as_deref() {
        Ok("false" | "no" | "off" | "0") => false,
        Ok(_) => true,
        Err(_) => !writer.git2().is_bare(),
    }
}

/// A line of a reflog that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoggedEntry {
    pub(super) old: Oid,
    pub(super) new: Oid,
    /// Seconds since 1970.
    pub(super) seconds: i64,
    pub(super) message: String,
    /// The rest of the line after the two ids, as it stands there.
    rest: Vec<u8>,
}

impl LoggedEntry {
    /// The line as it is written, with another old id.
    pub(super) fn with_old(&self, old: Oid) -> Vec<u8> {
        let mut line = format!("{old} {}", self.new).into_bytes();
        line.extend_from_slice(&self.rest);
        line
    }
}

/// Reads a reflog, oldest line first; none when there is no such file.
///
/// libgit2 would make the file when it is missing, which reading must not.
pub(super) fn read(repo: &OpenRepo, log: &Path) -> Result<Vec<LoggedEntry>, EffectError> {
    /// A line is some 200 bytes, so that is more than 100,000 of them.
    const MAX_BYTES: u64 = 32 << 20;
    let mut content = Vec::new();
    match File::open(log).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut content)) {
        Ok(_) if content.len() as u64 > MAX_BYTES => {
            return Err(repo.context().error(
                ErrorCode::LimitExceeded,
                "the reflog is larger than 32 MiB; shorten it with `git reflog expire`",
            ));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(repo.context().error(
                ErrorCode::Unavailable,
                format_args!("the reflog cannot be read: {error}"),
            ));
        }
    }
    content
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| parse(line).ok_or_else(|| repo.context().damaged("a line of a reflog is none")))
        .collect()
}

fn parse(line: &[u8]) -> Option<LoggedEntry> {
    let id = |range| {
        let text = std::str::from_utf8(line.get(range)?).ok()?;
        Oid::from_str(text).ok()
    };
    let (old, new) = (id(0..40)?, id(41..81)?);
    let rest = line.get(81..)?;
    let (person, message) = match rest.iter().position(|byte| *byte == b'\t') {
        Some(tab) => (&rest[..tab], &rest[tab + 1..]),
        None => (rest, &b""[..]),
    };
    let person = String::from_utf8_lossy(person);
    let seconds = person
        .rsplit_once('>')?
        .1
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    Some(LoggedEntry {
        old,
        new,
        seconds,
        message: String::from_utf8_lossy(message).trim_end().to_owned(),
        rest: rest.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use git2::Time;

    use super::*;

    #[test]
    fn a_line_that_was_written_is_read_back() {
        let who =
            Signature::new("Ada L", "ada@example.com", &Time::new(1_700_000_000, -90)).unwrap();
        let new = Oid::from_str("95d09f2b10159347eece71399a7e2e907ea3df4f").unwrap();
        let line = line(&Entry {
            old: None,
            new,
            who: &who,
            message: "commit: one\ntwo",
        });
        assert_eq!(
            String::from_utf8_lossy(&line),
            format!(
                "{} {new} Ada L <ada@example.com> 1700000000 -0130\tcommit: one two\n",
                "0".repeat(40)
            )
        );
        let read = parse(&line).unwrap();
        assert_eq!((read.new, read.seconds), (new, 1_700_000_000));
        assert_eq!(read.message, "commit: one two");
        assert_eq!(read.with_old(read.old), line);
        assert_eq!(parse(b"no reflog\n"), None);
    }
}
