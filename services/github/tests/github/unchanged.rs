//! Conditional requests, redirects and the headers that go along.

use exomonad_core::GitHubService;
use exomonad_schema::ErrorCode;
use exomonad_test_support::{MockResponse, MockServer};

use crate::service::*;

#[tokio::test]
async fn unchanged_resources_are_requested_conditionally_and_served_from_the_cache() {
    let server = MockServer::start(|seen, n| match seen.header("if-none-match") {
        Some("W/\"one\"") if n < 3 => MockResponse::Whole(304, Vec::new(), String::new()),
        _ => MockResponse::ok(format!("[{}]", issue_json(&format!("of request {n}"))))
            .with("etag", "W/\"one\"")
            .with("link", "<https://x/?page=2>; rel=\"next\""),
    })
    .await;
    let github = github(&server.url);
    let list = || github.list_issues(&CALL, request(r#"{"repo":"acme/web"}"#));
    static CALL: std::sync::LazyLock<exomonad_core::CallContext> = std::sync::LazyLock::new(call);
    for wanted in [
        "of request 0",
        "of request 0",
        "of request 0",
        "of request 3",
    ] {
        let told = list().await.unwrap();
        assert_eq!(told.issues[0].title, wanted);
        assert_eq!(told.next_page, Some(2));
    }
    // Another page is another answer.
    let other = request(r#"{"repo":"acme/web","page":2}"#);
    github.list_issues(&call(), other).await.unwrap();
    let seen = server.seen();
    let conditional: Vec<bool> = seen
        .iter()
        .map(|seen| seen.header("if-none-match").is_some())
        .collect();
    assert_eq!(conditional, [false, true, true, true, false]);
}

#[tokio::test]
async fn a_revoked_token_gets_nothing_from_the_cache() {
    let server = MockServer::start(|_, n| match n {
        0 => MockResponse::ok(issue_json("secret")).with("etag", "\"1\""),
        _ => MockResponse::status(401, "Bad credentials"),
    })
    .await;
    let github = github(&server.url);
    github.get_issue(&call(), get_issue()).await.unwrap();
    failed(
        github.get_issue(&call(), get_issue()).await,
        ErrorCode::Unauthenticated,
    );
}

#[tokio::test]
async fn a_renamed_repository_is_found_where_it_is_now_on_the_same_host() {
    let server = MockServer::start(|seen, _| {
        if seen.path.starts_with("/api/v3/repositories/42/") {
            MockResponse::ok(issue_json("moved"))
        } else {
            let to = format!(
                "http://{}/api/v3/repositories/42/issues/7",
                seen.header("host").unwrap()
            );
            MockResponse::status(301, "Moved Permanently").with("location", to)
        }
    })
    .await;
    let github = github(&format!("{}/api/v3", server.url));
    let told = github.get_issue(&call(), get_issue()).await.unwrap();
    assert_eq!(told.title, "moved");
    let seen = server.seen();
    assert_eq!(seen[0].path, "/api/v3/repos/acme/web/issues/7");
    assert_eq!(
        seen[1].header("authorization"),
        Some(&*format!("Bearer {TOKEN}"))
    );
    // What changes something stays where it is.
    let error = failed(
        github.create_issue(&call(), create_issue()).await,
        ErrorCode::NotFound,
    );
    assert!(error.message.contains("has moved"), "{error}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_redirect_to_another_host_or_in_a_circle_is_not_followed() {
    let thief = MockServer::start(|_, _| MockResponse::ok(issue_json("stolen"))).await;
    let to = format!("{}/repos/acme/web/issues/7", thief.url);
    let server =
        MockServer::start(move |_, _| MockResponse::status(301, "").with("location", &to)).await;
    let outcome = github(&server.url).get_issue(&call(), get_issue()).await;
    failed(outcome, ErrorCode::NotFound);
    assert!(thief.seen().is_empty(), "the token went to another host");

    let circle =
        MockServer::start(|seen, _| MockResponse::status(307, "").with("location", &seen.path))
            .await;
    let outcome = github(&circle.url).get_issue(&call(), get_issue()).await;
    failed(outcome, ErrorCode::NotFound);
    assert_eq!(circle.seen().len(), 4);
}

#[tokio::test]
async fn a_request_says_who_asks_and_which_trace_it_belongs_to() {
    let server = MockServer::start(|_, _| MockResponse::ok(issue_json("t"))).await;
    let github = github(&server.url);
    github.get_issue(&call(), get_issue()).await.unwrap();
    let mut untraced = call();
    untraced.traceparent = Some("not\na header".to_owned());
    github.get_issue(&untraced, get_issue()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("traceparent"), Some(TRACEPARENT));
    assert_eq!(seen[1].header("traceparent"), None);
    assert!(
        seen[0]
            .header("user-agent")
            .unwrap()
            .starts_with("exomonad/")
    );
    assert_eq!(seen[0].header("x-github-api-version"), Some("2022-11-28"));
    assert_eq!(seen[0].header("accept-encoding"), None);
}
