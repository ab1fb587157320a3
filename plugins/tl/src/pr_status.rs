//! `pr_status`.

use std::collections::BTreeMap;

use exomonad_guest::github;
use exomonad_guest::prelude::*;

use crate::target;

/// Selects a pull request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrStatusArgs {
    /// Its number; the open one of the branch when absent.
    number: Option<u64>,
    /// The source branch; the current branch when absent.
    head: Option<String>,
    /// The repository on GitHub, `owner/name`; that of the remote `origin` when absent.
    repo: Option<String>,
    /// A folder in the repository; the role's own when absent.
    working_dir: Option<String>,
}

/// The status of a pull request.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrStatus {
    /// The repository it is in, `owner/name`.
    repo: String,
    /// Its number.
    number: u64,
    /// Its title.
    title: String,
    /// Its web page.
    url: String,
    /// `open`, `closed` or `merged`.
    state: &'static str,
    /// True if nothing known blocks merging it.
    is_ready: bool,
    /// The reasons that block merging it.
    blockers: Vec<String>,
    /// The newest decision of each reviewer: `approved`, `changes_requested`, `commented`, `dismissed`.
    reviews: BTreeMap<String, String>,
    /// The requested reviewers who have not reviewed yet.
    awaited: Vec<String>,
    /// Checks and statuses of its newest commit by name: `success`, `failure`, `pending` and so on.
    checks: BTreeMap<String, String>,
    /// Its newest commit.
    head_sha: String,
}

/// Reports the status of a pull request: its reviews, its checks, and whether it can be merged.
#[tool(title = "Status of a pull request", read_only, open_world)]
pub fn pr_status(args: PrStatusArgs) -> Result<PrStatus, ToolError> {
    let repo = target::repo(args.repo, args.working_dir.clone())?;
    let pr = target::pull_request(&repo, args.number, args.head, args.working_dir)?;
    let reviews = reviews(&repo, pr.number)?;
    let checks = checks(&repo, &pr.head_sha)?;
    let awaited: Vec<String> = pr
        .requested_reviewers
        .iter()
        .chain(&pr.requested_teams)
        .cloned()
        .collect();
    let state = match (pr.is_merged, pr.state) {
        (true, _) => "merged",
        (false, OpenState::Open) => "open",
        (false, OpenState::Closed) => "closed",
    };
    let mut blockers = Vec::new();
    if state != "open" {
        blockers.push(format!("it is {state}"));
    }
    if pr.is_draft {
        blockers.push("it is a draft".to_owned());
    }
    match pr.is_mergeable {
        Some(false) => blockers.push(format!("it conflicts with `{}`", pr.base_ref)),
        None if state == "open" => {
            blockers.push("GitHub has not worked out yet whether it can be merged".to_owned());
        }
        _ => {}
    }
    for (reviewer, decision) in &reviews {
        if decision == "changes_requested" {
            blockers.push(format!("{reviewer} wants changes"));
        }
    }
    if !awaited.is_empty() {
        blockers.push(format!("a review of {} is awaited", awaited.join(", ")));
    }
    for (name, outcome) in &checks {
        if !is_fine(outcome) {
            blockers.push(format!("the check `{name}` is {outcome}"));
        }
    }
    Ok(PrStatus {
        repo,
        number: pr.number,
        title: pr.title,
        url: pr.url,
        state,
        is_ready: blockers.is_empty(),
        blockers,
        reviews,
        awaited,
        checks,
        head_sha: pr.head_sha,
    })
}

/// The name in GitHub's own terms, as in JSON.
fn term(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    json.trim_matches('"').to_owned()
}

fn reviews(repo: &str, number: u64) -> Result<BTreeMap<String, String>, ToolError> {
    let mut newest = BTreeMap::new();
    let mut page = Some(1);
    while let Some(next) = page {
        let found = github::list_reviews(&GitHubListReviews {
            page: Some(next),
            per_page: Some(100),
            ..GitHubListReviews::new(repo, number)
        })?;
        for review in found.reviews {
            let reviewer = review.author.unwrap_or_else(|| "somebody".to_owned());
            // A comment does not revoke a decision.
            let is_remark = matches!(review.state, ReviewState::Commented | ReviewState::Pending);
            if !(is_remark && newest.contains_key(&reviewer)) {
                newest.insert(reviewer, term(&review.state));
            }
        }
        page = found.next_page.map(u64::from);
    }
    Ok(newest)
}

/// True if a check with this outcome does not block merging.
fn is_fine(outcome: &str) -> bool {
    matches!(outcome, "success" | "neutral" | "skipped")
}

/// Adds an outcome. Names are not unique: of several, one that blocks is kept.
fn note(checks: &mut BTreeMap<String, String>, name: String, outcome: String) {
    let known = checks.entry(name).or_insert_with(|| outcome.clone());
    if is_fine(known) {
        *known = outcome;
    }
}

fn checks(repo: &str, sha: &str) -> Result<BTreeMap<String, String>, ToolError> {
    let mut checks = BTreeMap::new();
    let mut page = Some(1);
    while let Some(next) = page {
        let found = github::list_check_runs(&GitHubListCheckRuns {
            page: Some(next),
            per_page: Some(100),
            ..GitHubListCheckRuns::new(repo, sha)
        })?;
        for run in found.check_runs {
            let outcome = match &run.conclusion {
                Some(conclusion) => term(conclusion),
                None => term(&run.status),
            };
            note(&mut checks, run.name, outcome);
        }
        page = found.next_page.map(u64::from);
    }
    let combined = github::get_combined_status(&GitHubGetCombinedStatus::new(repo, sha))?;
    for status in combined.statuses {
        note(&mut checks, status.context, term(&status.state));
    }
    Ok(checks)
}
