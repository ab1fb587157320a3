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

/// A plugin whose tool answers with more than the kernel keeps for a client.
fn much() -> String {
    const LETTERS: usize = 14 << 20;
    let (begin, end) = (r#"{"content":[{"type":"text","text":""#, r#""}]}"#);
    let length = begin.len() + LETTERS + end.len();
    Guest::answering("")
        .part(&format!(
            r#"(data (i32.const 20000) "{}") (data (i32.const 21000) "{}")"#,
            begin.replace('"', "\\\""),
            end.replace('"', "\\\"")
        ))
        .without("handle_mcp_call")
        .export(
            "handle_mcp_call",
            &format!(
                r#"(local $big i64) (local $i i64)
                (local.set $big (call $alloc (i64.const {length})))
                (loop $next
                  (call $store_u8 (i64.add (local.get $big) (local.get $i)) (i32.const 97))
                  (local.set $i (i64.add (local.get $i) (i64.const 1)))
                  (br_if $next (i64.lt_u (local.get $i) (i64.const {length}))))
                (call $copy (i32.const 20000) (local.get $big) (i32.const {}))
                (call $copy (i32.const 21000)
                  (i64.add (local.get $big) (i64.const {})) (i32.const {}))
                (call $give (local.get $big))"#,
                begin.len(),
                begin.len() + LETTERS,
                end.len()
            ),
        )
        .part(
            "(func $copy (param $from i32) (param $to i64) (param $length i32) (local $i i32)
              (loop $next
                (call $store_u8
                  (i64.add (local.get $to) (i64.extend_i32_u (local.get $i)))
                  (i32.load8_u (i32.add (local.get $from) (local.get $i))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (local.get $length)))))",
        )
        .wat()
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_and_keep_other_roles_from_nothing() {
    const CALL: &str = r#"{"name":"answer"}"#;
    const MCP: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"answer","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let config = "[role.much]\nlimits = { unread_answers = '1MiB', queue = 0, output = '16MiB' }\n[role.echo]\n";
    let project = Project::new().config(config).plugin("much.wat", much());
    let host = project.serve().await;
    for (path, body, headers) in [
        ("/role/much/mcp/call", CALL, ""),
        (
            "/role/much/mcp",
            MCP,
            "accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: answer\r\n",
        ),
    ] {
        let mut unread = Connection::open(&host).await;
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        unread.send(request).await.unwrap();
        // Its head comes when the answer has got its room.
        let head = unread.read().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head:.300}");
        let refused = host.post("/role/much/mcp/call", CALL).await;
        let message = refused.problem(429, "queue_full");
        assert!(
            message.contains("`role.much.limits.unread_answers`"),
            "{path}: {message}"
        );
        let other = host.call("echo", "echo", json!({"text": "a"})).await;
        assert_eq!(other.status, 200);
        drop(unread);
        eventually("there is room again", async || {
            let called = host.post("/role/much/mcp/call", CALL).await;
            (called.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_waits_for_room_and_is_given_up_with_its_request() {
    let config = "[server]\nrequest_timeout = '3s'\n[role.much.limits]\nunread_answers = '1MiB'\n";
    let project = Project::new().config(config).plugin("much.wat", much());
    let host = project.serve().await;
    let body = r#"{"name":"answer"}"#;
    let path = "/role/much/mcp/call";
    let mut unread = Connection::open(&host).await;
    unread.send_head(path, body.len()).await.unwrap();
    unread.send(body).await.unwrap();
    assert!(unread.read().await.starts_with("HTTP/1.1 200"));
    // It waits, and the one before is given up by then: its client has had its time.
    let next = host.post(path, body).await;
    assert!([200, 504].contains(&next.status), "{}", next.status);
    eventually("there is room again", async || {
        (host.post(path, body).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_reads_too_slowly_is_let_go() {
    let project = Project::new()
        .config("[server]\nrequest_timeout = '2s'\n")
        .plugin("much.wat", much());
    let host = project.serve().await;
    let body = r#"{"name":"answer"}"#;
    let mut connection = Connection::open(&host).await;
    connection
        .send_head("/role/much/mcp/call", body.len())
        .await
        .unwrap();
    connection.send(body).await.unwrap();
    // Never silent for long, and at this pace done after many seconds.
    let mut read = 0;
    let slowly = async {
        while let Some(length) = connection.read_some().await {
            read += length;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(60), slowly)
            .await
            .is_ok(),
        "the connection stays open"
    );
    assert!(read < 14 << 20, "all of it came");
}
