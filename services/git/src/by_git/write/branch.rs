//! Creates branches and tags, and checks branches out.

use exomonad_schema::effects::git::{
    GitBranch, GitCreateBranch, GitCreateTag, GitNewBranch, GitSwitchBranch, GitTag,
};
use exomonad_schema::{EffectError, ErrorCode};

use super::{ContainerWriter, conflict, listed_files};
use crate::by_git::git_error;
use crate::by_git::revision::{RevisionQuery, Wanted, id};
use crate::by_git::script::{StepOutput, git};
use crate::write::branch::no_commit;
use crate::write::commit::message;
use crate::write::index::listed;
use crate::write::refs::name_for;

pub(in crate::by_git) async fn create(
    writer: ContainerWriter,
    request: GitCreateBranch,
) -> Result<GitNewBranch, EffectError> {
    let name = name_for(writer.context(), "refs/heads/", &request.branch)?;
    let commit = writer.start(request.reference.as_deref()).await?;
    let from = request.reference.as_deref().unwrap_or("HEAD");
    writer
        .create_reference(&name, &commit, &format!("branch: Created from {from}"))
        .await?;
    Ok(GitNewBranch {
        branch: request.branch.to_string(),
        commit,
    })
}

pub(in crate::by_git) async fn tag(
    writer: ContainerWriter,
    request: GitCreateTag,
) -> Result<GitTag, EffectError> {
    let context = writer.context().clone();
    let name = name_for(&context, "refs/tags/", &request.tag)?;
    let commit = writer.start(request.reference.as_deref()).await?;
    let tagged = match &request.message {
        None => commit.clone(),
        Some(text) => {
            let text = message(&context, text)?;
            let who = writer.check_author()?;
            let content = format!(
                "object {commit}\ntype commit\ntag {}\ntagger {} <{}> {} +0000\n\n{text}",
                &*request.tag,
                who.name,
                who.email,
                jiff::Timestamp::now().as_second()
            );
            let mut script = writer.script()?;
            let step = script.shell_with_input(&git(["mktag"]), content.into_bytes());
            let outputs = writer.run(script).await?;
            let output = &outputs[step];
            if !output.is_success() {
                return Err(git_error::from_output(&context, output));
            }
            id(&context, &output.line())?
        }
    };
    writer
        .create_reference(&name, &tagged, "tag: Created")
        .await?;
    Ok(GitTag {
        tag: request.tag.to_string(),
        id: tagged,
        commit,
    })
}

pub(in crate::by_git) async fn switch(
    writer: ContainerWriter,
    request: GitSwitchBranch,
) -> Result<GitBranch, EffectError> {
    let context = writer.context().clone();
    let branch = &*request.branch;
    writer.repo_info.work_dir(&context)?;
    let name = name_for(&context, "refs/heads/", branch)?;
    let mut script = writer.script()?;
    let there = script.git(["rev-parse", "--verify", "-q", &name]);
    let outputs = writer.run(script).await?;
    if !outputs[there].is_success() {
        return Err(context.error(
            ErrorCode::NotFound,
            format_args!("there is no branch {branch:?}; make it first, from `ref` when it is to follow another"),
        ));
    }
    writer.check_no_conflicts().await?;
    let mut script = writer.script()?;
    let step = script.git([
        "checkout",
        "--quiet",
        "--no-guess",
        "--no-overwrite-ignore",
        "--no-recurse-submodules",
        branch,
        "--",
    ]);
    let outputs = writer.run(script).await?;
    let output = &outputs[step];
    if !output.is_success() {
        return Err(refused(&writer, branch, output));
    }
    Ok(writer.shell.repo_info().await?.head())
}

fn refused(writer: &ContainerWriter, branch: &str, output: &StepOutput) -> EffectError {
    let context = writer.context();
    let files = listed_files(&output.stderr);
    let says = |words: &str| output.stderr.contains(words);
    if !files.is_empty() {
        return context.error(
            ErrorCode::Conflict,
            format_args!(
                "changes would be lost in {}; commit or stash them first",
                listed(&files)
            ),
        );
    }
    if says("already checked out at") || says("already used by worktree at") {
        let other = output
            .stderr
            .split(" at ")
            .last()
            .unwrap_or_default()
            .trim();
        return context.error(
            ErrorCode::Conflict,
            format_args!("the branch {branch:?} is checked out in the worktree {other}"),
        );
    }
    if says("would be overwritten") || says("needs merge") {
        return conflict(context, output);
    }
    git_error::from_output(context, output)
}

impl ContainerWriter {
    /// The commit a guest names, or the one that is checked out.
    pub(super) async fn start(&self, reference: Option<&str>) -> Result<String, EffectError> {
        let Some(reference) = reference else {
            let commit = self.repo_info.commit.clone();
            return commit.ok_or_else(|| no_commit(self.context()));
        };
        let mut script = self.script()?;
        let query =
            RevisionQuery::add_steps(self.context(), &mut script, reference, Wanted::Commit)?;
        let outputs = self.run(script).await?;
        query.read(self.context(), &outputs)
    }

    /// Creates a reference.
    ///
    /// # Errors
    /// `conflict` when it exists, or its name conflicts with another.
    async fn create_reference(&self, name: &str, id: &str, log: &str) -> Result<(), EffectError> {
        let context = self.context();
        let mut script = self.script()?;
        let before = script.git(["rev-parse", "--verify", "-q", name]);
        let absent = self.repo_info.format.absent();
        let step = script.git(["update-ref", "-m", log, name, id, absent]);
        let outputs = self.run(script).await?;
        let output = &outputs[step];
        if output.is_success() {
            return Ok(());
        }
        let says = |words: &str| output.stderr.contains(words);
        Err(if says("reference already exists") {
            context.error(
                ErrorCode::Conflict,
                format_args!("{name:?} exists already, at {}", outputs[before].line()),
            )
        } else if says("cannot create") || says("cannot process") {
            let other = output
                .stderr
                .rsplit(": ")
                .next()
                .and_then(|words| words.split('\'').nth(1))
                .unwrap_or_default();
            context.error(
                ErrorCode::Conflict,
                format_args!(
                    "{name:?} cannot be made while there is {other:?}; choose another name"
                ),
            )
        } else {
            git_error::from_output(context, output)
        })
    }
}
