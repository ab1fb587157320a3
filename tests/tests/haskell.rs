//! Plugins written in Haskell: the same tools as in Rust, the same JSON as the host's, and what goes wrong
//! in a Haskell program is reported and survived.

use exomonad_test_support::{Host, Prism, Project, eventually, haskell_plugin};
use serde_json::{Value, json};

/// The imports of a Haskell program from WASI. The engine answers the clock, writes standard output and
/// error to the log, and has no file, no socket and no variable to give.
const WASI: &[&str] = &[
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_read",
    "fd_seek",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_open",
    "poll_oneoff",
    "proc_exit",
    "random_get",
];

/// A repository with these plugins of `plugins/dist`.
pub fn project(plugins: &[&str]) -> Project {
    plugins.iter().fold(Project::new(), |project, name| {
        project.plugin(&format!("{name}.wasm"), haskell_plugin(name))
    })
}

#[tokio::test]
async fn the_plugin_in_haskell_has_the_tools_and_hooks_of_the_one_in_rust() {
    let project = project(&["tl-haskell"]);
    let host = project.serve().await;
    let ours = host.get("/role/tl/mcp/tools").await.json();
    let haskells = host.get("/role/tl-haskell/mcp/tools").await.json();
    assert_eq!(haskells, ours);
    let (ours, haskells) = (host.role("tl").await, host.role("tl-haskell").await);
    for what in ["tools", "hooks"] {
        assert_eq!(haskells["plugin"][what], ours["plugin"][what]);
    }
}

#[tokio::test]
async fn the_plugin_in_haskell_answers_as_the_one_in_rust() {
    let Some(prism) = Prism::start().await else {
        return;
    };
    let project = project(&["tl-haskell"]).config(&format!(
        "[github]\nbase_url = '{}'\n[defaults]\neffects = ['*']\nrepos = ['acme/*']\n",
        prism.server.url
    ));
    project.write("README.md", "# Another project\n");
    project.write("new.txt", "");
    let host = project.serve().await;
    let of_repo = json!({"repo": "acme/web"});
    for (tool, arguments) in [
        ("repo_status", json!({})),
        ("recent_work", json!({"limit": 1})),
        ("recent_work", json!({"limit": "many"})),
        ("list_issues", of_repo.clone()),
        (
            "list_issues",
            json!({"repo": "acme/web", "state": "closed"}),
        ),
        ("list_issues", json!({"repo": "others/web"})),
        ("pr_status", of_repo.clone()),
        ("merge_pr", of_repo),
        ("file_pr", json!({"title": "", "repo": "acme/web"})),
        ("file_pr", json!({"title": "Fix it", "repo": "acme/web"})),
        (
            "run_in_container",
            json!({"container": "no-such-one", "command": ["true"]}),
        ),
    ] {
        let mut answers = Vec::new();
        for role in ["tl", "tl-haskell"] {
            let answer = host.call(role, tool, arguments.clone()).await;
            // The role's name is its own, and so is a call's id.
            let text = answer.text().replace(&format!("`{role}`"), "it");
            let text = text.replace(&format!("role.{role}."), "its ");
            let mut json: Value = serde_json::from_str(&text).unwrap();
            if let Some(id) = json.pointer_mut("/structuredContent/error/callId") {
                id.take();
            }
            // The order of an object's fields is nobody's concern, within the text of a result neither.
            if let Some(text) = json.pointer_mut("/content/0/text") {
                let within = serde_json::from_str(text.as_str().unwrap());
                *text = within.unwrap_or_else(|_| text.take());
            }
            answers.push((answer.status, json));
        }
        assert_eq!(answers[1], answers[0], "{tool} {arguments}");
    }
}

#[tokio::test]
async fn a_plugin_in_haskell_starts_from_a_snapshot_and_imports_what_it_uses() {
    let project = project(&["tl-haskell"]);
    let file = project.plugin_path("tl-haskell.wasm");
    let inspected = project.run(["plugin", "inspect", file.to_str().unwrap()]);
    let text = inspected.stdout;
    assert!(
        text.lines()
            .any(|line| line.split_whitespace().eq(["snapshot", "taken"])),
        "{text}"
    );
    let imports: Vec<&str> = text
        .split_whitespace()
        .filter(|word| word.contains("::"))
        .collect();
    assert!(
        imports.contains(&"extism:host/user::git_status"),
        "{imports:?}"
    );
    for import in imports {
        let (from, name) = import.split_once("::").unwrap();
        let name = name.trim_start_matches("1::");
        assert!(
            from.starts_with("extism:host/") || WASI.contains(&name),
            "{import}"
        );
        // What no tool calls is not imported, so that the operator is not asked for it.
        assert_ne!(name, "github_create_issue");
    }
}

#[tokio::test]
async fn tools_in_haskell_are_tested_by_pure_interpreters() {
    let project = project(&["echo-haskell"]);
    let host = project.serve().await;
    let tests = host.tool("echo-haskell", "tool_tests", json!({})).await;
    assert!(!tests.is_error(), "{}", tests.text());
    assert!(
        tests.text().lines().count() >= 10,
        "each names what it shows: {}",
        tests.text()
    );
}

async fn misbehave(host: &Host, tool: &str) -> Value {
    let answer = host.call("echo-haskell", tool, json!({})).await.json();
    assert_eq!(answer["isError"], true, "{tool}: {answer}");
    let next = host
        .tool("echo-haskell", "echo", json!({"text": "next"}))
        .await;
    assert_eq!(next.text(), "next", "after {tool}");
    answer
}

#[tokio::test]
async fn a_failure_in_haskell_is_reported_and_the_next_call_works() {
    let limits = "wall_time = '4s'\nmemory = '48MiB'\n";
    for instance in ["fresh", "pooled"] {
        let project = project(&["echo-haskell"]).config(&format!(
            "[role.echo-haskell]\neffects = []\ninstance = '{instance}'\n[role.echo-haskell.limits]\n{limits}"
        ));
        let host = project.serve().await;
        for (tool, told) in [
            ("throw", "divide by zero"),
            ("error", "as asked"),
            ("error_in_error", "what it has to say of that fails too"),
            ("undefined_value", "Prelude.undefined"),
            ("pattern", "Non-exhaustive patterns"),
            ("pattern_in_do", "Pattern match failure"),
            ("fail", "as asked"),
            ("loop", "`role.echo-haskell.limits.wall_time`"),
            (
                "loop_without_allocating",
                "`role.echo-haskell.limits.wall_time`",
            ),
            ("overflow", "stack overflow"),
            ("exhaust", "memory"),
            ("black_hole", "a value needs itself (<<loop>>)"),
        ] {
            let answer = misbehave(&host, tool).await;
            let text = answer["content"][0]["text"].as_str().unwrap_or_default();
            assert!(text.contains(told), "{instance} {tool}: {text}");
            // Whose fault it is, and where: a call stack, or the place in the source.
            if matches!(tool, "error" | "undefined_value") {
                assert!(text.contains("CallStack"), "{tool}: {text}");
            }
            if tool.starts_with("pattern") {
                assert!(text.contains("Harmful.hs:"), "{tool}: {text}");
                assert!(!text.ends_with("backtrace:"), "{tool}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_plugin_in_haskell_is_dropped_into_a_running_host() {
    let project = project(&[]);
    let host = project.serve().await;
    project.put_plugin("dropped.wasm", haskell_plugin("tl-haskell"));
    let branch = eventually("the plugin serves", async || {
        let answer = host.call("dropped", "repo_status", json!({})).await;
        (answer.status == 200).then(|| answer.tool_result().structured()["branch"].clone())
    })
    .await;
    assert_eq!(branch, "main");
}
