//! Errors of `git`, mapped to the contract's codes.
//!
//! Its messages are matched, in English (`LC_ALL=C`).

use exomonad_schema::{EffectError, ErrorCode};

use super::script::StepOutput;
use crate::effect_context::EffectContext;

/// Longest text of git's that is passed on, in characters.
const MAX_MESSAGE: usize = 1000;

/// Known messages and their codes; the first that matches decides.
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

/// The error for a step that failed.
pub(super) fn from_output(context: &EffectContext, output: &StepOutput) -> EffectError {
    let words = summary(&output.stderr);
    let code = KNOWN
        .iter()
        .find(|(known, _)| known.iter().any(|known| output.stderr.contains(known)))
        .map(|(_, code)| *code);
    match code {
        // Damage, but for a bad configuration.
        Some(ErrorCode::Internal) if words.contains("bad config") => context.error(
            ErrorCode::Unsupported,
            "the repository's configuration cannot be read; `git config --list` there says why",
        ),
        Some(ErrorCode::Internal) => context.damaged(words),
        Some(ErrorCode::Unavailable) if output.stderr.contains(".lock'") => context.error(
            ErrorCode::Unavailable,
            format_args!(
                "another program has it locked: {words}; try again, and remove that file if no git \
                 program is running"
            ),
        ),
        Some(ErrorCode::Unsupported) if output.stderr.contains("refstorage") => context.error(
            ErrorCode::Unsupported,
            format_args!(
                "the repository keeps its references in a reftable, which git knows from version 2.45 on, and \
                 the one {} does not; install a newer one, or convert the repository with `git refs migrate \
                 --ref-format=files`",
                context.place()
            ),
        ),
        Some(code) => context.error(code, format_args!("git says: {words}")),
        None if output.stderr.contains("must be run in a work tree") => context.bare(),
        None => context.error(
            ErrorCode::Unavailable,
            format_args!(
                "git failed {} (exit code {}); it says: {words}",
                context.place(),
                output.code
            ),
        ),
    }
}

/// Git's messages in one line, without its hints.
pub(super) fn summary(stderr: &str) -> String {
    let lines: Vec<_> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("hint:"))
        .collect();
    let text: String = lines
        .join("; ")
        .chars()
        .filter(|letter| !letter.is_control())
        .take(MAX_MESSAGE)
        .collect();
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        text
    }
}
