//! Check runs and statuses of commits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{Page, PageSize, Ref, default_page_size, first_page};
use crate::value::RepoName;

/// Names the commit whose check runs to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubListCheckRuns {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// A branch, a tag or a commit.
    #[serde(rename = "ref")]
    pub reference: Ref,
    /// The page number, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// Entries per page.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of check runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubCheckRuns {
    /// The check runs.
    pub check_runs: Vec<GitHubCheckRun>,
    /// The number of check runs on all pages.
    pub total: u64,
    /// The next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<u32>,
}

/// A check run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubCheckRun {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its progress.
    pub status: CheckStatus,
    /// Its result; absent until it has completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<CheckConclusion>,
    /// Its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its summary, in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Its web page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
}

/// The progress of a check run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Waiting for a runner, a rule or an approval.
    Queued,
    /// Running.
    InProgress,
    /// Completed.
    Completed,
}

/// The result of a check run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckConclusion {
    /// Succeeded.
    Success,
    /// Failed.
    Failure,
    /// Neither; it does not block merging.
    Neutral,
    /// Cancelled.
    Cancelled,
    /// Skipped; it does not block merging.
    Skipped,
    /// Timed out.
    TimedOut,
    /// Someone has to take action.
    ActionRequired,
    /// GitHub marked it as stale.
    Stale,
    /// It failed to start.
    StartupFailure,
    /// A result that this version does not know.
    Unknown,
}

/// Names the commit whose combined status to report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubGetCombinedStatus {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// A branch, a tag or a commit.
    #[serde(rename = "ref")]
    pub reference: Ref,
}

/// A commit's combined status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubCombinedStatus {
    /// The worst of the statuses; `pending` when there are none.
    pub state: CommitState,
    /// The commit's id.
    pub sha: String,
    /// The newest status of each context.
    pub statuses: Vec<GitHubStatus>,
}

/// A status of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubStatus {
    /// The source of the status, such as `ci/build`.
    pub context: String,
    /// Its state.
    pub state: CommitState,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its web page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The state of a commit or of one of its statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommitState {
    /// Succeeded.
    Success,
    /// Not known yet.
    Pending,
    /// Failed.
    Failure,
    /// The check itself failed.
    Error,
}
