//! `exomonad mcp`: MCP over standard input and output.

use exomonad_test_support::mcp::{SESSIONFUL, STATELESS, stateless};
use exomonad_test_support::{
    BEGUN, Guest, Host, LineProcess, Project, eventually, shipped_plugin, tool_named,
};
use serde_json::{Value, json};

fn request(id: impl Into<Value>, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params}).to_string()
}

fn notification(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string()
}

/// The ways to a role.
#[derive(Clone, Copy, Debug)]
enum Way {
    Bridge,
    Embedded,
}

fn start(project: &Project, host: &Host, way: Way, role: &str) -> LineProcess {
    let mut command = project.command();
    command.args(["mcp", "--role", role]);
    match way {
        Way::Bridge => command.args(["--url", &host.url()]),
        Way::Embedded => command.arg("--embedded"),
    };
    LineProcess::start(&mut command)
}

async fn begin(client: &mut LineProcess, revision: &str) -> Value {
    let params = json!({
        "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}
    });
    client.send(&request(0, "initialize", params));
    let begun = client.line().await;
    client.send(&notification("notifications/initialized", json!({})));
    begun["result"].clone()
}

#[tokio::test]
async fn a_session_is_served_and_ends_with_the_input_once_all_is_answered() {
    // Pretty-printed, so that it has ends of lines of its own.
    let output = "{\n  \"content\": [\r\n {\"type\": \"text\", \"text\": \"a\\nb\"}]\n}";
    let guest = Guest::answering("x").output(output).sleeping(300);
    let project = Project::new().plugin("slow.wasm", guest.wasm());
    let host = project.serve().await;
    for way in [Way::Bridge, Way::Embedded] {
        let mut client = start(&project, &host, way, "slow");
        let begun = begin(&mut client, SESSIONFUL).await;
        assert_eq!(begun["protocolVersion"], SESSIONFUL, "{way:?}");
        client.send("");
        client.send("junk");
        assert_eq!(client.line().await["error"]["code"], -32700);
        client.send(&request("p", "ping", json!({})));
        assert_eq!(
            client.line().await,
            json!({"jsonrpc": "2.0", "id": "p", "result": {}})
        );
        for id in 1..=3 {
            client.send(&request(id, "tools/call", json!({"name": "answer"})));
        }
        client.close();
        let mut ids = Vec::new();
        while let Some(answer) = client.next().await {
            assert_eq!(answer["result"]["content"][0]["text"], "a\nb", "{answer}");
            ids.push(answer["id"].as_i64().unwrap());
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3], "{way:?}");
        assert_eq!(client.end().await, Some(0), "{}", client.errors());
    }
}

#[tokio::test]
async fn stateless_requests_are_served_with_the_headers_that_the_tool_wants() {
    let mut tool = tool_named("answer");
    tool["inputSchema"]["properties"] =
        json!({"region": {"type": "string", "x-mcp-header": "Region"}});
    let guest = Guest::answering("hello").tools(json!([tool]));
    let project = Project::new().plugin("greeter.wasm", guest.wasm());
    let host = project.serve().await;
    for way in [Way::Bridge, Way::Embedded] {
        let mut client = start(&project, &host, way, "greeter");
        client.send(&stateless("server/discover", json!({})).to_string());
        assert_eq!(
            client.line().await["result"]["supportedVersions"][0],
            STATELESS
        );
        let call = stateless(
            "tools/call",
            json!({"name": "answer", "arguments": {"region": "日本"}}),
        );
        client.send(&call.to_string());
        assert_eq!(
            client.line().await["result"]["content"][0]["text"],
            "hello",
            "{way:?}"
        );
        client.send(&request(5, "server/discover", json!({})));
        assert_eq!(client.line().await["error"]["code"], -32602);
        assert_eq!(client.end().await, Some(0));
    }
}

#[tokio::test]
async fn changed_tools_are_told_in_both_eras() {
    let project = Project::new().plugin("greeter.wasm", Guest::answering("old").wasm());
    let host = project.serve().await;
    for (nth, way) in [Way::Bridge, Way::Embedded].into_iter().enumerate() {
        let mut session = start(&project, &host, way, "greeter");
        begin(&mut session, "2025-06-18").await;
        let mut subscriber = start(&project, &host, way, "greeter");
        let listen = stateless(
            "subscriptions/listen",
            json!({"notifications": {"toolsListChanged": true}}),
        );
        subscriber.send(&listen.to_string());
        assert_eq!(
            subscriber.line().await["method"],
            "notifications/subscriptions/acknowledged"
        );
        let tools = json!([tool_named(&format!("tool_{nth}"))]);
        project.put_plugin("greeter.wasm", Guest::answering("new").tools(tools).wasm());
        for client in [&mut session, &mut subscriber] {
            assert_eq!(
                client.line().await["method"],
                "notifications/tools/list_changed",
                "{way:?}"
            );
            // A stream that is open keeps nobody from ending.
            assert_eq!(client.end().await, Some(0));
        }
    }
}

#[tokio::test]
async fn a_notification_cancels_a_call_and_it_gets_no_answer() {
    let guest = Guest::answering("late").sleeping(80_000);
    let project = Project::new()
        .plugin("sleeper.wasm", guest.wasm())
        .config("[defaults.limits]\nwall_time = '85s'\n[server]\nrequest_timeout = '89s'\n");
    let host = project.serve().await;
    let cancel = |id| notification("notifications/cancelled", json!({"requestId": id}));
    let mut client = start(&project, &host, Way::Bridge, "sleeper");
    begin(&mut client, SESSIONFUL).await;
    client.send(&request(1, "tools/call", json!({"name": "answer"})));
    host.logs(BEGUN, 1).await;
    client.send(&cancel(1));
    client.send(&stateless("tools/call", json!({"name": "answer"})).to_string());
    host.logs(BEGUN, 2).await;
    client.send(&cancel(1));
    eventually("both guests have ended", async || {
        let metrics = host.get("/metrics").await.text();
        metrics
            .lines()
            .any(|line| line == "exomonad_sandboxes_in_use 0")
            .then_some(())
    })
    .await;
    client.send(&request(2, "ping", json!({})));
    assert_eq!(client.line().await["id"], 2);
    assert_eq!(client.end().await, Some(0));
}

#[tokio::test]
async fn a_host_that_is_restarted_is_found_again() {
    let project = Project::new().plugin("greeter.wasm", Guest::answering("hello").wasm());
    let host = project.serve().await;
    let address = host.address().to_string();
    let mut client = start(&project, &host, Way::Bridge, "greeter");
    begin(&mut client, "2025-06-18").await;
    drop(host);
    client.send(&request(1, "tools/list", json!({})));
    let refused = client.line().await;
    assert_eq!(refused["error"]["code"], -32000, "{refused}");
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains(&address),
        "{refused}"
    );
    let host = project.serve_at(&address).await;
    client.send(&request(2, "tools/list", json!({})));
    let mut answers = [client.line().await, client.line().await];
    answers.sort_by_key(|answer| answer["id"].as_i64());
    // Other plugins may serve now.
    assert_eq!(answers[0]["method"], "notifications/tools/list_changed");
    assert_eq!(answers[1]["result"]["tools"][0]["name"], "answer");
    assert_eq!(client.end().await, Some(0));
    drop(host);
}

#[tokio::test]
async fn what_cannot_be_served_is_told_on_standard_error_by_the_exit_code() {
    let project = Project::new();
    let run = |arguments: &[&str]| project.run([&["mcp"], arguments].concat());
    let nobody = run(&["--role", "tl", "--url", "http://127.0.0.1:1"]);
    assert_eq!(
        (nobody.code, nobody.stdout.as_str()),
        (Some(0), ""),
        "it may come later: {nobody:?}"
    );
    let none = run(&["--role", "tl"]).exits(4);
    assert!(
        none.stderr.contains("--embedded") && none.stdout.is_empty(),
        "{none:?}"
    );
    let absent = run(&["--role", "nobody", "--embedded"]).exits(3);
    assert!(absent.stderr.contains("nobody.wasm"), "{absent:?}");
    run(&["--role", "No Name", "--embedded"]).exits(2);
    run(&["--role", "tl", "--embedded", "--url", "http://127.0.0.1:1"]).exits(2);
    let host = project.serve().await;
    let absent = run(&["--role", "nobody", "--url", &host.url()]).exits(3);
    assert!(
        absent.stderr.contains("there is no role `nobody`"),
        "{absent:?}"
    );
}

#[tokio::test]
async fn a_token_opens_the_role_and_a_line_that_is_too_long_is_refused() {
    let project = Project::new()
        .env("GREETER", "secret")
        .config("[server]\nmax_body = '1KiB'\n[role.greeter]\ntoken_env = 'GREETER'\n")
        .plugin("greeter.wasm", Guest::answering("hello").wasm());
    let host = project.serve().await;
    let url = host.url();
    let wrong = project
        .run([
            "mcp", "--role", "greeter", "--url", &url, "--token", "wrong",
        ])
        .exits(3);
    assert!(wrong.stderr.contains("token"), "{wrong:?}");
    let mut client = start(&project, &host, Way::Bridge, "greeter");
    begin(&mut client, SESSIONFUL).await;
    client.send(&request(1, "ping", json!({"long": "x".repeat(2000)})));
    assert_eq!(client.line().await["error"]["code"], -32600);
    client.send(&request(2, "ping", json!({})));
    assert_eq!(client.line().await["id"], 2);
    assert_eq!(client.end().await, Some(0));
}

#[tokio::test]
async fn a_call_whose_input_ends_at_once_is_recorded() {
    let project = Project::new();
    let lines = [
        request(
            1,
            "initialize",
            json!({"protocolVersion": SESSIONFUL, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}),
        ),
        notification("notifications/initialized", json!({})),
        request(2, "tools/call", json!({"name": "trap", "arguments": {}})),
    ];
    let input = lines.join("\n");
    for times in 1..=5 {
        let ran = project
            .run_with_input(["mcp", "--role", "echo", "--embedded"], input.as_bytes())
            .exits(0);
        assert!(ran.stdout.contains("guest_trapped"), "{ran:?}");
        let listed = project.run(["calls", "list", "--json"]).exits(0);
        let found = listed.stdout.matches("\"tool\"").count();
        assert_eq!(found, times, "{listed:?}");
    }
}

#[tokio::test]
async fn a_request_id_that_is_in_use_is_refused_and_a_cancellation_hits_its_request() {
    let guest = Guest::answering("").sleeping(60_000);
    let config = "[defaults.limits]\nwall_time = '2m'\n[server]\nrequest_timeout = '2m'\n";
    let project = Project::new()
        .config(config)
        .plugin("slow.wat", guest.wat());
    let host = project.serve().await;
    for (nth, way) in [Way::Bridge, Way::Embedded].into_iter().enumerate() {
        let mut client = start(&project, &host, way, "slow");
        begin(&mut client, SESSIONFUL).await;
        client.send(&request(1, "tools/call", json!({"name": "answer"})));
        if nth == 0 {
            host.logs(BEGUN, 1).await;
        }
        client.send(&request(1, "ping", json!({})));
        let refused = client.line().await;
        assert_eq!(refused["error"]["code"], -32600, "{refused}");
        assert_eq!(refused["id"], 1);
        client.send(&notification(
            "notifications/cancelled",
            json!({"requestId": 1}),
        ));
        // It is the call that is cancelled: its id is free, and the input's end waits for nothing.
        let free = eventually("the id is free", async || {
            client.send(&request(1, "ping", json!({})));
            let answer = client.line().await;
            answer.get("result").is_some().then_some(())
        });
        free.await;
        client.close();
        assert_eq!(client.end().await, Some(0), "{way:?}: {}", client.errors());
    }
}

#[tokio::test]
async fn a_request_before_initialize_is_told_so() {
    let project = Project::new();
    let host = project.serve().await;
    for way in [Way::Bridge, Way::Embedded] {
        let mut client = start(&project, &host, way, "echo");
        client.send(&request(1, "tools/list", json!({})));
        let refused = client.line().await;
        let message = refused["error"]["message"].as_str().unwrap();
        assert_eq!(refused["error"]["code"], -32600, "{refused}");
        assert!(
            message.contains("`initialize`") && !message.contains("header"),
            "{message}"
        );
        // Nobody wants an answer to this.
        client.send(&notification("notifications/initialized", json!({})));
        begin(&mut client, SESSIONFUL).await;
        client.send(&request(2, "ping", json!({})));
        assert_eq!(client.line().await["id"], 2);
        client.close();
        assert_eq!(client.end().await, Some(0), "{}", client.errors());
    }
}

#[tokio::test]
async fn a_client_is_asked_and_answers_in_lines_and_one_that_leaves_holds_nothing_up() {
    let project = Project::new()
        .config("[role.everything]\neffects = [\"*\"]\n")
        .plugin("everything.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    for way in [Way::Bridge, Way::Embedded] {
        let mut client = start(&project, &host, way, "everything");
        let params = json!({
            "protocolVersion": SESSIONFUL, "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "test", "version": "1"}
        });
        client.send(&request(0, "initialize", params));
        client.line().await;
        client.send(&notification("notifications/initialized", json!({})));
        let call = json!({"name": "ask_about_a_number"});
        client.send(&request(1, "tools/call", call.clone()));
        let asked = client.line().await;
        assert_eq!(asked["method"], "elicitation/create", "{way:?}: {asked}");
        let answer = json!({"action": "accept", "content": {"ok": true}});
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer});
        client.send(&answer.to_string());
        let called = client.line().await;
        let text = called["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.ends_with(" true"), "{way:?}: {called}");
        client.send(&request(2, "tools/call", call));
        client.line().await;
        client.close();
        assert_eq!(client.end().await, Some(0), "{way:?}: {}", client.errors());
    }
}
