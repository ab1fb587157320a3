//! Callers with tokens of their own: what these open, who guests and operators see, and how much one may ask for.

use std::fs;

use exomonad_test_support::mcp::{
    EventStream, SESSIONFUL, initialize, mcp_path, stateless, stateless_request,
};
use exomonad_test_support::{
    BEGUN, Connection, Guest, Host, Project, Response, eventually, shipped_plugin, tool_named,
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A wait that tells a hang.
const LONG: std::time::Duration = std::time::Duration::from_secs(60);

/// A project with a role `desk` whose tools are `read_a`, `read_b` and `write`, and its host.
async fn desk(config: &str) -> (Project, Host) {
    let tools = ["read_a", "read_b", "write"].map(tool_named);
    let project = Project::new()
        .config(&format!(
            "[role.desk]\njournal = 'all'\n{config}\n[role.other]\nplugin = 'desk'\n"
        ))
        .plugin(
            "desk.wasm",
            Guest::answering("done").tools(json!(tools)).wasm(),
        );
    let host = project.serve().await;
    (project, host)
}

/// Makes a token for `desk`.
fn token(project: &Project, name: &str, more: &[&str]) -> String {
    token_of(project, "desk", name, more)
}

/// Makes a token for a role.
fn token_of(project: &Project, role: &str, name: &str, more: &[&str]) -> String {
    let arguments = [&["token", "new", name, "--role", role], more].concat();
    let made = project.run(arguments).exits(0);
    let token = made.stdout.trim().to_owned();
    assert!(
        token.starts_with("exomonad_") && token.len() == 73,
        "{made:?}"
    );
    assert!(!made.stderr.contains(&token), "{made:?}");
    token
}

async fn send(host: &Host, token: &str, method: Method, path: &str, body: &str) -> Response {
    let request = host.request(method, path).body(body.to_owned());
    let request = match token {
        "" => request,
        token => request.bearer_auth(token),
    };
    Response::of(request).await
}

async fn call(host: &Host, token: &str, tool: &str) -> Response {
    let body = json!({"name": tool, "arguments": {"text": "a secret of the caller's"}});
    let path = "/role/desk/mcp/call";
    send(host, token, Method::POST, path, &body.to_string()).await
}

/// A request of MCP's stateless revision.
async fn ask(host: &Host, token: &str, method: &str, params: Value) -> Response {
    let message = stateless(method, params);
    let request = stateless_request(host, "desk", &message).bearer_auth(token);
    Response::of(request).await
}

fn names(tools: &Value) -> Vec<&str> {
    let tools = tools.as_array().unwrap().iter();
    tools.map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_token_is_taken_up_and_revoked_while_the_host_runs() {
    let (project, host) = desk("").await;
    assert_eq!(call(&host, "", "read_a").await.status, 200);
    let first = token(&project, "ci", &[]);
    let second = token(&project, "ci", &[]);
    call(&host, "", "read_a").await.problem(401, "unauthorized");
    for token in [&first, &second] {
        assert_eq!(call(&host, token, "write").await.status, 200);
        // It opens its role, not what concerns all of them.
        for path in ["/roles", "/metrics"] {
            assert_eq!(send(&host, token, Method::GET, path, "").await.status, 401);
        }
    }
    let other = send(&host, "", Method::GET, "/role/other/mcp/tools", "").await;
    assert_eq!(other.status, 200, "it has no token");
    let listed = project.run(["--json", "token", "list"]).exits(0).json();
    let listed = listed.as_array().unwrap();
    assert_eq!((listed.len(), &listed[0]["name"]), (2, &json!("ci")));
    let text = json!(listed).to_string();
    assert!(!text.contains(&first) && !text.contains("sha256"), "{text}");

    let id = listed[0]["id"].as_str().unwrap();
    project.run(["token", "revoke", id]).exits(0);
    assert_eq!(call(&host, &first, "read_a").await.status, 401);
    assert_eq!(call(&host, &second, "read_a").await.status, 200);
    project.run(["token", "revoke", "ci"]).exits(0);
    assert_eq!(call(&host, &second, "read_a").await.status, 401);
    assert_eq!(
        call(&host, "", "read_a").await.status,
        401,
        "the role stays closed"
    );
    project.run(["token", "revoke", "ci"]).exits(3);
    project
        .run(["token", "new", "two words", "--role", "desk"])
        .exits(2);
    project.run(["token", "new", "nobody"]).exits(2);
}

#[tokio::test]
async fn a_caller_s_token_is_not_taken_for_the_operator_s() {
    let project = Project::new().config("[server]\ntoken_file = 'operator'\n");
    let ci = token_of(&project, "tl", "ci", &["--scope", "tools:repo_status"]);
    project.write("operator", &ci);
    let by_file = project.run(["serve"]).exits(2);
    let operator = "operator-0123456789abcdef";
    project.write("operator", operator);
    let host = project.serve().await;
    let path = "/metrics";
    assert_eq!(send(&host, &ci, Method::GET, path, "").await.status, 401);
    // Nor is it while the host runs.
    project.write("operator", &ci);
    let reloaded = send(&host, operator, Method::POST, "/reload", "").await;
    let configuration = &reloaded.json()["configuration"];
    assert_eq!(configuration["applied"], false, "{configuration}");
    assert_eq!(send(&host, &ci, Method::GET, path, "").await.status, 401);
    assert_eq!(
        send(&host, operator, Method::GET, path, "").await.status,
        200
    );
    drop(host);

    let project = Project::new();
    let ci = token_of(&project, "tl", "ci", &[]);
    // Revoked or not, and whatever the file says.
    project.run(["token", "revoke", "ci"]).exits(0);
    let project = project.env("EXOMONAD_TOKEN", &ci);
    let by_variable = project.run(["serve"]).exits(2);
    assert!(
        by_variable
            .stderr
            .contains("EXOMONAD_TOKEN is the operator's"),
        "{by_variable:?}"
    );
    for refused in [by_file, by_variable] {
        assert!(refused.stderr.contains("made for a caller"), "{refused:?}");
        assert!(!refused.output().contains(&ci), "{refused:?}");
    }
    let found = project.run(["doctor"]).exits(0);
    assert!(
        found.stdout.contains("`serve` would not start"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_role_stays_closed_while_the_file_of_its_tokens_is_gone_and_health_says_so() {
    const OPERATOR: &str = "operator-0123456789abcdef";
    let config = "[role.desk]\n[role.other]\nplugin = 'desk'\n";
    let project = Project::new().config(config).plugin(
        "desk.wasm",
        Guest::answering("done")
            .tools(json!([tool_named("read_a")]))
            .wasm(),
    );
    let host = project.serve().await;
    let health = async |token: &str| send(&host, token, Method::GET, "/health", "").await.json();
    let ci = token(&project, "ci", &[]);
    let ops = project
        .run(["token", "new", "ops", "--role", "desk"])
        .exits(0);
    assert_eq!(call(&host, &ci, "read_a").await.status, 200);
    assert_eq!(health("").await["status"], "ok");
    let file = project.path(".exomonad/state/tokens.json");
    let content = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    for token in ["", &ci, ops.stdout.trim()] {
        assert_eq!(call(&host, token, "read_a").await.status, 401);
    }
    host.logs("tokens.json is gone", 1).await;
    let found = health("").await;
    assert_eq!(
        (&found["status"], &found["tokens"]),
        (&json!("degraded"), &json!({"code": "missing"})),
        "without a token no path is told: {found}"
    );
    // Another configuration is no new start.
    project.write(
        "exomonad.toml",
        format!("{config}[server]\nrequest_timeout = '50s'\n"),
    );
    host.signal(1);
    host.logs("the configuration is reloaded", 1).await;
    assert_eq!(call(&host, "", "read_a").await.status, 401);
    // Nor are tokens that are given out meanwhile.
    project
        .run(["token", "new", "new", "--role", "other"])
        .exits(0);
    assert_eq!(call(&host, "", "read_a").await.status, 401);
    assert_eq!(health("").await["status"], "ok");
    fs::write(&file, &content).unwrap();
    assert_eq!(call(&host, &ci, "read_a").await.status, 200);

    fs::write(&file, "{").unwrap();
    assert_eq!(call(&host, &ci, "read_a").await.status, 401);
    let found = health("").await;
    assert_eq!(found["tokens"]["code"], "unreadable", "{found}");
    let found = project.run(["doctor"]).exits(1);
    assert!(found.stdout.contains("✗ tokens"), "{found:?}");
    drop(host);

    // A new start without the file opens the role, as the documentation says.
    fs::remove_file(&file).unwrap();
    let project = project.env("EXOMONAD_TOKEN", OPERATOR);
    let host = project.serve().await;
    token(&project, "ci", &[]);
    fs::write(&file, "{").unwrap();
    let found = send(&host, OPERATOR, Method::GET, "/health", "")
        .await
        .json();
    let message = found["tokens"]["message"].as_str().unwrap();
    assert!(message.contains("tokens.json"), "{message}");
    let url = host.url();
    let found = project.run(["doctor", "--url", &url]).exits(1);
    assert!(found.stdout.contains("; tokens: "), "{found:?}");
}

#[tokio::test]
async fn a_caller_s_token_is_enough_to_connect_an_agent_to_its_role() {
    let project = Project::new();
    let host = project.serve().await;
    let url = host.url();
    let init = |project: &Project, more: &[&str]| {
        let words = ["init", "--agent", "claude", "--url", &url];
        project.run([&words[..], more].concat())
    };
    let tl = ["--role", "tl"];
    let whole = token_of(&project, "tl", "whole", &[]);
    let tools = token_of(&project, "tl", "tools", &["--scope", "tools:repo_*"]);
    let echo = token_of(&project, "echo", "echo", &[]);
    let of_whole = Project::new().env("EXOMONAD_TOKEN", whole);
    init(&of_whole, &tl).exits(0);
    let hooks = of_whole.path(".claude/settings.json");
    assert!(fs::read_to_string(hooks).unwrap().contains("PreToolUse"));
    let unnamed = init(&of_whole, &[]).exits(3);
    assert!(unnamed.stderr.contains("--role names"), "{unnamed:?}");
    // Without the scope of hooks each of them would be refused, and so deny.
    let of_tools = Project::new().env("EXOMONAD_TOKEN", &tools);
    init(&of_tools, &tl).exits(0);
    assert!(of_tools.path(".mcp.json").exists());
    let hooks = fs::read_to_string(of_tools.path(".claude/settings.json")).unwrap_or_default();
    assert!(!hooks.contains("PreToolUse"), "{hooks}");
    let usable = send(&host, &tools, Method::GET, "/role/tl", "")
        .await
        .json();
    assert_eq!(usable["hooks"], json!([]));
    let listed = usable["tools"].as_array().unwrap();
    assert!(listed.contains(&json!("repo_status")) && !listed.contains(&json!("file_pr")));
    let of_echo = Project::new().env("EXOMONAD_TOKEN", echo);
    let refused = init(&of_echo, &tl).exits(3);
    assert!(
        refused.stderr.contains("does not open this") && !refused.stderr.contains("missing or"),
        "{refused:?}"
    );
    let lacking = of_tools
        .run(["call", "tl", "file_pr", "--url", &url])
        .exits(3);
    assert!(
        lacking.stderr.contains("takes the scope `tools:file_pr`"),
        "{lacking:?}"
    );
}

#[tokio::test]
async fn a_token_for_a_role_that_is_not_there_is_warned_about_and_nobody_is_called_operator() {
    let project = Project::new();
    let made = project
        .run(["token", "new", "q", "--role", "nosuch"])
        .exits(0);
    assert!(
        made.stderr.contains("there is no role `nosuch`"),
        "{made:?}"
    );
    let made = project.run(["token", "new", "q", "--role", "tl"]).exits(0);
    assert!(!made.stderr.contains("warning"), "{made:?}");
    let refused = project
        .run(["token", "new", "operator", "--role", "tl"])
        .exits(2);
    assert!(refused.stderr.contains("--operator"), "{refused:?}");
}

#[tokio::test]
async fn scopes_decide_which_tools_are_listed_and_called() {
    let (project, host) = desk("").await;
    let reader = token(&project, "reader", &["--scope", "tools:read_*"]);
    let whole = token(&project, "whole", &[]);

    let path = "/role/desk/mcp/tools";
    let plain = send(&host, &reader, Method::GET, path, "").await.json();
    assert_eq!(names(&plain["tools"]), ["read_a", "read_b"]);
    let all = send(&host, &whole, Method::GET, path, "").await.json();
    assert_eq!(names(&all["tools"]).len(), 3);
    let listed = ask(&host, &reader, "tools/list", json!({})).await.json();
    assert_eq!(names(&listed["result"]["tools"]), ["read_a", "read_b"]);

    assert_eq!(call(&host, &reader, "read_b").await.status, 200);
    assert_eq!(call(&host, &whole, "write").await.status, 200);
    let challenge =
        |tool: &str| format!("Bearer error=\"insufficient_scope\", scope=\"tools:{tool}\"");
    // One that is there and one that is not look alike.
    for tool in ["write", "none"] {
        let refused = call(&host, &reader, tool).await;
        refused.problem(403, "insufficient_scope");
        assert_eq!(refused.header("www-authenticate"), challenge(tool));
        let refused = ask(&host, &reader, "tools/call", json!({"name": tool})).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert_eq!(refused.header("www-authenticate"), challenge(tool));
        let error = &refused.json()["error"];
        assert_eq!(error["data"]["code"], "insufficient_scope", "{error}");
        assert_eq!(error["data"]["scope"], format!("tools:{tool}"));
    }
    let called = ask(&host, &reader, "tools/call", json!({"name": "read_a"})).await;
    assert_eq!(called.json()["result"]["content"][0]["text"], "done");

    for (method, path) in [
        (Method::POST, "/role/desk/hook/pre_tool_use"),
        (Method::GET, "/workflows?role=desk"),
        (Method::GET, "/events?role=desk"),
        (Method::GET, "/calls?role=desk"),
    ] {
        let refused = send(&host, &reader, method, path, "{}").await;
        refused.problem(403, "insufficient_scope");
    }
    let seer = token(&project, "seer", &["--scope", "calls", "--scope", "hooks"]);
    assert_eq!(
        send(&host, &seer, Method::GET, "/calls", "").await.status,
        200
    );
    let path = "/role/desk/hook/pre_tool_use";
    let hook = send(&host, &seer, Method::POST, path, "{}").await;
    assert_ne!(hook.status, 403, "{}", hook.text());
    call(&host, &seer, "read_a")
        .await
        .problem(403, "insufficient_scope");
}

#[tokio::test]
async fn completion_is_of_prompts_or_of_resources_as_the_scopes_say() {
    let project = Project::new()
        .config("[role.desk]\n")
        .plugin("desk.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    let complete = async |scope: &str, reference: Value, argument: &str| {
        let token = token(
            &project,
            &format!("{scope}-{argument}"),
            &["--scope", scope],
        );
        let asked = json!({"ref": reference, "argument": {"name": argument, "value": ""}});
        ask(&host, &token, "completion/complete", asked).await
    };
    let prompt = json!({"type": "ref/prompt", "name": "test_prompt_with_arguments"});
    let resource = json!({"type": "ref/resource", "uri": "test://template/{id}/data"});
    for (scope, allowed, refused) in [
        ("prompts", (&prompt, "arg1"), (&resource, "id")),
        ("resources", (&resource, "id"), (&prompt, "arg1")),
    ] {
        let answer = complete(scope, allowed.0.clone(), allowed.1).await;
        assert_eq!(answer.status, 200, "{scope}: {}", answer.text());
        let answer = complete(scope, refused.0.clone(), refused.1).await;
        assert_eq!(answer.status, 403, "{scope}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_guest_knows_its_caller_by_the_token_and_by_nothing_that_the_caller_says() {
    let (project, host) = desk("").await;
    let token = token(&project, "ci", &[]);
    let body = r#"{"name":"read_a","arguments":{}}"#;
    let request = host
        .request(Method::POST, "/role/desk/mcp/call")
        .header("x-exomonad-caller", "somebody-else")
        .bearer_auth(&token)
        .body(body);
    let plain = Response::of(request).await;
    let by_mcp = ask(&host, &token, "tools/call", json!({"name": "read_a"})).await;
    for answer in [plain, by_mcp] {
        let id = answer.header("x-exomonad-call-id").to_owned();
        let record = send(&host, &token, Method::GET, &format!("/calls/{id}"), "").await;
        let record = record.json();
        assert_eq!(record["call"]["caller"], "ci", "{record}");
        let input = &record["input"]["json"];
        assert_eq!(input["context"]["caller"], "ci", "{record}");
        assert_eq!(input["context"]["principal"], "token:ci", "{record}");
        assert!(!record.to_string().contains(&token), "{record}");
    }
}

#[tokio::test]
async fn each_call_has_a_line_that_says_who_what_and_how_and_nothing_of_the_arguments() {
    let config = "[audit]\nfile = 'audit/calls.jsonl'\n";
    let tools = ["read_a", "write"].map(tool_named);
    let project = Project::new().config(config).plugin(
        "desk.wasm",
        Guest::answering("done").tools(json!(tools)).wasm(),
    );
    let host = project.serve().await;
    let reader = token(&project, "reader", &["--scope", "tools:read_*"]);
    call(&host, &reader, "read_a").await;
    call(&host, &reader, "write").await;
    ask(&host, &reader, "tools/call", json!({"name": "read_a"})).await;
    let file = project.path("audit/calls.jsonl");
    let lines = eventually("the lines are in the file", async || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (lines.len() == 3).then_some(lines)
    })
    .await;
    let arguments = r#"{"text":"a secret of the caller's"}"#;
    let hash = |text: &str| -> String {
        let hash = Sha256::digest(text.as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    for (line, (name, outcome, arguments)) in lines.iter().zip([
        ("read_a", "ok", arguments),
        ("write", "insufficient_scope", arguments),
        ("read_a", "ok", "{}"),
    ]) {
        assert_eq!(line["principal"], "token:reader", "{line}");
        assert_eq!(
            (&line["role"], &line["kind"]),
            (&json!("desk"), &json!("tool"))
        );
        assert_eq!(
            (&line["name"], &line["outcome"]),
            (&json!(name), &json!(outcome))
        );
        assert_eq!(line["arguments_sha256"], hash(arguments), "{line}");
        assert!(line["micros"].is_u64() && line["at"].is_string(), "{line}");
    }
    let log = host.log();
    assert!(log.contains(&hash(arguments)), "{log}");
    assert!(log.contains("token:reader"), "{log}");
    let kept = lines.iter().map(Value::to_string).collect::<String>() + &log;
    for hidden in ["a secret of", reader.as_str()] {
        assert!(!kept.contains(hidden), "{kept}");
    }
}

#[tokio::test]
async fn a_caller_that_calls_too_often_is_told_when_and_others_are_served() {
    let (project, host) = desk("[role.desk.limits]\ncaller_calls_per_minute = 3\n").await;
    let (eager, calm) = (token(&project, "eager", &[]), token(&project, "calm", &[]));
    for _ in 0..3 {
        assert_eq!(call(&host, &eager, "read_a").await.status, 200);
    }
    let refused = call(&host, &eager, "read_a").await;
    refused.problem(429, "rate_limited");
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&after), "{after}");
    assert!(
        refused.text().contains("limits.caller_calls_per_minute"),
        "{}",
        refused.text()
    );
    let refused = ask(&host, &eager, "tools/call", json!({"name": "read_a"})).await;
    let error = refused.json()["error"].clone();
    assert_eq!(error["data"]["code"], "rate_limited", "{error}");
    assert!(error["data"]["retryAfterSeconds"].is_u64(), "{error}");
    assert_eq!(call(&host, &calm, "read_a").await.status, 200);
    // Another token of the same caller is the same caller.
    let again = token(&project, "eager", &[]);
    assert_eq!(call(&host, &again, "read_a").await.status, 429);
}

#[tokio::test]
async fn a_caller_has_so_many_calls_at_once() {
    let guest = Guest::answering("done").sleeping(3_600_000);
    let project = Project::new()
        .config("[role.desk.limits]\ncaller_concurrent_calls = 1\nwall_time = '1h'\n[server]\nrequest_timeout = '1h'\n")
        .plugin("desk.wat", guest.wat());
    let host = project.serve().await;
    let token = token(&project, "ci", &[]);
    let body = r#"{"name":"answer"}"#;
    let path = "/role/desk/mcp/call";
    let begun = || host.log().matches(BEGUN).count();
    let mut running = Connection::open(&host).await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    running.send(head).await.unwrap();
    host.logs(BEGUN, 1).await;
    let second = send(&host, &token, Method::POST, path, body).await;
    second.problem(429, "rate_limited");
    assert_eq!(second.header("retry-after"), "1");
    drop(running);
    eventually("a call that was given up makes room", async || {
        let next = send(&host, &token, Method::POST, path, body);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), next).await;
        (begun() > 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_is_its_caller_s_and_its_stream_ends_with_the_token() {
    let (project, host) = desk("[mcp]\nkeep_alive = '1s'\n").await;
    let (first, second) = (
        token(&project, "first", &[]),
        token(&project, "second", &[]),
    );
    let again = token(&project, "first", &[]);
    let host = host.with_token(&first);
    let begun = initialize(&host, "desk", SESSIONFUL).await;
    let id = begun.header("mcp-session-id").to_owned();
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let client = reqwest::Client::new();
    let url = format!("{}{}", host.url(), mcp_path("desk"));
    let request = |method: Method, token: &str| {
        let request = client.request(method, &url).header("mcp-session-id", &id);
        request.bearer_auth(token)
    };
    for (token, status) in [(&first, 200), (&second, 404), (&again, 200)] {
        let answer = Response::of(request(Method::POST, token).body(ping.clone())).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let opened = request(Method::GET, &first).header("accept", "text/event-stream");
    let mut stream = EventStream::of(opened).await;
    assert!(stream.next().await.is_some());
    project.run(["token", "revoke", "first"]).exits(0);
    let ended = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(LONG, ended).await.unwrap();
}

#[tokio::test]
async fn a_token_in_an_address_or_beside_another_one_opens_nothing() {
    let (project, host) = desk("").await;
    let token = token(&project, "ci", &[]);
    let path = format!("/role/desk/mcp/tools?access_token={token}");
    for presented in ["", &token] {
        let refused = send(&host, presented, Method::GET, &path, "").await;
        refused.problem(400, "invalid_request");
        assert!(!refused.text().contains(&token), "{}", refused.text());
    }
    let two = host
        .request(Method::GET, "/role/desk/mcp/tools")
        .bearer_auth(&token)
        .header("authorization", "Bearer other");
    assert_eq!(Response::of(two).await.status, 401);
    assert!(!host.log().contains(&token), "{}", host.log());
}

#[tokio::test]
async fn a_role_that_requires_a_token_may_be_reached_from_elsewhere_and_an_operator_s_token_opens_all()
 {
    let project = Project::new().config("[defaults]\nrequire_token = true\n");
    let host = project.serve_at("0.0.0.0:0").await;
    let path = "/role/tl/mcp/tools";
    assert_eq!(send(&host, "", Method::GET, path, "").await.status, 401);
    assert_eq!(send(&host, "", Method::GET, "/roles", "").await.status, 401);
    let arguments = ["token", "new", "ops", "--operator", "--expires", "1d"];
    let made = project.run(arguments).exits(0);
    let ops = made.stdout.trim();
    for path in [path, "/roles", "/metrics"] {
        assert_eq!(
            send(&host, ops, Method::GET, path, "").await.status,
            200,
            "{path}"
        );
    }
    fs::write(project.path(".exomonad/state/tokens.json"), "{").unwrap();
    assert_eq!(send(&host, ops, Method::GET, path, "").await.status, 401);
    host.logs("the tokens cannot be read", 1).await;
}
