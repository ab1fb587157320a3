//! Creates commits.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::{GitCommit, GitCreateCommit};

use super::{ContainerWriter, stage};
use crate::by_git::script::git;
use crate::by_git::{git_error, history};
use crate::write::commit::{message, nothing_staged};

/// Commits what is staged, after staging what the request names. Hooks do not
/// run, and nothing is signed.
pub(in crate::by_git) async fn create(
    writer: ContainerWriter,
    request: GitCreateCommit,
) -> Result<GitCommit, EffectError> {
    let context = writer.context().clone();
    writer.repo_info.work_dir(&context)?;
    let message = message(&context, &request.message)?;
    let who = writer.check_author()?;
    let author = format!("--author={} <{}>", who.name, who.email);
    writer.check_no_conflicts().await?;
    if request.all || !request.paths.is_empty() {
        stage::into(&writer, &request.paths, request.all).await?;
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
    let mut script = writer.script()?;
    let made = script.shell_with_input(&git(arguments), message.into_bytes());
    let commit_step = history::add_steps(&mut script, "HEAD", 1);
    let outputs = writer.run(script).await?;
    let output = &outputs[made];
    if !output.is_success() {
        let words = output.line();
        let is_empty = [
            "nothing to commit",
            "no changes added",
            "nothing added to commit",
        ]
        .iter()
        .any(|known| words.contains(known));
        return Err(if output.code == 1 && is_empty {
            nothing_staged(&context)
        } else {
            git_error::from_output(&context, output)
        });
    }
    let mut commits = history::read(&context, &outputs[commit_step], 1)?.commits;
    commits
        .pop()
        .ok_or_else(|| context.damaged("the commit that was made is missing"))
}
