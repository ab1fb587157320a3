//! Refusals by GitHub, and by the service before GitHub could.

use std::sync::Arc;

use exomonad_core::Secret;
use exomonad_core::{BoundsMap, GitHubService, RepoBounds};
use exomonad_github::GitHubConfig;
use exomonad_schema::ErrorCode;
use exomonad_test_support::{MockResponse, MockServer};

use crate::service::*;

/// Refuses everything so.
async fn refusing(status: u16, body: &'static str) -> MockServer {
    MockServer::start(move |_, _| MockResponse::Whole(status, Vec::new(), body.to_owned())).await
}

#[tokio::test]
async fn the_error_of_a_wrong_or_revoked_token_says_what_to_do_and_never_shows_it() {
    let server = MockServer::start(|seen, _| {
        // A server that echoes what it was sent, as some debugging proxies do.
        let sent = seen.header("authorization").unwrap();
        MockResponse::status(401, &format!("Bad credentials: {sent}"))
    })
    .await;
    let github = github(&server.url);
    let error = failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::Unauthenticated,
    );
    assert!(error.message.contains("`github.token_file`"), "{error}");
    assert!(error.message.contains("[token]"), "{error}");
    assert_eq!(server.seen().len(), 1);
    assert!(!format!("{github:?}").contains("PlantedToken"));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let server = refusing(200, "{}").await;
    let github = github_with(GitHubConfig {
        token: None,
        ..config(&server.url)
    });
    let error = failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::Unauthenticated,
    );
    assert!(error.message.contains("`github.token_env`"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_repository_out_of_bounds_is_refused_before_anything_is_sent() {
    let server = refusing(200, "{}").await;
    let mut call = call();
    call.bounds = Arc::new(BoundsMap::default().with(RepoBounds {
        repos: vec!["acme/api".parse().unwrap(), "other/*".parse().unwrap()],
    }));
    let outcome = github(&server.url).merge_pr(&call, merge_pr()).await;
    let error = failed(outcome, ErrorCode::Forbidden);
    assert!(error.message.contains("`role.tl.repos`"), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let server = refusing(404, r#"{"message":"Not Found"}"#).await;
    let outcome = github(&server.url).get_issue(&call(), get_issue()).await;
    let error = failed(outcome, ErrorCode::NotFound);
    assert!(
        error.message.contains("the issue 7 does not exist"),
        "{error}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_token_without_permission_is_forbidden_and_no_rate_limit() {
    let server = refusing(
        403,
        r#"{"message":"Resource not accessible by personal access token"}"#,
    )
    .await;
    let outcome = github(&server.url)
        .create_issue(&call(), create_issue())
        .await;
    let error = failed(outcome, ErrorCode::Forbidden);
    assert!(error.message.contains("Resource not accessible"), "{error}");
}

#[tokio::test]
async fn a_validation_error_names_each_field() {
    let body = r#"{"message":"Validation Failed","documentation_url":"https://docs.github.com/x",
        "errors":[{"resource":"Issue","field":"assignees","code":"invalid","value":"nobody"}]}"#;
    let server = refusing(422, body).await;
    let outcome = github(&server.url)
        .create_issue(&call(), create_issue())
        .await;
    let error = failed(outcome, ErrorCode::Validation);
    assert!(
        error.message.contains("Issue.assignees: invalid"),
        "{error}"
    );
    let details = details(&error);
    assert_eq!(details["errors"][0]["field"], "assignees");
    assert_eq!(details["errors"][0]["code"], "invalid");
    assert_eq!(details["status"], 422);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_merge_that_cannot_be_is_a_conflict() {
    for (status, message) in [
        (405, "Pull Request is not mergeable"),
        (
            409,
            "Head branch was modified. Review and try the merge again.",
        ),
    ] {
        let server = MockServer::start(move |_, _| MockResponse::status(status, message)).await;
        let outcome = github(&server.url).merge_pr(&call(), merge_pr()).await;
        let error = failed(outcome, ErrorCode::Conflict);
        assert_eq!(details(&error)["message"], message);
        assert_eq!(server.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_second_pull_request_for_a_branch_is_a_conflict_that_names_the_first() {
    let server = MockServer::start(|seen, _| {
        if seen.method == "POST" {
            return MockResponse::Whole(
                422,
                Vec::new(),
                r#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","code":"custom",
                "message":"A pull request already exists for acme:x."}]}"#
                    .to_owned(),
            );
        }
        assert!(seen.path.contains("head=acme%3Ax"), "{}", seen.path);
        assert!(seen.path.contains("base=main"), "{}", seen.path);
        MockResponse::ok(
            r#"[{"number":12,"title":"t","state":"open","head":{"ref":"x","sha":"1"},"base":{"ref":"main","sha":"2"},
            "html_url":"https://github.com/acme/web/pull/12","created_at":"c","updated_at":"d"}]"#,
        )
    })
    .await;
    let new = request(r#"{"repo":"acme/web","title":"t","head":"x","base":"main"}"#);
    let outcome = github(&server.url).create_pr(&call(), new).await;
    let error = failed(outcome, ErrorCode::Conflict);
    assert_eq!(details(&error)["number"], 12);
    assert_eq!(
        details(&error)["url"],
        "https://github.com/acme/web/pull/12"
    );
    let posts = server
        .seen()
        .iter()
        .filter(|seen| seen.method == "POST")
        .count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_not_sent() {
    let server = refusing(200, "{}").await;
    let github = github(&server.url);
    let climbing = request(r#"{"repo":"acme/web","ref":"../../user"}"#);
    failed(
        github.list_check_runs(&call(), climbing).await,
        ErrorCode::InvalidInput,
    );
    let nobody = request(r#"{"repo":"acme/web","number":7}"#);
    failed(
        github.request_reviewers(&call(), nobody).await,
        ErrorCode::InvalidInput,
    );
    let token = Secret::new("other");
    assert!(!format!("{token:?}").contains("other"));
    assert!(server.seen().is_empty());
}
