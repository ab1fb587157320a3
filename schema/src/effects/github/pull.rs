//! Pull requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{
    Body, OpenState, Page, PageSize, Ref, StateFilter, Title, default_page_size, first_page,
};
use crate::value::RepoName;

/// Selects the pull requests to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubListPrs {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// Open, closed or all.
    #[serde(default)]
    pub state: StateFilter,
    /// Only those from this branch: `branch`, or `owner:branch` from a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Ref>,
    /// Only those into this branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Ref>,
    /// The page number, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// Entries per page.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of pull requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubPrs {
    /// The pull requests, without the fields that only `github_get_pr` returns.
    pub prs: Vec<GitHubPr>,
    /// The next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<u32>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubPr {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Open or closed.
    pub state: OpenState,
    /// True for a draft.
    pub is_draft: bool,
    /// True if it has been merged.
    pub is_merged: bool,
    /// True if it can be merged; absent in lists and until GitHub has determined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_mergeable: Option<bool>,
    /// The source branch.
    pub head_ref: String,
    /// The newest commit of the source branch.
    pub head_sha: String,
    /// The source repository; absent when it no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_repo: Option<String>,
    /// The target branch.
    pub base_ref: String,
    /// The commit of the target branch that it is compared with.
    pub base_sha: String,
    /// The login of its author; absent when the account no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Its labels' names.
    pub labels: Vec<String>,
    /// The logins of those it is assigned to.
    pub assignees: Vec<String>,
    /// The logins of the requested reviewers.
    pub requested_reviewers: Vec<String>,
    /// The slugs of the requested teams.
    pub requested_teams: Vec<String>,
    /// Its web page.
    pub url: String,
    /// When it was opened (RFC 3339).
    pub created_at: String,
    /// When it last changed (RFC 3339).
    pub updated_at: String,
    /// When it was merged (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_at: Option<String>,
    /// The commit that merged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_commit_sha: Option<String>,
    /// Lines added; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additions: Option<u64>,
    /// Lines removed; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletions: Option<u64>,
    /// Files changed; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_files: Option<u64>,
}

/// Names the pull request to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubGetPr {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
}

/// Names the branch whose pull request to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubGetPrForBranch {
    /// The repository the pull request is in, `owner/name`.
    pub repo: RepoName,
    /// The branch: `branch`, or `owner:branch` from a fork.
    pub branch: Ref,
}

/// A branch's pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubPrForBranch {
    /// The pull request; absent when there is no open one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pr: Option<GitHubPr>,
}

/// The pull request to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubCreatePr {
    /// The target repository, `owner/name`.
    pub repo: RepoName,
    /// Its title.
    pub title: Title,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The source branch: `branch`, or `owner:branch` from a fork.
    pub head: Ref,
    /// The target branch; the default branch when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Ref>,
    /// Opens it as a draft.
    #[serde(default)]
    pub draft: bool,
}

/// The changes to a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubUpdatePr {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
    /// Its new title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Title>,
    /// Its new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Its new state, open or closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<OpenState>,
    /// Its new target branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Ref>,
}
