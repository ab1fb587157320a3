//! Disks that are full and folders that cannot be written: the host serves on.

use std::path::Path;

use exomonad_test_support::{CommandOutput, Guest, Host, Project, binary, required_or_skip};
use reqwest::Method;
use serde_json::{Value, json};

const KEEPER: &str = "[server]\nraw_calls = true\n[role.keeper]\neffects = ['kv.*']\n[role.tl]\n";

fn keeper() -> String {
    Guest::answering("fine")
        .forwarding(&["kv_set", "kv_get", "kv_delete", "kv_list"])
        .wat()
}

async fn set(host: &Host, nth: usize) -> Value {
    let request = json!({"key": format!("key{nth:03}"), "value": "x".repeat(64 << 10)});
    host.effect("keeper", "kv_set", request).await
}

#[tokio::test]
async fn a_full_disk_under_the_state_is_an_error_of_the_effect_and_loses_nothing() {
    let project = Project::new().config(KEEPER).plugin("keeper.wat", keeper());
    let state = project.path(".exomonad/state");
    let project = project.small_disk(state, 1024);
    let host = project.serve().await;
    let mut kept = 0;
    let refusal = loop {
        let answer = set(&host, kept).await;
        if answer["kind"] == "Error" {
            break answer;
        }
        kept += 1;
        assert!(kept < 200, "13 MB on a disk of 1 MiB");
    };
    assert_eq!(refusal["payload"]["code"], "unavailable", "{refusal}");
    assert!(kept > 0);
    for nth in 0..kept {
        let entry = host
            .effect("keeper", "kv_get", json!({"key": format!("key{nth:03}")}))
            .await;
        assert_eq!(entry["payload"]["found"], true, "key {nth}: {entry}");
    }
    assert_eq!(
        host.tool("keeper", "answer", json!({})).await.text(),
        "fine"
    );
    assert_eq!(
        host.tool("tl", "repo_status", json!({})).await.structured()["branch"],
        "main"
    );
    assert_eq!(host.get("/health").await.json()["status"], "ok");
}

#[tokio::test]
async fn on_a_full_disk_a_token_is_revoked_and_none_is_made() {
    let state = Project::new();
    let state = (state.path(".exomonad/state"), state);
    let project = state.1.small_disk(state.0, 256);
    let host = project.serve().await;
    let beside = |program: &Path, arguments: &[&str]| -> Option<CommandOutput> {
        let ran = project.run_beside(&host, program, arguments);
        required_or_skip("mounting", ran)
    };
    let new = ["token", "new", "ci", "--role", "tl"];
    let Some(made) = beside(&binary(), &new) else {
        return;
    };
    let token = made.exits(0).stdout.trim().to_owned();
    let status = async || {
        let request = host.request(Method::GET, "/role/tl/mcp/tools");
        request.bearer_auth(&token).send().await.unwrap().status()
    };
    assert_eq!(status().await, 200);
    let sh = |script: &str| beside(Path::new("sh"), &["-c", script]).unwrap();
    sh("head -c 1m /dev/zero > .exomonad/state/filler; test -s .exomonad/state/filler").exits(0);
    for _ in 0..3 {
        let failed = beside(&binary(), &new).unwrap().exits(4);
        assert!(failed.stderr.contains("No space left"), "{failed:?}");
    }
    let left = sh("ls .exomonad/state").exits(0).stdout;
    assert!(!left.contains(".part"), "{left}");
    assert_eq!(status().await, 200);
    let revoke = ["token", "revoke", "ci"];
    beside(&binary(), &revoke).unwrap().exits(0);
    assert_eq!(status().await, 401);
    beside(&binary(), &revoke).unwrap().exits(3);
    let listed = beside(&binary(), &["--json", "token", "list"]).unwrap();
    assert_eq!(listed.exits(0).json(), json!([]));
    sh("rm .exomonad/state/filler").exits(0);
    beside(&binary(), &new).unwrap().exits(0);
    let listed = beside(&binary(), &["--json", "token", "list"]).unwrap();
    assert_eq!(listed.exits(0).json().as_array().unwrap().len(), 1);
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_made_is_unavailable_until_it_can() {
    let project = Project::new().config(KEEPER).plugin("keeper.wat", keeper());
    // A link that leads nowhere.
    let blocker = project.path(".exomonad/state");
    std::os::unix::fs::symlink("nowhere", &blocker).unwrap();
    let host = project.serve().await;
    let refusal = set(&host, 0).await;
    assert_eq!(refusal["payload"]["code"], "unavailable", "{refusal}");
    let message = refusal["payload"]["message"].as_str().unwrap();
    assert!(
        !message.contains(project.path("").to_str().unwrap()),
        "a guest learns the host's folders: {message}"
    );
    assert_eq!(
        host.tool("keeper", "answer", json!({})).await.text(),
        "fine"
    );
    std::fs::remove_file(blocker).unwrap();
    assert_eq!(set(&host, 0).await["kind"], "Success");
}

#[test]
fn a_state_folder_that_is_named_and_cannot_be_made_is_refused_at_the_start() {
    let project = Project::new().config(&format!("{KEEPER}[state]\ndir = 'blocker/state'\n"));
    project.write("blocker", "a file where a folder should be");
    let ran = project.run(["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    let last = ran.stderr.lines().last().unwrap();
    assert!(
        last.contains("blocker/state") && last.contains("`state.dir`"),
        "{last}"
    );
}

/// Checks that the plugins serve, and that the log says that the cache does not.
async fn assert_serves_without_cache(project: &Project) {
    let host = project.serve().await;
    assert_eq!(
        host.tool("tl", "repo_status", json!({})).await.structured()["branch"],
        "main"
    );
    project.put_plugin("greeter.wat", Guest::answering("hello").wat());
    host.reload().await;
    assert_eq!(
        host.tool("greeter", "answer", json!({})).await.text(),
        "hello"
    );
    let log = host.log();
    assert!(
        log.lines()
            .any(|line| line.contains("WARN") && line.contains("compile")),
        "{log}"
    );
}

#[tokio::test]
async fn with_a_full_disk_under_the_cache_plugins_load_and_the_log_warns() {
    let project = Project::new().own_cache();
    let cache = project.home("cache/exomonad");
    assert_serves_without_cache(&project.small_disk(cache, 64)).await;
}

#[tokio::test]
async fn with_a_cache_that_cannot_be_made_plugins_load_and_the_log_warns() {
    let project = Project::new().config("[plugins]\ncache_dir = 'blocker/cache'\n");
    project.write("blocker", "a file where a folder should be");
    assert_serves_without_cache(&project).await;
}

#[tokio::test]
async fn a_cache_that_others_may_write_is_not_trusted() {
    let project = Project::new().own_cache();
    let cache = project.home("cache/exomonad");
    std::fs::create_dir_all(&cache).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&cache, open).unwrap();
    assert_serves_without_cache(&project).await;
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
}
