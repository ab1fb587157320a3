//! Issues and their comments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{
    Body, OpenState, Page, PageSize, StateFilter, Title, default_page_size, first_page,
};
use crate::value::RepoName;

/// Names the issues to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubListIssues {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// Open, closed or all.
    #[serde(default)]
    pub state: StateFilter,
    /// Only those that carry every one of these labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Only those assigned to this login; `none` for nobody, `*` for anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Only those opened by this login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Only those changed at or after this moment (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Which page, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// How many a page; pull requests are taken out after counting.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of issues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubIssues {
    /// The issues.
    pub issues: Vec<GitHubIssue>,
    /// The next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<u32>,
}

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubIssue {
    /// Its number in the repository.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether it is open.
    pub state: OpenState,
    /// Why it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<IssueCloseReason>,
    /// The login of who opened it; absent when the account is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Its labels' names.
    pub labels: Vec<String>,
    /// The logins of those it is assigned to.
    pub assignees: Vec<String>,
    /// Its milestone's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<u64>,
    /// How many comments it has.
    pub comments: u64,
    /// Its page.
    pub url: String,
    /// When it was opened (RFC 3339).
    pub created_at: String,
    /// When it last changed (RFC 3339).
    pub updated_at: String,
    /// When it was closed (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
}

/// Why an issue was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IssueCloseReason {
    /// It is done.
    Completed,
    /// It will not be done.
    NotPlanned,
    /// It says what another one says.
    Duplicate,
    /// It was opened again.
    Reopened,
}

/// Names the issue to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubGetIssue {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The issue's number.
    pub number: u64,
}

/// The issue to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubCreateIssue {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// Its title.
    pub title: Title,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Its labels' names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The logins of those it is assigned to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<String>,
    /// Its milestone's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<u64>,
}

/// What to change about an issue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubUpdateIssue {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The issue's number.
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
    /// Why it is closed or opened again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<IssueCloseReason>,
    /// All its labels from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// The logins of all those it is assigned to from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignees: Option<Vec<String>>,
}

/// The comment to make on an issue or a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubCommentIssue {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The number of the issue or the pull request.
    pub number: u64,
    /// The text.
    pub body: Body,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubComment {
    /// Its id.
    pub id: u64,
    /// The text.
    pub body: String,
    /// The login of who wrote it; absent when the account is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Its page.
    pub url: String,
    /// When it was written (RFC 3339).
    pub created_at: String,
    /// When it last changed (RFC 3339).
    pub updated_at: String,
}
