//! Pull requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{
    Body, OpenState, Page, PageSize, Ref, StateFilter, Title, default_page_size, first_page,
};
use crate::value::RepoName;

/// Names the pull requests to list.
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
    /// Which page, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// How many a page.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of pull requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubPrs {
    /// The pull requests; what only `github_get_pr` knows is absent.
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
    /// Whether it is open.
    pub state: OpenState,
    /// Whether it is not ready for review.
    pub is_draft: bool,
    /// Whether it has been merged.
    pub is_merged: bool,
    /// Whether it could be merged; absent in lists and while GitHub works it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_mergeable: Option<bool>,
    /// The branch it comes from.
    pub head_ref: String,
    /// The newest commit of that branch.
    pub head_sha: String,
    /// The repository it comes from; absent when that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_repo: Option<String>,
    /// The branch it goes into.
    pub base_ref: String,
    /// The commit of that branch it is compared with.
    pub base_sha: String,
    /// The login of who opened it; absent when the account is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Its labels' names.
    pub labels: Vec<String>,
    /// The logins of those it is assigned to.
    pub assignees: Vec<String>,
    /// The logins of those asked to review it.
    pub requested_reviewers: Vec<String>,
    /// The slugs of the teams asked to review it.
    pub requested_teams: Vec<String>,
    /// Its page.
    pub url: String,
    /// When it was opened (RFC 3339).
    pub created_at: String,
    /// When it last changed (RFC 3339).
    pub updated_at: String,
    /// When it was merged (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_at: Option<String>,
    /// The commit it was merged as.
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
    /// The repository it goes into, `owner/name`.
    pub repo: RepoName,
    /// Its title.
    pub title: Title,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// The branch it comes from: `branch`, or `owner:branch` from a fork.
    pub head: Ref,
    /// The branch it goes into; the default branch when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Ref>,
    /// Whether it is not ready for review.
    #[serde(default)]
    pub draft: bool,
}

/// What to change about a pull request.
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
    /// Whether it shall be open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<OpenState>,
    /// The branch it goes into from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Ref>,
}
