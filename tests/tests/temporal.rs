//! The host as a client of Temporal: by guests within their role's bounds, and on the command line.

use exomonad_test_support::{Guest, Project, TemporalServer, eventually};
use serde_json::{Value, json};

const FUNCTIONS: [&str; 6] = [
    "temporal_start_workflow",
    "temporal_signal_workflow",
    "temporal_describe_workflow",
    "temporal_workflow_history",
    "temporal_workflow_result",
    "temporal_terminate_workflow",
];

const KEY: &str = "temporal-s3cr3t-0123456789";

/// A project with the role `orders`, whose guest forwards effects, and a server.
fn project(server: &TemporalServer, more: &str) -> Project {
    let config = format!(
        "[server]\nraw_calls = true\n[log]\nfilter = 'trace'\n\
         [temporal]\naddress = '{}'\nretry_time = '200ms'\napi_key_env = 'KEY'\nheaders = {{ x-tenant = 'seven' }}\n{more}\n\
         [role.orders]\neffects = ['temporal.*']\n\
         [role.orders.temporal]\nnamespaces = ['default']\nworkflow_types = ['Order*']\ntask_queues = ['orders']\n\
         [role.denied]\nplugin = 'orders'\neffects = ['log.*']\n",
        server.address()
    );
    Project::new().config(&config).env("KEY", KEY).plugin(
        "orders.wat",
        Guest::answering("").forwarding(&FUNCTIONS).wat(),
    )
}

fn order(id: &str, name: &str) -> Value {
    json!({"workflow": {
        "workflowId": id, "workflowType": name, "taskQueue": "orders", "input": [{"item": "tea"}, "note"]
    }})
}

#[tokio::test]
async fn a_guest_drives_temporal_within_its_roles_bounds() {
    let Some(mut server) = TemporalServer::prepare(None) else {
        return;
    };
    let project = project(&server, "");
    // The server is away: the host starts all the same.
    let host = project.serve().await;
    let away = host
        .effect("orders", "temporal_start_workflow", order("w1", "Order"))
        .await;
    assert_eq!(away["payload"]["code"], "unavailable", "{away}");
    server.start_again().await;
    let _worker = server.worker("orders");

    let started = host
        .effect("orders", "temporal_start_workflow", order("w1", "Order"))
        .await;
    assert_eq!(started["kind"], "Success", "{started}");
    for (role, request, code) in [
        ("orders", order("w2", "Payroll"), "forbidden"),
        ("denied", order("w2", "Order"), "effect_denied"),
    ] {
        let refused = host.effect(role, "temporal_start_workflow", request).await;
        assert_eq!(refused["payload"]["code"], code, "{refused}");
    }
    let done = json!({"workflowId": "w1", "name": "done"});
    let sent = host
        .effect("orders", "temporal_signal_workflow", done)
        .await;
    assert_eq!(sent["kind"], "Success", "{sent}");
    let named = json!({"workflowId": "w1"});
    let ended = host
        .effect("orders", "temporal_workflow_result", named.clone())
        .await;
    assert_eq!(
        ended["payload"]["result"],
        json!({"items": ["tea"], "note": "note"}),
        "{ended}"
    );
    let history = host
        .effect("orders", "temporal_workflow_history", named)
        .await;
    let theirs = server.cli_json(&["workflow", "show", "-w", "w1"]);
    assert_eq!(history["payload"]["events"], theirs["events"]);
    let begun = &theirs["events"][0]["workflowExecutionStartedEventAttributes"];
    assert_eq!(begun["identity"], "exomonad/orders");

    for path in ["/health", "/roles", "/metrics", "/calls"] {
        let told = host.get(path).await.text();
        assert!(!told.contains(KEY), "{path}: {told}");
    }
    assert!(!host.log().contains(KEY), "{}", host.log());
}

#[tokio::test]
async fn a_reload_takes_another_namespace_and_another_key() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let project = project(&server, "");
    let host = project.serve().await;
    let started = host
        .effect("orders", "temporal_start_workflow", order("w1", "Order"))
        .await;
    assert_eq!(started["payload"]["namespace"], "default", "{started}");
    server.run_cli(&["operator", "namespace", "create", "-n", "other"]);
    let file = project.path("exomonad.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .replace("[temporal]\n", "[temporal]\nnamespace = 'other'\n")
        .replace("namespaces = ['default']", "namespaces = ['o*']")
        .replace("api_key_env = 'KEY'", "api_key_file = 'key'");
    std::fs::write(&file, text).unwrap();
    // A key that cannot be sent leaves the old configuration in force.
    project.write("key", "two words");
    let refused = host.reload().await;
    assert!(refused.to_string().contains("api_key_file"), "{refused}");
    let still = host
        .effect(
            "orders",
            "temporal_describe_workflow",
            json!({"workflowId": "w1"}),
        )
        .await;
    assert_eq!(still["payload"]["namespace"], "default", "{still}");

    project.write("key", "another-s3cr3t-0123456789");
    host.reload().await;
    let started = eventually("the namespace is known", async || {
        let started = host
            .effect("orders", "temporal_start_workflow", order("w1", "Order"))
            .await;
        (started["kind"] == "Success").then_some(started)
    })
    .await;
    assert_eq!(started["payload"]["namespace"], "other", "{started}");
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_with_its_name_and_its_place() {
    let project = Project::new().config(
        "[temporal]\naddress = 'http://a'\n\n[temporal.headers]\nx-good = 'a b'\nx-tenant = \"hunter2\\nx: y\"\nX-Upper = 'a'\nx-name = 'hunter2\u{e9}'\n",
    );
    let ran = project.run(["config", "check"]).exits(2);
    for part in [
        "exomonad.toml:2:11",
        "`temporal.headers.x-tenant`: the value of a header holds a line break",
        "exomonad.toml:6:12",
        "`X-Upper` is not the name of a header",
        "exomonad.toml:7:1",
        "`temporal.headers.x-name`: the value of a header holds characters beyond ASCII",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("x-good"), "{}", ran.stderr);
}

#[test]
fn settings_that_do_not_go_together_are_reported() {
    let project = Project::new().env("KEY", KEY).config(
        "[temporal]\naddress = 'temporal.example:7233'\napi_key_env = 'KEY'\n[role.tl]\neffects = ['temporal.*']\n",
    );
    let ran = project.run(["config", "check"]);
    assert!(
        ran.stderr.contains("sent unencrypted to another machine"),
        "{ran:?}"
    );
    assert!(
        ran.stderr
            .contains("`role.tl.temporal.namespaces` is empty"),
        "{ran:?}"
    );
    let project = Project::new().config("[temporal]\ntls_key_file = 'exomonad.toml'\n");
    let ran = project.run(["config", "check"]).exits(2);
    assert!(ran.stderr.contains("`temporal.tls_cert_file`"), "{ran:?}");
    let queue =
        |text: &str| format!("workflow_backend = 'temporal'\ntemporal_task_queue = '{text}'\n");
    for (config, part) in [
        (
            format!("[role.tl]\n{}", queue("")),
            "not the name of a task queue",
        ),
        (
            format!("[role.tl]\n{0}[role.echo]\n{0}", queue("one")),
            "have one task queue, `one`",
        ),
    ] {
        let ran = Project::new()
            .config(&config)
            .run(["config", "check"])
            .exits(2);
        assert!(ran.stderr.contains(part), "{ran:?}");
    }
    let explained = |config: &str, effect: &str, request: &str| {
        let project = Project::new().config(config);
        project
            .run(["policy", "explain", "tl", effect, request])
            .output()
    };
    let bounds = "[role.tl]\neffects = ['temporal.*']\n[role.tl.temporal]\nnamespaces = ['default']\nworkflow_types = ['Order*']\ntask_queues = ['q']\n";
    let start = r#"{"workflow": {"workflowId": "w", "workflowType": "Payroll", "taskQueue": "q"}}"#;
    let text = explained(bounds, "temporal.start_workflow", start);
    assert!(text.contains("role.tl.temporal.workflow_types"), "{text}");
    let signal = r#"{"workflowId": "w", "name": "s"}"#;
    let text = explained(bounds, "temporal.signal_workflow", signal);
    assert!(text.contains("the type of the workflow"), "{text}");
}

#[tokio::test]
async fn the_command_line_does_all_that_temporals_own_shows() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let _worker = server.worker("orders");
    let project = project(&server, "");
    let run = |arguments: &[&str]| project.run([&["temporal"], arguments].concat());
    let started = run(&[
        "workflow",
        "start",
        "-w",
        "w1",
        "--type",
        "Order",
        "-t",
        "orders",
        "-i",
        r#"{"item":"tea"}"#,
        "-i",
        "\"note\"",
        "--memo",
        "who=\"ada\"",
        "--execution-timeout",
        "1h",
        "--json",
    ])
    .exits(0)
    .json();
    assert_eq!(started["started"], true);
    run(&[
        "workflow", "start", "-w", "w1", "--type", "Order", "-t", "orders",
    ])
    .exits(3);
    run(&[
        "workflow", "signal", "w1", "--name", "add", "-i", "\"milk\"", "-i", "2",
    ])
    .exits(0);
    let items = run(&[
        "workflow",
        "query",
        "w1",
        "--name",
        "items_after",
        "-i",
        "1",
    ])
    .exits(0);
    assert_eq!(items.stdout.trim(), r#"["milk","milk"]"#);
    let updated = run(&[
        "workflow",
        "update",
        "w1",
        "--name",
        "rename",
        "-i",
        "0",
        "-i",
        "\"coffee\"",
    ])
    .exits(0);
    assert_eq!(updated.stdout.trim(), "\"tea\"");
    let refused = run(&[
        "workflow", "update", "w1", "--name", "rename", "-i", "9", "-i", "\"x\"",
    ])
    .exits(3);
    assert!(refused.stderr.contains("there is no item 9"), "{refused:?}");
    let described = run(&["workflow", "describe", "w1"]).exits(0);
    for part in ["workflowType", "Order", "running", "ada"] {
        assert!(described.stdout.contains(part), "{described:?}");
    }
    run(&["workflow", "signal", "w1", "--name", "done"]).exits(0);
    let result = run(&["workflow", "result", "w1"]).exits(0);
    assert_eq!(
        result.stdout.trim(),
        r#"{"items":["coffee","milk","milk"],"note":"note"}"#
    );
    let history = run(&["workflow", "history", "w1"]).exits(0).json();
    assert_eq!(history, server.cli_json(&["workflow", "show", "-w", "w1"]));

    run(&[
        "workflow",
        "start",
        "-w",
        "f1",
        "--type",
        "Fail",
        "-t",
        "orders",
        "-i",
        "\"too late\"",
    ])
    .exits(0);
    let failed = run(&["workflow", "result", "f1"]).exits(1);
    assert!(
        failed.stderr.contains("failed: too late: the cause"),
        "{failed:?}"
    );
    let sws = [
        "workflow",
        "signal-with-start",
        "-w",
        "s1",
        "--type",
        "Order",
        "-t",
        "nobody",
        "--signal-name",
        "add",
        "--signal-input",
        "1",
    ];
    run(&sws).exits(0);
    run(&["workflow", "cancel", "s1", "--reason", "why not"]).exits(0);
    let waited = run(&["workflow", "result", "s1", "--timeout", "200ms"]).exits(4);
    assert!(waited.stderr.contains("the time is up"), "{waited:?}");
    run(&["workflow", "terminate", "s1"]).exits(0);
    run(&["workflow", "describe", "missing"]).exits(3);
    eventually("all are listed", async || {
        let listed = run(&["workflow", "list", "--query", "WorkflowType='Order'"]).exits(0);
        (listed.stdout.contains("w1") && listed.stdout.contains("s1")).then_some(())
    })
    .await;
    let page = run(&["workflow", "list", "--limit", "1", "--json"])
        .exits(0)
        .json();
    let next = page["next"].as_str().unwrap();
    let rest = run(&[
        "workflow", "list", "--limit", "1", "--after", next, "--json",
    ])
    .exits(0)
    .json();
    assert_ne!(page["workflows"], rest["workflows"]);

    run(&[
        "namespace",
        "register",
        "team",
        "--description",
        "ours",
        "--retention",
        "1d",
    ])
    .exits(0);
    run(&["namespace", "register", "team"]).exits(3);
    assert!(run(&["namespace", "list"]).exits(0).stdout.contains("team"));
    let described = run(&["namespace", "describe", "team", "--json"])
        .exits(0)
        .json();
    assert_eq!(described["retentionMillis"], 86_400_000);

    let create = [
        "schedule",
        "create",
        "nightly",
        "-w",
        "n",
        "--type",
        "Order",
        "-t",
        "nobody",
        "--cron",
        "30 2 * * *",
        "--overlap",
        "allow-all",
    ];
    run(&create).exits(0);
    run(&create).exits(3);
    run(&["schedule", "pause", "nightly", "--note", "holidays"]).exits(0);
    let described = run(&["schedule", "describe", "nightly", "--json"])
        .exits(0)
        .json();
    assert_eq!(
        (&described["paused"], &described["note"]),
        (&json!(true), &json!("holidays"))
    );
    run(&["schedule", "unpause", "nightly"]).exits(0);
    run(&["schedule", "trigger", "nightly"]).exits(0);
    eventually("the schedule is listed", async || {
        let listed = run(&["schedule", "list"]).exits(0);
        listed.stdout.contains("nightly").then_some(())
    })
    .await;
    run(&["schedule", "delete", "nightly"]).exits(0);
    run(&["schedule", "describe", "nightly"]).exits(3);

    let lost = project
        .run(["temporal", "-n", "nowhere", "workflow", "list"])
        .exits(3);
    assert!(lost.stderr.contains("nowhere"), "{lost:?}");
    drop(server);
    let away = run(&["workflow", "list"]).exits(4);
    assert!(away.stderr.contains("`temporal.address`"), "{away:?}");
}

/// Where a text of the workflow's lies in its guest's memory.
const REQUEST: usize = 40_000;
const WORKFLOWS: usize = 42_000;
const OUTCOME: usize = 44_000;

#[tokio::test]
async fn a_step_of_a_durable_workflow_is_sent_with_an_id_of_its_own() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let texts = [
        (REQUEST, order("w1", "Order").to_string()),
        (
            WORKFLOWS,
            json!({"workflows": [{"name": "drive"}]}).to_string(),
        ),
        (
            OUTCOME,
            json!({"end": "completed", "output": 7}).to_string(),
        ),
    ];
    let block = |(at, text): &(usize, String)| {
        format!("(call $block (i32.const {at}) (i32.const {}))", text.len())
    };
    let start = format!("(call $temporal_start_workflow {})", block(&texts[0]));
    let guest = texts.iter().fold(
        Guest::answering("").import(
            "extism:host/user",
            "temporal_start_workflow",
            "(param i64) (result i64)",
        ),
        |guest, (at, text)| {
            let data = text.replace('"', "\\\"");
            guest.part(&format!("(data (i32.const {at}) \"{data}\")"))
        },
    );
    let guest = guest
        .export(
            "handle_list_workflows",
            &format!("(call $give {})", block(&texts[1])),
        )
        .export(
            "handle_workflow",
            &format!("(drop {start}) (call $give {})", block(&texts[2])),
        );
    let project = project(&server, "").plugin("orders.wat", guest.wat());
    let host = project.serve().await;
    let url = host.url();
    let ran = project
        .run([
            "workflow", "start", "orders", "drive", "--id", "d1", "--wait", "--json", "--url", &url,
        ])
        .exits(0);
    assert!(ran.stdout.contains("completed"), "{ran:?}");
    let shown = project
        .run(["workflow", "show", "d1", "--json", "--url", &url])
        .exits(0)
        .json();
    let step = format!(
        "{}/0",
        shown["run"]["runId"]
            .as_str()
            .or(shown["runId"].as_str())
            .unwrap()
    );
    let described = server.cli_json(&["workflow", "describe", "-w", "w1"]);
    let ids = described["workflowExtendedInfo"]["requestIdInfos"]
        .as_object()
        .unwrap();
    let ids: Vec<&String> = ids.keys().collect();
    assert_eq!(ids, [&step], "{described}");
}
