//! Answers that do not come, or not as they should.

use std::time::{Duration, Instant};

use exomonad_core::GitHubService;
use exomonad_core::values::TimeSpan;
use exomonad_github::GitHubConfig;
use exomonad_schema::ErrorCode;
use exomonad_test_support::{MockResponse, MockServer, RefusingAddress};

use crate::service::*;

#[tokio::test]
async fn a_github_that_cannot_be_reached_is_unavailable_and_the_service_goes_on() {
    let refusing = RefusingAddress::new();
    let github = github(&format!("http://{}", refusing.address()));
    let error = failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::Unavailable,
    );
    assert!(error.message.contains("Connection refused"), "{error}");
    let error = failed(
        github.create_issue(&call(), create_issue()).await,
        ErrorCode::Unavailable,
    );
    // Nothing was sent, so there is nothing to look after.
    assert!(!error.message.contains("look before"), "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_unavailable_and_gets_no_token() {
    let server = MockServer::start(|_, _| MockResponse::ok(issue_json("plain"))).await;
    let github = github(&server.url.replace("http:", "https:"));
    failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::Unavailable,
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout_and_a_slow_write_may_have_happened() {
    let server = MockServer::start(|_, _| MockResponse::Late(Duration::from_secs(20))).await;
    let github = github_with(GitHubConfig {
        time_limit: TimeSpan::millis(300),
        ..config(&server.url)
    });
    let began = Instant::now();
    let error = failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::Timeout,
    );
    assert!(error.message.contains("`github.time_limit`"), "{error}");
    let error = failed(
        github.create_issue(&call(), create_issue()).await,
        ErrorCode::Timeout,
    );
    assert_eq!(details(&error)["outcomeUnknown"], true);
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn requests_beyond_those_at_once_wait_within_their_own_time() {
    let server = MockServer::start(|_, _| MockResponse::Late(Duration::from_secs(1))).await;
    let github = github_with(GitHubConfig {
        max_concurrent: 1,
        time_limit: TimeSpan::millis(1700),
        ..config(&server.url)
    });
    let call = call();
    let (one, other) = tokio::join!(
        github.get_issue(&call, get_issue()),
        github.get_issue(&call, get_issue())
    );
    let mut codes = [one.unwrap_err().code, other.unwrap_err().code];
    codes.sort();
    // The first got `{}`, which is no issue; the second had no time left.
    assert_eq!(codes, [ErrorCode::Timeout, ErrorCode::Internal]);
}

#[tokio::test]
async fn an_answer_that_always_breaks_off_is_unavailable() {
    let server = MockServer::start(|_, _| MockResponse::CutOff("{\"number\":".to_owned())).await;
    let outcome = github(&server.url).get_issue(&call(), get_issue()).await;
    failed(outcome, ErrorCode::Unavailable);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_read_to_its_end() {
    let long = "x".repeat(1 << 20);
    let server = MockServer::start(move |_, _| MockResponse::ok(issue_json(&long))).await;
    let github = github(&server.url);
    let error = failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::LimitExceeded,
    );
    assert!(error.message.contains("fewer entries"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_response_that_is_no_json_or_no_issue_is_an_error() {
    for (body, code) in [
        (
            "<html>Welcome to the captive portal</html>",
            ErrorCode::Unavailable,
        ),
        ("{\"number\":7,", ErrorCode::Unavailable),
        ("", ErrorCode::Unavailable),
        ("[]", ErrorCode::Internal),
        ("{\"number\":\"seven\"}", ErrorCode::Internal),
    ] {
        let server = MockServer::start(move |_, _| MockResponse::ok(body)).await;
        let outcome = github(&server.url).get_issue(&call(), get_issue()).await;
        let error = failed(outcome, code);
        assert!(!error.message.contains("captive"), "{error}");
        assert_eq!(server.seen().len(), 1);
    }
}
