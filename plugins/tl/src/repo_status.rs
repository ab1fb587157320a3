//! `repo_status`.

use exomonad_guest::git;
use exomonad_guest::prelude::*;

use crate::view::{ChangedFile, Commit, changed_files};

/// Which repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepoStatusArgs {
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// How a repository is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoStatus {
    /// The branch that is checked out; absent when HEAD is detached.
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// What HEAD is: `branch`, `unborn` or `detached`.
    head: String,
    /// The branch it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<Upstream>,
    /// Whether nothing has changed since the last commit.
    is_clean: bool,
    /// What the next commit would change.
    staged: Vec<ChangedFile>,
    /// What has changed since it was staged.
    unstaged: Vec<ChangedFile>,
    /// Files git does not know.
    untracked: Vec<ChangedFile>,
    /// Files a merge could not decide.
    conflicted: Vec<ChangedFile>,
    /// The newest commit; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_commit: Option<Commit>,
}

/// A branch that another one follows.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upstream {
    /// Its name, such as `origin/main`.
    name: String,
    /// Commits here that are not there; absent when upstream is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    ahead: Option<u32>,
    /// Commits there that are not here; absent when upstream is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<u32>,
}

/// Tells how the repository is: its branch, how far that is from upstream, what
/// has changed, and the last commit.
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
