//! `recent_work`.

use exomonad_guest::git;
use exomonad_guest::prelude::*;

use crate::view::{ChangedFile, Commit, changed_files};

/// Selects commits of a repository.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecentWorkArgs {
    /// The largest number of commits; 10 when absent.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u64>,
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// Recent work in a repository.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecentWork {
    /// The last commits, newest first.
    commits: Vec<Commit>,
    /// True if there are older ones.
    has_more: bool,
    /// Files with uncommitted changes.
    dirty_files: Vec<ChangedFile>,
}

/// Reports recent work: the last commits, and files with uncommitted changes.
#[tool(title = "Recent work", read_only)]
pub fn recent_work(args: RecentWorkArgs) -> Result<RecentWork, ToolError> {
    let dirty = git::get_dirty_files(&GitGetDirtyFiles {
        working_dir: args.working_dir.clone(),
        ..GitGetDirtyFiles::default()
    })?;
    let history = git::get_recent_commits(&GitGetRecentCommits {
        working_dir: args.working_dir,
        limit: args.limit,
        ..GitGetRecentCommits::default()
    })?;
    Ok(RecentWork {
        commits: history.commits.into_iter().map(Commit::from).collect(),
        has_more: history.has_more,
        dirty_files: changed_files(dirty.files),
    })
}
