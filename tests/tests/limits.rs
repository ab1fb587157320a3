//! Limits are always on, and the error names it, its value, and the key that sets it.

use exomonad_test_support::{Guest, Host, Project, WebServer, eventually, shipped_plugin};
use serde_json::{Value, json};

/// A host whose role `small` has this limit and a guest with this export `use`.
async fn small(limit: &str, guest: Guest) -> Host {
    let config = format!(
        "[server]\nraw_calls = true\n[role.small]\neffects = ['*']\nhosts = ['127.0.0.1']\n[role.small.limits]\n{limit}\n"
    );
    let project = Project::new()
        .config(&config)
        .plugin("small.wat", guest.wat());
    project.serve().await
}

/// Checks that the call hits the limit and that the message names its value and its key, and that another
/// call is answered.
async fn assert_hit(host: &Host, input: &str, value: &str, key: &str) {
    let message = host
        .raw("small", "use", input)
        .await
        .problem(502, "limit_exceeded");
    assert!(message.contains(value), "{message}");
    assert!(
        message.contains(&format!("`role.small.limits.{key}`")),
        "{message}"
    );
    assert_eq!(host.tool("small", "answer", json!({})).await.text(), "fine");
}

fn guest() -> Guest {
    Guest::answering("fine")
}

#[tokio::test]
async fn wall_time() {
    let spinning = guest().export("use", "(loop $on (br $on))");
    let host = small("wall_time = '300ms'", spinning).await;
    assert_hit(&host, "", "300ms", "wall_time").await;
}

#[tokio::test]
async fn wall_time_counts_while_an_effect_waits() {
    let waiting = guest()
        .forwarding(&["sleep"])
        .export("use", "(call $give (call $sleep (call $input_offset)))");
    let host = small("wall_time = '300ms'", waiting).await;
    assert_hit(&host, r#"{"millis":80000000}"#, "300ms", "wall_time").await;
}

#[tokio::test]
async fn memory() {
    let growing = guest().export(
        "use",
        "(if (i32.eq (memory.grow (i32.const 64)) (i32.const -1)) (then unreachable))",
    );
    let host = small("memory = '1MiB'", growing).await;
    assert_hit(&host, "", "1MiB", "memory").await;
}

#[tokio::test]
async fn table_elements() {
    let growing = guest()
        .part("(table 1 funcref)")
        .export("use", "(if (i32.eq (table.grow (ref.null func) (i32.const 5000)) (i32.const -1)) (then unreachable))");
    let host = small("table_elements = 1000", growing).await;
    assert_hit(&host, "", "1000", "table_elements").await;
}

#[tokio::test]
async fn stack() {
    let recursing = guest()
        .part("(func $deeper (param i64) (result i64) (i64.add (i64.const 1) (call $deeper (i64.add (local.get 0) (i64.const 1)))))")
        .export("use", "(drop (call $deeper (i64.const 0)))");
    let host = small("stack = '128KiB'", recursing).await;
    assert_hit(&host, "", "128KiB", "stack").await;
}

#[tokio::test]
async fn input() {
    let host = small("input = '4KiB'", guest().export("use", "")).await;
    assert_hit(&host, &"x".repeat(5000), "4KiB", "input").await;
}

#[tokio::test]
async fn output() {
    let echoing = guest().export("use", "(call $give (call $input_offset))");
    let host = small("output = '1KiB'", echoing).await;
    assert_hit(&host, &"x".repeat(1025), "1KiB", "output").await;
    assert_eq!(
        host.raw("small", "use", &"x".repeat(1024)).await.body.len(),
        1024,
        "the limit itself is within it"
    );
}

#[tokio::test]
async fn effects() {
    let looping = guest().forwarding(&["clock_now"]).export(
        "use",
        "(loop $on (drop (call $clock_now (call $input_offset))) (br $on))",
    );
    let host = small("effects = 10", looping).await;
    assert_hit(&host, "{}", "10", "effects").await;
}

#[tokio::test]
async fn variables() {
    let host = small(
        "vars = '1KiB'",
        guest()
            .remembering()
            .export("use", "(call $var_set (call $text) (call $input_offset))"),
    )
    .await;
    assert_hit(&host, &"x".repeat(2000), "1KiB", "vars").await;
    assert_eq!(host.raw("small", "remember", "short").await.status, 200);
}

#[tokio::test]
async fn http_response() {
    let web = WebServer::answering(&"x".repeat(5000));
    let fetching = guest()
        .host_function("http_request", "(param i64 i64) (result i64)")
        .export(
            "use",
            "(call $give (call $http_request (call $input_offset) (i64.const 0)))",
        );
    let host = small("http_response = '4KiB'", fetching).await;
    assert_hit(
        &host,
        &json!({"url": web.url()}).to_string(),
        "4KiB",
        "http_response",
    )
    .await;
    assert_eq!(web.requests(), 1);
}

#[tokio::test]
async fn log_volume_by_the_log_functions() {
    let flooding = guest()
        .host_function("log_info", "(param i64)")
        .text(&"flood ".repeat(20))
        .export("use", "(loop $on (call $log_info (call $text)) (br $on))");
    let host = small("log_bytes = '1KiB'\nwall_time = '10s'", flooding).await;
    assert_hit(&host, "", "1KiB", "log_bytes").await;
    let lines = host
        .log()
        .lines()
        .filter(|line| line.contains("flood"))
        .count();
    assert!(lines < 20, "{lines} lines of 120 bytes");
}

#[tokio::test]
async fn log_volume_by_the_log_effect() {
    let flooding = guest().forwarding(&["log"]).export(
        "use",
        "(loop $on (drop (call $log (call $input_offset))) (br $on))",
    );
    let host = small(
        "log_bytes = '1KiB'\nwall_time = '10s'\neffects = 5000",
        flooding,
    )
    .await;
    let line = json!({"level": "info", "message": "flood ".repeat(20)});
    assert_hit(&host, &line.to_string(), "1KiB", "log_bytes").await;
    let lines = host
        .log()
        .lines()
        .filter(|line| line.contains("flood"))
        .count();
    assert!(lines < 20, "{lines} lines of 120 bytes");
}

#[tokio::test]
async fn a_tool_that_hits_a_limit_answers_with_an_error_that_names_it() {
    let project = Project::new().config("[defaults.limits]\nwall_time = '300ms'\n");
    let host = project.serve().await;
    let message = host
        .tool("echo", "spin", json!({}))
        .await
        .guest_failure("limit_exceeded");
    assert!(
        message.contains("300ms") && message.contains("`defaults.limits.wall_time`"),
        "{message}"
    );
}

#[tokio::test]
async fn calls_beyond_those_that_may_run_and_wait_are_refused_with_a_time_to_come_back() {
    let project = Project::new().config("[role.echo.limits]\nconcurrent_calls = 1\nqueue = 1\n");
    let host = project.serve().await;
    let sleep = || host.call("echo", "sleep", json!({"millis": 2000}));
    let answers = futures_util::future::join_all([sleep(), sleep(), sleep(), sleep()]).await;
    let (served, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((served.len(), refused.len()), (2, 2), "one runs, one waits");
    for answer in refused {
        let message = answer.problem(429, "queue_full");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(
            message.contains("`role.echo.limits.concurrent_calls`"),
            "{message}"
        );
        assert!(message.contains("`role.echo.limits.queue`"), "{message}");
    }
    assert_eq!(
        host.call("echo", "echo", json!({"text": "a"})).await.status,
        200,
        "there is room again"
    );
}

#[tokio::test]
async fn a_busy_role_does_not_hold_up_another() {
    let project = Project::new()
        .config("[role.busy]\nplugin = 'worker'\n[role.busy.limits]\nconcurrent_calls = 1\n[role.free]\nplugin = 'worker'\n")
        .plugin("worker.wasm", shipped_plugin("echo"));
    let host = project.serve().await;
    let mut slow = Box::pin(host.call("busy", "sleep", json!({"millis": 25_000})));
    let quick = host.call("free", "echo", json!({"text": "a"}));
    match futures_util::future::select(&mut slow, Box::pin(quick)).await {
        futures_util::future::Either::Right((answer, _)) => assert_eq!(answer.status, 200),
        futures_util::future::Either::Left(_) => panic!("the quick call waited for the slow one"),
    }
}

async fn remembers(instance: &str) -> Value {
    let project = Project::new()
        .config(&format!(
            "[server]\nraw_calls = true\n[role.keeper]\ninstance = '{instance}'\n"
        ))
        .plugin("keeper.wat", Guest::answering("").remembering().wat());
    let host = project.serve().await;
    assert_eq!(host.raw("keeper", "remember", "pie").await.status, 200);
    json!([
        host.role("keeper").await["instance"],
        host.raw("keeper", "recall", "").await.text()
    ])
}

#[tokio::test]
async fn a_pooled_sandbox_keeps_its_variables_and_a_fresh_one_has_none() {
    assert_eq!(remembers("fresh").await, json!(["fresh", ""]));
    assert_eq!(remembers("pooled").await, json!(["pooled", "pie"]));
}

#[tokio::test]
async fn a_pooled_sandbox_that_trapped_is_not_used_again() {
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[role.keeper]\ninstance = 'pooled'\n")
        .plugin(
            "keeper.wat",
            Guest::answering("")
                .remembering()
                .export("trap", "unreachable")
                .wat(),
        );
    let host = project.serve().await;
    assert_eq!(host.raw("keeper", "remember", "pie").await.status, 200);
    host.raw("keeper", "trap", "")
        .await
        .problem(502, "guest_trapped");
    assert_eq!(
        host.raw("keeper", "recall", "").await.text(),
        "",
        "a new sandbox knows nothing"
    );
}

#[tokio::test]
async fn a_new_version_of_a_pooled_plugin_starts_with_new_sandboxes() {
    let guest = || Guest::answering("old").remembering();
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[role.keeper]\ninstance = 'pooled'\n")
        .plugin("keeper.wat", guest().wat());
    let host = project.serve().await;
    assert_eq!(host.raw("keeper", "remember", "pie").await.status, 200);
    project.put_plugin("keeper.wat", guest().part("(func)").wat());
    let before = host.role("keeper").await["plugin"]["digest"].clone();
    eventually("the new version serves", async || {
        (host.role("keeper").await["plugin"]["digest"] != before).then_some(())
    })
    .await;
    assert_eq!(host.raw("keeper", "recall", "").await.text(), "");
}

#[tokio::test]
async fn an_error_that_the_guest_sets_counts_as_output() {
    // A MiB of what is no UTF-8, and of what JSON writes with six characters.
    for byte in [0xff, 1] {
        let guest = guest()
            .host_function("error_set", "(param i64)")
            .part(&format!(
                r#"(func $fill (local $block i64) (local $at i64)
              (local.set $block (call $alloc (i64.const 1048576)))
              (loop $next
                (call $store_u8 (i64.add (local.get $block) (local.get $at)) (i32.const {byte}))
                (local.set $at (i64.add (local.get $at) (i64.const 1)))
                (br_if $next (i64.lt_u (local.get $at) (i64.const 1048576))))
              (call $error_set (local.get $block)))"#
            ));
        let guest = guest
            .export("use", "(call $fill)")
            .first("(call $fill) (unreachable)");
        let host = small("output = '2MiB'", guest).await;
        let message = host
            .raw("small", "use", "")
            .await
            .problem(502, "limit_exceeded");
        assert!(message.contains("`role.small.limits.output`"), "{message}");
        let answer = host.tool("small", "answer", json!({})).await;
        assert!(answer.text().len() < 1000, "{} bytes", answer.text().len());
        assert!(
            answer.text().contains("`role.small.limits.output`"),
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn the_request_of_one_effect() {
    let asking = guest()
        .forwarding(&["kv_get"])
        .export("use", "(call $give (call $kv_get (call $input_offset)))");
    let host = small("effect_request = '64KiB'", asking).await;
    let ask = async |length: usize| {
        let request = json!({"key": "k".repeat(length)}).to_string();
        host.raw("small", "use", &request).await.json()
    };
    assert_eq!(ask(10).await["kind"], "Success");
    let refused = ask(70_000).await;
    assert_eq!(refused["payload"]["code"], "limit_exceeded", "{refused}");
    let message = refused["payload"]["message"].as_str().unwrap();
    assert!(
        message.contains("64KiB") && message.contains("`role.small.limits.effect_request`"),
        "{message}"
    );
}
