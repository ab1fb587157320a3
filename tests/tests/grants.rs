//! Deny by default: a role does what it is granted, within its bounds.

use exomonad_test_support::{Guest, Host, Project, ToolResult};
use serde_json::{Value, json};

const RAW: &str = "[server]\nraw_calls = true\n";

fn asking(effects: &[&str]) -> String {
    Guest::answering("").forwarding(effects).wat()
}

fn error_code(answer: &Value) -> &str {
    assert_eq!(answer["kind"], "Error", "{answer}");
    answer["payload"]["code"].as_str().unwrap_or_default()
}

async fn repo_status(host: &Host, role: &str) -> ToolResult {
    host.tool(role, "repo_status", json!({})).await
}

#[tokio::test]
async fn a_refusal_names_the_table_that_sets_the_bound() {
    let project = Project::new().config(
        "[defaults]\neffects = ['git.*']\npaths = ['.']\n[role.tl]\n[role.own]\nplugin = 'tl'\npaths = ['.']\n",
    );
    let host = project.serve().await;
    for (role, key) in [("tl", "`defaults.paths`"), ("own", "`role.own.paths`")] {
        let outside = json!({"workingDir": "/"});
        let refused = host.tool(role, "repo_status", outside).await.text();
        assert!(refused.contains(key), "{refused}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_line_that_would_grant_the_effect() {
    let project = Project::new().config("[role.tl]\neffects = []\n[role.free]\nplugin = 'tl'\n");
    let host = project.serve().await;
    let denied = repo_status(&host, "tl").await;
    assert!(denied.is_error(), "{denied:?}");
    let text = denied.text();
    assert!(
        text.contains("role `tl` is not granted `git.status`"),
        "{text}"
    );
    assert!(
        text.contains("exomonad.toml") && text.contains("[role.tl]\neffects = [\"git.status\"]"),
        "{text}"
    );
    assert!(
        !repo_status(&host, "free").await.is_error(),
        "another role's grants are its own"
    );
    host.logs("effect denied", 1).await;
    let log = host.log();
    assert!(log.contains("git.status"), "{log}");
}

#[tokio::test]
async fn an_effect_that_is_not_granted_answers_effect_denied() {
    let project = Project::new()
        .config(&format!(
            "{RAW}[role.asker]\neffects = ['git.get_branch']\n"
        ))
        .plugin(
            "asker.wat",
            asking(&["git_get_branch", "git_status", "kv_set"]),
        );
    let host = project.serve().await;
    let granted = host.effect("asker", "git_get_branch", json!({})).await;
    assert_eq!(granted["payload"]["branch"], "main", "{granted}");
    assert_eq!(
        error_code(&host.effect("asker", "git_status", json!({})).await),
        "effect_denied"
    );
    let set = host
        .effect("asker", "kv_set", json!({"key": "a", "value": 1}))
        .await;
    assert_eq!(error_code(&set), "effect_denied");
}

#[tokio::test]
async fn by_default_a_role_reads_and_logs_and_writes_nothing() {
    let effects = [
        "git_get_branch",
        "clock_now",
        "random_bytes",
        "kv_get",
        "log",
        "kv_set",
        "kv_delete",
        "github_create_pr",
        "docker_exec",
    ];
    let project = Project::new()
        .config(RAW)
        .plugin("asker.wat", asking(&effects));
    let host = project.serve().await;
    for (effect, request) in [
        ("git_get_branch", json!({})),
        ("clock_now", json!({})),
        ("random_bytes", json!({"length": 8})),
        ("kv_get", json!({"key": "a"})),
        ("log", json!({"level": "info", "message": "hello"})),
    ] {
        let answer = host.effect("asker", effect, request).await;
        assert_eq!(answer["kind"], "Success", "{effect}: {answer}");
    }
    for effect in ["kv_set", "kv_delete", "github_create_pr", "docker_exec"] {
        let answer = host.effect("asker", effect, json!({})).await;
        assert_eq!(error_code(&answer), "effect_denied", "{effect}");
        let message = answer["payload"]["message"].as_str().unwrap();
        assert!(
            message.contains("[defaults]\neffects = "),
            "an unlisted role gets its grants there: {message}"
        );
    }
}

#[tokio::test]
async fn github_without_a_token_answers_what_to_set() {
    let project = Project::new()
        .config(&format!(
            "{RAW}[role.asker]\neffects = ['github.*']\nrepos = ['acme/*']\n"
        ))
        .plugin("asker.wat", asking(&["github_get_repo"]));
    let host = project.serve().await;
    let answer = host
        .effect("asker", "github_get_repo", json!({"repo": "acme/search"}))
        .await;
    assert_eq!(error_code(&answer), "unauthenticated");
    let message = answer["payload"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("`github.token_file`"), "{message}");
}

#[tokio::test]
async fn git_reaches_the_role_s_paths_and_nothing_beside_them() {
    let project = Project::new().config("[role.tl]\npaths = ['inside']\n");
    for folder in ["inside", "outside"] {
        project.git(&["init", "--quiet", "--initial-branch", folder, folder]);
    }
    let host = project.serve().await;
    let ask = async |folder: String| {
        host.tool("tl", "repo_status", json!({"workingDir": folder}))
            .await
    };
    let absolute = |folder: &str| project.path(folder).display().to_string();
    assert_eq!(
        ask(absolute("inside")).await.structured()["branch"],
        "inside"
    );
    std::os::unix::fs::symlink(project.path("outside"), project.path("inside/escape")).unwrap();
    for folder in [
        absolute("outside"),
        "../outside".to_owned(),
        absolute("inside/escape"),
        "/".to_owned(),
        absolute("inside/../outside"),
    ] {
        let refused = ask(folder.clone()).await;
        assert!(refused.is_error(), "{folder}: {refused:?}");
    }
}

#[tokio::test]
async fn a_request_that_breaks_an_effect_s_schema_is_invalid_input() {
    let project = Project::new()
        .config(RAW)
        .plugin("asker.wat", asking(&["kv_get", "sleep"]));
    let host = project.serve().await;
    for (effect, request) in [
        ("kv_get", json!({})),
        ("kv_get", json!({"key": ""})),
        ("kv_get", json!({"key": "a", "keys": 1})),
        ("kv_get", json!([1])),
        ("sleep", json!({"millis": -1})),
    ] {
        let answer = host.effect("asker", effect, request.clone()).await;
        assert_eq!(error_code(&answer), "invalid_input", "{effect} {request}");
    }
    let no_json = host.raw("asker", "kv_get", "{nonsense").await.json();
    assert_eq!(error_code(&no_json), "invalid_input");
}
