//! Reviews of pull requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{Page, PageSize, default_page_size, first_page};
use crate::value::RepoName;

/// Names the pull request whose line comments to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubListReviewComments {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
    /// The page number, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// Entries per page.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of line comments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubReviewComments {
    /// The comments.
    pub comments: Vec<GitHubReviewComment>,
    /// The next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<u32>,
}

/// A comment on lines of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubReviewComment {
    /// Its id.
    pub id: u64,
    /// The comment it replies to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<u64>,
    /// The text.
    pub body: String,
    /// The login of its author; absent when the account no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The file.
    pub path: String,
    /// The last line it refers to; absent when that line is no longer in the diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The first line it refers to, for a range of lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_line: Option<u32>,
    /// The side of the diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<DiffSide>,
    /// The hunk of the diff it refers to.
    pub diff_hunk: String,
    /// The commit it refers to.
    pub commit_id: String,
    /// Its web page.
    pub url: String,
    /// When it was written (RFC 3339).
    pub created_at: String,
    /// When it last changed (RFC 3339).
    pub updated_at: String,
}

/// A side of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffSide {
    /// The old version.
    Left,
    /// The new version.
    Right,
}

/// Names the pull request whose reviews to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubListReviews {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
    /// The page number, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// Entries per page.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of reviews.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubReviews {
    /// The reviews.
    pub reviews: Vec<GitHubReview>,
    /// The next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<u32>,
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubReview {
    /// Its id.
    pub id: u64,
    /// The login of its author; absent when the account no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Its verdict.
    pub state: ReviewState,
    /// Its text; may be empty.
    pub body: String,
    /// The commit it refers to; absent when that no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_id: Option<String>,
    /// When it was submitted (RFC 3339); absent while it is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<String>,
    /// Its web page.
    pub url: String,
}

/// The verdict of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Approved.
    Approved,
    /// Changes are requested.
    ChangesRequested,
    /// A comment without a verdict.
    Commented,
    /// Dismissed; it no longer counts.
    Dismissed,
    /// Not submitted yet.
    Pending,
}

/// Names the reviewers to request for a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubRequestReviewers {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
    /// People's logins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviewers: Vec<String>,
    /// Teams' slugs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub team_reviewers: Vec<String>,
}

/// The requested reviewers who have not reviewed yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubReviewers {
    /// People's logins.
    pub reviewers: Vec<String>,
    /// Teams' slugs.
    pub team_reviewers: Vec<String>,
}
