//! Effects that take several requests.

use exomonad_schema::effects::github::{
    GitHubCombinedStatus, GitHubCreatePr, GitHubGetCombinedStatus, GitHubGetRepo, GitHubListPrs,
    GitHubPr, Page, PageSize, StateFilter,
};
use exomonad_schema::{EffectError, ErrorCode};
use serde::Serialize;

use super::GitHub;
use super::checks::StatusPage;
use super::effect_context::EffectContext;
use super::pulls::{NewPull, name_of};

/// The open pull request for the branches of a new one.
#[derive(Serialize)]
struct ExistingPull {
    number: u64,
    url: String,
}

impl GitHub {
    /// Opens a pull request; into the default branch, which takes a request to
    /// find, unless one is named.
    pub(super) async fn open_pull(
        &self,
        context: &EffectContext,
        request: &GitHubCreatePr,
    ) -> Result<GitHubPr, EffectError> {
        let default_branch;
        let base = match request.base.as_deref() {
            Some(base) => base,
            None => {
                let repo = request.repo.clone();
                let repo = self.send(context, &GitHubGetRepo { repo }).await?;
                default_branch = repo.default_branch;
                &default_branch
            }
        };
        let opened = self.send(context, &NewPull { request, base }).await;
        match opened {
            Err(error) if error.code == ErrorCode::Conflict => {
                let look = self.existing_pull(context, request, base);
                Err(match context.in_spare_time(look).await {
                    Some(pull) => EffectError {
                        message: format!("{}: it is {}", error.message, pull.url),
                        ..error
                    }
                    .with_details(&pull),
                    None => error,
                })
            }
            opened => opened,
        }
    }

    /// The open pull request for the same branches; `None` also when it cannot be found.
    async fn existing_pull(
        &self,
        context: &EffectContext,
        request: &GitHubCreatePr,
        base: &str,
    ) -> Option<ExistingPull> {
        let list = GitHubListPrs {
            repo: request.repo.clone(),
            state: StateFilter::Open,
            head: Some(request.head.clone()),
            base: Some(base.try_into().ok()?),
            page: Page::constant::<1>(),
            per_page: PageSize::constant::<5>(),
        };
        let found = self.send(context, &list).await.ok()?;
        let branch = name_of(&request.head);
        let pull = found.prs.into_iter().find(|pull| pull.head_ref == branch)?;
        Some(ExistingPull {
            number: pull.number,
            url: pull.url,
        })
    }

    /// A commit's combined status with the statuses of all pages.
    pub(super) async fn all_statuses(
        &self,
        context: &EffectContext,
        request: &GitHubGetCombinedStatus,
    ) -> Result<GitHubCombinedStatus, EffectError> {
        let mut combined: Option<GitHubCombinedStatus> = None;
        for page in StatusPage::all(request) {
            let (read, total) = self.send(context, &page).await?;
            let is_last = read.statuses.is_empty();
            let sum = match combined.take() {
                None => read,
                Some(mut sum) => {
                    sum.statuses.extend(read.statuses);
                    sum
                }
            };
            if is_last || sum.statuses.len() as u64 >= total {
                return Ok(sum);
            }
            combined = Some(sum);
        }
        Err(context.error(
            ErrorCode::LimitExceeded,
            "the commit has more statuses than one answer holds (1000); GitHubListCheckRuns comes in pages",
        ))
    }
}
