//! The GitHub service: reads and writes issues, pull requests, reviews and checks of
//! the repositories a role may reach, with the host's token.
//!
//! An effect is a request of GitHub's REST API (<https://docs.github.com/rest>).
//! Each builds its request and reads its response (`api_request::Endpoint`); the
//! steps in between are the same for all:
//!
//! 1. the repository is one of the role's (`role.NAME.repos`), and the host has a token;
//! 2. a cached response is requested conditionally, which costs nothing of the rate limit;
//! 3. nothing is sent while GitHub has asked for a pause;
//! 4. a read is retried after a transient failure, and follows GitHub's redirects of
//!    renamed repositories, on the same host. A write is sent once, and its error says
//!    when it may have happened all the same;
//! 5. all of it within one time limit, and with a limit on the response's size.
//!
//! A repository that was renamed or transferred is still reached under the name
//! the role was granted, as GitHub has it.
//!
//! The token goes to the base URL's host alone, no error, log line or `Debug`
//! shows it, and errors that repeat it are redacted.
//!
//! | module | subject |
//! |---|---|
//! | `config`, `base_url` | configuration |
//! | `policy` | decisions by a role's bounds |
//! | `effect_context` | one effect under way, and its errors |
//! | `api_request` | requests |
//! | `send` | the steps above |
//! | `cache` | responses cached for conditional requests |
//! | `rate_limit` | rate limits |
//! | `api_error` | GitHub's errors, mapped to the contract's codes |
//! | `client` | the HTTP client |
//! | `repos`, `issues`, `pulls`, `reviews`, `checks` | the effects |
//! | `composite` | effects that take several requests |
//! | `dto` | parts that responses share |

mod api_error;
mod api_request;
mod base_url;
mod cache;
mod checks;
mod client;
mod composite;
mod config;
mod dto;
mod effect_context;
mod issues;
mod policy;
mod pulls;
mod rate_limit;
mod repos;
mod reviews;
mod send;

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

pub use base_url::BaseUrlError;
pub use config::{GitHubConfig, GitHubConfigError};
pub use policy::decide;

use base_url::BaseUrl;
use cache::Cache;
use rate_limit::RateLimitPause;

/// The GitHub service. Cheap to share behind an `Arc`. Its connections belong
/// to the tokio runtime of its first request, and end with that.
#[derive(Debug)]
pub struct GitHub {
    config: GitHubConfig,
    base: BaseUrl,
    octocrab: OnceLock<Octocrab>,
    permits: Semaphore,
    cache: Cache,
    pause: RateLimitPause,
}

impl GitHub {
    /// Prepares the service. Nothing is sent: an invalid token shows with the first
    /// effect.
    ///
    /// # Errors
    /// When a setting is invalid.
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
            permits: Semaphore::new(config.max_concurrent.min(Semaphore::MAX_PERMITS)),
            cache: Cache::new(config.cache_bytes),
            pause: RateLimitPause::default(),
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
        let context = self.authorize(GitHubCreatePr::KIND, call, &request.repo)?;
        context.in_time(self.open_pull(&context, &request)).await
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
        let context = self.authorize(GitHubGetCombinedStatus::KIND, call, &request.repo)?;
        context.in_time(self.all_statuses(&context, &request)).await
    }
}
