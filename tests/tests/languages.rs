//! The plugins of the contract suite in a running host: what only a host with a journal can show.

use std::fs;
use std::path::PathBuf;

use exomonad_test_support::{Project, repository, required_or_skip};
use serde_json::json;

use crate::workflows::{act, becomes, history, signal};

/// A workflow in each language, which waits, sleeps, writes, publishes its state, and outlives its host.
async fn greets(language: &str) {
    let folder = std::env::var_os("EXOMONAD_CONTRACT_PLUGINS").map_or_else(
        || repository().join("target/contract-plugins"),
        PathBuf::from,
    );
    let file = folder.join(format!("contract-{language}.wasm"));
    let module = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()));
    let Some(module) = required_or_skip(&file.display().to_string(), module) else {
        return;
    };
    let project = Project::new()
        .config(
            "[role.greeter]\neffects = ['kv.*', 'workflow.*', 'log.*']\n[engine]\ncompile_time = '5m'\n",
        )
        .plugin("greeter.wasm", module);
    let mut host = project.serve().await;
    let body = json!({
        "role": "greeter", "workflow": "greet", "workflowId": "w", "input": {"name": "Ada"},
    });
    let started = host.post("/workflows", body.to_string()).await;
    assert_eq!(started.status, 201, "{language}: {started:?}");
    becomes(&host, "w", "waiting").await;
    let stage = act(&host, "w", "query", json!({"name": "stage"})).await;
    assert_eq!(stage.json(), json!({"value": "begun"}), "{language}");
    // It goes on where it was, with no step done twice.
    host.signal(libc::SIGKILL);
    host.end().await;
    let host = project.serve().await;
    signal(&host, "w", "go", json!("at last")).await;
    let ended = becomes(&host, "w", "completed").await;
    assert_eq!(
        ended["output"],
        json!({"text": "Hello Ada, at last"}),
        "{language}"
    );
    let entries = history(&host, "w").await;
    let writes = entries
        .iter()
        .filter(|entry| entry.to_string().contains("kv.set"));
    assert_eq!(writes.count(), 1, "{language}: {entries:?}");
}

/// `tests/corpus/plugins` has the plugin `tl` as it was built for the first contract, with fewer effects and fields.
#[tokio::test]
async fn a_plugin_that_was_built_for_the_first_contract_serves() {
    let file = repository().join("tests/corpus/plugins/tl-of-2026-11-21.wasm");
    let project = Project::new().plugin("old.wasm", fs::read(file).unwrap());
    let host = project.serve().await;
    let status = host.tool("old", "repo_status", json!({})).await;
    assert!(!status.is_error(), "{}", status.text());
    assert_eq!(status.structured()["branch"], "main");
    let event = json!({"tool_name": "Bash", "tool_input": {"command": "git push --force"}});
    let asked = host
        .post("/role/old/hook/pre_tool_use", event.to_string())
        .await;
    assert_eq!(asked.json()["decision"], "deny", "{asked:?}");
}

macro_rules! languages {
    ($($language:ident)*) => {
        $(
            #[tokio::test]
            async fn $language() {
                greets(stringify!($language)).await;
            }
        )*
    };
}

languages! { rust go c cpp zig assemblyscript javascript }
