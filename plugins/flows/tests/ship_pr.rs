//! `ship_pr`, in simulated time.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use exomonad_guest::prelude::*;
use exomonad_guest::testing::FakeHost;
use flows::PLUGIN;
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn error(code: ErrorCode) -> EffectError {
    EffectError {
        code,
        message: format!("it is {}", code.name()),
        details: None,
    }
}

fn branch(name: &str) -> GitBranch {
    GitBranch {
        head: GitHead::Branch,
        branch: Some(name.to_owned()),
        commit: None,
    }
}

fn pull_request() -> GitHubPr {
    GitHubPr {
        number: 7,
        title: "Fix it".into(),
        body: None,
        state: OpenState::Open,
        is_draft: false,
        is_merged: false,
        is_mergeable: Some(true),
        head_ref: "fix".into(),
        head_sha: "a".repeat(40),
        head_repo: None,
        base_ref: "main".into(),
        base_sha: "b".repeat(40),
        author: None,
        labels: vec![],
        assignees: vec![],
        requested_reviewers: vec![],
        requested_teams: vec![],
        url: "https://github.com/octocat/hello/pull/7".into(),
        created_at: String::new(),
        updated_at: String::new(),
        merged_at: None,
        merge_commit_sha: None,
        additions: None,
        deletions: None,
        changed_files: None,
    }
}

/// GitHub's answers, which the tests change with time.
#[derive(Clone, Default)]
struct GitHub {
    /// Looks at the pull request so far.
    looks: Rc<Cell<u32>>,
    /// The look from which on the check has succeeded.
    check_from: u32,
    is_open: bool,
    is_merged: Rc<Cell<bool>>,
    approvals: usize,
}

impl GitHub {
    /// A host of this GitHub, where nothing is pushed yet.
    fn host(&self) -> FakeHost {
        let (of_branch, of_number, checks) = (self.clone(), self.clone(), self.clone());
        let (reviews, merged) = (self.approvals, self.is_merged.clone());
        FakeHost::new()
            .on(|_: GitGetBranch| Ok(branch("fix")))
            .on(|_: GitGetRemoteUrl| {
                Ok(GitRemoteUrl {
                    url: "https://github.com/octocat/hello.git".into(),
                    github_repo: Some("octocat/hello".into()),
                })
            })
            .on(|_: GitPush| Ok(GitPushed { updates: vec![] }))
            .on(|_: GitFetch| Ok(GitFetched { updates: vec![] }))
            .on(|request: GitSwitchBranch| Ok(branch(&request.branch)))
            .on(move |_: GitHubGetPrForBranch| {
                Ok(GitHubPrForBranch {
                    pr: of_branch.is_open.then(pull_request),
                })
            })
            .on(|_: GitHubCreatePr| Ok(pull_request()))
            .on(move |_: GitHubGetPr| {
                of_number.looks.set(of_number.looks.get() + 1);
                Ok(GitHubPr {
                    is_merged: of_number.is_merged.get(),
                    merge_commit_sha: of_number.is_merged.get().then(|| "d".repeat(40)),
                    ..pull_request()
                })
            })
            .on(move |_: GitHubListReviews| {
                let review = |nth| GitHubReview {
                    id: nth as u64,
                    author: Some(format!("reviewer-{nth}")),
                    state: ReviewState::Approved,
                    body: String::new(),
                    commit_id: None,
                    submitted_at: None,
                    url: String::new(),
                };
                Ok(GitHubReviews {
                    reviews: (0..reviews).map(review).collect(),
                    next_page: None,
                })
            })
            .on(move |_: GitHubListCheckRuns| {
                let is_done = checks.looks.get() >= checks.check_from;
                Ok(GitHubCheckRuns {
                    check_runs: vec![GitHubCheckRun {
                        id: 1,
                        name: "ci".into(),
                        status: match is_done {
                            true => CheckStatus::Completed,
                            false => CheckStatus::InProgress,
                        },
                        conclusion: is_done.then_some(CheckConclusion::Success),
                        title: None,
                        summary: None,
                        url: None,
                        started_at: None,
                        completed_at: None,
                    }],
                    total: 1,
                    next_page: None,
                })
            })
            .on(|request: GitHubGetCombinedStatus| {
                Ok(GitHubCombinedStatus {
                    state: CommitState::Success,
                    sha: request.reference,
                    statuses: vec![],
                })
            })
            .on(move |_: GitHubMergePr| {
                merged.set(true);
                Ok(GitHubMerge {
                    sha: "c".repeat(40),
                    message: String::new(),
                })
            })
    }
}

fn ship(host: &FakeHost, more: Value) -> exomonad_guest::testing::FinishedRun {
    let mut input = json!({ "title": "Fix it" });
    input
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    host.run_workflow(&PLUGIN, "ship_pr", &input)
}

#[test]
fn a_branch_is_pushed_opened_merged_when_its_check_succeeds_and_left() {
    let github = GitHub {
        check_from: 3,
        ..GitHub::default()
    };
    let host = github.host();
    let shipped = ship(&host, json!({ "merge": "squash" }));
    assert_eq!(
        shipped.output(),
        json!({
            "repo": "octocat/hello",
            "number": 7,
            "url": "https://github.com/octocat/hello/pull/7",
            "result": "merged",
            "sha": "c".repeat(40),
            "blockers": [],
            "reminders": 0,
        })
    );
    assert_eq!(shipped.elapsed, 3 * MINUTE);
    let merge = &host.requests::<GitHubMergePr>()[0];
    assert_eq!(merge.method, Some(MergeMethod::Squash));
    assert_eq!(merge.expected_head_sha, Some("a".repeat(40)));
    assert_eq!(host.requests::<GitSwitchBranch>()[0].branch, "main");
    assert_eq!(host.requests::<GitHubCreatePr>().len(), 1);
    assert_eq!(
        shipped.states[1]["blockers"],
        json!(["the check `ci` is in_progress"])
    );
    let blockers = host.query_workflow(
        &PLUGIN,
        "ship_pr",
        "blockers",
        &json!(null),
        &shipped.states[1],
    );
    assert_eq!(blockers.unwrap(), shipped.states[1]["blockers"]);
}

#[test]
fn a_pull_request_that_is_open_is_taken() {
    let github = GitHub {
        is_open: true,
        ..GitHub::default()
    };
    let host = github.host();
    assert_eq!(ship(&host, json!({})).output()["result"], "merged");
    assert_eq!(host.requests::<GitHubCreatePr>().len(), 0);
}

#[test]
fn a_pull_request_whose_opening_has_no_known_outcome_is_looked_for() {
    let github = GitHub::default();
    let asked = Cell::new(false);
    let host = github
        .host()
        .on(move |_: GitHubGetPrForBranch| {
            let was_asked = asked.replace(true);
            Ok(GitHubPrForBranch {
                pr: was_asked.then(pull_request),
            })
        })
        .on(|_: GitHubCreatePr| Err(error(ErrorCode::OutcomeUnknown)));
    assert_eq!(ship(&host, json!({})).output()["result"], "merged");
    assert_eq!(host.requests::<GitHubCreatePr>().len(), 1);
}

#[test]
fn a_missing_approval_and_a_missing_check_block_it_and_are_reminded_of() {
    let github = GitHub {
        approvals: 1,
        ..GitHub::default()
    };
    let host = github
        .host()
        .on(|request: GitHubCommentIssue| {
            Ok(GitHubComment {
                id: 1,
                body: request.body,
                author: None,
                url: String::new(),
                created_at: String::new(),
                updated_at: String::new(),
            })
        })
        .on(|_: GitHubRequestReviewers| {
            Ok(GitHubReviewers {
                reviewers: vec!["ada".into()],
                team_reviewers: vec![],
            })
        });
    let input = json!({
        "requiredApprovals": 2,
        "requiredChecks": ["ci", "deploy"],
        "reviewers": ["ada"],
        "pollMillis": 3_600_000,
        "giveUpAfterMillis": 5 * 86_400_000_u64,
    });
    let shipped = ship(&host, input);
    let blockers = json!([
        "it has 1 of 2 approvals",
        "the check `deploy` has not begun"
    ]);
    assert_eq!(shipped.output()["result"], "gave_up");
    assert_eq!(shipped.output()["blockers"], blockers);
    assert_eq!(shipped.output()["reminders"], 4);
    assert_eq!(shipped.elapsed, 5 * DAY);
    let comments = host.requests::<GitHubCommentIssue>();
    assert_eq!(
        comments[0].body,
        "This pull request still waits to be merged:\n\n- it has 1 of 2 approvals\n- the check `deploy` has not begun\n"
    );
    assert_eq!(host.requests::<GitHubRequestReviewers>().len(), 1);
}

#[test]
fn signals_let_it_look_at_once_or_stop() {
    let github = GitHub {
        check_from: 1,
        ..GitHub::default()
    };
    let host = github.host().signal_at(MINUTE, "check", json!(null));
    let shipped = ship(&host, json!({ "pollMillis": 86_400_000 }));
    assert_eq!(shipped.elapsed, MINUTE);

    let github = GitHub {
        check_from: 1_000_000,
        ..GitHub::default()
    };
    let host = github.host().signal_at(HOUR, "stop", json!(null));
    let shipped = ship(&host, json!({}));
    assert_eq!(shipped.output()["result"], "stopped");
    assert_eq!(host.requests::<GitHubMergePr>().len(), 0);
}

#[test]
fn a_merge_without_a_known_outcome_is_looked_at_before_it_is_tried_again() {
    let github = GitHub::default();
    let merged = github.is_merged.clone();
    let host = github.host().on(move |_: GitHubMergePr| {
        merged.set(true);
        Err(error(ErrorCode::OutcomeUnknown))
    });
    let shipped = ship(&host, json!({}));
    assert_eq!(shipped.output()["result"], "merged");
    assert_eq!(shipped.output()["sha"], "d".repeat(40));
    assert_eq!(host.requests::<GitHubMergePr>().len(), 1);
}

#[test]
fn a_conflict_at_merging_is_waited_out() {
    let github = GitHub::default();
    let attempts = Cell::new(0);
    let host = github.host().on(move |_: GitHubMergePr| {
        attempts.set(attempts.get() + 1);
        match attempts.get() {
            1 => Err(error(ErrorCode::Conflict)),
            _ => Ok(GitHubMerge {
                sha: "c".repeat(40),
                message: String::new(),
            }),
        }
    });
    let shipped = ship(&host, json!({}));
    assert_eq!(shipped.output()["result"], "merged");
    assert_eq!(
        shipped
            .states
            .iter()
            .find(|state| state["blockers"] != json!([]))
            .unwrap()["blockers"],
        json!(["merging failed: it is conflict"])
    );
}

#[test]
fn a_pull_request_that_should_not_be_merged_ends_when_it_is_ready() {
    let host = GitHub::default().host();
    let shipped = ship(&host, json!({ "merge": "never" }));
    assert_eq!(shipped.output()["result"], "ready");
    assert_eq!(host.requests::<GitHubMergePr>().len(), 0);
}

#[test]
fn an_hour_without_a_network_is_survived_and_a_day_is_not() {
    let outage = |looks: u32| {
        let github = GitHub::default();
        let count = github.looks.clone();
        let pushes = Cell::new(0);
        github
            .host()
            .on(move |_: GitHubGetPr| {
                count.set(count.get() + 1);
                match count.get() <= looks {
                    true => Err(error(ErrorCode::Unavailable)),
                    false => Ok(pull_request()),
                }
            })
            .on(move |_: GitPush| {
                pushes.set(pushes.get() + 1);
                match pushes.get() {
                    1..=5 => Err(error(ErrorCode::Unavailable)),
                    _ => Ok(GitPushed { updates: vec![] }),
                }
            })
    };
    let host = outage(20);
    assert_eq!(ship(&host, json!({})).output()["result"], "merged");
    assert_eq!(host.requests::<GitPush>().len(), 6);
    let failure = ship(&outage(u32::MAX), json!({})).failure().clone();
    assert_eq!(failure.code, "unavailable");
}

#[test]
fn a_refused_push_fails_the_run_at_once() {
    let host = GitHub::default()
        .host()
        .on(|_: GitPush| Err(error(ErrorCode::Conflict)));
    assert_eq!(ship(&host, json!({})).failure().code, "conflict");
    assert_eq!(host.requests::<GitPush>().len(), 1);
}

#[test]
fn cancelling_leaves_the_pull_request_as_it_is() {
    let github = GitHub {
        check_from: 1_000_000,
        ..GitHub::default()
    };
    let host = github.host().cancel_at(HOUR);
    let shipped = ship(&host, json!({}));
    assert!(shipped.is_cancelled());
    assert_eq!(shipped.elapsed, HOUR);
}

#[test]
fn a_working_directory_that_cannot_be_left_is_told() {
    let host = GitHub::default()
        .host()
        .on(|_: GitSwitchBranch| Err(error(ErrorCode::Conflict)));
    let shipped = ship(&host, json!({})).output();
    assert_eq!(shipped["result"], "merged");
    assert_eq!(shipped["notCleanedUp"], "it is conflict");
}

#[test]
fn a_long_wait_goes_on_as_a_new_run_with_what_is_known() {
    let github = GitHub {
        check_from: 2_000,
        ..GitHub::default()
    };
    let host = github.host().suggests_continue_as_new_after(1_000);
    let shipped = ship(&host, json!({}));
    assert_eq!(shipped.output()["result"], "merged");
    assert!(shipped.runs > 10, "{}", shipped.runs);
    assert_eq!(host.requests::<GitHubCreatePr>().len(), 1);
    assert_eq!(host.requests::<GitPush>().len(), 1);
}
