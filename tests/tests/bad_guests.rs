//! Guests that do what a host has to survive: each call gets a clear error, and the next one its answer.

use exomonad_test_support::{Guest, Host, Project, ToolResult, eventually};
use serde_json::{Value, json};

/// Limits that a bad guest runs into soon.
const LIMITS: &str = "[defaults.limits]\nwall_time = '2s'\noutput = '1MiB'\n";

async fn misbehave(host: &Host, tool: &str, arguments: Value) -> ToolResult {
    let result = host.tool("echo", tool, arguments).await;
    assert!(result.is_error(), "{tool}: {result:?}");
    assert!(!result.text().is_empty(), "{tool} says nothing");
    let next = host.tool("echo", "echo", json!({"text": "next"})).await;
    assert_eq!(next.structured()["text"], "next", "after {tool}");
    result
}

#[tokio::test]
async fn an_error_names_the_limit_that_was_hit() {
    let project = Project::new().config(LIMITS);
    let host = project.serve().await;
    for (tool, arguments, key) in [
        ("spin", json!({}), "wall_time"),
        ("sleep", json!({"millis": 60_000}), "wall_time"),
        ("allocate", json!({"bytes": 512 << 20}), "memory"),
        ("recurse", json!({}), "stack"),
        ("effects_loop", json!({"count": 100_000}), "effects"),
        ("large_output", json!({"bytes": 4 << 20}), "output"),
    ] {
        let message = misbehave(&host, tool, arguments)
            .await
            .guest_failure("limit_exceeded");
        assert!(
            message.contains(&format!("`defaults.limits.{key}`")),
            "{tool}: {message}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_ends_itself_says_how() {
    let project = Project::new().config(LIMITS);
    let host = project.serve().await;
    let trap = misbehave(&host, "trap", json!({}))
        .await
        .guest_failure("guest_trapped");
    assert!(trap.contains("unreachable"), "{trap}");
    let panic = misbehave(&host, "panic", json!({}))
        .await
        .guest_failure("guest_failed");
    assert!(panic.contains("as asked"), "{panic}");
    let failed = misbehave(&host, "fail", json!({})).await;
    assert_eq!(
        failed.text(),
        "as asked",
        "a tool's own failure is its own words"
    );
}

#[tokio::test]
async fn an_output_that_breaks_the_contract_is_an_error() {
    let project = Project::new().config(LIMITS);
    let host = project.serve().await;
    let message = misbehave(&host, "invalid_json", json!({}))
        .await
        .guest_failure("invalid_answer");
    assert!(message.contains("CallToolResult"), "{message}");
    for (file, output) in [
        ("empty", ""),
        ("number", "5"),
        ("open", "{\"content\": ["),
        ("other", r#"{"content":[{"type":"smell","text":"rose"}]}"#),
        ("deep", &"[".repeat(20_000)),
    ] {
        project.put_plugin(
            &format!("{file}.wat"),
            Guest::answering("").output(output).wat(),
        );
        host.reload().await;
        host.tool(file, "answer", json!({}))
            .await
            .guest_failure("invalid_answer");
    }
    project.put_plugin(
        "bytes.wat",
        Guest::answering("")
            .output("{\"content\":[{\"type\":\"text\",\"text\":\"?\"}]}")
            .wat()
            .replace("\\3f", "\\ff"),
    );
    host.reload().await;
    host.tool("bytes", "answer", json!({}))
        .await
        .guest_failure("invalid_answer");
}

#[tokio::test]
async fn a_guest_that_forges_offsets_reaches_nothing() {
    let forging = Guest::answering("fine")
        .forwarding(&["clock_now"])
        .host_function("load_u64", "(param i64) (result i64)")
        .host_function("error_set", "(param i64)")
        .export(
            "output",
            "(call $output_set (i64.const -1) (i64.const 1000000))",
        )
        .export(
            "far_output",
            "(call $output_set (i64.const 0x7fffffff) (i64.const 0x7fffffff))",
        )
        .export("request", "(drop (call $clock_now (i64.const 123456789)))")
        .export(
            "negative_request",
            "(drop (call $clock_now (i64.const -8)))",
        )
        .export("error", "(call $error_set (i64.const 0x7fffffffffffffff))")
        .export("load", "(drop (call $load_u64 (i64.const -1)))");
    let project = Project::new()
        .config("[server]\nraw_calls = true\n")
        .plugin("forger.wat", forging.wat());
    let host = project.serve().await;
    for export in [
        "output",
        "far_output",
        "request",
        "negative_request",
        "error",
        "load",
    ] {
        let answer = host.raw("forger", export, "{}").await;
        assert!(
            answer.status == 502 || answer.body.is_empty(),
            "{export}: {answer:?}"
        );
        assert_eq!(
            host.tool("forger", "answer", json!({})).await.text(),
            "fine",
            "after {export}"
        );
    }
    host.raw("forger", "request", "{}")
        .await
        .problem(502, "guest_trapped");
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_off() {
    let project =
        Project::new().config("[defaults.limits]\nlog_bytes = '4KiB'\neffects = 100000\n");
    let host = project.serve().await;
    host.tool("echo", "log_flood", json!({"count": 50_000}))
        .await;
    host.tool("echo", "echo", json!({"text": "next"})).await;
    let lines = host
        .log()
        .lines()
        .filter(|line| line.contains("line "))
        .count();
    assert!(lines < 1000, "{lines} lines for 4 KiB");
}

#[tokio::test]
async fn what_a_guest_logs_cannot_pass_for_a_line_of_the_host_s() {
    let forging = Guest::answering("").forwarding(&["log"]);
    let project = Project::new()
        .config("[server]\nraw_calls = true\n")
        .plugin("forger.wat", forging.wat());
    let host = project.serve().await;
    let forged =
        "harmless\n2026-01-01T00:00:00Z ERROR exomonad: the host is on fire\u{1b}[2J\r\u{85}";
    host.effect("forger", "log", json!({"level": "info", "message": forged}))
        .await;
    let log = eventually("the line is logged", async || {
        Some(host.log()).filter(|log| log.contains("on fire"))
    })
    .await;
    let line = log.lines().find(|line| line.contains("on fire")).unwrap();
    assert!(
        line.contains("harmless") && line.contains("forger"),
        "{line}"
    );
    assert!(!log.contains('\u{1b}'), "terminal codes go through");
}

#[tokio::test]
async fn many_bad_calls_at_once_leave_no_memory_behind() {
    let project =
        Project::new().config("[defaults.limits]\nwall_time = '1s'\nconcurrent_calls = 8\n");
    let host = project.serve().await;
    let storm = async || {
        let calls = (0..16).flat_map(|_| {
            [
                host.tool("echo", "allocate", json!({"bytes": 60 << 20})),
                host.tool("echo", "recurse", json!({})),
                host.tool("echo", "trap", json!({})),
                host.tool("echo", "large_output", json!({"bytes": 8 << 20})),
            ]
        });
        futures_util::future::join_all(calls).await;
    };
    storm().await;
    let before = host.resident_bytes();
    for _ in 0..3 {
        storm().await;
    }
    let after = host.resident_bytes();
    assert!(
        after < before + (64 << 20),
        "{} MiB grew to {} MiB",
        before >> 20,
        after >> 20
    );
    assert!(after < 1 << 30, "{} MiB", after >> 20);
    assert_eq!(
        host.tool("echo", "echo", json!({"text": "next"}))
            .await
            .structured()["text"],
        "next"
    );
}

#[tokio::test]
async fn spinning_guests_do_not_starve_their_neighbours() {
    let project = Project::new().config(
        "[role.spinner]\nplugin = 'echo'\n[role.spinner.limits]\nwall_time = '20s'\n[role.echo]\n",
    );
    let host = project.serve().await;
    let spin = async || {
        futures_util::future::join_all((0..16).map(|_| host.tool("spinner", "spin", json!({}))))
            .await;
    };
    let talk = async {
        for _ in 0..20 {
            let answer = host.tool("echo", "echo", json!({"text": "a"})).await;
            assert!(!answer.is_error());
        }
    };
    match futures_util::future::select(Box::pin(spin()), Box::pin(talk)).await {
        futures_util::future::Either::Right(_) => {}
        futures_util::future::Either::Left(_) => {
            panic!("20 calls waited until the spinning ones were stopped")
        }
    }
}

#[tokio::test]
async fn one_call_s_bytes_never_show_up_in_another_s_sandbox() {
    let looking = Guest::answering("")
        // Writes a mark all over its memory.
        .export("mark", "(drop (memory.grow (i32.const 10))) (memory.fill (i32.const 65536) (i32.const 77) (i32.const 655360))")
        // Traps if there is anything but zeros in memory it has not written.
        .export(
            "look",
            "(local $i i32) (drop (memory.grow (i32.const 10))) (local.set $i (i32.const 65536))
             (loop $on
               (if (i64.ne (i64.load (local.get $i)) (i64.const 0)) (then unreachable))
               (local.set $i (i32.add (local.get $i) (i32.const 8)))
               (br_if $on (i32.lt_u (local.get $i) (i32.const 720896))))",
        );
    let project = Project::new()
        .config("[server]\nraw_calls = true\n[engine]\nsandboxes = 4\n[role.one]\nplugin = 'guest'\n[role.two]\nplugin = 'guest'\n")
        .plugin("guest.wat", looking.wat());
    let host = project.serve().await;
    for _ in 0..20 {
        assert_eq!(host.raw("one", "mark", "").await.status, 200);
        let seen = host.raw("two", "look", "").await;
        assert_eq!(seen.status, 200, "{}", seen.text());
    }
}
