//! Commits.

use exomonad_schema::effects::git::{GitCommit, GitCommits, GitPerson};
use exomonad_schema::{EffectError, ErrorCode};
use git2::{Commit, Signature, Sort};

use super::blocking::Job;
use super::head;
use super::open::OpenRepo;
use super::{encoding, memory, object_size, revision};

/// Bytes of messages that one answer may hold.
const MAX_ANSWER: usize = 16 << 20;

/// Lists the commits reachable from `reference`, in the order of `git log`.
pub(super) fn recent(
    repo: &OpenRepo,
    job: &Job,
    reference: &str,
    limit: u64,
) -> Result<GitCommits, EffectError> {
    if reference == "HEAD" && head::find(repo)?.commit.is_none() {
        return Ok(GitCommits::default());
    }
    let start = revision::commit(repo, reference)?.id();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = GitCommits::default();
    let history = repo.history();
    let fail = |error: git2::Error| match error.code() {
        _ if memory::is_refused() => {
            memory::forget_refusal();
            object_size::too_large_among(repo, &[start]).unwrap_or_else(|| repo.git_error(&error))
        }
        git2::ErrorCode::NotFound => repo.context().damaged(format_args!(
            "a commit that others build on is missing ({})",
            error.message()
        )),
        _ => repo.git_error(&error),
    };
    let mut bytes = 0;
    let mut walk = history.revwalk().map_err(fail)?;
    // As git has it by default. Any other order would have libgit2 read the whole history first.
    walk.set_sorting(Sort::NONE).map_err(fail)?;
    walk.push(start).map_err(fail)?;
    for id in walk {
        job.check(repo.context())?;
        if found.commits.len() == limit {
            found.has_more = true;
            break;
        }
        let commit = object_size::commit(repo, history, id.map_err(fail)?)?.map_err(fail)?;
        bytes += commit.message_bytes().len();
        if bytes > MAX_ANSWER {
            return Err(repo.context().error(
                ErrorCode::LimitExceeded,
                format_args!(
                    "the messages of the last {} commits have more than {} MiB; ask for fewer commits",
                    found.commits.len() + 1,
                    MAX_ANSWER >> 20
                ),
            ));
        }
        found.commits.push(read(&commit));
    }
    Ok(found)
}

pub(super) fn read(commit: &Commit<'_>) -> GitCommit {
    let encoding = commit.message_encoding().ok().flatten().map(str::as_bytes);
    let (summary, body) = summary_and_body(commit.message_bytes(), encoding);
    let person = |who: &Signature<'_>| person(who, encoding);
    GitCommit {
        id: commit.id().to_string(),
        summary,
        body,
        author: person(&commit.author()),
        committer: person(&commit.committer()),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
    }
}

/// A message's first line, and what comes after it.
pub(super) fn summary_and_body(message: &[u8], encoding: Option<&[u8]>) -> (String, String) {
    let message = encoding::decode(message, encoding);
    let message = message.trim_start_matches('\n');
    let (summary, body) = message.split_once('\n').unwrap_or((message, ""));
    let body = body.trim_start_matches(['\n', '\r']).trim_end();
    (summary.trim_end().to_owned(), body.to_owned())
}

fn person(signature: &Signature<'_>, encoding: Option<&[u8]>) -> GitPerson {
    let text = |bytes: &[u8]| encoding::decode(bytes, encoding);
    GitPerson {
        name: text(signature.name_bytes()),
        email: text(signature.email_bytes()),
        unix_millis: signature.when().seconds().saturating_mul(1000),
        offset_minutes: signature.when().offset_minutes(),
    }
}
