//! Effects by `git`.

use exomonad_core::{CallContext, GitService};
use exomonad_schema::EffectError;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;

use super::info::{self, WorktreeQuery};
use super::revision::Wanted;
use super::script::StepOutput;
use super::shell::GitShell;
use super::{ByGit, diff, history, status, transport, write};
use crate::remote::{self, unknown_among};

impl ByGit {
    async fn read_status<R>(
        &self,
        call: &CallContext,
        request: &R,
    ) -> Result<(super::repo_info::RepoInfo, status::Status), EffectError>
    where
        R: exomonad_schema::effect::EffectRequest + RepositoryRequest,
    {
        let shell = GitShell::find(self, call, request).await?;
        shell.check_no_submodule().await?;
        let mut script = shell.script()?;
        let repo_info = shell.query_repo_info(&mut script);
        let step = status::add_steps(&mut script, shell.submodules_option());
        let outputs = shell.run(script).await?;
        let repo_info = repo_info.read(&shell.context, &outputs)?;
        let status = status::read(
            &shell.context,
            &repo_info,
            &outputs[step],
            self.config.max_files as usize,
        )?;
        Ok((repo_info, status))
    }
}

impl GitService for ByGit {
    async fn get_branch(
        &self,
        call: &CallContext,
        request: GitGetBranch,
    ) -> Result<GitBranch, EffectError> {
        let shell = GitShell::find(self, call, &request).await?;
        Ok(shell.repo_info().await?.head())
    }

    async fn get_worktree(
        &self,
        call: &CallContext,
        request: GitGetWorktree,
    ) -> Result<GitWorktree, EffectError> {
        let shell = GitShell::find(self, call, &request).await?;
        let mut script = shell.script()?;
        let repo_info = shell.query_repo_info(&mut script);
        let worktrees = WorktreeQuery::add_steps(&mut script);
        let outputs = shell.run(script).await?;
        let repo_info = repo_info.read(&shell.context, &outputs)?;
        worktrees
            .read(&shell.context, &outputs)?
            .current(&shell.context, &repo_info)
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
        let shell = GitShell::find(self, call, &request).await?;
        let context = &shell.context;
        let limit = request.limit.get();
        let mut script = shell.script()?;
        let repo_info = shell.query_repo_info(&mut script);
        let name = shell.query_revision(&mut script, &request.reference, Wanted::Commit);
        let step = name
            .is_ok()
            .then(|| history::add_steps(&mut script, &request.reference, limit + 1));
        let outputs = shell.run(script).await?;
        let repo_info = repo_info.read(context, &outputs)?;
        if &*request.reference == "HEAD" && repo_info.commit.is_none() {
            return Ok(GitCommits::default());
        }
        name?.read(context, &outputs)?;
        let output = step.map_or_else(StepOutput::default, |step| outputs[step].clone());
        history::read(
            context,
            &output,
            usize::try_from(limit).unwrap_or(usize::MAX),
        )
    }

    async fn status(
        &self,
        call: &CallContext,
        request: GitStatus,
    ) -> Result<GitStatusReport, EffectError> {
        let (repo_info, status) = self.read_status(call, &request).await?;
        Ok(status.report(&repo_info))
    }

    async fn diff(
        &self,
        call: &CallContext,
        request: GitDiff,
    ) -> Result<GitDiffReport, EffectError> {
        let shell = GitShell::find(self, call, &request).await?;
        diff::report(&shell, &request).await
    }

    async fn get_remote_url(
        &self,
        call: &CallContext,
        request: GitGetRemoteUrl,
    ) -> Result<GitRemoteUrl, EffectError> {
        let shell = GitShell::find(self, call, &request).await?;
        let mut script = shell.script()?;
        let repo_info = shell.query_repo_info(&mut script);
        let step = info::add_remotes_step(&mut script);
        let outputs = shell.run(script).await?;
        repo_info.read(&shell.context, &outputs)?;
        let remotes = info::remotes(&shell.context, &outputs, step)?;
        let is_it = |remote: &&GitRemote| remote.name == *request.remote && !remote.url.is_empty();
        match remotes.iter().find(is_it) {
            Some(remote) => Ok(remote::answer(&self.config, remote.url.clone())),
            None => {
                let known: Vec<_> = remotes.into_iter().map(|remote| remote.name).collect();
                Err(unknown_among(&shell.context, &request.remote, &known))
            }
        }
    }

    async fn repo_info(
        &self,
        call: &CallContext,
        request: GitRepoInfo,
    ) -> Result<GitRepository, EffectError> {
        info::read(&GitShell::find(self, call, &request).await?).await
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
        write::list_stashes(&GitShell::find(self, call, &request).await?).await
    }

    async fn create_tag(
        &self,
        call: &CallContext,
        request: GitCreateTag,
    ) -> Result<GitTag, EffectError> {
        self.write(call, request, write::create_tag).await
    }
}
