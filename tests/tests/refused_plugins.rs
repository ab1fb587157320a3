//! A bad plugin file: the version that serves goes on, and the reason is reported.

use exomonad_test_support::{Guest, Project, eventually, shipped_plugin, tool_named};
use serde_json::{Value, json};

/// Bad files: the mistake, the file, and the words that have to be in the reason.
fn bad_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = || Guest::answering("new");
    let with_schema = |schema: Value| {
        let tool = json!({"name": "odd", "inputSchema": schema});
        good().tools(json!([tool_named("answer"), tool])).wasm()
    };
    let whole = shipped_plugin("echo");
    vec![
        ("empty", Vec::new(), "is not valid WebAssembly"),
        (
            "garbage",
            b"\x7fELF and so on".to_vec(),
            "is not valid WebAssembly",
        ),
        (
            "truncated",
            whole[..whole.len() / 2].to_vec(),
            "is not valid WebAssembly",
        ),
        (
            "its magic number alone",
            whole[..8].to_vec(),
            "is no role plugin",
        ),
        (
            "invalid instructions",
            b"(module (func (export \"f\") (result i32)))".to_vec(),
            "is not valid WebAssembly",
        ),
        (
            "a component",
            b"\0asm\x0d\0\x01\0".to_vec(),
            "is a WebAssembly component",
        ),
        (
            "an unknown effect",
            good()
                .import(
                    "extism:host/user",
                    "git_get_branches",
                    "(param i64) (result i64)",
                )
                .wasm(),
            "git_get_branch",
        ),
        (
            "an import from nowhere",
            good()
                .import("some:where/else", "open_door", "(param i64)")
                .wasm(),
            "some:where/else",
        ),
        (
            "an effect of the wrong type",
            good()
                .import("extism:host/user", "git_status", "(param i32) (result i32)")
                .wasm(),
            "git_status",
        ),
        (
            "no entry point",
            good()
                .without("handle_list_tools")
                .without("handle_mcp_call")
                .wasm(),
            "is no role plugin",
        ),
        (
            "tools that are not listed",
            good().without("handle_list_tools").wasm(),
            "`handle_list_tools`",
        ),
        (
            "tools that cannot be called",
            good().without("handle_mcp_call").wasm(),
            "`handle_mcp_call`",
        ),
        (
            "a schema that is none",
            with_schema(json!({"type": "object", "required": 5})),
            "tool `odd`: its inputSchema",
        ),
        (
            "a schema of something else",
            with_schema(json!({"type": "array"})),
            "tool `odd`: its inputSchema",
        ),
        (
            "a schema with a dangling reference",
            with_schema(json!({"type": "object", "$ref": "#/$defs/none"})),
            "tool `odd`: its inputSchema",
        ),
        (
            "the same tool twice",
            good()
                .tools(json!([tool_named("odd"), tool_named("odd")]))
                .wasm(),
            "tool `odd`: it is listed twice",
        ),
        (
            "a tool without a name",
            good().tools(json!([tool_named("")])).wasm(),
            "tool ``",
        ),
        (
            "a list that is none",
            good().tools(json!("none")).wasm(),
            "`handle_list_tools` failed",
        ),
        (
            "a list that traps",
            good()
                .without("handle_list_tools")
                .export("handle_list_tools", "unreachable")
                .wasm(),
            "`handle_list_tools` failed",
        ),
        (
            "a start-up that traps",
            good()
                .part("(func (export \"_initialize\") unreachable)")
                .wasm(),
            "unreachable",
        ),
        (
            "more memory than a role may have",
            large_memory(&good()),
            "memory",
        ),
    ]
}

/// The guest with 250 MB of memory from the start, where a role may have 64 MiB.
fn large_memory(guest: &Guest) -> Vec<u8> {
    let small = r#"(memory (export "memory") 1)"#;
    let text = guest.wat();
    assert!(text.contains(small));
    text.replace(small, r#"(memory (export "memory") 4000)"#)
        .into_bytes()
}

#[tokio::test]
async fn each_kind_of_bad_file_is_refused_with_its_reason_while_the_old_version_serves() {
    let old = Guest::answering("old").wasm();
    let project = Project::new().plugin("victim.wasm", &old);
    let host = project.serve().await;
    for (what, content, words) in bad_files() {
        project.put_plugin("victim.wasm", content);
        let reason = eventually(&format!("{what}: the reason says {words:?}"), async || {
            let changes = host.reload().await;
            changes["failed"]["victim"].as_str().map(str::to_owned)
        })
        .await;
        assert!(
            reason.contains(words) && reason.contains("victim.wasm"),
            "{what}: {reason}"
        );
        assert_eq!(host.problem("victim").await, reason, "{what}");
        assert_eq!(
            host.tool("victim", "answer", json!({})).await.text(),
            "old",
            "{what}"
        );
        project.put_plugin("victim.wasm", &old);
        host.reload().await;
        assert_eq!(
            host.problem("victim").await,
            "",
            "{what}: the good file is back"
        );
    }
    assert_eq!(host.get("/health").await.json()["status"], "ok");
}

#[tokio::test]
async fn a_problem_is_shown_wherever_an_operator_looks() {
    let project = Project::new().plugin("victim.wasm", Guest::answering("old").wasm());
    let host = project.serve().await;
    project.put_plugin("victim.wasm", "not a module");
    host.reload().await;
    let health = host.get("/health").await.json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(
        health["rolesServing"], health["rolesTotal"],
        "the old version serves"
    );
    let problem = &health["problems"][0];
    assert_eq!(
        (&problem["role"], &problem["oldVersionServes"]),
        (&json!("victim"), &json!(true))
    );
    assert!(
        problem["since"].as_str().unwrap().ends_with('Z'),
        "{problem}"
    );
    let message = problem["message"].as_str().unwrap();
    assert_eq!(host.role("victim").await["problem"]["message"], message);
    host.logs("a plugin is not loaded", 1).await;
    assert_eq!(
        host.get("/ready").await.status,
        200,
        "a bad file does not take the host out of service"
    );
    let listed = project
        .run(["plugin", "list", "--url", &host.url()])
        .exits(1);
    assert!(listed.stderr.contains(message), "{listed:?}");
    let as_json = project
        .run(["plugin", "list", "--json", "--url", &host.url()])
        .exits(1)
        .json();
    let roles = as_json["roles"].as_array().unwrap();
    let victim = roles.iter().find(|role| role["name"] == "victim").unwrap();
    assert_eq!(victim["problem"]["message"], message);
}

#[tokio::test]
async fn a_problem_keeps_its_time_until_another_takes_its_place() {
    let project = Project::new().plugin("victim.wasm", "not a module");
    let host = project.serve().await;
    let since = async || host.role("victim").await["problem"]["since"].clone();
    let first = since().await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    host.reload().await;
    assert_eq!(since().await, first, "trying again is not a new problem");
    project.put_plugin(
        "victim.wasm",
        Guest::answering("").without("handle_mcp_call").wasm(),
    );
    host.reload().await;
    assert_ne!(since().await, first);
}

#[tokio::test]
async fn a_role_whose_first_plugin_is_bad_answers_with_the_reason() {
    let project = Project::new().plugin("victim.wasm", "not a module");
    let host = project.serve().await;
    let refused = host
        .call("victim", "answer", json!({}))
        .await
        .problem(503, "plugin_not_loaded");
    assert!(
        refused.contains("victim.wasm") && refused.contains("WebAssembly"),
        "{refused}"
    );
    let tools = host
        .get("/role/victim/mcp/tools")
        .await
        .problem(503, "plugin_not_loaded");
    assert_eq!(tools, refused);
    assert_eq!(host.role("victim").await["plugin"], Value::Null);
}

#[tokio::test]
async fn two_files_for_one_role_are_both_named_and_the_version_that_serves_goes_on() {
    let project = Project::new().plugin("victim.wasm", Guest::answering("old").wasm());
    let host = project.serve().await;
    project.put_plugin("victim.wat", Guest::answering("other").wat());
    host.reload().await;
    let problem = host.problem("victim").await;
    assert!(
        problem.contains("victim.wasm") && problem.contains("victim.wat"),
        "{problem}"
    );
    assert_eq!(host.tool("victim", "answer", json!({})).await.text(), "old");
    std::fs::remove_file(project.plugin_path("victim.wasm")).unwrap();
    eventually("the one that is left serves", async || {
        (host.tool("victim", "answer", json!({})).await.text() == "other").then_some(())
    })
    .await;
    assert_eq!(host.problem("victim").await, "");
}

#[tokio::test]
async fn a_file_whose_name_is_no_role_name_is_ignored_and_the_log_says_so() {
    let project = Project::new().plugin("Bad Name.wasm", Guest::answering("").wasm());
    let host = project.serve().await;
    let log = host.log();
    assert!(
        log.contains("Bad Name.wasm") && log.contains("is not a role name"),
        "{log}"
    );
}

#[tokio::test]
async fn the_name_of_a_file_writes_no_line_of_the_log() {
    let forged = "y\n2026-11-28T20:00:00.000000Z  INFO exomonad: forged.wasm";
    let project = Project::new().plugin(forged, Guest::answering("").wasm());
    let host = project.serve().await;
    host.logs("forged.wasm", 1).await;
    let log = host.log();
    assert!(
        !log.lines()
            .any(|line| line.starts_with("2026-11-28T20:00:00")),
        "{log}"
    );
}

#[tokio::test]
async fn a_guest_that_spins_while_it_lists_its_tools_is_given_up() {
    let project = Project::new()
        .config("[defaults.limits]\nwall_time = '300ms'\n")
        .plugin(
            "spinner.wat",
            Guest::answering("")
                .without("handle_list_tools")
                .export("handle_list_tools", "(loop $on (br $on))")
                .wat(),
        );
    let host = project.serve().await;
    let problem = host.problem("spinner").await;
    assert!(problem.contains("limits.wall_time"), "{problem}");
    let echoed = host.tool("echo", "echo", json!({"text": "a"})).await;
    assert_eq!(echoed.structured()["text"], "a", "the other plugins serve");
}

#[tokio::test]
async fn a_file_whose_name_is_no_role_name_is_a_problem_wherever_an_operator_looks() {
    let plugin = Guest::answering("fine").wasm();
    let project = Project::new();
    let host = project.serve().await;
    let names = ["greet-1.2.0", "My.Tool", "UP", "two words", "ünï"];
    for name in names {
        project.put_plugin(&format!("{name}.wasm"), &plugin);
    }
    let reloaded = host.reload().await.to_string();
    let health = host.get("/health").await.json();
    assert_eq!(health["status"], "degraded");
    let listed = project
        .run(["plugin", "list", "--url", &host.url()])
        .exits(1);
    for name in names {
        let file = format!("{name}.wasm");
        let problems = health["problems"].as_array().unwrap();
        let problem = problems.iter().find(|problem| problem["role"] == name);
        let message = problem.unwrap()["message"].as_str().unwrap();
        assert!(
            message.contains(&file) && message.contains("lower-case letters, digits, `_` and `-`"),
            "{message}"
        );
        assert!(reloaded.contains(&file), "{reloaded}");
        assert!(listed.stderr.contains(message), "{listed:?}");
        host.logs(&file, 1).await;
    }
    for name in names {
        std::fs::remove_file(project.plugin_path(&format!("{name}.wasm"))).unwrap();
    }
    host.reload().await;
    assert_eq!(host.get("/health").await.json()["status"], "ok");
}

#[tokio::test]
async fn nothing_of_a_file_that_is_no_plugin_is_shown() {
    let project = Project::new();
    let token = project.write("github-token", "(ghp_secretsecretsecret");
    let host = project.serve().await;
    let link = project.plugin_path("linked.wasm");
    std::fs::create_dir_all(project.plugin_path("")).unwrap();
    std::os::unix::fs::symlink(&token, link).unwrap();
    project.put_plugin("copied.wasm", "ghp_secretsecretsecret\n");
    project.put_plugin("text.wat", "(module\n (ghp_secretsecretsecret))");
    project.put_plugin(
        "manifest/plugin.toml",
        format!("[[wasm]]\npath = '{}'\n", token.display()),
    );
    project.put_plugin(
        "upwards/plugin.toml",
        "[[wasm]]\npath = '../../../github-token'\n",
    );
    let reloaded = host.reload().await.to_string();
    let health = host.get("/health").await;
    assert_eq!(
        health.json()["problems"].as_array().unwrap().len(),
        5,
        "{}",
        health.json()
    );
    for shown in [reloaded, health.json().to_string(), host.log()] {
        assert!(!shown.contains("secret"), "{shown}");
    }
    for role in ["manifest", "upwards"] {
        let problem = host.problem(role).await;
        assert!(
            problem.contains("leads out of the manifest's folder"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_plugin_that_begins_with_too_much_memory_is_told_the_key_of_its_role() {
    let big = "(module (memory (export \"memory\") 2000) (func (export \"handle_pre_tool_use\")))";
    let project = Project::new()
        .config(
            "[plugins]\nunlisted_roles = true\n[role.named]\n[role.huge.limits]\nmemory = '1GiB'\n",
        )
        .plugin("big.wat", big)
        .plugin("named.wat", big)
        .plugin("huge.wat", big);
    let host = project.serve().await;
    assert_eq!(host.problem("huge").await, "");
    // The pool has room for the largest role's memory; each role has its own limit.
    for (role, key) in [
        ("big", "`defaults.limits.memory`"),
        ("named", "limits.memory`"),
    ] {
        let problem = host.problem(role).await;
        assert!(
            problem.contains("begins with 131076096 bytes of memory")
                || problem.contains("begins with 128004KiB of memory"),
            "{problem}"
        );
        assert!(
            problem.contains("limit of 64MiB") && problem.contains(key),
            "{problem}"
        );
        host.logs(&problem, 1).await;
    }
    let tested = project.run([
        "plugin",
        "test",
        &project.plugin_path("big.wat").display().to_string(),
    ]);
    assert!(tested.stderr.contains("limits.memory`"), "{tested:?}");
}
