//! Issues and their comments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{
    Body, OpenState, Page, PageSize, StateFilter, Title, default_page_size, first_page,
};
use crate::value::RepoName;

/// Selects the issues to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubListIssues {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// Open, closed or all.
    #[serde(default)]
    pub state: StateFilter,
    /// Only issues with every one of these labels.
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
    /// The page number, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// Entries per page, counted before pull requests are left out.
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
    /// Open or closed.
    pub state: OpenState,
    /// The reason why it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<IssueCloseReason>,
    /// The login of its author; absent when the account no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Its labels' names.
    pub labels: Vec<String>,
    /// The logins of those it is assigned to.
    pub assignees: Vec<String>,
    /// Its milestone's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestone: Option<u64>,
    /// The number of comments.
    pub comments: u64,
    /// Its web page.
    pub url: String,
    /// When it was opened (RFC 3339).
    pub created_at: String,
    /// When it last changed (RFC 3339).
    pub updated_at: String,
    /// When it was closed (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
}

/// The reason why an issue was closed or reopened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IssueCloseReason {
    /// Done.
    Completed,
    /// Will not be done.
    NotPlanned,
    /// A duplicate of another issue.
    Duplicate,
    /// Reopened.
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

/// The changes to an issue.
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
    /// Its new state, open or closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<OpenState>,
    /// The reason for closing or reopening it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<IssueCloseReason>,
    /// Its new labels, replacing all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Its new assignees, replacing all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignees: Option<Vec<String>>,
}

/// The comment to add to an issue or a pull request.
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
    /// The login of its author; absent when the account no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Its web page.
    pub url: String,
    /// When it was written (RFC 3339).
    pub created_at: String,
    /// When it last changed (RFC 3339).
    pub updated_at: String,
}
