//! The effects, each in its own room.

use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;
use exomonad_schema::{CallContext, EffectError, GitService};

use super::info::{self, AskedWorktrees};
use super::place::Place;
use super::revision::{AskedRevision, Wanted};
use super::script::Said;
use super::{InContainer, diff, history, status, transport, write};
use crate::git::remote::unknown_among;

impl InContainer {
    async fn read_status<R>(
        &self,
        call: &CallContext,
        request: &R,
    ) -> Result<(super::facts::Facts, status::Status), EffectError>
    where
        R: exomonad_schema::effect::EffectRequest + RepositoryRequest,
    {
        let place = Place::find(self, call, request).await?;
        let mut script = place.script()?;
        let facts = place.ask_facts(&mut script);
        let step = status::ask(&mut script);
        let answers = place.run(script).await?;
        let facts = facts.read(&place.task, &answers)?;
        let status = status::read(&place.task, &facts, &answers[step], self.config.max_files)?;
        Ok((facts, status))
    }
}

impl GitService for InContainer {
    async fn get_branch(
        &self,
        call: &CallContext,
        request: GitGetBranch,
    ) -> Result<GitBranch, EffectError> {
        let place = Place::find(self, call, &request).await?;
        Ok(place.facts().await?.head())
    }

    async fn get_worktree(
        &self,
        call: &CallContext,
        request: GitGetWorktree,
    ) -> Result<GitWorktree, EffectError> {
        let place = Place::find(self, call, &request).await?;
        let mut script = place.script()?;
        let facts = place.ask_facts(&mut script);
        let worktrees = AskedWorktrees::ask(&mut script);
        let answers = place.run(script).await?;
        let facts = facts.read(&place.task, &answers)?;
        worktrees
            .read(&place.task, &answers)?
            .current(&place.task, &facts)
    }

    async fn get_dirty_files(
        &self,
        call: &CallContext,
        request: GitGetDirtyFiles,
    ) -> Result<GitDirtyFiles, EffectError> {
        let (_, status) = self.read_status(call, &request).await?;
        Ok(status.dirty_files())
    }

    async fn get_recent_commits(
        &self,
        call: &CallContext,
        request: GitGetRecentCommits,
    ) -> Result<GitCommits, EffectError> {
        let place = Place::find(self, call, &request).await?;
        let task = &place.task;
        let limit = request.limit.get();
        let mut script = place.script()?;
        let facts = place.ask_facts(&mut script);
        let name = AskedRevision::ask(task, &mut script, &request.reference, Wanted::Commit);
        let step = name
            .is_ok()
            .then(|| history::ask(&mut script, &request.reference, limit + 1));
        let answers = place.run(script).await?;
        let facts = facts.read(task, &answers)?;
        if &*request.reference == "HEAD" && facts.commit.is_none() {
            return Ok(GitCommits::default());
        }
        name?.read(task, &answers)?;
        let said = step.map_or_else(Said::default, |step| answers[step].clone());
        history::read(task, &said, usize::try_from(limit).unwrap_or(usize::MAX))
    }

    async fn status(
        &self,
        call: &CallContext,
        request: GitStatus,
    ) -> Result<GitStatusReport, EffectError> {
        let (facts, status) = self.read_status(call, &request).await?;
        Ok(status.report(&facts))
    }

    async fn diff(
        &self,
        call: &CallContext,
        request: GitDiff,
    ) -> Result<GitDiffReport, EffectError> {
        let place = Place::find(self, call, &request).await?;
        diff::report(&place, &request).await
    }

    async fn get_remote_url(
        &self,
        call: &CallContext,
        request: GitGetRemoteUrl,
    ) -> Result<GitRemoteUrl, EffectError> {
        let place = Place::find(self, call, &request).await?;
        let mut script = place.script()?;
        let facts = place.ask_facts(&mut script);
        let step = info::ask_remotes(&mut script);
        let answers = place.run(script).await?;
        facts.read(&place.task, &answers)?;
        let remotes = info::remotes(&place.task, &answers, step)?;
        let is_it = |remote: &&GitRemote| remote.name == *request.remote && !remote.url.is_empty();
        match remotes.iter().find(is_it) {
            Some(remote) => Ok(GitRemoteUrl {
                url: remote.url.clone(),
            }),
            None => {
                let known: Vec<_> = remotes.into_iter().map(|remote| remote.name).collect();
                Err(unknown_among(&place.task, &request.remote, &known))
            }
        }
    }

    async fn repo_info(
        &self,
        call: &CallContext,
        request: GitRepoInfo,
    ) -> Result<GitRepository, EffectError> {
        info::read(&Place::find(self, call, &request).await?).await
    }

    async fn create_branch(
        &self,
        call: &CallContext,
        request: GitCreateBranch,
    ) -> Result<GitNewBranch, EffectError> {
        self.write(call, request, write::create_branch).await
    }

    async fn switch_branch(
        &self,
        call: &CallContext,
        request: GitSwitchBranch,
    ) -> Result<GitBranch, EffectError> {
        self.write(call, request, write::switch_branch).await
    }

    async fn stage(&self, call: &CallContext, request: GitStage) -> Result<GitStaged, EffectError> {
        self.write(call, request, write::stage).await
    }

    async fn commit(
        &self,
        call: &CallContext,
        request: GitCreateCommit,
    ) -> Result<GitCommit, EffectError> {
        self.write(call, request, write::create_commit).await
    }

    async fn push(&self, call: &CallContext, request: GitPush) -> Result<GitPushed, EffectError> {
        transport::push(self, call, request).await
    }

    async fn fetch(
        &self,
        call: &CallContext,
        request: GitFetch,
    ) -> Result<GitFetched, EffectError> {
        transport::fetch(self, call, request).await
    }

    async fn add_worktree(
        &self,
        call: &CallContext,
        request: GitAddWorktree,
    ) -> Result<GitWorktree, EffectError> {
        self.write(call, request, write::add_worktree).await
    }

    async fn remove_worktree(
        &self,
        call: &CallContext,
        request: GitRemoveWorktree,
    ) -> Result<Done, EffectError> {
        self.write(call, request, write::remove_worktree).await
    }

    async fn stash(
        &self,
        call: &CallContext,
        request: GitStash,
    ) -> Result<GitStashed, EffectError> {
        self.write(call, request, write::stash).await
    }

    async fn pop_stash(
        &self,
        call: &CallContext,
        request: GitPopStash,
    ) -> Result<GitPoppedStash, EffectError> {
        self.write(call, request, write::pop_stash).await
    }

    async fn list_stashes(
        &self,
        call: &CallContext,
        request: GitListStashes,
    ) -> Result<GitStashes, EffectError> {
        write::list_stashes(&Place::find(self, call, &request).await?).await
    }

    async fn create_tag(
        &self,
        call: &CallContext,
        request: GitCreateTag,
    ) -> Result<GitTag, EffectError> {
        self.write(call, request, write::create_tag).await
    }
}
