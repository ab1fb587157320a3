//! Every effect of the table, against GitHub's description of its API.

use std::time::Duration;

use exomonad_schema::table::{NotConfigured, Service};
use exomonad_schema::{EffectHandler, EffectKind, Services};
use exomonad_services::{Clock, Git, GitConfig, Kv, KvConfig, Log, LogConfig, Random};
use serde_json::{Value, json};

use crate::prism::Prism;
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

#[tokio::test]
async fn every_effect_asks_as_github_describes_it_and_reads_what_it_answers() {
    let Some(prism) = Prism::start().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let services: Services<_, _, _, Clock, _, _, _> = Services {
        log: Log::new(&LogConfig::default()).unwrap(),
        git: Git::new(GitConfig::default()).unwrap(),
        kv: Kv::open(KvConfig::in_dir(dir.path())).unwrap(),
        clock: Clock::default(),
        random: Random,
        github: github_with(exomonad_services::GitHubConfig {
            time_limit: Duration::from_secs(60),
            max_response_bytes: 4 << 20,
            ..config(&prism.server.url)
        }),
        docker: NotConfigured,
    };
    let of_github = EffectKind::ALL
        .iter()
        .filter(|kind| kind.service() == Service::GitHub);
    let mut asked = 0;
    for kind in of_github {
        for request in requests(*kind) {
            let answer = services
                .handle(&call(), *kind, request.to_string().as_bytes())
                .await;
            let told = String::from_utf8_lossy(answer.json());
            let exchanges = prism.take();
            assert!(!exchanges.is_empty(), "{kind} {request}: nothing was asked");
            for (seen, violations) in exchanges {
                assert_eq!(violations, [Value::Null; 0], "{kind} {request}: {seen:?}");
                assert_eq!(seen.header("traceparent"), Some(TRACEPARENT));
                asked += 1;
            }
            assert_eq!(answer.error_code(), None, "{kind} {request}: {told}");
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
