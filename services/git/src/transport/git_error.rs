//! Errors of the host's `git`, mapped to the contract's codes.
//!
//! git has no codes of its own for this; its messages are matched, in English
//! (`LC_ALL=C`), and unknown ones are passed on.

use exomonad_schema::{EffectError, ErrorCode};

use crate::effect_context::EffectContext;

/// Longest text of git's that is passed on, in characters.
const MAX_MESSAGE: usize = 2000;

/// The error for a git that failed with these messages on its standard error.
pub(crate) fn from_stderr(context: &EffectContext, stderr: &str) -> EffectError {
    let (code, what) = classify(stderr);
    context.error(code, format_args!("{what}; git says: {}", summary(stderr)))
}

/// The messages of the server, or of its hook, to a push it refuses.
pub(super) fn remote_messages(stderr: &str) -> String {
    let words: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    shorten(&words.join("\n"))
}

fn classify(stderr: &str) -> (ErrorCode, &'static str) {
    let text = stderr.to_ascii_lowercase();
    let says = |any: &[&str]| any.iter().any(|words| text.contains(words));
    if says(&["error: 429", "too many requests"]) {
        (
            ErrorCode::RateLimited,
            "the remote asks to slow down; try again later",
        )
    } else if says(&[
        "could not read username",
        "could not read password",
        "authentication failed",
        "invalid credentials",
        "error: 401",
        "error: 403",
        "permission denied (",
        "permission denied, please try again",
        "could not read from askpass",
    ]) {
        (
            ErrorCode::Unauthenticated,
            "the remote does not accept the host's credentials; check `git.token_file` and `git.token_hosts` \
             in exomonad.toml, or the ssh agent's keys",
        )
    } else if says(&["remote host identification has changed"]) {
        (
            ErrorCode::Unavailable,
            "the remote's ssh key is not the known one: it has a new key, or somebody plays its part; find out \
             which before `git.known_hosts`, or the host's `~/.ssh/known_hosts`, is changed",
        )
    } else if says(&["host key verification failed"]) {
        (
            ErrorCode::Unavailable,
            "the remote's ssh key is not known; add it to the file that `git.known_hosts` in exomonad.toml names, \
             or else to the host's `~/.ssh/known_hosts`",
        )
    } else if says(&["couldn't find remote ref", "remote ref does not exist"]) {
        (ErrorCode::NotFound, "the remote has no such branch")
    } else if says(&[
        "error: 404",
        "repository not found",
        "' not found",
        "does not appear to be a git repository",
        "no such file or directory",
    ]) {
        (
            ErrorCode::NotFound,
            "there is no such repository, or the host's credentials may not see it",
        )
    } else if says(&[
        "unable to update url base from redirection",
        "error: 301",
        "error: 302",
        "error: 307",
        "error: 308",
    ]) {
        (
            ErrorCode::Unsupported,
            "the remote has moved, and redirects are not followed; correct its URL with `git remote set-url`",
        )
    } else if says(&["cannot lock ref", "unable to create"]) {
        (
            ErrorCode::Conflict,
            "a branch of the remote stands in the way of another; fetch with `prune`",
        )
    } else if says(&["shallow update not allowed"]) {
        (
            ErrorCode::Unsupported,
            "the repository is shallow, and the remote does not take that",
        )
    } else if says(&["certificate", "ssl", "gnutls"]) {
        (
            ErrorCode::Unavailable,
            "no secure connection can be made to the remote",
        )
    } else if says(&[
        "could not resolve",
        "failed to connect",
        "couldn't connect",
        "could not connect",
        "connection refused",
        "connection timed out",
        "connection reset",
        "connection closed",
        "network is unreachable",
        "no route to host",
        "empty reply",
        "early eof",
        "unexpected disconnect",
        "hung up unexpectedly",
        "rpc failed",
        "unable to access",
        "invalid index-pack output",
        "transfer closed",
        "expected flush",
    ]) {
        (
            ErrorCode::Unavailable,
            "the remote cannot be reached, or broke off; try again",
        )
    } else if says(&[
        "bad object",
        "missing blob",
        "missing tree",
        "unable to read",
        "corrupt",
        "did not send all necessary objects",
    ]) {
        (
            ErrorCode::Unsupported,
            "objects are missing or damaged; run `git fsck` there",
        )
    } else {
        (ErrorCode::Unavailable, "git failed")
    }
}

fn summary(stderr: &str) -> String {
    let lines: Vec<_> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return "nothing".to_owned();
    }
    shorten(&lines.join("; "))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_messages_have_codes() {
        for (stderr, code) in [
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                ErrorCode::Unauthenticated,
            ),
            (
                "fatal: unable to access 'https://h/': The requested URL returned error: 403",
                ErrorCode::Unauthenticated,
            ),
            (
                "git@h: Permission denied (publickey).",
                ErrorCode::Unauthenticated,
            ),
            (
                "fatal: unable to access 'https://h/': Could not resolve host: h",
                ErrorCode::Unavailable,
            ),
            (
                "fatal: unable to access 'http://h/': Failed to connect to h port 1",
                ErrorCode::Unavailable,
            ),
            (
                "fatal: repository 'https://h/r/' not found",
                ErrorCode::NotFound,
            ),
            (
                "fatal: couldn't find remote ref refs/heads/x",
                ErrorCode::NotFound,
            ),
            ("Host key verification failed.", ErrorCode::Unavailable),
            ("fatal: early EOF", ErrorCode::Unavailable),
            ("something new", ErrorCode::Unavailable),
        ] {
            assert_eq!(classify(stderr).0, code, "{stderr}");
        }
    }
}
