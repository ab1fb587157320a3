//! Rate limits, primary and secondary.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exomonad_core::GitHubService;
use exomonad_schema::ErrorCode;
use exomonad_test_support::{MockResponse, MockServer};

use crate::service::*;

const SECONDARY: &str = "You have exceeded a secondary rate limit. Please wait a few minutes.";

#[tokio::test]
async fn a_short_retry_after_is_waited_for_when_reading() {
    let server = MockServer::start(|_, n| match n {
        0 => MockResponse::status(429, "slow down").with("retry-after", 1),
        1 => MockResponse::status(403, SECONDARY).with("retry-after", 0),
        _ => MockResponse::ok(issue_json("after all")),
    })
    .await;
    let began = Instant::now();
    let told = github(&server.url).get_issue(&call(), get_issue()).await;
    assert_eq!(told.unwrap().title, "after all");
    assert!(began.elapsed() >= Duration::from_secs(1), "did not wait");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_long_retry_after_is_reported_at_once_and_nothing_more_is_sent_until_then() {
    let server =
        MockServer::start(|_, _| MockResponse::status(429, "slow").with("retry-after", 30)).await;
    let github = github(&server.url);
    let began = Instant::now();
    let error = failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::RateLimited,
    );
    assert_eq!(details(&error)["retryAfterMillis"], 30_000);
    assert!(details(&error)["resetAt"].as_str().unwrap().ends_with('Z'));
    // Neither another read nor a write goes out while GitHub has asked for quiet.
    failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::RateLimited,
    );
    let error = failed(
        github.create_issue(&call(), create_issue()).await,
        ErrorCode::RateLimited,
    );
    assert!(details(&error)["retryAfterMillis"].as_u64().unwrap() > 25_000);
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_used_up_primary_limit_tells_when_it_opens_again() {
    let reset = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 600;
    let server = MockServer::start(move |_, _| {
        MockResponse::status(403, "API rate limit exceeded for user ID 1.")
            .with("x-ratelimit-remaining", 0)
            .with("x-ratelimit-reset", reset)
    })
    .await;
    let outcome = github(&server.url).get_issue(&call(), get_issue()).await;
    let error = failed(outcome, ErrorCode::RateLimited);
    let wait = details(&error)["retryAfterMillis"].as_u64().unwrap();
    assert!((595_000..=602_000).contains(&wait), "{wait}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_secondary_limit_without_a_time_lasts_a_minute() {
    let server = MockServer::start(|_, _| MockResponse::status(403, SECONDARY)).await;
    let outcome = github(&server.url)
        .create_issue(&call(), create_issue())
        .await;
    let error = failed(outcome, ErrorCode::RateLimited);
    assert_eq!(details(&error)["retryAfterMillis"], 60_000);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_write_is_not_sent_again_after_a_limit_and_the_next_one_waits_for_it() {
    let server = MockServer::start(|_, n| match n {
        0 => MockResponse::status(429, "slow down").with("retry-after", 1),
        _ => MockResponse::ok(issue_json("made")),
    })
    .await;
    let github = github(&server.url);
    failed(
        github.create_issue(&call(), create_issue()).await,
        ErrorCode::RateLimited,
    );
    assert_eq!(server.seen().len(), 1);
    let began = Instant::now();
    github.create_issue(&call(), create_issue()).await.unwrap();
    assert!(
        began.elapsed() >= Duration::from_millis(800),
        "did not wait"
    );
    assert_eq!(server.seen().len(), 2);
}
