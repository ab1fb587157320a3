//! Branches and tags, made and checked out.

use exomonad_schema::effects::git::{
    GitBranch, GitCreateBranch, GitCreateTag, GitNewBranch, GitSwitchBranch, GitTag,
};
use exomonad_schema::{EffectError, ErrorCode};

use super::{ABSENT, Writing, conflict, listed_files};
use crate::git::container::failure;
use crate::git::container::revision::{AskedRevision, Wanted, id};
use crate::git::container::script::{Said, git};
use crate::git::write::branch::no_commit;
use crate::git::write::commit::message;
use crate::git::write::index::listed;
use crate::git::write::refs::name_for;

pub(in crate::git::container) async fn create(
    writing: Writing,
    request: GitCreateBranch,
) -> Result<GitNewBranch, EffectError> {
    let name = name_for(writing.task(), "refs/heads/", &request.branch)?;
    let commit = writing.start(request.reference.as_deref()).await?;
    let from = request.reference.as_deref().unwrap_or("HEAD");
    writing
        .make_reference(&name, &commit, &format!("branch: Created from {from}"))
        .await?;
    Ok(GitNewBranch {
        branch: request.branch.to_string(),
        commit,
    })
}

pub(in crate::git::container) async fn tag(
    writing: Writing,
    request: GitCreateTag,
) -> Result<GitTag, EffectError> {
    let task = writing.task().clone();
    let name = name_for(&task, "refs/tags/", &request.tag)?;
    let commit = writing.start(request.reference.as_deref()).await?;
    let tagged = match &request.message {
        None => commit.clone(),
        Some(text) => {
            let text = message(&task, text)?;
            let who = writing.check_author()?;
            let content = format!(
                "object {commit}\ntype commit\ntag {}\ntagger {} <{}> {} +0000\n\n{text}",
                &*request.tag,
                who.name,
                who.email,
                jiff::Timestamp::now().as_second()
            );
            let mut script = writing.script()?;
            let step = script.shell_with_input(&git(["mktag"]), content.into_bytes());
            let answers = writing.run(script).await?;
            let said = &answers[step];
            if !said.is_success() {
                return Err(failure::of(&task, said));
            }
            id(&task, &said.line())?
        }
    };
    writing
        .make_reference(&name, &tagged, "tag: Created")
        .await?;
    Ok(GitTag {
        tag: request.tag.to_string(),
        id: tagged,
        commit,
    })
}

pub(in crate::git::container) async fn switch(
    writing: Writing,
    request: GitSwitchBranch,
) -> Result<GitBranch, EffectError> {
    let task = writing.task().clone();
    let branch = &*request.branch;
    writing.facts.work_dir(&task)?;
    let name = name_for(&task, "refs/heads/", branch)?;
    let mut script = writing.script()?;
    let there = script.git(["rev-parse", "--verify", "-q", &name]);
    let answers = writing.run(script).await?;
    if !answers[there].is_success() {
        return Err(task.error(
            ErrorCode::NotFound,
            format_args!("there is no branch {branch:?}; make it first, from `ref` when it is to follow another"),
        ));
    }
    writing.check_no_conflicts().await?;
    let mut script = writing.script()?;
    let step = script.git([
        "checkout",
        "--quiet",
        "--no-guess",
        "--no-overwrite-ignore",
        "--no-recurse-submodules",
        branch,
        "--",
    ]);
    let answers = writing.run(script).await?;
    let said = &answers[step];
    if !said.is_success() {
        return Err(refused(&writing, branch, said));
    }
    Ok(writing.place.facts().await?.head())
}

fn refused(writing: &Writing, branch: &str, said: &Said) -> EffectError {
    let task = writing.task();
    let files = listed_files(&said.stderr);
    let says = |words: &str| said.stderr.contains(words);
    if !files.is_empty() {
        return task.error(
            ErrorCode::Conflict,
            format_args!(
                "changes would be lost in {}; commit or stash them first",
                listed(&files)
            ),
        );
    }
    if says("already checked out at") || says("already used by worktree at") {
        let place = said.stderr.split(" at ").last().unwrap_or_default().trim();
        return task.error(
            ErrorCode::Conflict,
            format_args!("the branch {branch:?} is checked out in the worktree {place}"),
        );
    }
    if says("would be overwritten") || says("needs merge") {
        return conflict(task, said);
    }
    failure::of(task, said)
}

impl Writing {
    /// The commit a guest names, or the one that is checked out.
    pub(super) async fn start(&self, reference: Option<&str>) -> Result<String, EffectError> {
        let Some(reference) = reference else {
            let commit = self.facts.commit.clone();
            return commit.ok_or_else(|| no_commit(self.task()));
        };
        let mut script = self.script()?;
        let asked = AskedRevision::ask(self.task(), &mut script, reference, Wanted::Commit)?;
        let answers = self.run(script).await?;
        asked.read(self.task(), &answers)
    }

    /// Makes a reference that is not there yet.
    ///
    /// # Errors
    /// `conflict` when it is, or a name in its way is taken.
    async fn make_reference(&self, name: &str, id: &str, log: &str) -> Result<(), EffectError> {
        let task = self.task();
        let mut script = self.script()?;
        let before = script.git(["rev-parse", "--verify", "-q", name]);
        let step = script.git(["update-ref", "-m", log, name, id, ABSENT]);
        let answers = self.run(script).await?;
        let said = &answers[step];
        if said.is_success() {
            return Ok(());
        }
        let says = |words: &str| said.stderr.contains(words);
        Err(if says("reference already exists") {
            task.error(
                ErrorCode::Conflict,
                format_args!("{name:?} exists already, at {}", answers[before].line()),
            )
        } else if says("cannot create") || says("cannot process") {
            let other = said
                .stderr
                .rsplit(": ")
                .next()
                .and_then(|words| words.split('\'').nth(1))
                .unwrap_or_default();
            task.error(
                ErrorCode::Conflict,
                format_args!(
                    "{name:?} cannot be made while there is {other:?}; choose another name"
                ),
            )
        } else {
            failure::of(task, said)
        })
    }
}
