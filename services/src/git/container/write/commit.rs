//! Commits.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{GitCommit, GitCreateCommit};

use super::{Writing, stage};
use crate::git::container::script::git;
use crate::git::container::{failure, history};
use crate::git::write::commit::{message, nothing_staged};

/// Commits what is staged, after staging what the request names. Hooks do not
/// run, and nothing is signed.
pub(in crate::git::container) async fn create(
    writing: Writing,
    request: GitCreateCommit,
) -> Result<GitCommit, EffectError> {
    let task = writing.task().clone();
    writing.facts.work_dir(&task)?;
    let message = message(&task, &request.message)?;
    let who = writing.check_author()?;
    let author = format!("--author={} <{}>", who.name, who.email);
    writing.check_no_conflicts().await?;
    if request.all || !request.paths.is_empty() {
        stage::into(&writing, &request.paths, request.all).await?;
    }
    let mut arguments = vec![
        "commit",
        "--no-verify",
        "--no-gpg-sign",
        "--no-edit",
        "--untracked-files=no",
        "--cleanup=verbatim",
        &author,
        "--file=-",
    ];
    if request.allow_empty {
        arguments.push("--allow-empty");
    }
    let mut script = writing.script()?;
    let made = script.shell_with_input(&git(arguments), message.into_bytes());
    let told = history::ask(&mut script, "HEAD", 1);
    let answers = writing.run(script).await?;
    let said = &answers[made];
    if !said.is_success() {
        let words = said.line();
        let is_empty = [
            "nothing to commit",
            "no changes added",
            "nothing added to commit",
        ]
        .iter()
        .any(|known| words.contains(known));
        return Err(if said.code == 1 && is_empty {
            nothing_staged(&task)
        } else {
            failure::of(&task, said)
        });
    }
    let mut commits = history::read(&task, &answers[told], 1)?.commits;
    commits
        .pop()
        .ok_or_else(|| task.damaged("the commit that was made is missing"))
}
