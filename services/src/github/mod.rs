//! The GitHub service: issues, pull requests, reviews and checks of the
//! repositories a role may reach, with the host's token.
//!
//! An effect is a request of GitHub's REST API (<https://docs.github.com/rest>).
//! Each says what to send and what the answer means, and nothing else
//! (`ask::Endpoint`); how it gets there is the same for all:
//!
//! 1. the repository is one of the role's (`role.NAME.repos`), and the host has a token;
//! 2. what is known is asked for conditionally, which costs nothing of the rate limit;
//! 3. nothing is sent while GitHub has asked for a pause;
//! 4. what only reads is sent again after a passing failure, and follows
//!    GitHub's redirects of renamed repositories, on the same host. What writes
//!    is sent once, whatever comes of it, and an error says when it may have
//!    happened all the same;
//! 5. all of it within one time limit, and no answer larger than may be.
//!
//! A repository that was renamed or transferred is still reached under the name
//! the role was granted, as GitHub has it.
//!
//! The token goes to the base URL's host alone, no error, log line or `Debug`
//! shows it, and where a server sends it back it is cut out of errors.
//!
//! | module | subject |
//! |---|---|
//! | `config`, `base`, `token` | what can be set |
//! | `bounds` | which repositories a role reaches |
//! | `errand` | one effect under way, and its errors |
//! | `ask` | what is sent |
//! | `send` | the one way there and back |
//! | `cache` | answers kept to be asked for conditionally |
//! | `limits` | rate limits |
//! | `refusal` | what GitHub refuses, in the contract's codes |
//! | `client` | octocrab, and the connection below it |
//! | `repos`, `issues`, `pulls`, `reviews`, `checks` | the effects |
//! | `several` | those that take several requests |
//! | `wire` | parts that answers share |

mod ask;
mod base;
mod bounds;
mod cache;
mod checks;
mod client;
mod config;
mod errand;
mod issues;
mod limits;
mod pulls;
mod refusal;
mod repos;
mod reviews;
mod send;
mod several;
mod wire;

use std::sync::OnceLock;

use exomonad_core::patterns::is_loopback;
use exomonad_core::{CallContext, GitHubService};
use exomonad_schema::EffectError;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::github::{
    GitHubCheckRuns, GitHubCombinedStatus, GitHubComment, GitHubCommentIssue, GitHubCreateIssue,
    GitHubCreatePr, GitHubGetCombinedStatus, GitHubGetIssue, GitHubGetPr, GitHubGetPrForBranch,
    GitHubGetRepo, GitHubIssue, GitHubIssues, GitHubLabels, GitHubListCheckRuns, GitHubListIssues,
    GitHubListLabels, GitHubListPrs, GitHubListReviewComments, GitHubListReviews, GitHubMerge,
    GitHubMergePr, GitHubPr, GitHubPrForBranch, GitHubPrs, GitHubRepo, GitHubRequestReviewers,
    GitHubReviewComments, GitHubReviewers, GitHubReviews, GitHubUpdateIssue, GitHubUpdatePr,
};
use octocrab::Octocrab;
use tokio::sync::Semaphore;

pub use base::BadBase;
pub(crate) use bounds::allow;
pub use config::{GitHubConfig, GitHubConfigError};

use base::Base;
use cache::Cache;
use limits::Pause;

/// The GitHub service. Cheap to share behind an `Arc`. Its connections belong
/// to the tokio runtime of its first request, and end with that.
#[derive(Debug)]
pub struct GitHub {
    config: GitHubConfig,
    base: Base,
    octocrab: OnceLock<Octocrab>,
    turns: Semaphore,
    cache: Cache,
    pause: Pause,
}

impl GitHub {
    /// Prepares the service. Asks nobody: whether the token is any good shows
    /// with the first effect.
    ///
    /// # Errors
    /// When a setting makes no sense.
    pub fn new(config: GitHubConfig) -> Result<Self, GitHubConfigError> {
        let base = config.checked()?;
        if config.token.is_some() && !base.is_https() && !is_loopback(base.host()) {
            tracing::warn!(
                github = base.origin(),
                "`github.base_url` is not https: the token crosses the network unencrypted"
            );
        }
        Ok(Self {
            octocrab: OnceLock::new(),
            turns: Semaphore::new(config.max_concurrent.min(Semaphore::MAX_PERMITS)),
            cache: Cache::new(config.cache_bytes),
            pause: Pause::default(),
            base,
            config,
        })
    }
}

impl GitHubService for GitHub {
    async fn get_repo(
        &self,
        call: &CallContext,
        request: GitHubGetRepo,
    ) -> Result<GitHubRepo, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn list_labels(
        &self,
        call: &CallContext,
        request: GitHubListLabels,
    ) -> Result<GitHubLabels, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn list_issues(
        &self,
        call: &CallContext,
        request: GitHubListIssues,
    ) -> Result<GitHubIssues, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn get_issue(
        &self,
        call: &CallContext,
        request: GitHubGetIssue,
    ) -> Result<GitHubIssue, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn create_issue(
        &self,
        call: &CallContext,
        request: GitHubCreateIssue,
    ) -> Result<GitHubIssue, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn update_issue(
        &self,
        call: &CallContext,
        request: GitHubUpdateIssue,
    ) -> Result<GitHubIssue, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn comment_issue(
        &self,
        call: &CallContext,
        request: GitHubCommentIssue,
    ) -> Result<GitHubComment, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn list_prs(
        &self,
        call: &CallContext,
        request: GitHubListPrs,
    ) -> Result<GitHubPrs, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn get_pr(
        &self,
        call: &CallContext,
        request: GitHubGetPr,
    ) -> Result<GitHubPr, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn get_pr_for_branch(
        &self,
        call: &CallContext,
        request: GitHubGetPrForBranch,
    ) -> Result<GitHubPrForBranch, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn create_pr(
        &self,
        call: &CallContext,
        request: GitHubCreatePr,
    ) -> Result<GitHubPr, EffectError> {
        let errand = self.admit(GitHubCreatePr::KIND, call, &request.repo)?;
        errand.in_time(self.open_pull(&errand, &request)).await
    }

    async fn update_pr(
        &self,
        call: &CallContext,
        request: GitHubUpdatePr,
    ) -> Result<GitHubPr, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn merge_pr(
        &self,
        call: &CallContext,
        request: GitHubMergePr,
    ) -> Result<GitHubMerge, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn list_review_comments(
        &self,
        call: &CallContext,
        request: GitHubListReviewComments,
    ) -> Result<GitHubReviewComments, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn list_reviews(
        &self,
        call: &CallContext,
        request: GitHubListReviews,
    ) -> Result<GitHubReviews, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn request_reviewers(
        &self,
        call: &CallContext,
        request: GitHubRequestReviewers,
    ) -> Result<GitHubReviewers, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn list_check_runs(
        &self,
        call: &CallContext,
        request: GitHubListCheckRuns,
    ) -> Result<GitHubCheckRuns, EffectError> {
        self.perform(call, &request.repo, &request).await
    }

    async fn get_combined_status(
        &self,
        call: &CallContext,
        request: GitHubGetCombinedStatus,
    ) -> Result<GitHubCombinedStatus, EffectError> {
        let errand = self.admit(GitHubGetCombinedStatus::KIND, call, &request.repo)?;
        errand.in_time(self.all_statuses(&errand, &request)).await
    }
}
