//! Git repositories, read and written.
//!
//! Paths in answers are relative to the repository's root, with `/` as separator.
//! Git's paths are bytes: `path` is their text, exact when they are UTF-8;
//! otherwise `pathBytes` is present too and holds them exactly
//! ([`Base64::lossy_text`](crate::Base64::lossy_text)).
//!
//! A request for a repository in a container names the container; its answer is
//! the same as for a repository on the host.

mod branch;
mod commit;
mod diff;
mod history;
mod location;
mod remote;
mod repository;
mod stash;
mod status;
mod worktree;

pub use branch::{GitCreateBranch, GitCreateTag, GitNewBranch, GitSwitchBranch, GitTag};
pub use commit::{GitCreateCommit, GitStage, GitStaged};
pub use diff::{DiffAgainst, DiffBetween, DiffFile, DiffTarget, GitDiff, GitDiffReport};
pub use history::{GitCommit, GitCommits, GitGetRecentCommits, GitPerson};
pub use location::RepositoryRequest;
pub use remote::{GitFetch, GitFetched, GitPush, GitPushed, GitRefChange, GitRefUpdate};
pub use repository::{
    GitBranch, GitGetBranch, GitGetRemoteUrl, GitGetWorktree, GitHead, GitRemote, GitRemoteUrl,
    GitRepoInfo, GitRepository, GitWorktree,
};
pub use stash::{
    GitListStashes, GitPopStash, GitPoppedStash, GitStash, GitStashEntry, GitStashed, GitStashes,
};
pub use status::{
    ChangeKind, GitChange, GitDirtyFiles, GitGetDirtyFiles, GitStatus, GitStatusReport, GitUpstream,
};
pub use worktree::{GitAddWorktree, GitRemoveWorktree};
