//! `GET /metrics`, read by Prometheus' own parser.

use exomonad_test_support::{Guest, Host, Project, eventually, parsed_metrics};
use reqwest::Method;
use serde_json::{Value, json};

use crate::command_line_workflows::{flows, start};

async fn metrics(host: &Host) -> Option<Value> {
    let answer = host.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = answer.text();
    // Elsewhere: the first use installs the parser, and the test's connections want to be looked after.
    tokio::task::spawn_blocking(move || parsed_metrics(&text))
        .await
        .unwrap()
}

/// The sum of the samples of this name whose labels are these.
fn value(metrics: &Value, name: &str, labels: &Value) -> f64 {
    let samples = metrics
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|family| family["samples"].as_array());
    let of_name = samples.flatten().filter(|sample| sample["name"] == name);
    let fits = of_name.filter(|sample| {
        let mut wanted = labels.as_object().into_iter().flatten();
        wanted.all(|(label, value)| sample["labels"][label] == *value)
    });
    fits.filter_map(|sample| sample["value"].as_str()?.parse::<f64>().ok())
        .sum()
}

fn kind<'m>(metrics: &'m Value, family: &str) -> &'m str {
    let mut all = metrics.as_array().into_iter().flatten();
    let found = all.find(|other| other["name"] == family);
    found
        .and_then(|found| found["type"].as_str())
        .unwrap_or("none")
}

#[tokio::test]
async fn calls_effects_and_requests_are_counted_and_timed() {
    let project =
        Project::new().config("[role.tl]\n[role.echo]\n[role.echo.limits]\nwall_time = '200ms'\n");
    let host = project.serve().await;
    for _ in 0..3 {
        let status = host.tool("tl", "repo_status", json!({})).await;
        assert!(!status.is_error(), "{status:?}");
    }
    host.tool("echo", "spin", json!({})).await;
    host.call("tl", "recent_work", json!({"limit": "many"}))
        .await;
    host.call("tl", "no_such_tool", json!({})).await;
    host.call("nobody", "at_all", json!({})).await;
    host.post(
        "/role/tl/hook/pre_tool_use",
        r#"{"tool_name":"Bash","tool_input":{"command":"ls"}}"#,
    )
    .await;
    host.get("/no/such/path/s3cr3t").await;
    host.request(Method::from_bytes(b"BREW").unwrap(), "/health")
        .send()
        .await
        .unwrap();
    let Some(metrics) = metrics(&host).await else {
        return;
    };
    for (name, labels, wanted) in [
        (
            "exomonad_tool_calls_total",
            json!({"exomonad_role": "tl", "gen_ai_tool_name": "repo_status", "exomonad_outcome": "ok"}),
            3.0,
        ),
        (
            "exomonad_tool_calls_total",
            json!({"gen_ai_tool_name": "spin", "exomonad_outcome": "limit_exceeded"}),
            1.0,
        ),
        (
            "exomonad_tool_calls_total",
            json!({"gen_ai_tool_name": "recent_work", "exomonad_outcome": "invalid_arguments"}),
            1.0,
        ),
        ("exomonad_tool_calls_total", json!({}), 5.0),
        (
            "exomonad_tool_duration_seconds_count",
            json!({"exomonad_role": "tl", "gen_ai_tool_name": "repo_status"}),
            3.0,
        ),
        (
            "exomonad_tool_duration_seconds_bucket",
            json!({"gen_ai_tool_name": "repo_status", "le": "+Inf"}),
            3.0,
        ),
        (
            "exomonad_hook_calls_total",
            json!({"exomonad_role": "tl", "exomonad_hook": "pre_tool_use", "exomonad_outcome": "ok"}),
            1.0,
        ),
        (
            "exomonad_effects_total",
            json!({"exomonad_effect": "git_status", "exomonad_outcome": "ok"}),
            3.0,
        ),
        (
            "exomonad_effect_duration_seconds_count",
            json!({"exomonad_effect": "git_status"}),
            3.0,
        ),
        (
            "exomonad_limits_hit_total",
            json!({"exomonad_role": "echo", "exomonad_limit": "wall_time"}),
            1.0,
        ),
        (
            "http_server_request_duration_seconds_count",
            json!({"http_route": "/role/{role}/mcp/call", "http_response_status_code": "200"}),
            4.0,
        ),
        (
            "http_server_request_duration_seconds_count",
            json!({"http_route": "/role/{role}/mcp/call", "http_response_status_code": "404"}),
            2.0,
        ),
        (
            "http_server_request_duration_seconds_count",
            json!({"http_request_method": "_OTHER", "http_response_status_code": "404"}),
            1.0,
        ),
        (
            "http_server_request_duration_seconds_count",
            json!({"http_request_method": "_OTHER", "http_response_status_code": "405"}),
            1.0,
        ),
        ("exomonad_sandboxes_limit", json!({}), 12_000.0),
        ("exomonad_sandboxes_available", json!({}), 12_000.0),
        ("exomonad_sandboxes_in_use", json!({}), 0.0),
        (
            "exomonad_queue_running",
            json!({"exomonad_role": "tl"}),
            0.0,
        ),
        ("exomonad_plugins_loaded", json!({}), 2.0),
        (
            "exomonad_reloads_total",
            json!({"exomonad_outcome": "loaded"}),
            2.0,
        ),
        (
            "exomonad_build_info",
            json!({"service_version": env!("CARGO_PKG_VERSION")}),
            1.0,
        ),
        ("target_info", json!({"service_name": "exomonad"}), 1.0),
    ] {
        assert_eq!(value(&metrics, name, &labels), wanted, "{name} {labels}");
    }
    for name in [
        "exomonad_compile_cache_lookups_total",
        "exomonad_compile_cache_size_bytes",
        "process_memory_usage_bytes",
        "process_start_time_seconds",
        "process_open_file_descriptor_count",
    ] {
        assert!(value(&metrics, name, &json!({})) > 0.0, "{name}");
    }
    for (family, wanted) in [
        ("exomonad_tool_calls", "counter"),
        ("exomonad_tool_duration_seconds", "histogram"),
        ("exomonad_sandboxes_in_use", "gauge"),
    ] {
        assert_eq!(kind(&metrics, family), wanted, "{family}");
    }
    // Nothing that a request says becomes a label.
    let text = metrics.to_string();
    for said in ["no_such_tool", "nobody", "at_all", "s3cr3t", "BREW"] {
        assert!(!text.contains(said), "{said}");
    }
}

#[tokio::test]
async fn queues_and_sandboxes_show_what_runs_and_what_waits() {
    let sleeper = Guest::answering("").sleeping(60_000).wat();
    let project = Project::new()
        .config("[role.sleeper]\neffects = ['clock.*', 'log.*']\nlimits = { concurrent_calls = 1, queue = 1 }\n")
        .plugin("sleeper.wat", sleeper);
    let host = project.serve().await;
    let call = || host.call("sleeper", "answer", json!({}));
    let watched = async {
        eventually("a call runs, one waits, one is refused", async || {
            let metrics = metrics(&host).await?;
            let of = |name: &str| value(&metrics, name, &json!({"exomonad_role": "sleeper"}));
            let refused = of("exomonad_queue_refused_total");
            let in_use = value(&metrics, "exomonad_sandboxes_in_use", &json!({}));
            (of("exomonad_queue_running") == 1.0
                && of("exomonad_queue_waiting") == 1.0
                && refused >= 1.0
                && in_use == 1.0)
                .then_some(())
        })
        .await;
    };
    if metrics(&host).await.is_none() {
        return;
    }
    tokio::select! {
        () = watched => {}
        _ = async { tokio::join!(call(), call(), async { loop { call().await; tokio::time::sleep(std::time::Duration::from_millis(50)).await; } }) } => {}
    }
    // The clients have gone, and so have their calls.
    eventually("cancelled calls are counted as such", async || {
        let metrics = metrics(&host).await?;
        let labels = json!({"exomonad_role": "sleeper", "exomonad_outcome": "cancelled"});
        (value(&metrics, "exomonad_tool_calls_total", &labels) >= 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_are_the_operators() {
    let project = Project::new()
        .config("[role.tl]\ntoken_env = 'OF_TL'\n[role.echo]\n")
        .env("EXOMONAD_TOKEN", "operator-0123456789")
        .env("OF_TL", "of-the-role-0123456789");
    let host = project.serve().await;
    assert_eq!(host.get("/metrics").await.status, 401);
    let ask = async |token: &str| {
        let request = host.request(Method::GET, "/metrics").bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("of-the-role-0123456789").await, 401);
    assert_eq!(ask("operator-0123456789").await, 200);
}

#[tokio::test]
async fn runs_of_workflows_are_counted_by_status_and_so_are_their_restarts() {
    let project = flows("[workflows]\nrestarts = 2\nrestart_delay = '10ms'\n");
    let host = project.serve().await;
    start(&host, "wait_for", "waits", json!({"signal": "go"})).await;
    start(&host, "traps_always", "traps", json!({"count": 1})).await;
    start(&host, "steps", "ends", json!({"count": 1, "kind": "kv"})).await;
    let health = eventually("the open runs are counted", async || {
        let health = host.get("/health").await.json();
        (health["workflows"] == json!({"open": 2, "stuck": 1})).then_some(health)
    })
    .await;
    // The role's plugin serves all the same.
    assert_eq!(health["status"], "ok", "{health}");
    let Some(metrics) = metrics(&host).await else {
        return;
    };
    for (name, labels, wanted) in [
        ("open", json!({"exomonad_workflow_status": "waiting"}), 1.0),
        ("open", json!({"exomonad_workflow_status": "stuck"}), 1.0),
        ("open", json!({"exomonad_role": "flows"}), 2.0),
        (
            "ended_total",
            json!({"exomonad_workflow_name": "steps", "exomonad_workflow_status": "completed"}),
            1.0,
        ),
        ("ended_total", json!({}), 1.0),
        (
            "restarts_total",
            json!({"exomonad_role": "flows", "exomonad_workflow_name": "traps_always"}),
            2.0,
        ),
    ] {
        let name = format!("exomonad_workflows_{name}");
        assert_eq!(value(&metrics, &name, &labels), wanted, "{name} {labels}");
    }
}
