//! The service under test, for the place this suite is about.

use exomonad_schema::effects::Done;
use exomonad_schema::effects::git::*;
use exomonad_schema::{CallContext, EffectError, GitService};
use exomonad_services::{Git, GitConfig};

use crate::target;

/// Passes each effect on, for the place this suite is about.
pub struct Service(Git);

pub fn service() -> Service {
    service_with(GitConfig::default())
}

pub fn service_with(config: GitConfig) -> Service {
    Service(target::service(config))
}

macro_rules! pass_on {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        impl GitService for Service {
            $(async fn $method(
                &self,
                call: &CallContext,
                request: $Request,
            ) -> Result<$Answer, EffectError> {
                self.0.$method(call, target::place(call, request)).await
            })*
        }
    };
}

pass_on! {
    get_branch(GitGetBranch) -> GitBranch;
    get_worktree(GitGetWorktree) -> GitWorktree;
    get_dirty_files(GitGetDirtyFiles) -> GitDirtyFiles;
    get_recent_commits(GitGetRecentCommits) -> GitCommits;
    status(GitStatus) -> GitStatusReport;
    diff(GitDiff) -> GitDiffReport;
    get_remote_url(GitGetRemoteUrl) -> GitRemoteUrl;
    repo_info(GitRepoInfo) -> GitRepository;
    create_branch(GitCreateBranch) -> GitNewBranch;
    switch_branch(GitSwitchBranch) -> GitBranch;
    stage(GitStage) -> GitStaged;
    commit(GitCreateCommit) -> GitCommit;
    push(GitPush) -> GitPushed;
    fetch(GitFetch) -> GitFetched;
    add_worktree(GitAddWorktree) -> GitWorktree;
    remove_worktree(GitRemoveWorktree) -> Done;
    stash(GitStash) -> GitStashed;
    pop_stash(GitPopStash) -> GitPoppedStash;
    list_stashes(GitListStashes) -> GitStashes;
    create_tag(GitCreateTag) -> GitTag;
}
