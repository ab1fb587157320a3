//! The host ends without losing a call.

use std::time::Duration;

use exomonad_test_support::{BEGUN, Connection, Guest, Host, Project, Response, eventually};
use reqwest::Method;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A host with a guest that sleeps for this long, and a call of it that has begun.
async fn serving(
    config: &str,
    millis: u64,
) -> (Project, Host, JoinHandle<reqwest::Result<Response>>) {
    let guest = Guest::answering("slept").sleeping(millis);
    let project = Project::new()
        .config(config)
        .plugin("sleeper.wat", guest.wat());
    let host = project.serve().await;
    let request = host.request(Method::POST, "/role/sleeper/mcp/call");
    let call = tokio::spawn(Response::try_of(request.body(r#"{"name":"answer"}"#)));
    host.logs(BEGUN, 1).await;
    (project, host, call)
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_host_ends() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (_place, mut host, call) = serving("", 3000).await;
        host.signal(signal);
        host.logs("shutting down", 1).await;
        eventually("new connections are refused", async || {
            TcpStream::connect(host.address()).await.err()
        })
        .await;
        let answer = call.await.unwrap().unwrap().tool_result();
        assert_eq!(answer.text(), "slept");
        assert_eq!(host.end().await, Some(0));
        assert!(host.log().contains("all calls finished"), "{}", host.log());
    }
}

#[tokio::test]
async fn a_second_signal_ends_the_host_at_once() {
    let (_place, mut host, call) = serving("", 25_000).await;
    host.signal(libc::SIGTERM);
    host.logs("shutting down", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(host.is_running());
    host.signal(libc::SIGTERM);
    let end = tokio::time::timeout(Duration::from_secs(15), host.end()).await;
    assert!(end.is_ok(), "the host waits for a call that has 25 s to go");
    assert!(call.await.unwrap().is_err(), "the call is cut off");
}

#[tokio::test]
async fn calls_that_outlast_the_grace_are_cancelled() {
    let (_place, mut host, call) = serving("[server]\nshutdown_grace = '500ms'\n", 25_000).await;
    host.signal(libc::SIGTERM);
    let end = tokio::time::timeout(Duration::from_secs(15), host.end()).await;
    assert_eq!(end.expect("the host ends after its grace"), Some(0));
    assert!(
        host.log().contains("calls were still running"),
        "{}",
        host.log()
    );
    assert!(call.await.unwrap().is_err());
}

#[tokio::test]
async fn an_idle_host_ends_at_once_even_with_open_connections() {
    let project = Project::new();
    let mut host = project.serve().await;
    let _silent = Connection::open(&host).await;
    let mut idle = Connection::open(&host).await;
    idle.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert!(idle.read().await.starts_with("HTTP/1.1 200"));
    host.signal(libc::SIGTERM);
    assert_eq!(idle.read_to_end().await, "");
    // Well below the 30 s that calls in flight would have.
    let end = tokio::time::timeout(Duration::from_secs(20), host.end()).await;
    assert_eq!(end.expect("nothing is in flight"), Some(0));
}

#[tokio::test]
async fn requests_that_were_sent_before_the_signal_are_answered() {
    let project = Project::new();
    let mut host = project.serve().await;
    let mut connections = Vec::new();
    for _ in 0..50 {
        let mut connection = Connection::open(&host).await;
        let request = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
        connection.send(request).await.unwrap();
        connections.push(connection);
    }
    host.signal(libc::SIGTERM);
    for mut connection in connections {
        let said = connection.read_to_end().await;
        assert!(said.starts_with("HTTP/1.1 200"), "{said:?}");
    }
    assert_eq!(host.end().await, Some(0));
}
