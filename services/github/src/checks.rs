//! Check runs and statuses of commits.

use exomonad_schema::effects::github::{
    CheckConclusion, CheckStatus, CommitState, GitHubCheckRun, GitHubCheckRuns,
    GitHubCombinedStatus, GitHubGetCombinedStatus, GitHubListCheckRuns, GitHubStatus,
};
use serde::Deserialize;

use super::api_request::{ApiRequest, Endpoint, checked_ref, next_page};

#[derive(Debug, Deserialize)]
pub(super) struct CheckRuns {
    total_count: u64,
    check_runs: Vec<CheckRun>,
}

#[derive(Debug, Deserialize)]
struct CheckRun {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    output: Option<Output>,
    html_url: Option<String>,
    details_url: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
}

impl From<CheckRun> for GitHubCheckRun {
    fn from(run: CheckRun) -> Self {
        let output = run.output.unwrap_or_default();
        Self {
            id: run.id,
            name: run.name,
            status: match run.status.as_str() {
                "completed" => CheckStatus::Completed,
                "in_progress" => CheckStatus::InProgress,
                // `waiting`, `requested`, `pending`, and whatever comes: not begun.
                _ => CheckStatus::Queued,
            },
            conclusion: run.conclusion.as_deref().map(conclusion),
            title: output.title,
            summary: output.summary,
            url: run.html_url.or(run.details_url),
            started_at: run.started_at,
            completed_at: run.completed_at,
        }
    }
}

fn conclusion(name: &str) -> CheckConclusion {
    match name {
        "success" => CheckConclusion::Success,
        "failure" => CheckConclusion::Failure,
        "neutral" => CheckConclusion::Neutral,
        "cancelled" => CheckConclusion::Cancelled,
        "skipped" => CheckConclusion::Skipped,
        "timed_out" => CheckConclusion::TimedOut,
        "action_required" => CheckConclusion::ActionRequired,
        "stale" => CheckConclusion::Stale,
        "startup_failure" => CheckConclusion::StartupFailure,
        _ => CheckConclusion::Unknown,
    }
}

impl Endpoint for GitHubListCheckRuns {
    type Reply = CheckRuns;
    type Answer = GitHubCheckRuns;

    fn request(&self) -> Result<ApiRequest, String> {
        let reference = checked_ref(&self.reference)?;
        Ok(
            ApiRequest::get(&self.repo, &[&"commits", &reference, &"check-runs"])
                .page(self.page, self.per_page)
                .about(format_args!("commit {reference:?}")),
        )
    }

    fn answer(&self, runs: CheckRuns, has_next: bool) -> GitHubCheckRuns {
        GitHubCheckRuns {
            check_runs: runs
                .check_runs
                .into_iter()
                .map(GitHubCheckRun::from)
                .collect(),
            total: runs.total_count,
            next_page: next_page(self.page, has_next),
        }
    }
}

/// Statuses a page of a combined status has: the most GitHub gives.
const STATUSES_A_PAGE: u64 = 100;

/// Pages of statuses that are read: 1000 statuses in all.
const MAX_STATUS_PAGES: u64 = 10;

/// One page of a combined status, from 1.
pub(super) struct StatusPage<'a> {
    pub(super) request: &'a GitHubGetCombinedStatus,
    pub(super) page: u64,
}

impl<'a> StatusPage<'a> {
    /// The pages that may be read.
    pub(super) fn all(request: &'a GitHubGetCombinedStatus) -> impl Iterator<Item = Self> {
        (1..=MAX_STATUS_PAGES).map(move |page| Self { request, page })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct CombinedStatus {
    state: CommitState,
    sha: String,
    #[serde(default)]
    total_count: u64,
    statuses: Vec<Status>,
}

#[derive(Debug, Deserialize)]
struct Status {
    context: String,
    state: CommitState,
    description: Option<String>,
    target_url: Option<String>,
}

impl Endpoint for StatusPage<'_> {
    type Reply = CombinedStatus;
    /// With how many statuses there are on all pages.
    type Answer = (GitHubCombinedStatus, u64);

    fn request(&self) -> Result<ApiRequest, String> {
        let reference = checked_ref(&self.request.reference)?;
        Ok(
            ApiRequest::get(&self.request.repo, &[&"commits", &reference, &"status"])
                .query("per_page", &STATUSES_A_PAGE.to_string())
                .query("page", &self.page.to_string())
                .about(format_args!("commit {reference:?}")),
        )
    }

    fn answer(&self, status: CombinedStatus, _: bool) -> Self::Answer {
        let combined = GitHubCombinedStatus {
            state: status.state,
            sha: status.sha,
            statuses: status
                .statuses
                .into_iter()
                .map(|status| GitHubStatus {
                    context: status.context,
                    state: status.state,
                    description: status.description,
                    url: status.target_url,
                })
                .collect(),
        };
        (combined, status.total_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: &str, conclusion: &str) -> GitHubCheckRun {
        let json = format!(
            r#"{{"id":1,"name":"n","status":"{status}","conclusion":{conclusion},"output":null,
            "html_url":null,"details_url":"d","started_at":null,"completed_at":null}}"#
        );
        serde_json::from_str::<CheckRun>(&json).unwrap().into()
    }

    #[test]
    fn a_check_that_waits_for_any_reason_is_queued() {
        for waiting in ["queued", "waiting", "requested", "pending", "new"] {
            assert_eq!(
                run(waiting, "null").status,
                CheckStatus::Queued,
                "{waiting}"
            );
        }
        assert_eq!(run("in_progress", "null").status, CheckStatus::InProgress);
        assert_eq!(run("in_progress", "null").url.as_deref(), Some("d"));
    }

    #[test]
    fn an_unknown_conclusion_is_unknown() {
        let read = |name: &str| run("completed", name).conclusion;
        assert_eq!(read("\"timed_out\""), Some(CheckConclusion::TimedOut));
        assert_eq!(read("\"exploded\""), Some(CheckConclusion::Unknown));
        assert_eq!(read("null"), None);
    }

    #[test]
    fn a_branch_with_a_slash_is_one_part_of_the_path() {
        let request: GitHubListCheckRuns =
            serde_json::from_str(r#"{"repo":"a/b","ref":"feat/x"}"#).unwrap();
        let api_request = request.request().unwrap();
        assert!(
            api_request
                .path_and_query
                .starts_with("/repos/a/b/commits/feat%2Fx/check-runs?")
        );
    }
}
