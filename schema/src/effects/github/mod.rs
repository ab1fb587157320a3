//! GitHub: repositories, issues, pull requests, reviews and checks.
//!
//! The shapes follow GitHub's REST API (<https://docs.github.com/rest>), reduced
//! to what agents need. Lists are paginated: an answer's `nextPage` is the `page`
//! of the next request, and is absent on the last page.

mod check;
mod issue;
mod merge;
mod pull;
mod repo;
mod review;

pub use check::{
    CheckConclusion, CheckStatus, CommitState, GitHubCheckRun, GitHubCheckRuns,
    GitHubCombinedStatus, GitHubGetCombinedStatus, GitHubListCheckRuns, GitHubStatus,
};
pub use issue::{
    GitHubComment, GitHubCommentIssue, GitHubCreateIssue, GitHubGetIssue, GitHubIssue,
    GitHubIssues, GitHubListIssues, GitHubUpdateIssue, IssueCloseReason,
};
pub use merge::{GitHubMerge, GitHubMergePr, MergeMethod};
pub use pull::{
    GitHubCreatePr, GitHubGetPr, GitHubGetPrForBranch, GitHubListPrs, GitHubPr, GitHubPrForBranch,
    GitHubPrs, GitHubUpdatePr,
};
pub use repo::{GitHubGetRepo, GitHubLabel, GitHubLabels, GitHubListLabels, GitHubRepo};
pub use review::{
    DiffSide, GitHubListReviewComments, GitHubListReviews, GitHubRequestReviewers, GitHubReview,
    GitHubReviewComment, GitHubReviewComments, GitHubReviewers, GitHubReviews, ReviewState,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BoundedInt, BoundedText};

/// The page number of a list, from 1.
pub type Page = BoundedInt<1, 100_000>;

/// The number of entries per page.
pub type PageSize = BoundedInt<1, 100>;

/// A title: 1 to 256 characters, as GitHub has it.
pub type Title = BoundedText<1, 256>;

/// A text in GitHub's Markdown: up to 65536 characters.
pub type Body = BoundedText<0, 65_536>;

/// A branch, a tag or a commit.
pub type Ref = BoundedText<1, 1024>;

const fn first_page() -> Page {
    Page::constant::<1>()
}

const fn default_page_size() -> PageSize {
    PageSize::constant::<30>()
}

/// The state of an issue or a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OpenState {
    /// Open.
    Open,
    /// Closed; a merged pull request is closed too.
    Closed,
}

/// The states of issues or pull requests to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateFilter {
    /// Only open ones.
    #[default]
    Open,
    /// Only closed ones.
    Closed,
    /// All.
    All,
}
