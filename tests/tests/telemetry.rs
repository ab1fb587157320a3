//! Sending telemetry: what goes along, what does not, and what happens when the collector is away.

use exomonad_test_support::{
    Collector, Guest, Host, Project, RefusingAddress, eventually, never_within,
};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

const HEADER: &str = "header-s3cr3t-0123456789";
const OPERATOR: &str = "operator-s3cr3t-0123456789";
const OF_GITHUB: &str = "ghp_s3cr3t0123456789";
const IN_URL: &str = "url-s3cr3t-0123456789";
/// A part of every secret.
const MARK: &str = "s3cr3t";

/// Log lines of an outage: when the collector is away, and when it is back.
const AWAY: &str = "telemetry cannot be sent";
const BACK: &str = "telemetry is sent again";

fn sending_to(endpoint: &str, protocol: &str, more: &str) -> Project {
    Project::new().config(&format!(
        "[telemetry]\nendpoint = '{endpoint}'\nprotocol = '{protocol}'\ninterval = '20ms'\n{more}\n"
    ))
}

async fn works(host: &Host) {
    let answer = host.call("echo", "echo", json!({"text": "hello"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The number that a metric's line ends with, over all lines that begin like this.
async fn metric(host: &Host, begins: &str) -> f64 {
    let text = host.get("/metrics").await.text();
    let lines = text.lines().filter(|line| line.starts_with(begins));
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[tokio::test]
async fn an_unreachable_collector_costs_one_line_and_no_call() {
    for protocol in ["grpc", "http/protobuf"] {
        let refusing = RefusingAddress::new();
        let endpoint = format!("http://{}", refusing.address());
        let host = sending_to(&endpoint, protocol, "time_limit = '300ms'\nqueue = 8")
            .serve()
            .await;
        host.logs(AWAY, 1).await;
        for _ in 0..50 {
            works(&host).await;
        }
        // What finds no place, and what could not be sent, is counted.
        eventually("drops are counted", async || {
            (metric(&host, "exomonad_telemetry_dropped_total").await >= 200.0).then_some(())
        })
        .await;
        never_within(Duration::from_millis(500), "another line", async || {
            host.log().matches(AWAY).count() > 1
        })
        .await;
        assert!(!host.log().contains(BACK));
    }
}

#[tokio::test]
async fn a_collector_that_comes_back_receives_what_happens_then() {
    let Some(collector) = Collector::start() else {
        return;
    };
    let mut host = sending_to(&collector.grpc(), "grpc", "").serve().await;
    works(&host).await;
    collector
        .span("the first call arrives", |span| {
            span.name() == "tools/call echo"
        })
        .await;
    let ports = collector.ports();
    drop(collector);
    for _ in 0..10 {
        works(&host).await;
    }
    host.logs(AWAY, 1).await;
    let collector = Collector::again(ports).unwrap();
    host.logs(BACK, 1).await;
    works(&host).await;
    collector
        .span("the next call arrives", |span| {
            span.name() == "tools/call echo"
        })
        .await;
    assert_eq!(host.log().matches(AWAY).count(), 1);

    // What the last call leaves is sent before the host ends.
    let before = collector.spans().len();
    works(&host).await;
    host.signal(15);
    assert_eq!(host.end().await, Some(0));
    eventually("the last call arrives", async || {
        let ended = collector
            .lines()
            .iter()
            .any(|line| line.0["body"]["stringValue"] == "all calls finished");
        (ended && collector.spans().len() > before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_host_ends_in_time_though_the_collector_never_answers() {
    // It takes connections, and that is all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    for protocol in ["grpc", "http/protobuf"] {
        let project = Project::new().config(&format!(
            "[server]\nshutdown_grace = '1s'\n[telemetry]\nendpoint = '{endpoint}'\nprotocol = '{protocol}'\ninterval = '20ms'\ntime_limit = '10m'\n"
        ));
        let mut host = project.serve().await;
        works(&host).await;
        host.signal(15);
        assert_eq!(host.end().await, Some(0));
    }
}

#[tokio::test]
async fn nothing_that_is_sent_holds_a_secret() {
    for protocol in ["grpc", "http/protobuf"] {
        let Some(collector) = Collector::start() else {
            return;
        };
        let endpoint = if protocol == "grpc" {
            collector.grpc()
        } else {
            collector.http()
        };
        let spy = Guest::answering("")
            .forwarding(&[
                "git_fetch",
                "git_get_remote_url",
                "github_get_repo",
                "http_request",
            ])
            .wat();
        let project = Project::new()
            .config(
                "[server]\nraw_calls = true\n[log]\nfilter = 'trace'\n[telemetry]\ninterval = '20ms'\n\
                 [github]\nbase_url = 'http://127.0.0.1:9'\n[secret.KEY]\nenv = 'KEY'\nhosts = ['127.0.0.1']\n\
                 [role.spy]\neffects = ['git.*', 'github.*', 'http.*']\nrepos = ['*/*']\nhosts = ['127.0.0.1']\nsecrets = ['KEY']\n",
            )
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{HEADER}"))
            .env("EXOMONAD_TOKEN", OPERATOR)
            .env("GITHUB_TOKEN", OF_GITHUB)
            .env("KEY", IN_URL)
            .plugin("spy.wat", spy);
        let remote = format!("https://ada:{IN_URL}@127.0.0.1:9/acme/search.git?token={IN_URL}");
        project.git(&["remote", "add", "origin", &remote]);
        let host = project.serve().await.with_token(OPERATOR);
        for (effect, request) in [
            ("git_fetch", json!({})),
            ("git_get_remote_url", json!({})),
            ("github_get_repo", json!({"repo": "acme/search"})),
            (
                "http_request",
                json!({"url": format!("http://ada:{IN_URL}@127.0.0.1:9/{IN_URL}?token={IN_URL}")}),
            ),
            (
                "http_request",
                json!({"url": "http://127.0.0.1:9/{{secret:KEY}}", "headers": {"x-key": "{{secret:KEY}}"}}),
            ),
        ] {
            host.effect("spy", effect, request).await;
        }
        let path = format!("/{IN_URL}?token={IN_URL}");
        let _ = host
            .request(Method::GET, &path)
            .bearer_auth(IN_URL)
            .send()
            .await;
        for span in ["GET GitHub", "git fetch", "GET"] {
            // A remote with a password in its URL is refused before git runs.
            if span != "git fetch" {
                collector.span(span, |found| found.name() == span).await;
            }
        }
        eventually("metrics arrive", async || {
            (!collector.metrics().is_empty()).then_some(())
        })
        .await;
        for request in collector.requests() {
            assert_eq!(
                request["headers"]["authorization"],
                format!("Bearer {HEADER}")
            );
            let message = request["message"].to_string();
            let at = message.find(MARK).unwrap_or_default();
            assert!(
                !message.contains(MARK),
                "{}",
                &message[at.saturating_sub(500)..at]
            );
        }
        assert!(!host.log().contains(MARK));
        assert!(!host.get("/metrics").await.text().contains(MARK));
    }
}

#[tokio::test]
async fn sending_telemetry_makes_no_telemetry() {
    let Some(collector) = Collector::start() else {
        return;
    };
    let project = sending_to(&collector.grpc(), "grpc", "[log]\nfilter = 'trace'");
    let host = project.serve().await;
    works(&host).await;
    eventually("lines arrive", async || {
        (collector.lines().len() > 3).then_some(())
    })
    .await;
    eventually("the lines come to an end", async || {
        let before = collector.lines().len();
        tokio::time::sleep(Duration::from_millis(300)).await;
        (collector.lines().len() == before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_the_signals_that_are_wanted_are_sent() {
    let Some(collector) = Collector::start() else {
        return;
    };
    let project = sending_to(&collector.http(), "http/protobuf", "signals = ['metrics']");
    let host = project.serve().await;
    works(&host).await;
    eventually("metrics arrive", async || {
        (collector.metrics().len() > 20).then_some(())
    })
    .await;
    assert!(collector.spans().is_empty() && collector.lines().is_empty());
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_with_its_place() {
    let refused = |config: &str, says: &str| {
        let ran = Project::new()
            .config(config)
            .run(["config", "check"])
            .exits(2);
        assert!(ran.output().contains(says), "{ran:?}");
        assert!(!ran.output().contains(MARK), "{ran:?}");
    };
    refused(
        "[telemetry]\nendpoint = 'localhost:4317'\n",
        "exomonad.toml:2:12",
    );
    refused(
        &format!("[telemetry]\nendpoint = 'http://u:{IN_URL}@h'\n"),
        "a user, a password or a query",
    );
    refused("[telemetry]\nprotocol = 'grcp'\n", "did you mean \"grpc\"?");
    refused(
        "[telemetry]\nsignals = ['spans']\n",
        "\"traces\", \"logs\", \"metrics\"",
    );
    refused("[telemetry]\nsampling = '2'\n", "no part of a whole");
    refused(
        "[telemetry]\nheaders_env = 'NO_SUCH'\n",
        "NO_SUCH is not set",
    );
    let ran = Project::new()
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("Bearer {HEADER}"))
        .run(["config", "check"])
        .exits(2);
    assert!(
        ran.output().contains("OTEL_EXPORTER_OTLP_HEADERS") && !ran.output().contains(MARK),
        "{ran:?}"
    );
}
