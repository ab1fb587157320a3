//! `ship_pr`.

use std::time::Duration;

use exomonad_guest::prelude::*;
use exomonad_guest::workflow::{First, Run};
use exomonad_guest::{clock, git, github};
use pull_request::readiness::{self, Readiness};
use pull_request::target;

/// Reads in a row that may fail before the run does.
const UNREACHABLE_AT_MOST: u32 = 30;

/// The pull request to ship.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShipPr {
    /// Its title.
    #[schemars(length(min = 1, max = 256))]
    title: String,
    /// Its text, in Markdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The target branch; the repository's default branch when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<String>,
    /// The source branch; the current branch when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    /// The repository on GitHub, `owner/name`; that of the remote `origin` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    repo: Option<String>,
    /// A folder in the repository; the role's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    /// The logins of reviewers to request.
    #[serde(default)]
    reviewers: Vec<String>,
    /// The number of reviewers who have to approve.
    #[serde(default)]
    required_approvals: u32,
    /// The names of checks that have to succeed; others that are there must not fail either.
    #[serde(default)]
    required_checks: Vec<String>,
    /// The method of merging.
    #[serde(default)]
    merge: Merge,
    /// The time between two looks at the pull request, in milliseconds.
    #[serde(default = "minute")]
    #[schemars(range(min = 1, max = 86_400_000))]
    poll_millis: u64,
    /// The time after which a comment reminds of what is missing, again and again, in milliseconds; 0 for never.
    #[serde(default = "day")]
    remind_after_millis: u64,
    /// The time after which the run ends without merging, in milliseconds.
    #[serde(default = "fortnight")]
    give_up_after_millis: u64,
    /// Switches back to the target branch after merging, and forgets branches that the remote no longer has.
    #[serde(default = "yes")]
    clean_up: bool,
}

const fn minute() -> u64 {
    60_000
}

const fn day() -> u64 {
    86_400_000
}

const fn fortnight() -> u64 {
    14 * day()
}

const fn yes() -> bool {
    true
}

/// The method of merging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Merge {
    /// With a merge commit.
    #[default]
    Merge,
    /// Squashed into one commit.
    Squash,
    /// Rebased, each commit by itself.
    Rebase,
    /// Not at all: the run ends when the pull request is ready.
    Never,
}

/// How far a pull request is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shipping {
    /// The repository, `owner/name`.
    repo: String,
    /// The pull request's number.
    number: u64,
    /// Its web page.
    url: String,
    /// The source branch.
    head: String,
    /// The reasons that block merging it.
    blockers: Vec<String>,
    /// The number of reminders.
    reminders: u32,
    /// When the run began, in milliseconds since 1970.
    begun_unix_millis: i64,
    /// When it was last reminded of, or opened.
    reminded_unix_millis: i64,
    /// Reads in a row that have failed.
    unreachable: u32,
}

/// The end of a pull request's way.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shipped {
    /// The repository, `owner/name`.
    repo: String,
    /// The pull request's number.
    number: u64,
    /// Its web page.
    url: String,
    /// How it ended.
    result: ShipResult,
    /// The commit that merging resulted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha: Option<String>,
    /// The reasons that still block merging it.
    blockers: Vec<String>,
    /// The number of reminders.
    reminders: u32,
    /// The reason why the working directory was left as it is, if it should have been cleaned up.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_cleaned_up: Option<String>,
}

/// How a pull request's way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShipResult {
    /// It is merged.
    Merged,
    /// It can be merged, which was not asked for.
    Ready,
    /// Someone has closed it.
    Closed,
    /// The signal `stop` came.
    Stopped,
    /// It took too long.
    GaveUp,
}

/// Ships a pull request: pushes the branch, opens a pull request or takes the open one, waits for its checks and
/// reviews with a reminder now and then, merges it, and cleans up.
///
/// The signal `check` lets it look at once, `stop` ends it without merging. When it is cancelled, the pull
/// request stays as it is.
#[workflow(
    title = "Ship a pull request",
    tool,
    signals(check, stop),
    queries(blockers)
)]
pub fn ship_pr(input: ShipPr, run: &Run<Shipping>) -> Result<Shipped, WorkflowError> {
    let mut shipping = match run.previous_state() {
        Some(shipping) => shipping.clone(),
        None => open(&input, run)?,
    };
    loop {
        run.set_state(&shipping)?;
        // Before the first look too: checks begin some time after the push.
        let first = run
            .select()
            .signal("check")
            .signal("stop")
            .timeout(Duration::from_millis(input.poll_millis))
            .wait()?;
        if matches!(&first, First::Signal { name, .. } if name == "stop") {
            return Ok(shipping.end(ShipResult::Stopped));
        }
        if let Some(shipped) = look(&input, run, &mut shipping)? {
            return Ok(shipped);
        }
        let now = now()?;
        if now - shipping.begun_unix_millis >= millis(input.give_up_after_millis) {
            return Ok(shipping.end(ShipResult::GaveUp));
        }
        let since = now - shipping.reminded_unix_millis;
        if input.remind_after_millis > 0 && since >= millis(input.remind_after_millis) {
            remind(run, &mut shipping)?;
            shipping.reminded_unix_millis = now;
        }
        if run.info()?.suggests_continue_as_new {
            run.set_state(&shipping)?;
            return Err(run.continue_as_new(&input));
        }
    }
}

fn blockers(shipping: &Shipping) -> Vec<String> {
    shipping.blockers.clone()
}

fn now() -> Result<i64, WorkflowError> {
    Ok(clock::now(&ClockNow::default())?.unix_millis)
}

fn millis(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// Pushes the branch, and opens a pull request or takes the open one.
fn open(input: &ShipPr, run: &Run<Shipping>) -> Result<Shipping, WorkflowError> {
    let begun = now()?;
    let head = target::branch(input.head.clone(), input.working_dir.clone())?;
    let repo = target::repo(input.repo.clone(), input.working_dir.clone())?;
    let push = GitPush {
        working_dir: input.working_dir.clone(),
        branch: Some(head.clone()),
        set_upstream: true,
        ..GitPush::default()
    };
    run.step(push).retry(patiently()).run()?;
    let of_branch = || github::get_pr_for_branch(&GitHubGetPrForBranch::new(&*repo, &*head));
    let pr = match of_branch()?.pr {
        Some(pr) => pr,
        None => {
            let request = GitHubCreatePr {
                body: input.body.clone(),
                base: input.base.clone(),
                ..GitHubCreatePr::new(&*repo, &*input.title, &*head)
            };
            match github::create_pr(&request) {
                Ok(pr) => pr,
                Err(error) if error.code == ErrorCode::Cancelled => return Err(error.into()),
                // It may be there nevertheless.
                Err(error) => of_branch()?.pr.ok_or(error)?,
            }
        }
    };
    if !input.reviewers.is_empty() {
        let reviewers = GitHubRequestReviewers {
            reviewers: input.reviewers.clone(),
            ..GitHubRequestReviewers::new(&*repo, pr.number)
        };
        run.step(reviewers).retry(patiently()).run()?;
    }
    Ok(Shipping {
        repo,
        number: pr.number,
        url: pr.url,
        head,
        blockers: Vec::new(),
        reminders: 0,
        begun_unix_millis: begun,
        reminded_unix_millis: begun,
        unreachable: 0,
    })
}

/// About an hour of attempts.
fn patiently() -> RetryPolicy {
    RetryPolicy::of_attempts(18).longest_wait(Duration::from_secs(300))
}

/// Looks at the pull request, and merges it if it is ready. The end, if it has come to one.
fn look(
    input: &ShipPr,
    run: &Run<Shipping>,
    shipping: &mut Shipping,
) -> Result<Option<Shipped>, WorkflowError> {
    let read = || -> Result<_, ToolError> {
        let pr = github::get_pr(&GitHubGetPr::new(&*shipping.repo, shipping.number))?;
        let readiness = readiness::readiness(&shipping.repo, &pr)?;
        Ok((pr, readiness))
    };
    let (pr, readiness) = match read() {
        Ok(read) => read,
        Err(error) if passes(error.code()) && shipping.unreachable < UNREACHABLE_AT_MOST => {
            shipping.unreachable += 1;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    shipping.unreachable = 0;
    if pr.is_merged {
        let not_cleaned_up = clean_up(input, shipping, &pr)?;
        return Ok(Some(Shipped {
            sha: pr.merge_commit_sha,
            not_cleaned_up,
            ..shipping.end(ShipResult::Merged)
        }));
    }
    shipping.blockers = blockers_of(input, readiness);
    if pr.state == OpenState::Closed {
        return Ok(Some(shipping.end(ShipResult::Closed)));
    }
    if !shipping.blockers.is_empty() {
        return Ok(None);
    }
    let method = match input.merge {
        Merge::Merge => MergeMethod::Merge,
        Merge::Squash => MergeMethod::Squash,
        Merge::Rebase => MergeMethod::Rebase,
        Merge::Never => return Ok(Some(shipping.end(ShipResult::Ready))),
    };
    run.set_state(shipping)?;
    let merge = GitHubMergePr {
        method: Some(method),
        expected_head_sha: Some(pr.head_sha.clone()),
        ..GitHubMergePr::new(&*shipping.repo, shipping.number)
    };
    match github::merge_pr(&merge) {
        Ok(merged) => {
            let not_cleaned_up = clean_up(input, shipping, &pr)?;
            Ok(Some(Shipped {
                sha: Some(merged.sha),
                not_cleaned_up,
                ..shipping.end(ShipResult::Merged)
            }))
        }
        // If it has happened nevertheless, the next look tells.
        Err(error)
            if passes(Some(error.code))
                || matches!(error.code, ErrorCode::Conflict | ErrorCode::OutcomeUnknown) =>
        {
            shipping.blockers = vec![format!("merging failed: {}", error.message)];
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// True for failures that pass by themselves.
fn passes(code: Option<ErrorCode>) -> bool {
    matches!(
        code,
        Some(
            ErrorCode::Unavailable
                | ErrorCode::RateLimited
                | ErrorCode::Timeout
                | ErrorCode::Internal
        )
    )
}

fn blockers_of(input: &ShipPr, readiness: Readiness) -> Vec<String> {
    let mut blockers = readiness.blockers;
    let approvals = readiness
        .reviews
        .values()
        .filter(|review| *review == "approved")
        .count();
    if (approvals as u64) < u64::from(input.required_approvals) {
        blockers.push(format!(
            "it has {approvals} of {} approvals",
            input.required_approvals
        ));
    }
    for check in &input.required_checks {
        if !readiness.checks.contains_key(check) {
            blockers.push(format!("the check `{check}` has not begun"));
        }
    }
    blockers
}

/// Comments on what is missing.
fn remind(run: &Run<Shipping>, shipping: &mut Shipping) -> Result<(), WorkflowError> {
    let missing: Vec<_> = shipping
        .blockers
        .iter()
        .map(|blocker| format!("- {blocker}\n"))
        .collect();
    let text = format!(
        "This pull request still waits to be merged:\n\n{}",
        missing.concat()
    );
    let comment = GitHubCommentIssue::new(&*shipping.repo, shipping.number, text);
    match run.step(comment).retry(RetryPolicy::of_attempts(3)).run() {
        Err(error) if error.is_cancelled() => Err(error),
        // One reminder more or less is no reason to fail.
        Err(_) => Ok(()),
        Ok(_) => {
            shipping.reminders += 1;
            Ok(())
        }
    }
}

/// Leaves the merged branch; the reason, if that is not possible.
fn clean_up(
    input: &ShipPr,
    shipping: &Shipping,
    pr: &GitHubPr,
) -> Result<Option<String>, WorkflowError> {
    if !input.clean_up {
        return Ok(None);
    }
    let working_dir = || input.working_dir.clone();
    let leave = || -> exomonad_guest::Result<()> {
        git::fetch(&GitFetch {
            working_dir: working_dir(),
            prune: true,
            ..GitFetch::default()
        })?;
        let current = git::get_branch(&GitGetBranch {
            working_dir: working_dir(),
            ..GitGetBranch::default()
        })?;
        if current.branch.as_deref() == Some(&*shipping.head) {
            git::switch_branch(&GitSwitchBranch {
                working_dir: working_dir(),
                ..GitSwitchBranch::new(&*pr.base_ref)
            })?;
        }
        Ok(())
    };
    match leave() {
        Ok(()) => Ok(None),
        Err(error) if error.code == ErrorCode::Cancelled => Err(error.into()),
        Err(error) => Ok(Some(error.message)),
    }
}

impl Shipping {
    fn end(&self, result: ShipResult) -> Shipped {
        let blockers = match result {
            ShipResult::Merged => Vec::new(),
            _ => self.blockers.clone(),
        };
        Shipped {
            repo: self.repo.clone(),
            number: self.number,
            url: self.url.clone(),
            result,
            sha: None,
            blockers,
            reminders: self.reminders,
            not_cleaned_up: None,
        }
    }
}
