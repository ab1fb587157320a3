//! `pr_status`.

use std::collections::BTreeMap;

use exomonad_guest::prelude::*;
use pull_request::readiness::{self, Readiness};
use pull_request::target;

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
    let Readiness {
        blockers,
        reviews,
        awaited,
        checks,
    } = readiness::readiness(&repo, &pr)?;
    let state = readiness::state(&pr);
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
