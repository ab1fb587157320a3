//! Every effect of the table, against GitHub's description of its API.

use exomonad_core::GitHubService;
use exomonad_core::values::TimeSpan;
use exomonad_github::{GitHub, GitHubConfig};
use exomonad_schema::EffectKind;
use exomonad_schema::table::Service;
use exomonad_test_support::Prism;
use serde_json::{Value, json};

use crate::service::*;

/// Requests of each effect, from the least to all there is to say.
fn requests(kind: EffectKind) -> Vec<Value> {
    use EffectKind::*;
    let repo = "acme/web";
    match kind {
        GitHubGetRepo => vec![json!({ "repo": repo })],
        GitHubListLabels => vec![
            json!({ "repo": repo }),
            json!({ "repo": repo, "page": 2, "perPage": 100 }),
        ],
        GitHubListIssues => vec![
            json!({ "repo": repo }),
            json!({
                "repo": repo, "state": "all", "labels": ["bug", "good first issue"], "assignee": "*",
                "creator": "octocat", "since": "2026-01-31T12:00:00Z", "page": 3, "perPage": 1,
            }),
        ],
        GitHubGetIssue => vec![json!({ "repo": repo, "number": 7 })],
        GitHubCreateIssue => vec![
            json!({ "repo": repo, "title": "It rains" }),
            json!({
                "repo": repo, "title": "It rains", "body": "Since *noon*.", "labels": ["weather"],
                "assignees": ["octocat"], "milestone": 1,
            }),
        ],
        GitHubUpdateIssue => vec![
            json!({ "repo": repo, "number": 7 }),
            json!({
                "repo": repo, "number": 7, "title": "It rained", "body": "", "state": "closed",
                "stateReason": "not_planned", "labels": [], "assignees": ["octocat"],
            }),
            json!({ "repo": repo, "number": 7, "state": "open", "stateReason": "reopened" }),
        ],
        GitHubCommentIssue => {
            vec![json!({ "repo": repo, "number": 7, "body": "Bring an umbrella" })]
        }
        GitHubListPrs => vec![
            json!({ "repo": repo }),
            json!({ "repo": repo, "state": "closed", "head": "me:feat/x", "base": "main", "page": 2 }),
        ],
        GitHubGetPr => vec![json!({ "repo": repo, "number": 7 })],
        GitHubGetPrForBranch => vec![json!({ "repo": repo, "branch": "feat/x" })],
        GitHubCreatePr => vec![
            json!({ "repo": repo, "title": "An umbrella", "head": "feat/x" }),
            json!({
                "repo": repo, "title": "An umbrella", "body": "b", "head": "me:feat/x", "base": "main",
                "draft": true,
            }),
        ],
        GitHubUpdatePr => vec![
            json!({ "repo": repo, "number": 7 }),
            json!({ "repo": repo, "number": 7, "title": "t", "body": "b", "state": "closed", "base": "next" }),
        ],
        GitHubMergePr => vec![
            json!({ "repo": repo, "number": 7 }),
            json!({
                "repo": repo, "number": 7, "method": "squash", "commitTitle": "t", "commitMessage": "m",
                "expectedHeadSha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
            }),
        ],
        GitHubListReviewComments | GitHubListReviews => vec![
            json!({ "repo": repo, "number": 7 }),
            json!({ "repo": repo, "number": 7, "page": 2, "perPage": 50 }),
        ],
        GitHubRequestReviewers => vec![
            json!({ "repo": repo, "number": 7, "reviewers": ["octocat"] }),
            json!({ "repo": repo, "number": 7, "reviewers": ["octocat"], "teamReviewers": ["justice-league"] }),
        ],
        GitHubListCheckRuns => vec![
            json!({ "repo": repo, "ref": "feat/x" }),
            json!({ "repo": repo, "ref": "v1.0", "page": 2, "perPage": 10 }),
        ],
        GitHubGetCombinedStatus => vec![json!({ "repo": repo, "ref": "feat/x" })],
        other => panic!("{other} is an effect of GitHub that nobody has written a request for"),
    }
}

/// Asks `github` for an effect, as the host does: from JSON to JSON.
async fn perform(github: &GitHub, kind: EffectKind, request: &Value) -> Value {
    macro_rules! effects {
        ($($Kind:ident => $method:ident,)*) => {
            match kind {
                $(EffectKind::$Kind => {
                    let request = serde_json::from_value(request.clone()).unwrap();
                    let told = github.$method(&call(), request).await;
                    let told = told.unwrap_or_else(|error| panic!("{kind}: {error} {error:?}"));
                    serde_json::to_value(told).unwrap()
                })*
                other => panic!("{other} is an effect of GitHub that nobody has listed here"),
            }
        };
    }
    effects! {
        GitHubGetRepo => get_repo,
        GitHubListLabels => list_labels,
        GitHubListIssues => list_issues,
        GitHubGetIssue => get_issue,
        GitHubCreateIssue => create_issue,
        GitHubUpdateIssue => update_issue,
        GitHubCommentIssue => comment_issue,
        GitHubListPrs => list_prs,
        GitHubGetPr => get_pr,
        GitHubGetPrForBranch => get_pr_for_branch,
        GitHubCreatePr => create_pr,
        GitHubUpdatePr => update_pr,
        GitHubMergePr => merge_pr,
        GitHubListReviewComments => list_review_comments,
        GitHubListReviews => list_reviews,
        GitHubRequestReviewers => request_reviewers,
        GitHubListCheckRuns => list_check_runs,
        GitHubGetCombinedStatus => get_combined_status,
    }
}

/// The expected result for GitHub's own example of a response.
fn expected(kind: EffectKind) -> (&'static str, Value) {
    use EffectKind::*;
    match kind {
        GitHubGetRepo => ("/fullName", json!("octocat/Hello-World")),
        GitHubListLabels => ("/labels/0/name", json!("bug")),
        GitHubGetIssue | GitHubCreateIssue | GitHubUpdateIssue => ("/number", json!(1347)),
        GitHubListPrs => ("/prs/0/headRef", json!("new-topic")),
        GitHubGetPr | GitHubCreatePr | GitHubUpdatePr => ("/baseRef", json!("master")),
        GitHubListReviewComments => ("/comments/0/side", json!("right")),
        GitHubListReviews => ("/reviews/0/state", json!("approved")),
        GitHubListCheckRuns => ("/checkRuns/0/conclusion", json!("neutral")),
        GitHubGetCombinedStatus => ("/statuses/0/state", json!("success")),
        // Whatever it is, it was read as the contract has it.
        _ => ("", Value::Null),
    }
}

#[tokio::test]
async fn every_effect_asks_as_github_describes_it_and_reads_what_it_answers() {
    let Some(prism) = Prism::start().await else {
        return;
    };
    let github = github_with(GitHubConfig {
        time_limit: TimeSpan::secs(60),
        max_response_bytes: 4 << 20,
        ..config(&prism.server.url)
    });
    let of_github = EffectKind::ALL
        .iter()
        .filter(|kind| kind.service() == Service::GitHub);
    let mut asked = 0;
    for kind in of_github {
        for request in requests(*kind) {
            let told = perform(&github, *kind, &request).await;
            let exchanges = prism.take();
            assert!(!exchanges.is_empty(), "{kind} {request}: nothing was asked");
            for (seen, violations) in exchanges {
                assert_eq!(violations, [Value::Null; 0], "{kind} {request}: {seen:?}");
                assert_eq!(seen.header("traceparent"), Some(TRACEPARENT));
                asked += 1;
            }
            let (place, wanted) = expected(*kind);
            if !wanted.is_null() {
                assert_eq!(told.pointer(place), Some(&wanted), "{kind}: {told}");
            }
        }
    }
    println!("Prism found nothing wrong with {asked} requests");
    prism_says_no(&prism).await;
}

/// That Prism would have told: a request that does not fit is found out.
async fn prism_says_no(prism: &Prism) {
    use http_body_util::BodyExt;
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build_http::<String>();
    let url = format!("{}/repos/acme/web/pulls?state=ajar", prism.server.url);
    let request = http::Request::get(url)
        .header("accept", "application/json")
        .body(String::new())
        .unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), 422);
    response.into_body().collect().await.unwrap();
    let (_, violations) = prism.take().remove(0);
    assert_eq!(violations.len(), 1, "{violations:?}");
}
