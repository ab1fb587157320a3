//! Git repositories, read only.
//!
//! Paths in answers are relative to the repository's root, with `/` between
//! parts. Git's paths are bytes: `path` is their text for people, exact when
//! they are UTF-8; otherwise `pathBytes` is there too and holds them exactly
//! ([`Base64::lossy_text`](crate::Base64::lossy_text)).

mod diff;
mod history;
mod repository;
mod status;

pub use diff::{DiffAgainst, DiffBetween, DiffFile, DiffTarget, GitDiff, GitDiffReport};
pub use history::{GitCommit, GitCommits, GitGetRecentCommits, GitPerson};
pub use repository::{
    GitBranch, GitGetBranch, GitGetRemoteUrl, GitGetWorktree, GitHead, GitRemote, GitRemoteUrl,
    GitRepoInfo, GitRepository, GitWorktree,
};
pub use status::{
    ChangeKind, GitChange, GitDirtyFiles, GitGetDirtyFiles, GitStatus, GitStatusReport, GitUpstream,
};
