//! What a container's `git` says when it fails, as one of the contract's codes.
//!
//! As for remotes its messages are matched, in English (`LC_ALL=C`).

use exomonad_schema::{EffectError, ErrorCode};

use super::script::Said;
use crate::git::task::Task;

/// How much of what git says is passed on, in characters.
const MAX_TOLD: usize = 1000;

/// The first of these whose words git says decides.
const KNOWN: &[(&[&str], ErrorCode)] = &[
    (
        &[
            ".lock': File exists",
            "Unable to create '",
            "could not lock config file",
        ],
        ErrorCode::Unavailable,
    ),
    (
        &[
            "unknown repository extension",
            "Expected git repo version",
            "object format",
            "dubious ownership",
        ],
        ErrorCode::Unsupported,
    ),
    (
        &[
            "bad object",
            "unable to read",
            "could not read",
            "Could not read",
            "missing blob",
            "missing tree",
            "missing commit",
            "is corrupt",
            "corrupted",
            "bad signature",
            "index file",
            "bad tree",
            "bad config",
            "object file",
            "not a valid object",
            "invalid object",
            "broken ref",
            "No such ref",
            "promisor remote",
            "Failed to traverse parents",
            "bad revision 'HEAD'",
            "invalid gitfile",
            "unable to parse",
            "unable to unpack",
            "header",
        ],
        ErrorCode::Internal,
    ),
    (
        &[
            "Permission denied",
            "Read-only file system",
            "No space left",
        ],
        ErrorCode::Unavailable,
    ),
];

/// The error for a git that failed.
pub(super) fn of(task: &Task, said: &Said) -> EffectError {
    let words = told(&said.stderr);
    let code = KNOWN
        .iter()
        .find(|(known, _)| known.iter().any(|known| said.stderr.contains(known)))
        .map(|(_, code)| *code);
    match code {
        // The one that has words of its own.
        Some(ErrorCode::Internal) if words.contains("bad config") => task.error(
            ErrorCode::Unsupported,
            "the repository's configuration cannot be read; `git config --list` there says why",
        ),
        Some(ErrorCode::Internal) => task.damaged(words),
        Some(ErrorCode::Unavailable) if said.stderr.contains(".lock'") => task.error(
            ErrorCode::Unavailable,
            format_args!(
                "another program has it locked: {words}; try again, and remove that file if no git \
                 program is running"
            ),
        ),
        Some(code) => task.error(code, format_args!("git says: {words}")),
        None if said.stderr.contains("must be run in a work tree") => task.bare(),
        None => task.error(
            ErrorCode::Unavailable,
            format_args!(
                "git failed in the container (exit code {}); it says: {words}",
                said.code
            ),
        ),
    }
}

/// What git says, in one line and without what it advises.
pub(super) fn told(stderr: &str) -> String {
    let lines: Vec<_> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
        .collect();
    let text: String = lines
        .join("; ")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(MAX_TOLD)
        .collect();
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        text
    }
}
