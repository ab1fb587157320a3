//! Requests that are refused: each with a status, a stable code and a sentence that helps.

use exomonad_test_support::mcp::{McpSession, SESSIONFUL, STATELESS, mcp_path};
use exomonad_test_support::{Connection, Host, Project, Response, shipped_plugin};
use reqwest::Method;
use serde_json::{Value, json};

async fn assert_serves(host: &Host) {
    let echoed = host
        .tool("echo", "echo", json!({"text": "still here"}))
        .await;
    assert_eq!(echoed.structured()["text"], "still here");
}

async fn with_headers(host: &Host, headers: &[(&str, &str)]) -> Response {
    let request = host.request(Method::GET, "/roles");
    Response::of(headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    }))
    .await
}

#[tokio::test]
async fn a_host_name_that_is_not_the_host_s_own_is_refused() {
    let project = Project::new().config("[server]\nallowed_hosts = ['exomonad', '*.internal']\n");
    let host = project.serve().await;
    for name in [
        "localhost",
        "localhost:1",
        "127.0.0.1:7432",
        "[::1]:7432",
        "exomonad:7432",
        "a.internal",
    ] {
        assert_eq!(
            with_headers(&host, &[("host", name)]).await.status,
            200,
            "{name}"
        );
    }
    for name in [
        "evil.example",
        "localhost.evil.example",
        "internal",
        "exomonad.evil.example",
        "10.1.2.3",
    ] {
        let message = with_headers(&host, &[("host", name)])
            .await
            .problem(403, "host_not_allowed");
        assert!(
            message.contains(name) && message.contains("`server.allowed_hosts`"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_request_with_two_names_of_the_host_is_refused() {
    let project = Project::new();
    let host = project.serve().await;
    for names in [
        ["localhost", "evil.example"],
        ["evil.example", "localhost"],
        ["localhost", "localhost"],
    ] {
        let mut connection = Connection::open(&host).await;
        let [first, second] = names;
        let head = format!(
            "GET /roles HTTP/1.1\r\nhost: {first}\r\nhost: {second}\r\nconnection: close\r\n\r\n"
        );
        connection.send(head).await.unwrap();
        let answer = connection.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{names:?}: {answer}");
    }
    assert_serves(&host).await;
}

#[tokio::test]
async fn a_web_page_of_another_origin_is_refused() {
    let project =
        Project::new().config("[server]\nallowed_origins = ['https://console.example']\n");
    let host = project.serve().await;
    for origin in ["https://console.example", host.url().as_str()] {
        assert_eq!(
            with_headers(&host, &[("origin", origin)]).await.status,
            200,
            "{origin}"
        );
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://console.example",
        "http://localhost:1",
        "https://console.example.evil.example",
    ] {
        let message = with_headers(&host, &[("origin", origin)])
            .await
            .problem(403, "origin_not_allowed");
        assert!(
            message.contains(origin) && message.contains("`server.allowed_origins`"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_browser_lets_pages_of_allowed_origins_read_answers_and_no_others() {
    let project = Project::new().config(
        "[server]\nallowed_origins = ['https://console.example']\n[role.echo]\nrequire_token = true\n",
    );
    let host = project.serve().await;
    for (origin, is_allowed) in [
        ("https://console.example", true),
        ("https://evil.example", false),
    ] {
        // The browser's own question, which has no token, and the request after it.
        let asked = host
            .request(Method::OPTIONS, "/role/echo/mcp/call")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            );
        let asked = asked.send().await.unwrap();
        let answer = host
            .request(Method::POST, "/role/echo/mcp/call")
            .header("origin", origin)
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), if is_allowed { 401 } else { 403 });
        for response in [&asked, &answer] {
            let allowed = response.headers().get("access-control-allow-origin");
            let allowed = allowed.map(|origin| origin.to_str().unwrap());
            assert_eq!(allowed, is_allowed.then_some(origin), "{response:?}");
            assert!(
                response
                    .headers()
                    .get("access-control-allow-credentials")
                    .is_none()
            );
        }
        if is_allowed {
            assert_eq!(
                asked.headers()["access-control-allow-headers"],
                "authorization,content-type"
            );
            let exposed = answer.headers()["access-control-expose-headers"]
                .to_str()
                .unwrap();
            assert!(exposed.contains("www-authenticate"), "{exposed}");
        }
    }
}

#[tokio::test]
async fn a_page_that_is_refused_runs_nothing() {
    let project = Project::new();
    let host = project.serve().await;
    let body = json!({"name": "echo", "arguments": {"text": "a"}}).to_string();
    let request = host
        .request(Method::POST, "/role/echo/mcp/call")
        .header("origin", "https://evil.example")
        .body(body);
    Response::of(request)
        .await
        .problem(403, "origin_not_allowed");
    assert!(!host.log().contains("tool call"), "{}", host.log());
}

#[tokio::test]
async fn what_is_not_there_is_named_with_what_was_likely_meant() {
    let project = Project::new();
    let host = project.serve().await;
    let role = host
        .call("echoo", "echo", json!({}))
        .await
        .problem(404, "role_not_found");
    assert!(
        role.contains("`echoo`") && role.contains("did you mean `echo`?"),
        "{role}"
    );
    let tool = host
        .call("tl", "repo_statu", json!({}))
        .await
        .problem(404, "tool_not_found");
    assert!(tool.contains("did you mean `repo_status`?"), "{tool}");
    let far = host
        .call("tl", "something_else", json!({}))
        .await
        .problem(404, "tool_not_found");
    assert!(!far.contains("did you mean"), "{far}");
    let route = host
        .get("/role/tl/tools")
        .await
        .problem(404, "route_not_found");
    assert!(route.contains("/openapi.json"), "{route}");
    host.get("/role/tl/mcp/call")
        .await
        .problem(405, "method_not_allowed");
    host.post("/health", "")
        .await
        .problem(405, "method_not_allowed");
    for odd in [
        "/role/%2e%2e/mcp/tools",
        "/role/TL/mcp/tools",
        "/role/%ff/mcp/tools",
        "/role/a%2Fb/mcp/tools",
    ] {
        let answer = host.get(odd).await;
        assert!(matches!(answer.status, 400 | 404), "{odd}: {answer:?}");
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{odd}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_no_tool_call_is_refused() {
    let project = Project::new();
    let host = project.serve().await;
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\"echo\"",
        b"{\"name\":\"echo\"",
        b"{\"name\":\"echo\",\"arguments\":{\"text\":\"a\"}} trailing",
        b"{\"name\":\"echo\",\"name\":\"echo\"}",
        b"{\"name\":\"echo\",\"unknown\":1}",
        b"{\"name\":\"\xff\xfe\"}",
        b"name=echo&arguments=",
        b"{'name':'echo'}",
    ];
    for body in bodies {
        let message = host
            .post("/role/echo/mcp/call", body.to_vec())
            .await
            .problem(400, "invalid_request");
        assert!(!message.is_empty());
    }
    assert_serves(&host).await;
}

#[tokio::test]
async fn deeply_nested_json_is_refused_wherever_it_stands() {
    let project = Project::new();
    let host = project.serve().await;
    for depth in [200, 100_000, 1_000_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        host.post("/role/echo/mcp/call", nested.clone())
            .await
            .problem(400, "invalid_request");
        let arguments = format!(r#"{{"name":"echo","arguments":{{"text":{nested}}}}}"#);
        host.post("/role/echo/mcp/call", arguments)
            .await
            .problem(400, "invalid_request");
        let open = "{\"a\":".repeat(depth);
        host.post("/role/echo/mcp/call", open)
            .await
            .problem(400, "invalid_request");
        // A hook's event is the guest's to read; what it cannot read it has no opinion on, or fails at.
        let hook = host.post("/role/tl/hook/pre_tool_use", nested).await;
        assert!(matches!(hook.status, 200 | 400 | 502), "{hook:?}");
    }
    assert_serves(&host).await;
}

#[tokio::test]
async fn what_two_readers_of_json_could_read_in_two_ways_reaches_no_guest() {
    let project = Project::new();
    let host = project.serve().await;
    for (arguments, says) in [
        (
            r#"{"limit":1,"limit":5000}"#.to_owned(),
            "`limit` comes twice",
        ),
        (
            format!(r#"{{"limit":0.{}}}"#, "9".repeat(200_000)),
            "200002 characters",
        ),
        (
            r#"{"limit":1e-4294967297}"#.to_owned(),
            "exponent of 10 digits",
        ),
    ] {
        let body = format!(r#"{{"name":"recent_work","arguments":{arguments}}}"#);
        let answer = host.post("/role/tl/mcp/call", body).await;
        let message = answer.problem(400, "invalid_request");
        assert!(message.contains(says), "{message}");
    }
    // An agent that cuts a text within an emoji sends half of it.
    let cut = r#"{"tool_name":"Bash","tool_input":{"command":"git push -f \ud83d","description":"\udc00"}}"#;
    let decided = host.post("/role/tl/hook/pre_tool_use", cut).await;
    assert_eq!(decided.json()["decision"], "deny", "{decided:?}");
    let echoed = host.post(
        "/role/echo/mcp/call",
        r#"{"name":"echo","arguments":{"text":"a\ud83d"}}"#,
    );
    let echoed = echoed.await.tool_result();
    assert_eq!(echoed.structured()["text"], "a\u{fffd}");
    assert_serves(&host).await;
}

#[tokio::test]
async fn a_body_longer_than_allowed_is_refused_however_it_comes() {
    let project = Project::new().config("[server]\nmax_body = '64KiB'\n");
    let host = project.serve().await;
    let of_length = |length: usize| {
        let frame = json!({"name": "echo", "arguments": {"text": ""}})
            .to_string()
            .len();
        json!({"name": "echo", "arguments": {"text": "x".repeat(length - frame)}}).to_string()
    };
    assert_eq!(
        host.post("/role/echo/mcp/call", of_length(64 << 10))
            .await
            .status,
        200,
        "the limit itself"
    );
    let message = host
        .post("/role/echo/mcp/call", of_length((64 << 10) + 1))
        .await
        .problem(413, "body_too_large");
    assert!(
        message.contains("64KiB") && message.contains("`server.max_body`"),
        "{message}"
    );
    let in_chunks =
        futures_util::stream::iter((0..8).map(|_| Ok::<_, std::io::Error>("x".repeat(16 << 10))));
    let body = reqwest::Body::wrap_stream(in_chunks);
    host.post("/role/echo/mcp/call", body)
        .await
        .problem(413, "body_too_large");
    for path in ["/role/tl/hook/pre_tool_use", "/role/echo/mcp/call"] {
        host.post(path, "x".repeat(70_000))
            .await
            .problem(413, "body_too_large");
    }
    assert_serves(&host).await;
}

#[tokio::test]
async fn a_client_that_sends_on_can_still_read_why_it_was_refused() {
    let project = Project::new().config("[server]\nmax_body = '64KiB'\n");
    let host = project.serve().await;
    for _ in 0..20 {
        let mut connection = Connection::open(&host).await;
        let length = 4 << 20;
        connection
            .send_head("/role/echo/mcp/call", length)
            .await
            .unwrap();
        for _ in 0..64 {
            connection.send(vec![b' '; length / 64]).await.unwrap();
        }
        let said = connection.read_to_end().await;
        assert!(said.starts_with("HTTP/1.1 413"), "{said:?}");
        assert!(said.contains("connection: close"), "{said:?}");
    }
}

#[tokio::test]
async fn a_promise_of_a_huge_body_takes_no_memory() {
    let project = Project::new();
    let host = project.serve().await;
    let before = host.resident_bytes();
    let mut connections = Vec::new();
    for _ in 0..20 {
        let mut connection = Connection::open(&host).await;
        connection
            .send_head("/role/echo/mcp/call", 15 << 20)
            .await
            .unwrap();
        connection.send("{\"name\":").await.unwrap();
        connections.push(connection);
    }
    assert_serves(&host).await;
    assert!(
        host.resident_bytes() < before + (100 << 20),
        "{before} → {}",
        host.resident_bytes()
    );
}

#[tokio::test]
async fn arguments_that_break_the_schema_never_reach_the_guest() {
    let project = Project::new();
    let host = project.serve().await;
    let broken = async |tool: &str, arguments: Value| {
        let answer = host.call("tl", tool, arguments).await;
        answer.problem(422, "invalid_arguments");
        answer.json()["errors"].as_array().unwrap().clone()
    };
    let errors = broken("recent_work", json!({"limit": 0})).await;
    assert_eq!(errors[0]["pointer"], "/limit");
    assert!(
        errors[0]["message"].as_str().unwrap().contains('1'),
        "{errors:?}"
    );
    let errors = broken("recent_work", json!({"limit": "ten", "workingDir": 7})).await;
    let mut pointers: Vec<_> = errors
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/limit", "/workingDir"]);
    let errors = broken("file_pr", json!({"body": "no title"})).await;
    assert_eq!(
        errors[0]["pointer"], "",
        "what is missing is missing in the whole"
    );
    assert!(
        errors[0]["message"].as_str().unwrap().contains("title"),
        "{errors:?}"
    );
    for whole in [json!([]), json!("text"), json!(null), json!(5)] {
        assert_eq!(broken("repo_status", whole).await[0]["pointer"], "");
    }
    let unknown = broken("repo_status", json!({"working_dir": "."})).await;
    assert!(
        unknown[0]["message"]
            .as_str()
            .unwrap()
            .contains("working_dir"),
        "{unknown:?}"
    );
    assert!(!host.log().contains("tool call"), "{}", host.log());
}

#[tokio::test]
async fn arguments_that_break_the_schema_in_many_places_get_a_short_answer() {
    let project = Project::new();
    let host = project.serve().await;
    let many: serde_json::Map<String, Value> = (0..20_000)
        .map(|nth| (format!("key{nth}"), json!(nth)))
        .collect();
    let answer = host.call("echo", "echo", Value::Object(many)).await;
    answer.problem(422, "invalid_arguments");
    assert!(answer.body.len() < 64 << 10, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn bytes_that_are_no_http_leave_the_host_serving() {
    let project = Project::new();
    let host = project.serve().await;
    let long_header = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let junk: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST /reload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\0\0\0\0\r\n\r\n",
        long_header.as_bytes(),
    ];
    for bytes in junk {
        let mut connection = Connection::open(&host).await;
        // The host may close while this is still being sent.
        let _ = connection.send(bytes).await;
        connection.read_to_end().await;
    }
    assert_serves(&host).await;
}

#[tokio::test]
async fn arguments_that_are_nested_too_deeply_or_made_of_too_many_values_are_refused() {
    let project = Project::new().plugin("everything.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let many = format!("[{}]", vec!["[[0]]"; 2_000_000].join(","));
    for (role, tool) in [("echo", "echo"), ("everything", "greet")] {
        for (depth, extra) in [
            (128, nested(128)),
            (100_000, nested(100_000)),
            (3, many.clone()),
        ] {
            let about = format!("{role} {depth}");
            let arguments = format!(r#"{{"name":"x","text":"x","z":{extra}}}"#);
            let body = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
            let answer = host.post(&format!("/role/{role}/mcp/call"), body).await;
            assert_eq!(answer.status, 400, "{about}: {}", answer.text());
            // In both eras; the plugin `everything` may ask its client, and so remembers what a call is about.
            let call = |meta: &str| {
                format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}{meta}}}}}"#
                )
            };
            let meta = format!(
                r#","_meta":{{"io.modelcontextprotocol/protocolVersion":"{STATELESS}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
            );
            let request = host
                .request(Method::POST, &mcp_path(role))
                .header("mcp-protocol-version", STATELESS)
                .header("mcp-method", "tools/call")
                .header("mcp-name", tool)
                .body(call(&meta));
            let answer = Response::of(request).await.json();
            assert_eq!(answer["error"]["code"], -32602, "{about}: {answer}");
            let session = McpSession::begin(&host, role, SESSIONFUL).await;
            let answer = Response::of(session.request(Method::POST).body(call("")))
                .await
                .json();
            assert_eq!(answer["error"]["code"], -32602, "{about}: {answer}");
        }
    }
    assert!(!host.log().contains("panicked"), "{}", host.log());
    assert_serves(&host).await;
}
