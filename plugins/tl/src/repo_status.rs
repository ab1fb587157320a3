//! `repo_status`.

use exomonad_guest::git;
use exomonad_guest::prelude::*;

use crate::view::{ChangedFile, Commit, changed_files};

/// Selects a repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepoStatusArgs {
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// The status of a repository.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoStatus {
    /// The current branch; absent when HEAD is detached.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// The kind of HEAD: `branch`, `unborn` or `detached`.
    head: String,
    /// Its upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<Upstream>,
    /// True if nothing has changed since the last commit.
    is_clean: bool,
    /// Staged changes.
    staged: Vec<ChangedFile>,
    /// Unstaged changes of tracked files.
    unstaged: Vec<ChangedFile>,
    /// Untracked files.
    untracked: Vec<ChangedFile>,
    /// Files with merge conflicts.
    conflicted: Vec<ChangedFile>,
    /// The newest commit; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_commit: Option<Commit>,
}

/// The upstream of a branch.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Its name, such as `origin/main`.
    name: String,
    /// Commits that upstream lacks; absent when upstream no longer exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<u32>,
    /// Commits that only upstream has; absent when upstream no longer exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<u32>,
}

/// Reports the status of the repository: its branch, the distance from upstream, the
/// changes, and the last commit.
#[tool(title = "Repository status", read_only)]
pub fn repo_status(args: RepoStatusArgs) -> Result<RepoStatus, ToolError> {
    let status = git::status(&GitStatus {
        working_dir: args.working_dir.clone(),
        ..GitStatus::default()
    })?;
    let newest = GitGetRecentCommits {
        working_dir: args.working_dir,
        limit: Some(1),
        ..GitGetRecentCommits::default()
    };
    let last_commit = git::get_recent_commits(&newest)?.commits.into_iter().next();
    Ok(RepoStatus {
        branch: status.head.branch,
        head: status.head.head.name().to_owned(),
        upstream: status.upstream.map(|upstream| Upstream {
            name: upstream.name,
            ahead: upstream.ahead,
            behind: upstream.behind,
        }),
        is_clean: status.is_clean,
        staged: changed_files(status.staged),
        unstaged: changed_files(status.unstaged),
        untracked: changed_files(status.untracked),
        conflicted: changed_files(status.conflicted),
        last_commit: last_commit.map(Commit::from),
    })
}
