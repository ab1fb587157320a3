//! Connections and requests that take too long, or end too soon.

use std::time::Duration;

use exomonad_test_support::{BEGUN, Connection, Guest, Project, Response, eventually};
use reqwest::Method;
use serde_json::json;

const SLEEP: &str = r#"{"name":"sleep","arguments":{"millis":20000}}"#;

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up_and_its_guest_cancelled() {
    let project = Project::new().config("[server]\nrequest_timeout = '500ms'\n[role.echo.limits]\nconcurrent_calls = 1\nqueue = 0\n");
    let host = project.serve().await;
    let message = host
        .post("/role/echo/mcp/call", SLEEP)
        .await
        .problem(504, "request_timeout");
    assert!(
        message.contains("500ms") && message.contains("`server.request_timeout`"),
        "{message}"
    );
    // With one place and no queue this is refused for as long as the guest sleeps.
    assert_eq!(
        host.call("echo", "echo", json!({"text": "a"})).await.status,
        200
    );
    let spun = host.call("echo", "spin", json!({})).await;
    spun.problem(504, "request_timeout");
    assert_eq!(
        host.call("echo", "echo", json!({"text": "a"})).await.status,
        200,
        "a spinning guest is stopped, too"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_call_with_it() {
    let project = Project::new()
        .config("[defaults.limits]\nconcurrent_calls = 1\nqueue = 0\nwall_time = '25s'\n")
        .plugin("sleeper.wat", Guest::answering("").sleeping(25_000).wat())
        .plugin(
            "spinner.wat",
            Guest::answering("").first("(loop $on (br $on))").wat(),
        );
    let host = project.serve().await;
    let body = r#"{"name":"answer"}"#;
    let begun = || host.log().matches(BEGUN).count();
    for role in ["sleeper", "spinner"] {
        let before = begun();
        let path = format!("/role/{role}/mcp/call");
        let mut connection = Connection::open(&host).await;
        connection.send_head(&path, body.len()).await.unwrap();
        connection.send(body).await.unwrap();
        host.logs(BEGUN, before + 1).await;
        host.post(&path, body).await.problem(429, "queue_full");
        drop(connection);
        // With one place and no queue, another call begins only once this one has ended; by itself it
        // would after 25 s.
        let next = eventually("another call begins", async || {
            let call = host.request(Method::POST, &path).body(body).send();
            let _ = tokio::time::timeout(Duration::from_millis(100), call).await;
            (begun() > before + 1).then_some(())
        });
        let next = tokio::time::timeout(Duration::from_secs(15), next).await;
        assert!(next.is_ok(), "{role} runs on");
    }
}

#[tokio::test]
async fn a_client_that_never_finishes_its_head_is_let_go() {
    let project = Project::new();
    let host = project.serve().await;
    let mut connection = Connection::open(&host).await;
    connection
        .send("GET /health HTTP/1.1\r\nhost: loc")
        .await
        .unwrap();
    // One letter at a time does not buy more time.
    let trickle = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if connection.send("a").await.is_err() {
                break;
            }
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(60), trickle)
            .await
            .is_ok(),
        "the connection stays open"
    );
    assert_eq!(host.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_client_that_asks_nothing_is_let_go() {
    let project = Project::new();
    let host = project.serve().await;
    let (mut silent, mut half) = (Connection::open(&host).await, Connection::open(&host).await);
    // How a connection of HTTP/2 begins, which the host does not speak.
    half.send("PRI").await.unwrap();
    let mut idle = Connection::open(&host).await;
    idle.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(idle.read().await.starts_with("HTTP/1.1 200"));
    assert_eq!(silent.read_to_end().await, "");
    half.read_to_end().await;
    idle.read_to_end().await;
}

#[tokio::test]
async fn a_client_that_never_finishes_its_body_is_let_go() {
    let project = Project::new().config("[server]\nrequest_timeout = '1s'\n");
    let host = project.serve().await;
    for path in ["/role/echo/mcp/call", "/role/tl/hook/pre_tool_use"] {
        let mut connection = Connection::open(&host).await;
        connection.send_head(path, 100).await.unwrap();
        connection.send("{\"name\":").await.unwrap();
        let said = connection.read_to_end().await;
        assert!(
            said.starts_with("HTTP/1.1 504") && said.contains("request_timeout"),
            "{path}: {said:?}"
        );
    }
}

#[tokio::test]
async fn many_connections_that_say_nothing_keep_nobody_out() {
    let project = Project::new();
    let host = project.serve().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(Connection::open(&host).await);
    }
    assert_eq!(host.get("/health").await.status, 200);
    assert_eq!(
        host.call("echo", "echo", json!({"text": "a"})).await.status,
        200
    );
}

#[tokio::test]
async fn thousands_of_calls_wait_at_once_and_all_are_answered() {
    let project = Project::new();
    let host = project.serve().await;
    let call = || host.call("echo", "sleep", json!({"millis": 500}));
    let answers: Vec<Response> = futures_util::future::join_all((0..500).map(|_| call())).await;
    for answer in answers {
        assert!(!answer.tool_result().is_error());
    }
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = Project::new().run(["serve", "--listen", &address]).exits(4);
    assert!(ran.stderr.contains(&address), "{ran:?}");
    assert!(
        ran.stderr.contains("--listen") && ran.stderr.contains("doctor"),
        "{ran:?}"
    );
}
