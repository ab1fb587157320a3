//! Guests' HTTP requests: to granted hosts, with secrets that the guest never sees.

use exomonad_test_support::{Guest, Project, WebServer};
use serde_json::json;

const SECRET: &str = "s3cr3t-of-the-weather-0123456789";

const CONFIG: &str = "[server]\nraw_calls = true\n[log]\nfilter = 'debug'\n\
    [secret.WEATHER_KEY]\nenv = 'WEATHER'\nhosts = ['127.0.0.1']\n\
    [role.asker]\neffects = ['http.request', 'log.*']\nhosts = ['127.0.0.1', '*.example.com']\nsecrets = ['WEATHER_KEY']\n\
    [role.poor]\nplugin = 'asker'\neffects = ['http.request']\nhosts = ['*']\n\
    [role.denied]\nplugin = 'asker'\neffects = ['log.*']\nhosts = ['127.0.0.1']\n";

fn project() -> Project {
    let asker = Guest::answering("").forwarding(&["http_request", "log"]);
    Project::new()
        .config(CONFIG)
        .env("WEATHER", SECRET)
        .plugin("asker.wat", asker.wat())
}

#[tokio::test]
async fn a_request_carries_a_secret_that_shows_nowhere() {
    let server = WebServer::answering(&format!("you came with {SECRET}"));
    let project = project();
    let host = project.serve().await;
    let request = json!({
        "method": "POST",
        "url": format!("{}weather?key={{{{secret:WEATHER_KEY}}}}", server.url()),
        "headers": {"authorization": "Bearer {{secret:WEATHER_KEY}}"},
        "body": "rain?",
    });
    let answer = host.effect("asker", "http_request", request.clone()).await;
    assert_eq!(answer["kind"], "Success", "{answer}");
    assert_eq!(answer["payload"]["status"], 200);
    assert_eq!(
        answer["payload"]["body"],
        "you came with {{secret:WEATHER_KEY}}"
    );
    assert_eq!(server.requests(), 1);
    assert!(
        server.last().contains(&format!("Bearer {SECRET}")),
        "{}",
        server.last()
    );
    for role in ["poor", "denied"] {
        let refused = host.effect(role, "http_request", request.clone()).await;
        assert_eq!(refused["kind"], "Error", "{refused}");
        assert!(!refused.to_string().contains(SECRET));
    }
    assert_eq!(server.requests(), 1, "nothing was sent");
    let message = json!({"level": "info", "message": "{{secret:WEATHER_KEY}}"});
    host.effect("asker", "log", message).await;
    assert!(!answer.to_string().contains(SECRET), "{answer}");
    assert!(!host.log().contains(SECRET), "{}", host.log());
}

#[tokio::test]
async fn extisms_own_function_takes_the_same_grant() {
    let server = WebServer::answering("here");
    let asker = Guest::answering("")
        .host_function("http_request", "(param i64 i64) (result i64)")
        .export(
            "use",
            "(call $give (call $http_request (call $input_offset) (i64.const 0)))",
        );
    let project = Project::new().config(CONFIG).env("WEATHER", SECRET);
    let host = project.plugin("asker.wat", asker.wat()).serve().await;
    let request = json!({"url": server.url()}).to_string();
    let answer = host.raw("asker", "use", &request).await;
    assert_eq!((answer.status, &*answer.text()), (200, "here"));
    let denied = host.raw("denied", "use", &request).await;
    assert!(
        denied.text().contains("[role.denied]\\neffects = "),
        "{}",
        denied.text()
    );
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_host_that_is_not_granted_is_named_with_the_line_that_grants_it() {
    let server = WebServer::answering("here");
    let project = project();
    let host = project.serve().await;
    for (role, url, code, says) in [
        (
            "asker",
            "http://other.example.org/",
            "forbidden",
            "`hosts` of this role",
        ),
        (
            "poor",
            server.url().as_str(),
            "forbidden",
            "`private_hosts` of this role",
        ),
        (
            "poor",
            "http://169.254.169.254/latest/meta-data",
            "forbidden",
            "`private_hosts`",
        ),
        (
            "asker",
            "http://127.0.0.1:1/",
            "unavailable",
            "127.0.0.1 failed",
        ),
        (
            "denied",
            server.url().as_str(),
            "effect_denied",
            "http.request",
        ),
    ] {
        let answer = host.effect(role, "http_request", json!({"url": url})).await;
        assert_eq!(answer["payload"]["code"], code, "{url}: {answer}");
        let message = answer["payload"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{url}: {message}");
    }
    assert_eq!(server.requests(), 0);
}
