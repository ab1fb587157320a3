//! The stash.

use exomonad_schema::effects::git::{
    GitPopStash, GitPoppedStash, GitStash, GitStashEntry, GitStashed, GitStashes,
};
use exomonad_schema::{EffectError, ErrorCode};

use super::{Writing, ask_conflicts, listed_files};
use crate::git::container::failure;
use crate::git::container::place::Place;
use crate::git::container::revision::id;
use crate::git::container::script::{Answers, Script, Step};
use crate::git::task::Task;
use crate::git::write::branch::no_commit;
use crate::git::write::index::listed;

const STASH: &str = "refs/stash";

/// The steps that list stashes.
#[derive(Clone, Copy, Debug)]
struct AskedStashes {
    is_there: Step,
    entries: Step,
}

impl AskedStashes {
    fn ask(script: &mut Script) -> Self {
        Self {
            is_there: script.git(["rev-parse", "--verify", "-q", STASH]),
            entries: script.git([
                "log",
                "--walk-reflogs",
                "-z",
                "--date=unix",
                "--format=%H%x00%gs%x00%gd",
                STASH,
                "--",
            ]),
        }
    }

    fn read(self, task: &Task, answers: &Answers) -> Result<GitStashes, EffectError> {
        if !answers[self.is_there].is_success() {
            return Ok(GitStashes::default());
        }
        let said = &answers[self.entries];
        if !said.is_success() {
            return Err(failure::of(task, said));
        }
        let fields: Vec<_> = said.records().map(String::from_utf8_lossy).collect();
        let stashes: Option<Vec<_>> = fields
            .chunks(3)
            .map(|fields| {
                let [commit, message, place] = fields else {
                    return None;
                };
                // `stash@{1700000000}`
                let seconds = place.split_once("@{")?.1.strip_suffix('}')?;
                let seconds: i64 = seconds.parse().ok()?;
                Some(GitStashEntry {
                    commit: commit.clone().into_owned(),
                    message: message.clone().into_owned(),
                    unix_millis: seconds.saturating_mul(1000),
                })
            })
            .collect();
        match stashes {
            Some(stashes) => Ok(GitStashes { stashes }),
            None => Err(task.damaged("a line of a reflog is none")),
        }
    }
}

/// Lists the stashes, newest first.
pub(in crate::git::container) async fn list(place: &Place) -> Result<GitStashes, EffectError> {
    let mut script = place.script()?;
    let facts = place.ask_facts(&mut script);
    let asked = AskedStashes::ask(&mut script);
    let answers = place.run(script).await?;
    facts.read(&place.task, &answers)?;
    asked.read(&place.task, &answers)
}

pub(in crate::git::container) async fn save(
    writing: Writing,
    request: GitStash,
) -> Result<GitStashed, EffectError> {
    let task = writing.task();
    writing.facts.work_dir(task)?;
    writing.check_author()?;
    if writing.facts.commit.is_none() {
        return Err(no_commit(task));
    }
    writing.check_no_conflicts().await?;
    let mut arguments = vec!["stash", "push", "--quiet"];
    if request.include_untracked {
        arguments.push("--include-untracked");
    }
    let message = request.message.trim().replace(['\n', '\r', '\0'], " ");
    if !message.is_empty() {
        arguments.extend(["--message", &message]);
    }
    let mut script = writing.script()?;
    let before = script.git(["rev-parse", "--verify", "-q", STASH]);
    let step = script.git(arguments);
    let after = script.git(["rev-parse", "--verify", "-q", STASH]);
    let answers = writing.run(script).await?;
    let said = &answers[step];
    if !said.is_success() {
        return Err(failure::of(task, said));
    }
    let after = answers[after].line();
    Ok(GitStashed {
        commit: match after != answers[before].line() {
            true => Some(id(task, &after)?),
            false => None,
        },
    })
}

pub(in crate::git::container) async fn pop(
    writing: Writing,
    request: GitPopStash,
) -> Result<GitPoppedStash, EffectError> {
    let task = writing.task();
    writing.facts.work_dir(task)?;
    let mut script = writing.script()?;
    let asked = AskedStashes::ask(&mut script);
    let answers = writing.run(script).await?;
    let stashes = asked.read(task, &answers)?.stashes;
    let number = request.index.get();
    let found = usize::try_from(number)
        .ok()
        .and_then(|number| stashes.get(number));
    let Some(stash) = found else {
        return Err(task.error(
            ErrorCode::NotFound,
            format_args!("there is no stash {number}; there are {}", stashes.len()),
        ));
    };
    writing.check_no_conflicts().await?;
    let mut script = writing.script()?;
    let step = script.git(["stash", "pop", "--quiet", &format!("stash@{{{number}}}")]);
    let conflicts = ask_conflicts(&mut script);
    let answers = writing.run(script).await?;
    let said = &answers[step];
    let conflicts = Writing::conflicts(&answers[conflicts]);
    if !said.is_success() && conflicts.is_empty() {
        let says = |words: &str| said.stderr.contains(words);
        let meets = [
            "would be overwritten",
            "already exists, no checkout",
            "Cannot apply a stash",
        ];
        if !meets.into_iter().any(says) {
            return Err(failure::of(task, said));
        }
        let files = match listed(&listed_files(&said.stderr)) {
            files if files.is_empty() => "staged changes or untracked files".to_owned(),
            files => files,
        };
        return Err(task.error(
            ErrorCode::Conflict,
            format_args!(
                "the stash meets what is not committed: {files}; commit or stash that first; \
                 the stash is still in the list"
            ),
        ));
    }
    Ok(GitPoppedStash {
        commit: stash.commit.clone(),
        conflicts,
    })
}
