//! MCP over Streamable HTTP: what no client of others does, and what the conformance suite does not ask.

use std::time::Duration;

use exomonad_test_support::mcp::{
    EventStream, McpSession, SESSIONFUL, STATELESS, ask_stateless, initialize, mcp_path, stateless,
    stateless_request,
};
use exomonad_test_support::{
    BEGUN, Connection, Guest, Host, Project, Response, eventually, tool_named,
};
use reqwest::Method;
use serde_json::{Value, json};

/// The revisions that have sessions.
const SESSIONFUL_ALL: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", SESSIONFUL];

fn request(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

fn answering(text: &str) -> Vec<u8> {
    Guest::answering(text).wasm()
}

/// A role `greeter` whose tool `answer` gives a greeting.
async fn greeter() -> (Project, Host) {
    let project = Project::new().plugin("greeter.wasm", answering("hello"));
    let host = project.serve().await;
    (project, host)
}

#[track_caller]
fn error(answer: &Response, status: u16, code: i64) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    let answer = answer.json();
    assert_eq!(answer["jsonrpc"], "2.0");
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert!(answer["error"]["message"].is_string(), "{answer}");
    answer
}

#[tokio::test]
async fn a_session_of_every_revision_lists_and_calls_tools() {
    let (_project, host) = greeter().await;
    for revision in SESSIONFUL_ALL {
        let session = McpSession::begin(&host, "greeter", revision).await;
        assert_eq!(session.initialized["protocolVersion"], revision);
        assert_eq!(session.initialized["serverInfo"]["name"], "greeter");
        assert_eq!(
            session.initialized["capabilities"],
            json!({"tools": {"listChanged": true}})
        );
        assert!(session.id.len() >= 32 && session.id.bytes().all(|byte| byte.is_ascii_graphic()));
        let pong = session.send(&request("p", "ping", json!({}))).await;
        assert_eq!(pong.text(), r#"{"jsonrpc":"2.0","id":"p","result":{}}"#);
        let listed = session.ask("tools/list", json!({})).await;
        assert_eq!(listed["result"]["tools"][0]["name"], "answer", "{listed}");
        let called = session.ask("tools/call", json!({"name": "answer"})).await;
        assert_eq!(called["result"]["content"][0]["text"], "hello", "{called}");
        assert_eq!(called["result"].get("resultType"), None);
        let unknown = session.send(&request(1, "no/such", json!({}))).await;
        error(&unknown, 200, -32601);
    }
    let asked = initialize(&host, "greeter", "2099-01-01").await.json();
    assert_eq!(asked["result"]["protocolVersion"], SESSIONFUL);
}

#[tokio::test]
async fn an_unknown_session_is_404_so_that_its_client_begins_another() {
    let project = Project::new()
        .plugin("greeter.wasm", answering("a"))
        .plugin("other.wasm", answering("b"));
    let host = project.serve().await;
    let mut session = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let list = request(1, "tools/list", json!({}));
    assert_eq!(session.send(&list).await.status, 200);
    // One of another role is unknown, too.
    session.role = "other".to_owned();
    error(&session.send(&list).await, 404, -32001);
    session.role = "greeter".to_owned();
    let ended = Response::of(session.request(Method::DELETE)).await;
    assert_eq!((ended.status, ended.text().as_str()), (204, ""));
    let gone = error(&session.send(&list).await, 404, -32001);
    assert_eq!(gone["id"], 1);
    error(
        &Response::of(session.request(Method::GET)).await,
        404,
        -32001,
    );
    error(
        &Response::of(session.request(Method::DELETE)).await,
        404,
        -32001,
    );
    // Without any it is the client's mistake.
    error(
        &host.post(&mcp_path("greeter"), list.to_string()).await,
        400,
        -32600,
    );
    error(&host.get(&mcp_path("greeter")).await, 400, -32600);
    let strange = session
        .request(Method::POST)
        .header("mcp-protocol-version", "2001-01-01");
    error(
        &Response::of(strange.body(list.to_string())).await,
        400,
        -32022,
    );
}

#[tokio::test]
async fn the_oldest_idle_session_makes_room_for_a_new_one() {
    let project = Project::new()
        .plugin("greeter.wasm", answering("hello"))
        .config("[mcp]\nmax_sessions = 2\n");
    let host = project.serve().await;
    let first = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let _open = first.events(None).await;
    let second = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let third = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let status =
        async |session: &McpSession<'_>| session.send(&request(1, "ping", json!({}))).await.status;
    assert_eq!(
        (
            status(&first).await,
            status(&second).await,
            status(&third).await
        ),
        (200, 404, 200)
    );
    let _open = third.events(None).await;
    let refused = error(&initialize(&host, "greeter", SESSIONFUL).await, 200, -32000);
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("mcp.max_sessions")
    );
}

#[tokio::test]
async fn a_session_ends_when_it_was_idle_for_its_time() {
    let project = Project::new()
        .plugin("greeter.wasm", answering("hello"))
        .config("[mcp]\nsession_ttl = '1s'\n");
    let host = project.serve().await;
    let session = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    eventually("the session is over", async || {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        (session.send(&request(1, "ping", json!({}))).await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_primed_only_in_revisions_whose_clients_expect_it() {
    let (project, host) = greeter().await;
    for (nth, revision) in SESSIONFUL_ALL.into_iter().enumerate() {
        let session = McpSession::begin(&host, "greeter", revision).await;
        let mut events = session.events(None).await;
        if revision == SESSIONFUL {
            assert_eq!(events.next().await.unwrap(), "id: 0\ndata:");
        }
        let tool = tool_named(&format!("tool_{nth}"));
        project.put_plugin(
            "greeter.wasm",
            Guest::answering("new").tools(json!([tool])).wasm(),
        );
        let event = events.next().await.unwrap();
        let message = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        assert_eq!(event, format!("event: message\nid: 1\ndata: {message}"));
        let listed = session.ask("tools/list", json!({})).await;
        assert_eq!(listed["result"]["tools"][0]["name"], format!("tool_{nth}"));
    }
}

#[tokio::test]
async fn events_that_a_client_missed_are_sent_when_it_comes_back() {
    let (project, host) = greeter().await;
    let session = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    // Nobody listened while this happened.
    project.put_plugin(
        "greeter.wasm",
        Guest::answering("new")
            .tools(json!([tool_named("other")]))
            .wasm(),
    );
    eventually("the new plugin serves", async || {
        let listed = host.get("/role/greeter/mcp/tools").await.json();
        (listed["tools"][0]["name"] == "other").then_some(())
    })
    .await;
    let mut events = session.events(None).await;
    let (id, message) = events.message().await;
    assert_eq!(message["method"], "notifications/tools/list_changed");
    let mut again = session.events(Some("0")).await;
    assert_eq!(again.message().await, (id.clone(), message));
    assert_eq!(
        events.next().await,
        None,
        "the newer stream takes the older one's place"
    );
    // What it has seen is not told twice, and an id of another stream's says nothing.
    for last in [id.as_deref().unwrap(), "999", "foreign"] {
        let mut events = session.events(Some(last)).await;
        assert_eq!(
            events.next().await.as_deref(),
            Some("id: 1\ndata:"),
            "after {last}"
        );
    }
}

#[tokio::test]
async fn a_quiet_stream_is_kept_alive_and_ends_with_the_host() {
    let project = Project::new()
        .plugin("greeter.wasm", answering("hello"))
        .config("[mcp]\nkeep_alive = '1s'\n");
    let mut host = project.serve().await;
    let session = McpSession::begin(&host, "greeter", "2025-06-18").await;
    let mut events = session.events(None).await;
    assert_eq!(events.next().await.unwrap(), ": keep-alive");
    let listen = stateless(
        "subscriptions/listen",
        json!({"notifications": {"toolsListChanged": true}}),
    );
    let mut listening = EventStream::of(stateless_request(&host, "greeter", &listen)).await;
    let (_, acknowledged) = listening.message().await;
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    host.signal(libc::SIGTERM);
    while events.next().await.is_some() {}
    let (_, closed) = listening.message().await;
    assert_eq!(closed["id"], 1);
    assert_eq!(closed["result"]["resultType"], "complete");
    assert_eq!(listening.next().await, None);
    assert_eq!(host.end().await, Some(0));
}

#[tokio::test]
async fn batches_are_answered_where_the_revision_has_them() {
    let (_project, host) = greeter().await;
    let batch = json!([
        request(1, "ping", json!({})),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        request(2, "tools/call", json!({"name": "answer"})),
        {"jsonrpc": "2.0", "id": 3},
        request(4, "initialize", json!({"protocolVersion": "2025-03-26"})),
        request(5, "no/such", json!({})),
    ]);
    let session = McpSession::begin(&host, "greeter", "2025-03-26").await;
    let answers = session.send(&batch).await;
    assert_eq!(answers.status, 200);
    let answers = answers.json();
    let summary: Vec<Value> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| json!([answer["id"], answer["error"]["code"]]))
        .collect();
    assert_eq!(
        summary,
        [
            json!([1, null]),
            json!([2, null]),
            json!([3, -32600]),
            json!([4, -32600]),
            json!([5, -32601])
        ]
    );
    let silent = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    assert_eq!(session.send(&silent).await.status, 202);
    for revision in ["2024-11-05", "2025-06-18", SESSIONFUL] {
        let session = McpSession::begin(&host, "greeter", revision).await;
        error(&session.send(&batch).await, 400, -32600);
    }
    error(
        &host.post(&mcp_path("greeter"), batch.to_string()).await,
        400,
        -32600,
    );
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_a_json_rpc_error() {
    let (_project, host) = greeter().await;
    let session = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"answer","arguments":{{"a":{}{}}}}}}}"#,
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let post =
        async |body: &str| Response::of(session.request(Method::POST).body(body.to_owned())).await;
    for (body, status, code) in [
        ("", 400, -32700),
        ("{\"jsonrpc\"", 400, -32700),
        ("\u{0}", 400, -32700),
        ("[]", 400, -32600),
        ("[1]", 400, -32600),
        ("{}", 400, -32600),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            400,
            -32600,
        ),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, 400, -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, 400, -32600),
        (r#"{"id":1,"method":"ping"}"#, 400, -32600),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":1}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"answer","arguments":[]}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"made up"}}"#,
            200,
            -32602,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":7}}"#,
            200,
            -32602,
        ),
        (&deep, 200, -32602),
    ] {
        error(&post(body).await, status, code);
    }
    // A notification that nobody knows, one that is no notification, and an answer that nobody waits for.
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/unknown","params":{"x":1}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"answer"}}"#,
        r#"{"jsonrpc":"2.0","id":9,"result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"never sent"}}"#,
    ] {
        assert_eq!(post(body).await.status, 202, "{body}");
    }
    assert_eq!(
        post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_and_a_wrong_token_are_refused_as_on_other_routes() {
    let project = Project::new()
        .env("GREETER", "secret")
        .config("[server]\nmax_body = '1KiB'\n[role.greeter]\ntoken_env = 'GREETER'\n")
        .plugin("greeter.wasm", answering("hello"));
    let host = project.serve().await;
    let ping = request(1, "ping", json!({})).to_string();
    host.post(&mcp_path("greeter"), ping.clone())
        .await
        .problem(401, "unauthorized");
    host.get(&mcp_path("greeter"))
        .await
        .problem(401, "unauthorized");
    let host = host.with_token("secret");
    let session = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let large = session
        .request(Method::POST)
        .body(format!("{ping}{}", " ".repeat(2000)));
    Response::of(large).await.problem(413, "body_too_large");
    host.post(&mcp_path("nobody"), ping.clone())
        .await
        .problem(404, "role_not_found");
    let foreign =
        |name: &'static str, value: &'static str| session.request(Method::POST).header(name, value);
    let page = foreign("origin", "http://evil.example").body(ping.clone());
    Response::of(page).await.problem(403, "origin_not_allowed");
    let rebound = foreign("host", "evil.example").body(ping);
    Response::of(rebound).await.problem(403, "host_not_allowed");
}

#[tokio::test]
async fn lists_are_sorted_and_come_in_pages() {
    let names = ["pear", "Apple", "fig", "apple", "zoo/keeper"];
    let tools: Vec<Value> = names.iter().map(|name| tool_named(name)).collect();
    let guest = Guest::answering("x").tools(json!(tools));
    let project = Project::new()
        .plugin("shop.wasm", guest.wasm())
        .config("[mcp]\npage_size = 2\n");
    let host = project.serve().await;
    let session = McpSession::begin(&host, "shop", SESSIONFUL).await;
    // An empty cursor is the beginning.
    let (mut cursor, mut pages) = (json!(""), Vec::new());
    while !cursor.is_null() {
        let page = session.ask("tools/list", json!({"cursor": cursor})).await["result"].clone();
        let tools = page["tools"].as_array().unwrap();
        pages.push(
            tools
                .iter()
                .map(|tool| tool["name"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>(),
        );
        cursor = page["nextCursor"].clone();
    }
    assert_eq!(
        pages,
        [
            vec!["Apple", "apple"],
            vec!["fig", "pear"],
            vec!["zoo/keeper"]
        ]
    );
}

#[tokio::test]
async fn a_stateless_request_stands_for_itself() {
    let (_project, host) = greeter().await;
    let ask =
        async |method: &str, params: Value| ask_stateless(&host, "greeter", method, params).await;
    let discovered = ask("server/discover", json!({})).await.json()["result"].clone();
    let all = [
        STATELESS,
        SESSIONFUL,
        "2025-06-18",
        "2025-03-26",
        "2024-11-05",
    ];
    assert_eq!(discovered["supportedVersions"], json!(all));
    assert_eq!(discovered["resultType"], "complete");
    assert_eq!(
        (&discovered["ttlMs"], &discovered["cacheScope"]),
        (&json!(0), &json!("private"))
    );
    assert_eq!(
        discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "greeter"
    );
    let listed = ask("tools/list", json!({})).await.json()["result"].clone();
    assert_eq!(listed["tools"][0]["name"], "answer");
    assert_eq!(
        (&listed["ttlMs"], &listed["cacheScope"]),
        (&json!(0), &json!("private"))
    );
    let called = ask("tools/call", json!({"name": "answer"})).await;
    assert!(!called.header("x-exomonad-call-id").is_empty());
    assert_eq!(called.header("mcp-session-id"), "");
    let called = called.json()["result"].clone();
    assert_eq!(called["content"][0]["text"], "hello");
    assert_eq!(
        (&called["resultType"], called.get("ttlMs")),
        (&json!("complete"), None)
    );
    for method in [
        "initialize",
        "ping",
        "no/such",
        "logging/setLevel",
        "resources/list",
    ] {
        error(&ask(method, json!({})).await, 404, -32601);
    }
    error(
        &ask("tools/call", json!({"name": "no_such"})).await,
        200,
        -32602,
    );
}

#[tokio::test]
async fn headers_and_body_of_a_stateless_request_have_to_agree() {
    let mut tool = tool_named("answer");
    tool["inputSchema"]["properties"] = json!({"region": {"type": "string", "x-mcp-header": "Region"}, "n": {"type": "number", "x-mcp-header": "N"}});
    let guest = Guest::answering("hello").tools(json!([tool]));
    let host = Project::new()
        .plugin("greeter.wasm", guest.wasm())
        .serve()
        .await;
    let call = stateless(
        "tools/call",
        json!({"name": "answer", "arguments": {"region": "日本", "n": 42}}),
    );
    let good = [
        ("mcp-protocol-version", STATELESS),
        ("mcp-method", "tools/call"),
        ("mcp-name", "answer"),
        ("mcp-param-region", "=?base64?5pel5pys?="),
        ("mcp-param-n", "42.0"),
    ];
    let send = async |headers: &[(&str, &str)], body: &Value| {
        let request = host.request(Method::POST, &mcp_path("greeter"));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        Response::of(request.body(body.to_string())).await
    };
    assert_eq!(
        send(&good, &call).await.json()["result"]["content"][0]["text"],
        "hello"
    );
    for nth in 0..good.len() {
        let mut headers = good.to_vec();
        let (name, _) = headers.remove(nth);
        let missing = error(&send(&headers, &call).await, 400, -32020);
        assert_eq!(missing["id"], 1);
        assert_eq!(missing["error"]["data"]["header"], name);
        for wrong in ["other", "=?base64?!?=", "=?base64?5pel?="] {
            let mut headers = good.to_vec();
            headers[nth].1 = wrong;
            error(&send(&headers, &call).await, 400, -32020);
        }
        // Of two, somebody on the way may have read the other one.
        let mut headers = good.to_vec();
        headers.push((name, "other"));
        error(&send(&headers, &call).await, 400, -32020);
    }
    // The metadata comes first: without it there is nothing to compare.
    let meta = "io.modelcontextprotocol/";
    for missing in ["protocolVersion", "clientCapabilities"] {
        let mut call = call.clone();
        call["params"]["_meta"]
            .as_object_mut()
            .unwrap()
            .remove(&format!("{meta}{missing}"));
        error(&send(&good, &call).await, 400, -32602);
    }
    let mut unknown = call.clone();
    unknown["params"]["_meta"][format!("{meta}protocolVersion")] = json!("2099-01-01");
    error(&send(&good, &unknown).await, 400, -32020);
    let mut headers = good.to_vec();
    headers[0].1 = "2099-01-01";
    let refused = error(&send(&headers, &unknown).await, 400, -32022);
    assert_eq!(refused["error"]["data"]["requested"], "2099-01-01");
    assert_eq!(refused["error"]["data"]["supported"][0], STATELESS);
}

#[tokio::test]
async fn a_subscription_is_acknowledged_and_tells_what_was_asked_for() {
    let (project, host) = greeter().await;
    let listen =
        |filter: Value| stateless("subscriptions/listen", json!({"notifications": filter}));
    let mut events = EventStream::of(stateless_request(
        &host,
        "greeter",
        &listen(json!({"toolsListChanged": true})),
    ))
    .await;
    let (_, acknowledged) = events.message().await;
    assert_eq!(
        acknowledged["params"]["notifications"],
        json!({"toolsListChanged": true})
    );
    let subscription = "io.modelcontextprotocol/subscriptionId";
    assert_eq!(acknowledged["params"]["_meta"][subscription], 1);
    project.put_plugin(
        "greeter.wasm",
        Guest::answering("new")
            .tools(json!([tool_named("other")]))
            .wasm(),
    );
    let (_, changed) = events.message().await;
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"][subscription], 1);
    // What there is none of is not promised, and a stream that would tell nothing ends.
    let mut none = EventStream::of(stateless_request(
        &host,
        "greeter",
        &listen(json!({"promptsListChanged": true})),
    ))
    .await;
    assert_eq!(none.message().await.1["params"]["notifications"], json!({}));
    assert_eq!(none.message().await.1["result"]["_meta"][subscription], 1);
    assert_eq!(none.next().await, None);
    for filter in [Value::Null, json!([]), json!({"toolsListChanged": 1})] {
        error(
            &Response::of(stateless_request(&host, "greeter", &listen(filter))).await,
            200,
            -32602,
        );
    }
}

#[tokio::test]
async fn a_changed_configuration_leaves_sessions_and_tells_streams() {
    let (project, host) = greeter().await;
    let session = McpSession::begin(&host, "greeter", "2025-06-18").await;
    let mut events = session.events(None).await;
    let other = project.write(
        "other.wasm",
        Guest::answering("b")
            .tools(json!([tool_named("other")]))
            .wasm(),
    );
    project.write(
        "exomonad.toml",
        format!("[role.greeter]\nplugin = {other:?}\n"),
    );
    assert_eq!(host.reload().await["configuration"]["applied"], true);
    assert_eq!(
        events.message().await.1["method"],
        "notifications/tools/list_changed"
    );
    let listed = session.ask("tools/list", json!({})).await;
    assert_eq!(listed["result"]["tools"][0]["name"], "other");
}

/// A role `sleeper` whose tool takes a minute.
async fn sleeper() -> (Project, Host) {
    let project = Project::new()
        .plugin(
            "sleeper.wasm",
            Guest::answering("late").sleeping(80_000).wasm(),
        )
        .config("[defaults.limits]\nwall_time = '85s'\n[server]\nrequest_timeout = '89s'\n");
    let host = project.serve().await;
    (project, host)
}

async fn is_cancelled(host: &Host) {
    eventually("the guest has ended", async || {
        let metrics = host.get("/metrics").await.text();
        let mut lines = metrics.lines();
        lines
            .any(|line| line.starts_with("exomonad_sandboxes_in_use") && line.ends_with(" 0"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_notification_cancels_a_call_down_to_the_guest() {
    let (_project, host) = sleeper().await;
    let session = McpSession::begin(&host, "sleeper", SESSIONFUL).await;
    let call = request("slow", "tools/call", json!({"name": "answer"}));
    let called = session.send(&call);
    let cancel = async {
        host.logs(BEGUN, 1).await;
        // An id that is in use is not taken twice.
        error(&session.send(&call).await, 400, -32600);
        let cancelled = json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}
        });
        assert_eq!(session.send(&cancelled).await.status, 202);
    };
    let (answer, ()) = futures_util::future::join(called, cancel).await;
    assert_eq!(error(&answer, 200, -32800)["id"], "slow");
    is_cancelled(&host).await;
}

#[tokio::test]
async fn a_client_that_disconnects_cancels_its_call() {
    let (_project, host) = sleeper().await;
    let message = stateless("tools/call", json!({"name": "answer"})).to_string();
    let mut connection = Connection::open(&host).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\nmcp-protocol-version: {STATELESS}\r\nmcp-method: tools/call\r\nmcp-name: answer\r\n\r\n",
        mcp_path("sleeper"),
        message.len()
    );
    connection.send(format!("{head}{message}")).await.unwrap();
    host.logs(BEGUN, 1).await;
    drop(connection);
    is_cancelled(&host).await;
}

#[tokio::test]
async fn a_failing_guest_is_a_result_without_structured_content() {
    let guest = Guest::answering("x")
        .without("handle_mcp_call")
        .export("handle_mcp_call", "unreachable");
    let mut tool = tool_named("answer");
    tool["outputSchema"] = json!({"type": "object", "required": ["total"]});
    tool["inputSchema"]["properties"] = json!({"tags": {"type": "array"}});
    let host = Project::new()
        .plugin("faulty.wasm", guest.tools(json!([tool])).wasm())
        .serve()
        .await;
    for revision in SESSIONFUL_ALL {
        let session = McpSession::begin(&host, "faulty", revision).await;
        let failed = session.ask("tools/call", json!({"name": "answer"})).await["result"].clone();
        assert_eq!(failed["isError"], true, "{failed}");
        assert_eq!(
            failed.get("structuredContent"),
            None,
            "a client would hold it against the output schema"
        );
        assert_eq!(
            failed["_meta"]["exomonad/error"]["code"], "guest_trapped",
            "{failed}"
        );
        let wrong = session
            .ask(
                "tools/call",
                json!({"name": "answer", "arguments": {"tags": "a"}}),
            )
            .await;
        if revision == SESSIONFUL {
            assert_eq!(wrong["result"]["isError"], true, "{wrong}");
            assert_eq!(
                wrong["result"]["_meta"]["exomonad/error"]["code"],
                "invalid_arguments"
            );
        } else {
            assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
            assert_eq!(wrong["error"]["data"]["errors"][0]["pointer"], "/tags");
        }
    }
}

#[tokio::test]
async fn an_answer_goes_out_as_the_guest_wrote_it() {
    let written = r#"{"content": [ {"type":"text","text":"a"} ],  "structuredContent":{"n":1.10,"big":123456789012345678901234567890},"extra":{"resultType":"x"}}"#;
    let guest = Guest::answering("x").output(written);
    let own =
        Guest::answering("x").output(r#"{"resultType":"complete","_meta":{"own":1},"content":[]}"#);
    let host = Project::new()
        .plugin("raw.wasm", guest.wasm())
        .plugin("own.wasm", own.wasm())
        .serve()
        .await;
    let session = McpSession::begin(&host, "raw", SESSIONFUL).await;
    let called = session
        .send(&request(1, "tools/call", json!({"name": "answer"})))
        .await;
    assert_eq!(
        called.text(),
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{written}}}"#)
    );
    let called = ask_stateless(&host, "raw", "tools/call", json!({"name": "answer"}))
        .await
        .text();
    assert!(
        called.ends_with(&format!("{}}}", &written[1..])),
        "{called}"
    );
    assert!(
        called.contains(r#""result":{"resultType":"complete","_meta":{"#),
        "{called}"
    );
    let called = ask_stateless(&host, "own", "tools/call", json!({"name": "answer"}))
        .await
        .text();
    assert_eq!(called.matches("resultType").count(), 1, "{called}");
    assert_eq!(called.matches("_meta").count(), 1, "{called}");
}

#[tokio::test]
async fn arguments_written_as_text_are_read_by_the_schema() {
    let host = Project::new().serve().await;
    let session = McpSession::begin(&host, "echo", SESSIONFUL).await;
    // It says what it was given.
    let asked = session
        .ask(
            "tools/call",
            json!({"name": "sleep", "arguments": {"millis": "3"}}),
        )
        .await;
    assert_eq!(asked["result"]["structuredContent"]["millis"], 3, "{asked}");
    // The schema says a text: a text it stays.
    let asked = session
        .ask(
            "tools/call",
            json!({"name": "echo", "arguments": {"text": "[1]"}}),
        )
        .await;
    assert_eq!(
        asked["result"]["structuredContent"]["text"], "[1]",
        "{asked}"
    );
    // Other transports take arguments as they are.
    host.call("echo", "sleep", json!({"millis": "3"}))
        .await
        .problem(422, "invalid_arguments");
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_up_nobody() {
    let project = Project::new()
        .plugin("greeter.wasm", answering("0"))
        .config("[mcp]\nkeep_alive = '1s'\n");
    let host = project.serve().await;
    let session = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let mut silent = Connection::open(&host).await;
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: localhost\r\nmcp-session-id: {}\r\n\r\n",
        mcp_path("greeter"),
        session.id
    );
    silent.send(head).await.unwrap();
    let other = McpSession::begin(&host, "greeter", SESSIONFUL).await;
    let mut events = other.events(None).await;
    for nth in 0..3 {
        let tools = json!([tool_named(&format!("tool_{nth}"))]);
        project.put_plugin("greeter.wasm", Guest::answering("x").tools(tools).wasm());
        assert_eq!(
            events.message().await.1["method"],
            "notifications/tools/list_changed"
        );
    }
    assert!(silent.read().await.contains("text/event-stream"));
}

#[tokio::test]
async fn a_thousand_idle_streams_cost_little_and_are_all_told() {
    const COUNT: usize = 1_000;
    let (project, host) = greeter().await;
    let before = host.resident_bytes();
    let mut streams = Vec::new();
    let sessions: Vec<_> = {
        let begin = (0..COUNT).map(|_| McpSession::begin(&host, "greeter", SESSIONFUL));
        futures_util::future::join_all(begin).await
    };
    for session in &sessions {
        streams.push(session.events(None).await);
    }
    let each = host.resident_bytes().saturating_sub(before) / COUNT as u64;
    println!("{each} bytes for each of {COUNT} sessions with an open stream");
    assert!(each < 64 << 10, "{each} bytes for each session");
    let begun = std::time::Instant::now();
    project.put_plugin(
        "greeter.wasm",
        Guest::answering("x")
            .tools(json!([tool_named("new")]))
            .wasm(),
    );
    for stream in &mut streams {
        assert_eq!(
            stream.message().await.1["method"],
            "notifications/tools/list_changed"
        );
    }
    println!(
        "{COUNT} streams told {:?} after the file was replaced",
        begun.elapsed()
    );
}
