//! Effects on repositories of the host, by libgit2.

use std::sync::Arc;

use exomonad_core::{CallContext, GitService, PathBounds};
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;
use exomonad_schema::value::WorkingDir;
use exomonad_schema::{EffectError, ErrorCode};

use super::authorize::AuthorizedRepo;
use super::blocking::{BlockingPool, Job};
use super::by_git::ByGit;
use super::effect_context::EffectContext;
use super::memory::MemoryLimits;
use super::only_git::{OnlyGit, is_of_unknown_kind};
use super::open::OpenRepo;
use super::permits::Permits;
use super::write::RepoWriter;
use super::write::repo_locks::RepoLocks;
use super::{GitConfig, diff, head, history, info, remote, status, transport, worktree, write};

/// Effects on repositories of the host.
#[derive(Debug)]
pub(super) struct OnHost {
    pub(super) config: Arc<GitConfig>,
    pub(super) process_limit: Permits,
    jobs: BlockingPool,
    repo_locks: RepoLocks,
}

impl OnHost {
    pub(super) fn new(config: Arc<GitConfig>, process_limit: Permits) -> Self {
        Self {
            jobs: BlockingPool::new(config.max_concurrent, config.time_limit.get()),
            repo_locks: RepoLocks::default(),
            process_limit,
            config,
        }
    }

    /// Opens the repository around `working_dir` and works on it, on a blocking thread.
    pub(super) async fn read<R, T>(
        &self,
        call: &CallContext,
        working_dir: &WorkingDir,
        work: impl FnOnce(&OpenRepo, &Job) -> Result<T, EffectError> + Send + 'static,
    ) -> Result<T, EffectError>
    where
        R: EffectRequest,
        T: Send + 'static,
    {
        let context = EffectContext::new(R::KIND, call, working_dir);
        let bounds = call.bounds.get::<PathBounds>().clone();
        let limits = MemoryLimits::reading(self.config.max_file.get());
        self.jobs
            .run(context, limits, move |context, job| {
                work(&OpenRepo::open(context, &bounds, job)?, job)
            })
            .await
    }

    /// The repository around a folder, by `git`, if that alone knows its kind.
    pub(super) async fn by_git<R: EffectRequest + RepositoryRequest>(
        &self,
        call: &CallContext,
        request: &R,
    ) -> Result<Option<ByGit>, EffectError> {
        self.find_by_git(call, request, is_of_unknown_kind).await
    }

    async fn find_by_git<R: EffectRequest + RepositoryRequest>(
        &self,
        call: &CallContext,
        request: &R,
        needs_git: fn(&AuthorizedRepo) -> bool,
    ) -> Result<Option<ByGit>, EffectError> {
        let context = EffectContext::new(R::KIND, call, request.working_dir());
        let bounds = call.bounds.get::<PathBounds>().clone();
        let limits = MemoryLimits::reading(self.config.max_file.get());
        let found = self.jobs.run(context, limits, move |context, job| {
            OnlyGit::find(context, &bounds, job, needs_git)
        });
        let (config, process_limit) = (self.config.clone(), self.process_limit.clone());
        Ok(found
            .await?
            .map(|repo| ByGit::on_host(repo, config, process_limit)))
    }

    /// The repository around a folder, by `git`, where libgit2 knows its kind and compares otherwise.
    async fn compare_by_git<R: EffectRequest + RepositoryRequest>(
        &self,
        call: &CallContext,
        request: &R,
    ) -> Result<ByGit, EffectError> {
        let found = self.find_by_git(call, request, |_| true).await?;
        found.ok_or_else(|| {
            EffectContext::new(R::KIND, call, request.working_dir()).error(
                ErrorCode::Unsupported,
                "libgit2, by which the host works on repositories, does not compare this one as git does; \
                 use git itself",
            )
        })
    }

    /// Opens the repository around `working_dir` to write to it, under its lock, on
    /// a blocking thread.
    ///
    /// Dropping the future lets work that has begun run to its end; the next
    /// writer waits for it.
    pub(super) async fn write<R, T>(
        &self,
        call: &CallContext,
        working_dir: &WorkingDir,
        work: impl FnOnce(&RepoWriter<'_>) -> Result<T, EffectError> + Send + 'static,
    ) -> Result<T, EffectError>
    where
        R: EffectRequest,
        T: Send + 'static,
    {
        let common_dir = self
            .read::<R, _>(call, working_dir, |repo, _| {
                Ok(repo.common_dir().to_owned())
            })
            .await?;
        let context = EffectContext::new(R::KIND, call, working_dir);
        let time_limit = self.config.time_limit.get();
        let locked = tokio::time::timeout(time_limit, self.repo_locks.lock(common_dir)).await;
        let guard = locked.map_err(|_| {
            context.error(
                ErrorCode::Unavailable,
                format_args!(
                    "other changes to the repository have not ended in {time_limit:?}; try again"
                ),
            )
        })?;
        let limits = MemoryLimits::writing(self.config.max_file.get());
        let bounds = call.bounds.get::<PathBounds>().clone();
        let config = self.config.clone();
        self.jobs
            .run(context, limits, move |context, job| {
                let _guard = guard;
                work(&RepoWriter::begin(context, &bounds, job, &config)?)
            })
            .await
    }
}

impl GitService for OnHost {
    async fn get_branch(
        &self,
        call: &CallContext,
        request: GitGetBranch,
    ) -> Result<GitBranch, EffectError> {
        self.read::<GitGetBranch, _>(call, &request.working_dir, |repo, _| head::read(repo))
            .await
    }

    async fn get_worktree(
        &self,
        call: &CallContext,
        request: GitGetWorktree,
    ) -> Result<GitWorktree, EffectError> {
        self.read::<GitGetWorktree, _>(call, &request.working_dir, |repo, _| {
            worktree::current(repo)
        })
        .await
    }

    async fn get_dirty_files(
        &self,
        call: &CallContext,
        request: GitGetDirtyFiles,
    ) -> Result<GitDirtyFiles, EffectError> {
        let max_files = self.config.max_files as usize;
        let told = self
            .read::<GitGetDirtyFiles, _>(call, &request.working_dir, move |repo, _| {
                status::dirty_files(repo, max_files)
            })
            .await?;
        match told {
            Some(told) => Ok(told),
            None => {
                let by_git = self.compare_by_git(call, &request).await?;
                Box::pin(by_git.get_dirty_files(call, request)).await
            }
        }
    }

    async fn get_recent_commits(
        &self,
        call: &CallContext,
        request: GitGetRecentCommits,
    ) -> Result<GitCommits, EffectError> {
        let GitGetRecentCommits {
            working_dir,
            limit,
            reference,
            ..
        } = request;
        self.read::<GitGetRecentCommits, _>(call, &working_dir, move |repo, job| {
            history::recent(repo, job, &reference, limit.get())
        })
        .await
    }

    async fn status(
        &self,
        call: &CallContext,
        request: GitStatus,
    ) -> Result<GitStatusReport, EffectError> {
        let max_files = self.config.max_files as usize;
        let told = self
            .read::<GitStatus, _>(call, &request.working_dir, move |repo, _| {
                status::report(repo, max_files)
            })
            .await?;
        match told {
            Some(told) => Ok(told),
            None => {
                let by_git = self.compare_by_git(call, &request).await?;
                Box::pin(by_git.status(call, request)).await
            }
        }
    }

    async fn diff(
        &self,
        call: &CallContext,
        request: GitDiff,
    ) -> Result<GitDiffReport, EffectError> {
        let limits = diff::DiffLimits {
            max_files: self.config.max_files as usize,
            max_file_bytes: self.config.max_file.get(),
        };
        let (working_dir, asked) = (request.working_dir.clone(), request.clone());
        let told = self
            .read::<GitDiff, _>(call, &working_dir, move |repo, job| {
                diff::report(repo, job, &asked, limits)
            })
            .await?;
        match told {
            Some(told) => Ok(told),
            None => {
                let by_git = self.compare_by_git(call, &request).await?;
                Box::pin(by_git.diff(call, request)).await
            }
        }
    }

    async fn get_remote_url(
        &self,
        call: &CallContext,
        request: GitGetRemoteUrl,
    ) -> Result<GitRemoteUrl, EffectError> {
        let GitGetRemoteUrl {
            working_dir,
            remote,
            ..
        } = request;
        let config = self.config.clone();
        self.read::<GitGetRemoteUrl, _>(call, &working_dir, move |repo, _| {
            remote::url_of(repo, &config, &remote)
        })
        .await
    }

    async fn repo_info(
        &self,
        call: &CallContext,
        request: GitRepoInfo,
    ) -> Result<GitRepository, EffectError> {
        self.read::<GitRepoInfo, _>(call, &request.working_dir, |repo, _| info::read(repo))
            .await
    }

    async fn create_branch(
        &self,
        call: &CallContext,
        request: GitCreateBranch,
    ) -> Result<GitNewBranch, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitCreateBranch, _>(call, &working_dir, move |writer| {
            write::create_branch(writer, &request.branch, request.reference.as_deref())
        })
        .await
    }

    async fn switch_branch(
        &self,
        call: &CallContext,
        request: GitSwitchBranch,
    ) -> Result<GitBranch, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitSwitchBranch, _>(call, &working_dir, move |writer| {
            write::switch_branch(writer, &request.branch)
        })
        .await
    }

    async fn stage(&self, call: &CallContext, request: GitStage) -> Result<GitStaged, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitStage, _>(call, &working_dir, move |writer| {
            write::stage(writer, &request.paths, request.all)
        })
        .await
    }

    async fn commit(
        &self,
        call: &CallContext,
        request: GitCreateCommit,
    ) -> Result<GitCommit, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitCreateCommit, _>(call, &working_dir, move |writer| {
            write::create_commit(writer, &request)
        })
        .await
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
        let working_dir = request.working_dir.clone();
        self.write::<GitAddWorktree, _>(call, &working_dir, move |writer| {
            write::add_worktree(writer, &request)
        })
        .await
    }

    async fn remove_worktree(
        &self,
        call: &CallContext,
        request: GitRemoveWorktree,
    ) -> Result<Done, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitRemoveWorktree, _>(call, &working_dir, move |writer| {
            write::remove_worktree(writer, &request).map(|()| Done {})
        })
        .await
    }

    async fn stash(
        &self,
        call: &CallContext,
        request: GitStash,
    ) -> Result<GitStashed, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitStash, _>(call, &working_dir, move |writer| {
            write::stash(writer, &request.message, request.include_untracked)
        })
        .await
    }

    async fn pop_stash(
        &self,
        call: &CallContext,
        request: GitPopStash,
    ) -> Result<GitPoppedStash, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitPopStash, _>(call, &working_dir, move |writer| {
            write::pop_stash(writer, request.index.get())
        })
        .await
    }

    async fn list_stashes(
        &self,
        call: &CallContext,
        request: GitListStashes,
    ) -> Result<GitStashes, EffectError> {
        self.read::<GitListStashes, _>(call, &request.working_dir, |repo, _| {
            write::list_stashes(repo)
        })
        .await
    }

    async fn create_tag(
        &self,
        call: &CallContext,
        request: GitCreateTag,
    ) -> Result<GitTag, EffectError> {
        let working_dir = request.working_dir.clone();
        self.write::<GitCreateTag, _>(call, &working_dir, move |writer| {
            write::create_tag(
                writer,
                &request.tag,
                request.reference.as_deref(),
                request.message.as_deref(),
            )
        })
        .await
    }
}
