//! The reviews and checks of a pull request, and what blocks merging it.

use std::collections::BTreeMap;

use exomonad_guest::github;
use exomonad_guest::prelude::*;

/// A pull request's readiness to be merged.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// The reasons that block merging it; none if nothing known does.
    pub blockers: Vec<String>,
    /// The newest decision of each reviewer: `approved`, `changes_requested`, `commented`, `dismissed`.
    pub reviews: BTreeMap<String, String>,
    /// The requested reviewers who have not reviewed yet.
    pub awaited: Vec<String>,
    /// Checks and statuses of its newest commit by name: `success`, `failure`, `pending` and so on.
    pub checks: BTreeMap<String, String>,
}

/// A pull request's state: `open`, `closed` or `merged`.
pub fn state(pr: &GitHubPr) -> &'static str {
    match (pr.is_merged, pr.state) {
        (true, _) => "merged",
        (false, OpenState::Open) => "open",
        (false, OpenState::Closed) => "closed",
    }
}

/// Reads the reviews and checks of a pull request.
///
/// # Errors
/// Those of the effects.
pub fn readiness(repo: &str, pr: &GitHubPr) -> Result<Readiness, ToolError> {
    let reviews = reviews(repo, pr.number)?;
    let checks = checks(repo, &pr.head_sha)?;
    let awaited: Vec<String> = pr
        .requested_reviewers
        .iter()
        .chain(&pr.requested_teams)
        .cloned()
        .collect();
    let state = state(pr);
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
    Ok(Readiness {
        blockers,
        reviews,
        awaited,
        checks,
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
