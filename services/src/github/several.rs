//! Effects that take several requests.

use exomonad_schema::effects::github::{
    GitHubCombinedStatus, GitHubCreatePr, GitHubGetCombinedStatus, GitHubGetRepo, GitHubListPrs,
    GitHubPr, Page, PageSize, StateFilter,
};
use exomonad_schema::{EffectError, ErrorCode};
use serde::Serialize;

use super::GitHub;
use super::checks::StatusPage;
use super::errand::Errand;
use super::pulls::{NewPull, name_of};

/// The pull request that is in the way of another one.
#[derive(Serialize)]
struct InTheWay {
    number: u64,
    url: String,
}

impl GitHub {
    /// Opens a pull request; into the default branch, which has to be asked
    /// for, unless the request names one.
    pub(super) async fn open_pull(
        &self,
        errand: &Errand,
        request: &GitHubCreatePr,
    ) -> Result<GitHubPr, EffectError> {
        let default_branch;
        let base = match request.base.as_deref() {
            Some(base) => base,
            None => {
                let repo = request.repo.clone();
                let repo = self.ask(errand, &GitHubGetRepo { repo }).await?;
                default_branch = repo.default_branch;
                &default_branch
            }
        };
        let opened = self.ask(errand, &NewPull { request, base }).await;
        match opened {
            Err(error) if error.code == ErrorCode::Conflict => {
                let look = self.in_the_way(errand, request, base);
                Err(match errand.in_spare_time(look).await {
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
    async fn in_the_way(
        &self,
        errand: &Errand,
        request: &GitHubCreatePr,
        base: &str,
    ) -> Option<InTheWay> {
        let list = GitHubListPrs {
            repo: request.repo.clone(),
            state: StateFilter::Open,
            head: Some(request.head.clone()),
            base: Some(base.try_into().ok()?),
            page: Page::constant::<1>(),
            per_page: PageSize::constant::<5>(),
        };
        let found = self.ask(errand, &list).await.ok()?;
        let branch = name_of(&request.head);
        let pull = found.prs.into_iter().find(|pull| pull.head_ref == branch)?;
        Some(InTheWay {
            number: pull.number,
            url: pull.url,
        })
    }

    /// A commit's combined status with the statuses of all pages.
    pub(super) async fn all_statuses(
        &self,
        errand: &Errand,
        request: &GitHubGetCombinedStatus,
    ) -> Result<GitHubCombinedStatus, EffectError> {
        let mut combined: Option<GitHubCombinedStatus> = None;
        for page in StatusPage::all(request) {
            let (read, total) = self.ask(errand, &page).await?;
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
        Err(errand.error(
            ErrorCode::LimitExceeded,
            "the commit has more statuses than one answer holds (1000); GitHubListCheckRuns comes in pages",
        ))
    }
}
