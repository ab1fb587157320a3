//! Checks and statuses of commits.

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
    /// Which page, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// How many a page.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of check runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubCheckRuns {
    /// The check runs.
    pub check_runs: Vec<GitHubCheckRun>,
    /// How many there are on all pages.
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
    /// How far it is.
    pub status: CheckStatus,
    /// How it ended; absent until it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<CheckConclusion>,
    /// What it says, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it says, in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<String>,
}

/// How far a check run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// It waits, for a runner, a rule or an approval.
    Queued,
    /// It runs.
    InProgress,
    /// It has ended.
    Completed,
}

/// How a check run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckConclusion {
    /// Well.
    Success,
    /// Badly.
    Failure,
    /// Neither; it does not stand in the way.
    Neutral,
    /// Someone stopped it.
    Cancelled,
    /// It did not run, and need not.
    Skipped,
    /// It took too long.
    TimedOut,
    /// Someone has to do something.
    ActionRequired,
    /// GitHub gave it up.
    Stale,
    /// It could not begin.
    StartupFailure,
    /// Something GitHub has come up with since.
    Unknown,
}

/// Names the commit whose combined status to give.
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
    /// The worst of the statuses; `pending` when there is none.
    pub state: CommitState,
    /// The commit.
    pub sha: String,
    /// The newest status of each context.
    pub statuses: Vec<GitHubStatus>,
}

/// A status of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubStatus {
    /// Who says it, such as `ci/build`.
    pub context: String,
    /// How it is.
    pub state: CommitState,
    /// Why, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// How a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommitState {
    /// Good.
    Success,
    /// Not known yet.
    Pending,
    /// Bad.
    Failure,
    /// Whoever was to tell has failed itself.
    Error,
}
