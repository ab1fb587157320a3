//! The journal of calls: what a call did, and calls that run again on their records.

use std::fs;
use std::path::PathBuf;

use exomonad_test_support::{Guest, Host, Project, Response, WebServer, eventually};
use reqwest::Method;
use serde_json::{Value, json};

const JOURNAL: &str = ".exomonad/state/journal";

/// A plugin whose tool asks for an effect, then does this, then answers.
fn asking(effect: &str, request: &str, then: &str, answer: &str) -> String {
    let ask = format!("(drop (call ${effect} (call $text))) {then}");
    Guest::answering(answer)
        .import("extism:host/user", effect, "(param i64) (result i64)")
        .text(request)
        .without("handle_mcp_call")
        .export(
            "handle_mcp_call",
            &format!("{ask} (drop (call $handle_mcp_call))"),
        )
        .wat()
}

/// A role `asker` that records all its calls, with this plugin.
fn asker(plugin: String) -> Project {
    Project::new()
        .config("[server]\nraw_calls = true\n[role.asker]\neffects = ['kv.*', 'clock.*', 'random.*', 'log.*']\njournal = 'all'\n")
        .plugin("asker.wat", plugin)
}

/// Calls the tool of `asker`, and gives the id of the call once its record is in the folder.
async fn ask(host: &Host) -> String {
    let id = id(&host.call("asker", "answer", json!({})).await);
    // Asked, a host writes what it still has.
    record(host, &id).await;
    id
}

fn id(response: &Response) -> String {
    let id = response.header("x-exomonad-call-id").to_owned();
    assert!(!id.is_empty(), "{response:?}");
    id
}

async fn record(host: &Host, id: &str) -> Value {
    let answer = host.get(&format!("/calls/{id}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn list(host: &Host, query: &str) -> Vec<Value> {
    let answer = host.get(&format!("/calls?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["calls"].as_array().unwrap().clone()
}

/// The effects of a record, by name.
fn effects(record: &Value) -> Vec<&str> {
    let events = record["events"].as_array().unwrap().iter();
    events
        .filter_map(|event| event["effect"]["effect"].as_str())
        .collect()
}

fn files(project: &Project) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.path(JOURNAL)).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_call_that_fails_names_its_id_and_the_id_shows_everything_that_it_did() {
    let project = Project::without_repository();
    let host = project.serve().await;
    let failed = host.call("tl", "repo_status", json!({})).await;
    assert!(failed.tool_result().is_error());
    let id = id(&failed);

    let record = record(&host, &id).await;
    assert_eq!(record["call"]["outcome"], "tool_error", "{record}");
    assert_eq!(record["call"]["name"], "repo_status");
    assert_eq!(record["call"]["complete"], true);
    assert_eq!(record["input"]["json"]["context"]["callId"], id.as_str());
    assert_eq!(record["output"]["json"]["isError"], true);
    let asked = effects(&record);
    assert!(
        asked.iter().any(|effect| effect.starts_with("git.")),
        "{asked:?}"
    );
    let git = record["events"].as_array().unwrap().iter();
    let mut git = git.filter(|event| {
        event["effect"]["effect"]
            .as_str()
            .is_some_and(|name| name.starts_with("git."))
    });
    let answer = &git.next().unwrap()["effect"]["answer"]["json"];
    assert_eq!(answer["kind"], "Error", "{answer}");

    let url = host.url();
    for place in [&["--local"][..], &["--url", &url]] {
        let show = project
            .run([&["calls", "show", &id][..], place].concat())
            .exits(0);
        for says in [
            "tool `repo_status` of role `tl`: tool_error",
            "git.",
            "→ {",
            "← {\"kind\":\"Error\"",
            "output",
        ] {
            assert!(show.stdout.contains(says), "{says}: {show:?}");
        }
        let listed =
            project.run([&["calls", "list", "--role", "tl", "--failed"][..], place].concat());
        assert!(listed.exits(0).stdout.contains(&id));
        let none =
            project.run([&["calls", "list", "--role", "echo", "--json"][..], place].concat());
        assert_eq!(
            serde_json::from_str::<Value>(&none.exits(0).stdout).unwrap()["calls"],
            json!([])
        );
        let exported = project
            .run([&["calls", "export", "--since", "1h"][..], place].concat())
            .exits(0);
        let lines: Vec<Value> = exported
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines, std::slice::from_ref(&record));
        let unknown = project
            .run([&["calls", "show", "nothing"][..], place].concat())
            .exits(3);
        assert!(
            unknown.stderr.contains("no call `nothing` is recorded"),
            "{unknown:?}"
        );
    }
    host.get("/calls/nothing")
        .await
        .problem(404, "call_not_found");
    host.get("/calls?limit=none")
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn a_call_in_this_process_names_its_id_too() {
    let project = Project::without_repository();
    let failed = project
        .run(["call", "tl", "repo_status", "--local"])
        .exits(1);
    let (_, id) = failed
        .stderr
        .trim_end()
        .rsplit_once("this was call ")
        .unwrap();
    let show = project.run(["calls", "show", id]).exits(0);
    assert!(show.stdout.contains("tool_error"), "{show:?}");
}

#[tokio::test]
async fn a_guest_that_traps_leaves_a_record_of_what_it_did_before() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "unreachable", "never"));
    let host = project.serve().await;
    let failed = host.tool("asker", "answer", json!({})).await;
    failed.guest_failure("guest_trapped");
    let id = failed.structured()["error"]["callId"].as_str().unwrap();
    let record = record(&host, id).await;
    assert_eq!(record["call"]["outcome"], "guest_trapped");
    assert_eq!(effects(&record), ["kv.get"]);
    assert!(
        record["error"].as_str().unwrap().contains("trapped"),
        "{record}"
    );
    assert_eq!(record["output"], Value::Null);
    project.run(["replay", id]).exits(0);
}

#[tokio::test]
async fn a_hook_that_fails_names_its_call_in_the_problem() {
    let broken = Guest::answering("").export("handle_pre_tool_use", "unreachable");
    let project = Project::new().plugin("broken.wat", broken.wat());
    let host = project.serve().await;
    let failed = host.post("/role/broken/hook/pre_tool_use", "{}").await;
    failed.problem(502, "guest_trapped");
    let id = id(&failed);
    assert_eq!(failed.json()["instance"], format!("urn:exomonad:call:{id}"));
    assert_eq!(record(&host, &id).await["call"]["kind"], "hook");
    let replayed = project.run(["replay", &id]).exits(0);
    assert!(
        replayed.stdout.starts_with("same: hook `pre_tool_use`"),
        "{replayed:?}"
    );
}

#[tokio::test]
async fn each_role_says_which_of_its_calls_are_recorded() {
    let project = Project::new()
        .config("[role.all]\nplugin = 'mixed'\njournal = 'all'\n[role.failed]\nplugin = 'mixed'\n[role.off]\nplugin = 'mixed'\njournal = 'off'\n")
        .plugin("mixed.wat", Guest::answering("fine").export("handle_pre_tool_use", "unreachable").wat());
    let host = project.serve().await;
    for role in ["all", "failed", "off"] {
        assert_eq!(host.tool(role, "answer", json!({})).await.text(), "fine");
        host.post(&format!("/role/{role}/hook/pre_tool_use"), "{}")
            .await
            .problem(502, "guest_trapped");
    }
    let recorded: Vec<(String, String)> = list(&host, "")
        .await
        .iter()
        .map(|call| {
            (
                call["role"].as_str().unwrap().to_owned(),
                call["outcome"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        ("failed", "guest_trapped"),
        ("all", "guest_trapped"),
        ("all", "ok"),
    ];
    assert_eq!(
        recorded,
        expected.map(|(role, outcome)| (role.to_owned(), outcome.to_owned()))
    );
}

#[tokio::test]
async fn no_secret_is_in_a_record() {
    const SECRET: &str = "s3cr3t-of-the-weather-0123456789";
    const OPERATOR: &str = "operator-s3cr3t-0123456789";
    let server = WebServer::answering(&format!("you came with {SECRET}"));
    // Extism's function has the name of the effect's.
    let own =
        r#"(import "extism:host/env" "http_request" (func $own (param i64 i64) (result i64)))"#;
    let guest = Guest::answering("")
        .forwarding(&["http_request"])
        .export(
            "own",
            "(call $give (call $own (call $input_offset) (i64.const 0)))",
        )
        .wat()
        .replacen("(module ", &format!("(module {own} "), 1);
    let project = Project::new()
        .config(
            "[server]\nraw_calls = true\n[secret.WEATHER_KEY]\nenv = 'WEATHER'\nhosts = ['127.0.0.1']\n\
             [role.asker]\neffects = ['http.request']\nhosts = ['127.0.0.1']\nsecrets = ['WEATHER_KEY']\njournal = 'all'\n",
        )
        .env("WEATHER", SECRET)
        .env("EXOMONAD_TOKEN", OPERATOR)
        .plugin("asker.wat", guest);
    let host = project.serve().await.with_token(OPERATOR);
    let request = json!({
        "method": "GET",
        "url": format!("{}weather?key={{{{secret:WEATHER_KEY}}}}", server.url()),
        "headers": {"authorization": "Bearer {{secret:WEATHER_KEY}}"},
    });
    for function in ["http_request", "own"] {
        let answer = host.raw("asker", function, &request.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(server.last().contains(SECRET), "the server got it");
        let record = record(&host, &id(&answer)).await.to_string();
        assert!(!record.contains("s3cr3t"), "{record}");
        assert!(
            record.contains("you came with {{secret:WEATHER_KEY}}"),
            "{record}"
        );
        assert!(record.contains("Bearer {{secret:WEATHER_KEY}}"), "{record}");
    }
    assert_eq!(files(&project).len(), 1);
    for file in files(&project) {
        let content = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
        assert!(content.contains("{{secret:WEATHER_KEY}}") && !content.contains("s3cr3t"));
    }
}

#[tokio::test]
async fn with_tokens_each_sees_the_calls_of_the_roles_that_it_may_use() {
    const OPERATOR: &str = "operator-0123456789abcdef";
    const ONE: &str = "one-0123456789abcdef";
    let project = Project::new()
        .config("[role.one]\nplugin = 'mixed'\ntoken_env = 'ONE'\njournal = 'all'\n[role.two]\nplugin = 'mixed'\njournal = 'all'\n")
        .env("EXOMONAD_TOKEN", OPERATOR)
        .env("ONE", ONE)
        .plugin("mixed.wat", Guest::answering("fine").wat());
    let host = project.serve().await;
    let get = async |path: &str, token: &str| {
        let request = host.request(Method::GET, path).bearer_auth(token);
        Response::of(request).await
    };
    let mut ids = Vec::new();
    for role in ["one", "two"] {
        let request = host.request(Method::POST, &format!("/role/{role}/mcp/call"));
        let called = Response::of(request.bearer_auth(OPERATOR).body(r#"{"name":"answer"}"#)).await;
        ids.push(id(&called));
    }
    let seen = async |token: &str| {
        get("/calls", token).await.json()["calls"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(seen(OPERATOR).await, 2);
    assert_eq!(seen(ONE).await, 1);
    get("/calls", "wrong").await.problem(401, "unauthorized");
    get("/calls?role=two", ONE)
        .await
        .problem(401, "unauthorized");
    get("/calls?role=nobody", ONE)
        .await
        .problem(401, "unauthorized");
    assert_eq!(get(&format!("/calls/{}", ids[0]), ONE).await.status, 200);
    get(&format!("/calls/{}", ids[1]), ONE)
        .await
        .problem(404, "call_not_found");
    get(&format!("/calls/{}", ids[1]), "wrong")
        .await
        .problem(401, "unauthorized");
    host.get("/calls").await.problem(401, "unauthorized");
    let folder = project.path(JOURNAL);
    fs::write(folder.join("0000000000001-1-1.journal"), "junk").unwrap();
    let warning = async |token: &str| {
        let page = get("/calls", token).await.json();
        page["warnings"][0].as_str().unwrap().to_owned()
    };
    let folder = folder.display().to_string();
    assert!(warning(OPERATOR).await.contains(&folder));
    assert!(!warning(ONE).await.contains(&folder));
    let records = async |token: &str| get("/calls/records", token).await.text();
    let of_one = records(ONE).await;
    assert_eq!(of_one.lines().count(), 2, "a record and the warning");
    assert!(of_one.contains(&ids[0]) && of_one.contains("warnings"));
    assert!(!of_one.contains(&folder));
    let of_all = records(OPERATOR).await;
    assert!(of_all.contains(&ids[1]) && of_all.contains(&folder));
    get("/calls/records?role=two", ONE)
        .await
        .problem(401, "unauthorized");
    host.get("/calls/records")
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn many_records_of_a_running_host_are_read_in_one_pass() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "", "fine"));
    let host = project.serve().await;
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(id(&host.call("asker", "answer", json!({})).await));
    }
    let url = host.url();
    let exported = project
        .run(["calls", "export", "--limit", "50", "--url", &url])
        .exits(0);
    let of_line = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["call"]["id"].as_str().unwrap().to_owned()
    };
    let seen: Vec<String> = exported.stdout.lines().map(of_line).collect();
    assert_eq!(seen, ids[10..]);
    let local = project
        .run(["calls", "export", "--limit", "50", "--local"])
        .exits(0);
    assert_eq!(local.stdout, exported.stdout);
    let replayed = project
        .run(["replay", "--last", "50", "--role", "asker", "--url", &url])
        .exits(0);
    assert!(
        replayed
            .stdout
            .starts_with("50 calls replayed: 50 the same")
    );
    // Not one request for each.
    let metrics = host.get("/metrics").await.text();
    assert!(
        metrics.contains(r#"http_route="/calls/records""#),
        "{metrics}"
    );
    assert!(
        !metrics.contains(r#"http_route="/calls/{id}""#),
        "{metrics}"
    );

    let filtered = host.get("/calls/records?role=asker&limit=2").await;
    assert_eq!(filtered.header("content-type"), "application/x-ndjson");
    assert_eq!(filtered.text().lines().count(), 2);
    assert_eq!(host.get("/calls/records?role=tl").await.text(), "");
    host.get("/calls/records?limit=none")
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn a_replay_of_the_same_plugin_does_the_same_and_performs_nothing() {
    let project = Project::new().config("[role.tl]\njournal = 'all'\n");
    let host = project.serve().await;
    let called = host.call("tl", "repo_status", json!({})).await;
    assert!(!called.tool_result().is_error());
    let id = id(&called);
    // The folder has it as soon as a host that is asked shows it.
    record(&host, &id).await;
    // What it would see now is something else.
    project.write("new.txt", "new");
    project.git(&["checkout", "--quiet", "-b", "other"]);
    let replayed = project.run(["replay", &id]).exits(0);
    assert!(
        replayed
            .stdout
            .starts_with("same: tool `repo_status` of role `tl`"),
        "{replayed:?}"
    );
    assert!(
        replayed.stdout.contains(" exactly replayed"),
        "{replayed:?}"
    );
    let json = project
        .run(["replay", &id, "--json", "--url", &host.url()])
        .exits(0);
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&report["verdict"], &report["exact"]),
        (&json!("same"), &json!(true)),
        "{report}"
    );
    let missing = project.run(["replay", "nothing"]).exits(3);
    assert!(missing.stderr.contains("no call `nothing`"), "{missing:?}");
}

#[tokio::test]
async fn clocks_randomness_and_configuration_of_a_replay_come_from_the_record() {
    let guest = Guest::answering("")
        .forwarding(&["clock_now", "random_bytes", "kv_set"])
        .host_function("config_get", "(param i64) (result i64)")
        .host_function("get_log_level", "(result i32)")
        .import(
            "wasi_snapshot_preview1",
            "clock_time_get",
            "(param i32 i64 i32) (result i32)",
        )
        .import(
            "wasi_snapshot_preview1",
            "random_get",
            "(param i32 i32) (result i32)",
        )
        .export(
            "config",
            "(call $give (call $config_get (call $input_offset)))",
        )
        .export(
            "wasi",
            "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 61000)))
             (drop (call $random_get (i32.const 61008) (i32.const 16)))
             (i32.store (i32.const 61024) (call $get_log_level))
             (call $give (call $block (i32.const 61000) (i32.const 28)))",
        );
    let config = |greeting: &str| {
        format!(
            "[server]\nraw_calls = true\n[role.asker]\neffects = ['kv.*', 'clock.*', 'random.*']\njournal = 'all'\nconfig = {{ greeting = '{greeting}' }}\n"
        )
    };
    let project = Project::new()
        .config(&config("hello"))
        .plugin("asker.wat", guest.wat());
    let host = project.serve().await;
    let mut ids = Vec::new();
    for (function, input) in [
        ("clock_now", "{}"),
        ("random_bytes", r#"{"length":16}"#),
        ("config", "greeting"),
        ("wasi", ""),
        ("kv_set", r#"{"key":"a","value":1}"#),
    ] {
        let called = host.raw("asker", function, input).await;
        assert_eq!(called.status, 200, "{called:?}");
        ids.push(id(&called));
    }
    assert_eq!(list(&host, "").await.len(), ids.len());
    drop(host);
    for id in &ids {
        let replayed = project.run(["replay", id]).exits(0);
        assert!(
            replayed.stdout.contains(" exactly replayed"),
            "{replayed:?}"
        );
    }
    // Another configuration: the answers are still those of the record, and it is said.
    let project = project.config(&config("good evening"));
    let replayed = project.run(["replay", &ids[2]]).exits(0);
    assert!(replayed.stdout.contains("not exactly"), "{replayed:?}");
    assert!(
        replayed
            .stdout
            .contains("not exact: the role's limits, configuration"),
        "{replayed:?}"
    );
}

#[tokio::test]
async fn the_first_difference_of_another_plugin_is_shown() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "", "old"));
    let host = project.serve().await;
    let id = ask(&host).await;
    for (plugin, says) in [
        (
            asking("kv_list", "{}", "", "old"),
            &[
                "it asks for `kv.list` where the recorded call asked for `kv.get`",
                "recorded  effect 1, kv.get {\"key\":\"a\"}",
                "asked     effect 1, kv.list {}",
            ][..],
        ),
        (
            asking("kv_get", r#"{"key":"b"}"#, "", "old"),
            &[
                "it asks for `kv.get` with another request",
                "{\"key\":\"b\"}",
            ],
        ),
        (
            Guest::answering("old").wat(),
            &["it is done where the recorded call asked for `kv.get`"],
        ),
        (
            asking(
                "kv_get",
                r#"{"key":"a"}"#,
                "(drop (call $kv_get (call $text)))",
                "old",
            ),
            &["it asks for `kv.get` where the recorded call was done"],
        ),
        (
            asking("kv_get", r#"{ "key": "a" }"#, "", "new"),
            &[
                "it answers something else",
                "\"text\":\"old\"",
                "\"text\":\"new\"",
            ],
        ),
        (
            asking("kv_get", r#"{"key":"a"}"#, "unreachable", "old"),
            &[
                "fails: tool `answer`",
                "it ends with `guest_trapped` where the recorded call ended with `ok`",
            ],
        ),
        (
            Guest::answering("old").tools(json!([])).wat(),
            &["it ends with `tool_not_found`"],
        ),
    ] {
        project.write("new.wat", plugin);
        let replayed = project.run(["replay", &id, "--plugin", "new.wat"]).exits(1);
        for says in says {
            assert!(replayed.stdout.contains(says), "{says}: {replayed:?}");
        }
    }
    project.write(
        "new.wat",
        asking("kv_get", r#"{ "key": "a" }"#, "(nop)", "old"),
    );
    let same = project.run(["replay", &id, "--plugin", "new.wat"]).exits(0);
    assert!(same.stdout.contains("replayed with"), "{same:?}");
}

#[tokio::test]
async fn the_last_calls_of_a_role_are_replayed_together() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "", "old"));
    let host = project.serve().await;
    for _ in 0..5 {
        ask(&host).await;
    }
    let url = host.url();
    for place in [&["--local"][..], &["--url", &url]] {
        let all = [&["replay", "--last", "4", "--role", "asker"][..], place].concat();
        let same = project.run(&all).exits(0);
        assert!(
            same.stdout
                .starts_with("4 calls replayed: 4 the same, 0 differ, 0 fail"),
            "{same:?}"
        );
        project.write("new.wat", asking("kv_get", r#"{"key":"b"}"#, "", "old"));
        let differ = project
            .run([&all[..], &["--plugin", "new.wat"]].concat())
            .exits(1);
        assert!(
            differ.stdout.contains("0 the same, 4 differ, 0 fail"),
            "{differ:?}"
        );
        assert!(
            differ
                .stdout
                .contains("4 × `answer` asks for `kv.get` with another request"),
            "{differ:?}"
        );
    }
    project
        .run(["replay", "--last", "4", "--role", "nobody"])
        .exits(3);
    project.run(["replay", "--last", "4"]).exits(2);
}

#[tokio::test]
async fn a_version_that_fails_where_the_old_one_did_not_is_refused() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "", "old"));
    let config = fs::read_to_string(project.path("exomonad.toml")).unwrap();
    let project = project.config(&format!("{config}[plugins]\nreplay_before_swap = 20\n"));
    let host = project.serve().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(ask(&host).await);
    }
    project.put_plugin(
        "asker.wat",
        asking("kv_get", r#"{"key":"a"}"#, "unreachable", "new"),
    );
    let changes = host.reload().await;
    let reason = changes["failed"]["asker"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for says in [
        "fails in 3 of 3 recorded calls",
        "`answer` ends with `guest_trapped`",
        "plugins.replay_before_swap",
    ] {
        assert!(reason.contains(says), "{says}: {changes}");
    }
    assert!(ids.iter().any(|id| reason.contains(id)), "{reason}");
    assert_eq!(host.problem("asker").await, reason);
    host.logs("a plugin is not loaded", 1).await;
    let listed = project
        .run(["plugin", "list", "--url", &host.url()])
        .exits(1);
    assert!(listed.stderr.contains("recorded calls"), "{listed:?}");
    assert_eq!(host.tool("asker", "answer", json!({})).await.text(), "old");
    // One that only does something else is taken.
    project.put_plugin("asker.wat", asking("kv_list", "{}", "", "newer"));
    let changes = host.reload().await;
    assert_eq!(changes["loaded"], json!(["asker"]), "{changes}");
    assert_eq!(
        host.tool("asker", "answer", json!({})).await.text(),
        "newer"
    );
    assert_eq!(host.get("/health").await.json()["status"], "ok");
}

#[tokio::test]
async fn what_cannot_be_replayed_exactly_says_so() {
    let keeper = Guest::answering("").remembering();
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[journal]\nmax_record = '4KiB'\n[role.keeper]\ninstance = 'pooled'\njournal = 'all'\n[role.taker]\nplugin = 'keeper'\njournal = 'all'\n")
        .plugin("keeper.wat", keeper.wat());
    let host = project.serve().await;
    host.raw("keeper", "remember", "pie").await;
    let recalled = host.raw("keeper", "recall", "").await;
    assert_eq!(recalled.text(), "pie");
    record(&host, &id(&recalled)).await;
    let differs = project.run(["replay", &id(&recalled)]).exits(1);
    assert!(
        differs
            .stdout
            .contains("not exact: the call ran in a used sandbox"),
        "{differs:?}"
    );
    let large = host.raw("taker", "remember", &"x".repeat(10_000)).await;
    let cut = record(&host, &id(&large)).await;
    assert_eq!(
        (&cut["call"]["complete"], &cut["inputBytes"]),
        (&json!(false), &json!(10_000))
    );
    let refused = project.run(["replay", &id(&large)]).exits(3);
    assert!(
        refused.stderr.contains("`journal.max_record`"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_damaged_file_is_named_and_the_other_calls_are_there() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "", "old"));
    let host = project.serve().await;
    let first = ask(&host).await;
    let second = ask(&host).await;
    assert_eq!(list(&host, "").await.len(), 2);
    drop(host);
    let file = files(&project).remove(0);
    let mut content = fs::read(&file).unwrap();
    let at = content
        .windows(first.len())
        .position(|bytes| bytes == first.as_bytes())
        .unwrap();
    content[at] ^= 1;
    // And torn at its end.
    content.extend_from_within(19..60);
    fs::write(&file, content).unwrap();
    let listed = project.run(["calls", "list"]).exits(0);
    assert!(
        listed.stdout.contains(&second) && !listed.stdout.contains(&first),
        "{listed:?}"
    );
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(listed.stderr.matches(&name).count(), 2, "{listed:?}");
    assert!(
        listed.stderr.contains("checksum") && listed.stderr.contains("ends within a record"),
        "{listed:?}"
    );
    project.run(["replay", &second]).exits(0);
    let host = project.serve().await;
    let third = ask(&host).await;
    assert_eq!(list(&host, "").await[0]["id"], third.as_str());
}

#[tokio::test]
async fn a_kill_amid_calls_loses_no_record_that_was_written_and_the_next_host_goes_on() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "", "old"));
    let mut host = project.serve().await;
    let mut before = Vec::new();
    for _ in 0..20 {
        before.push(ask(&host).await);
    }
    assert_eq!(list(&host, "").await.len(), 20, "they are in the file");
    let request = host
        .request(Method::POST, "/role/asker/mcp/call")
        .body(r#"{"name":"answer"}"#);
    let (called, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let caller = tokio::spawn(async move {
        while let Ok(answer) = Response::try_of(request.try_clone().unwrap()).await {
            called.send(answer.status).unwrap();
        }
    });
    for _ in 0..20 {
        assert_eq!(calls.recv().await, Some(200));
    }
    host.signal(libc::SIGKILL);
    host.end().await;
    caller.await.unwrap();
    let host = project.serve().await;
    let after = ask(&host).await;
    let page = host.get("/calls?limit=1000").await.json();
    let ids: Vec<&str> = page["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids[0], after);
    for id in &before {
        assert!(ids.contains(&id.as_str()), "{id} is lost");
    }
    let torn = page["warnings"].as_array().into_iter().flatten();
    for warning in torn {
        assert!(
            warning.as_str().unwrap().contains("ends within a record"),
            "{warning}"
        );
    }
}

#[tokio::test]
async fn two_hosts_on_one_folder_keep_all_their_calls() {
    let project = asker(asking("kv_get", r#"{"key":"a"}"#, "", "old"));
    let hosts = [project.serve().await, project.serve().await];
    let mut ids = Vec::new();
    for nth in 0..20 {
        ids.push(ask(&hosts[nth % 2]).await);
    }
    // Each has to write its own before the other sees them.
    list(&hosts[0], "").await;
    let seen: Vec<String> = list(&hosts[1], "")
        .await
        .iter()
        .map(|call| call["id"].as_str().unwrap().to_owned())
        .collect();
    ids.reverse();
    assert_eq!(seen.len(), 20);
    assert!(ids.iter().all(|id| seen.contains(id)));
    assert_eq!(files(&project).len(), 2);
}

#[tokio::test]
async fn a_full_disk_costs_records_and_no_call() {
    let project = asker(asking("clock_now", "{}", "", "fine"));
    let journal = project.path(JOURNAL);
    let project = project.small_disk(journal, 64);
    let host = project.serve().await;
    let large = json!({"text": "x".repeat(8 << 10)});
    for _ in 0..40 {
        assert_eq!(
            host.tool("asker", "answer", large.clone()).await.text(),
            "fine"
        );
        // One batch after the other.
        host.get("/calls?limit=1").await;
    }
    let dropped = |metrics: &str| {
        let line = metrics.lines().find(|line| {
            line.starts_with("exomonad_journal_records_total") && line.contains("dropped")
        });
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .unwrap_or_default()
    };
    let metrics = host.get("/metrics").await.text();
    assert!(dropped(&metrics) > 10.0, "{metrics}");
    host.logs("calls are not recorded", 1).await;
    assert_eq!(
        host.log().matches("calls are not recorded").count(),
        1,
        "{}",
        host.log()
    );
    let page = host.get("/calls").await.json();
    assert!(
        !page["calls"].as_array().unwrap().is_empty(),
        "what was written stays: {page}"
    );
    assert_eq!(page["warnings"], Value::Null, "{page}");
}

#[tokio::test]
async fn the_bound_on_size_holds_while_the_host_runs() {
    let project = asker(asking("clock_now", "{}", "", "fine"));
    let config = fs::read_to_string(project.path("exomonad.toml")).unwrap();
    let project = project.config(&format!("{config}[journal]\nmax_size = '1MiB'\n"));
    let host = project.serve().await;
    let large = json!({"text": "x".repeat(100 << 10)});
    for _ in 0..30 {
        host.tool("asker", "answer", large.clone()).await;
        let last = list(&host, "limit=1").await;
        assert_eq!(last.len(), 1);
        let size: u64 = files(&project)
            .iter()
            .filter_map(|file| fs::metadata(file).ok())
            .map(|about| about.len())
            .sum();
        assert!(size <= 1200 << 10, "{size}");
    }
    assert!((3..30).contains(&list(&host, "").await.len()));
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_recorded_as_cancelled() {
    let project = asker(asking("sleep", r#"{"millis":60000}"#, "", "never"));
    let host = project.serve().await;
    let waiting = waiting_call(&host).await;
    waiting.abort();
    let call = eventually("it is recorded", async || {
        list(&host, "failed=true").await.into_iter().next()
    })
    .await;
    assert_eq!(call["outcome"], "cancelled");
    let record = record(&host, call["id"].as_str().unwrap()).await;
    assert_eq!(effects(&record), ["clock.sleep"]);
    assert_eq!(record["events"][0]["effect"]["answer"], Value::Null);
    let replayed = project
        .run(["replay", call["id"].as_str().unwrap()])
        .exits(0);
    assert!(replayed.stdout.starts_with("same:"), "{replayed:?}");
}

/// A call of `asker` that waits for its effect.
async fn waiting_call(host: &Host) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
    let call = host
        .request(Method::POST, "/role/asker/mcp/call")
        .body(r#"{"name":"answer"}"#);
    let waiting = tokio::spawn(Response::try_of(call));
    eventually("the call runs", async || {
        let metrics = host.get("/metrics").await.text();
        metrics
            .contains("exomonad_queue_running{exomonad_role=\"asker\"} 1")
            .then_some(())
    })
    .await;
    waiting
}

#[tokio::test]
async fn a_call_that_the_end_of_the_host_cancels_is_recorded() {
    let project = asker(asking("sleep", r#"{"millis":60000}"#, "", "never"));
    let config = fs::read_to_string(project.path("exomonad.toml")).unwrap();
    let project =
        project.config(&config.replace("[server]\n", "[server]\nshutdown_grace = '100ms'\n"));
    let mut host = project.serve().await;
    let waiting = waiting_call(&host).await;
    host.signal(libc::SIGTERM);
    assert_eq!(host.end().await, Some(0));
    assert!(waiting.await.unwrap().is_err());
    let listed = project
        .run(["calls", "list", "--failed", "--json"])
        .exits(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["calls"][0]["outcome"], "cancelled", "{listed}");
}
