//! Retries: requests that are sent again, and those that never are.

use exomonad_core::GitHubService;
use exomonad_schema::ErrorCode;
use exomonad_test_support::{MockResponse, MockServer};

use crate::service::*;

#[tokio::test]
async fn a_read_is_tried_again_after_a_passing_failure_of_any_kind() {
    let server = MockServer::start(|_, n| match n {
        0 => MockResponse::status(502, "Bad Gateway"),
        1 => MockResponse::CutOff(issue_json("half")),
        _ => MockResponse::ok(issue_json("whole")),
    })
    .await;
    let told = github(&server.url).get_issue(&call(), get_issue()).await;
    assert_eq!(told.unwrap().title, "whole");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_read_is_given_up_after_the_retries_it_has() {
    for (status, requests) in [(500, 1), (502, 3), (503, 3), (504, 3)] {
        let server = MockServer::start(move |_, _| MockResponse::status(status, "trouble")).await;
        let outcome = github(&server.url).get_issue(&call(), get_issue()).await;
        let error = failed(outcome, ErrorCode::Unavailable);
        assert_eq!(details(&error)["status"], status);
        assert_eq!(details(&error)["outcomeUnknown"], serde_json::Value::Null);
        assert_eq!(server.seen().len(), requests, "{status}");
    }
}

#[tokio::test]
async fn a_long_retry_after_of_an_overloaded_server_is_not_waited_for() {
    let server =
        MockServer::start(|_, _| MockResponse::status(503, "busy").with("retry-after", 60)).await;
    let outcome = github(&server.url).get_issue(&call(), get_issue()).await;
    let error = failed(outcome, ErrorCode::Unavailable);
    assert_eq!(details(&error)["retryAfterMillis"], 60_000);
    assert_eq!(server.seen().len(), 1);
}

/// Each effect that writes, against a server that fails so: how often was it sent?
async fn writes_against(answer: impl Fn() -> MockResponse + Send + Sync + 'static) {
    let server = MockServer::start(move |_, _| answer()).await;
    let call = call();
    let issue = r#"{"repo":"acme/web","number":7,"title":"t"}"#;
    let comment = r#"{"repo":"acme/web","number":7,"body":"b"}"#;
    let new = r#"{"repo":"acme/web","title":"t","head":"x","base":"main"}"#;
    let reviewers = r#"{"repo":"acme/web","number":7,"reviewers":["me"]}"#;
    // Each by a service of its own, as a limit would hold the next one back.
    let fresh = || github(&server.url);
    let errors = [
        fresh()
            .create_issue(&call, create_issue())
            .await
            .unwrap_err(),
        fresh()
            .update_issue(&call, request(issue))
            .await
            .unwrap_err(),
        fresh()
            .comment_issue(&call, request(comment))
            .await
            .unwrap_err(),
        fresh().create_pr(&call, request(new)).await.unwrap_err(),
        fresh().update_pr(&call, request(issue)).await.unwrap_err(),
        fresh().merge_pr(&call, merge_pr()).await.unwrap_err(),
        fresh()
            .request_reviewers(&call, request(reviewers))
            .await
            .unwrap_err(),
    ];
    let seen = server.seen();
    assert_eq!(
        seen.len(),
        errors.len(),
        "something was sent twice: {seen:?}"
    );
    for (error, seen) in errors.iter().zip(seen) {
        assert!(
            ["POST", "PATCH", "PUT"].contains(&&*seen.method),
            "{seen:?}"
        );
        if error.code == ErrorCode::Unavailable {
            assert_eq!(details(error)["outcomeUnknown"], true, "{error}");
            assert!(
                error.message.contains("look before trying again"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn no_write_is_ever_sent_twice() {
    writes_against(|| MockResponse::status(502, "Bad Gateway")).await;
    writes_against(|| MockResponse::status(503, "busy").with("retry-after", 0)).await;
    writes_against(|| MockResponse::status(429, "slow down").with("retry-after", 0)).await;
    writes_against(|| MockResponse::Close).await;
    writes_against(|| MockResponse::CutOff(issue_json("half"))).await;
    writes_against(|| MockResponse::status(307, "elsewhere").with("location", "/repositories/1"))
        .await;
}

#[tokio::test]
async fn a_write_on_a_connection_that_the_server_just_gave_up_is_not_sent_twice_either() {
    // It says that it keeps the connection, and closes it.
    let server = MockServer::start(|_, _| {
        MockResponse::ok(issue_json("made")).with("connection", "keep-alive")
    })
    .await;
    let github = github(&server.url);
    let mut made = 0;
    for _ in 0..50 {
        match github.create_issue(&call(), create_issue()).await {
            Ok(_) => made += 1,
            Err(error) => assert_eq!(details(&error)["outcomeUnknown"], true, "{error}"),
        }
    }
    let seen = server.seen().len();
    assert!(made <= seen && seen <= 50, "{made} made, {seen} seen");
    assert!(made >= 1);
}
