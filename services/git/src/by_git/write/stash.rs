//! The stash.

use exomonad_schema::effects::git::{
    GitPopStash, GitPoppedStash, GitStash, GitStashEntry, GitStashed, GitStashes,
};
use exomonad_schema::{EffectError, ErrorCode};

use super::{ContainerWriter, add_conflicts_step, listed_files};
use crate::by_git::git_error;
use crate::by_git::revision::id;
use crate::by_git::script::{Script, Step, StepOutputs};
use crate::by_git::shell::GitShell;
use crate::effect_context::EffectContext;
use crate::write::branch::no_commit;
use crate::write::index::listed;

const STASH: &str = "refs/stash";

/// The steps that list stashes.
#[derive(Clone, Copy, Debug)]
struct StashQuery {
    is_there: Step,
    entries: Step,
}

impl StashQuery {
    fn add_steps(script: &mut Script) -> Self {
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

    fn read(
        self,
        context: &EffectContext,
        outputs: &StepOutputs,
    ) -> Result<GitStashes, EffectError> {
        if !outputs[self.is_there].is_success() {
            return Ok(GitStashes::default());
        }
        let output = &outputs[self.entries];
        if !output.is_success() {
            return Err(git_error::from_output(context, output));
        }
        let fields: Vec<_> = output.records().map(String::from_utf8_lossy).collect();
        let stashes: Option<Vec<_>> = fields
            .chunks(3)
            .map(|fields| {
                let [commit, message, selector] = fields else {
                    return None;
                };
                // `stash@{1700000000}`
                let seconds = selector.split_once("@{")?.1.strip_suffix('}')?;
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
            None => Err(context.damaged("a line of a reflog is none")),
        }
    }
}

/// Lists the stashes, newest first.
pub(in crate::by_git) async fn list(shell: &GitShell) -> Result<GitStashes, EffectError> {
    let mut script = shell.script()?;
    let repo_info = shell.query_repo_info(&mut script);
    let query = StashQuery::add_steps(&mut script);
    let outputs = shell.run(script).await?;
    repo_info.read(&shell.context, &outputs)?;
    query.read(&shell.context, &outputs)
}

pub(in crate::by_git) async fn save(
    writer: ContainerWriter,
    request: GitStash,
) -> Result<GitStashed, EffectError> {
    let context = writer.context();
    writer.repo_info.work_dir(context)?;
    writer.check_author()?;
    if writer.repo_info.commit.is_none() {
        return Err(no_commit(context));
    }
    writer.check_no_conflicts().await?;
    let mut arguments = vec!["stash", "push", "--quiet"];
    if request.include_untracked {
        arguments.push("--include-untracked");
    }
    let message = request.message.trim().replace(['\n', '\r', '\0'], " ");
    if !message.is_empty() {
        arguments.extend(["--message", &message]);
    }
    let mut script = writer.script()?;
    let before = script.git(["rev-parse", "--verify", "-q", STASH]);
    let step = script.git(arguments);
    let after = script.git(["rev-parse", "--verify", "-q", STASH]);
    let outputs = writer.run(script).await?;
    let output = &outputs[step];
    if !output.is_success() {
        return Err(git_error::from_output(context, output));
    }
    let after = outputs[after].line();
    Ok(GitStashed {
        commit: match after != outputs[before].line() {
            true => Some(id(context, &after)?),
            false => None,
        },
    })
}

pub(in crate::by_git) async fn pop(
    writer: ContainerWriter,
    request: GitPopStash,
) -> Result<GitPoppedStash, EffectError> {
    let context = writer.context();
    writer.repo_info.work_dir(context)?;
    let mut script = writer.script()?;
    let query = StashQuery::add_steps(&mut script);
    let outputs = writer.run(script).await?;
    let stashes = query.read(context, &outputs)?.stashes;
    let number = request.index.get();
    let found = usize::try_from(number)
        .ok()
        .and_then(|number| stashes.get(number));
    let Some(stash) = found else {
        return Err(context.error(
            ErrorCode::NotFound,
            format_args!("there is no stash {number}; there are {}", stashes.len()),
        ));
    };
    writer.check_no_conflicts().await?;
    let mut script = writer.script()?;
    let step = script.git(["stash", "pop", "--quiet", &format!("stash@{{{number}}}")]);
    let conflicts = add_conflicts_step(&mut script);
    let outputs = writer.run(script).await?;
    let output = &outputs[step];
    let conflicts = ContainerWriter::conflicts(&outputs[conflicts]);
    if !output.is_success() && conflicts.is_empty() {
        let says = |words: &str| output.stderr.contains(words);
        let meets = [
            "would be overwritten",
            "already exists, no checkout",
            "Cannot apply a stash",
        ];
        if !meets.into_iter().any(says) {
            return Err(git_error::from_output(context, output));
        }
        let files = match listed(&listed_files(&output.stderr)) {
            files if files.is_empty() => "staged changes or untracked files".to_owned(),
            files => files,
        };
        return Err(context.error(
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
