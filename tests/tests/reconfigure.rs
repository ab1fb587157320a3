//! The configuration is read again while the host runs: by `/reload` and by SIGHUP.

use exomonad_test_support::{Host, Project, ToolResult, eventually};
use serde_json::json;

async fn repo_status(host: &Host) -> ToolResult {
    host.tool("tl", "repo_status", json!({})).await
}

#[tokio::test]
async fn reload_puts_a_changed_configuration_into_force() {
    let project = Project::new().config("[role.tl]\neffects = []\n");
    let host = project.serve().await;
    assert!(repo_status(&host).await.is_error());
    project.write("exomonad.toml", "[role.tl]\neffects = [\"git.*\"]\n");
    let changes = host.reload().await;
    assert_eq!(
        changes["configuration"],
        json!({"applied": true}),
        "{changes}"
    );
    assert!(!repo_status(&host).await.is_error());
    let unchanged = host.reload().await;
    assert_eq!(unchanged.get("configuration"), None, "{unchanged}");
}

#[tokio::test]
async fn a_wrong_configuration_leaves_the_old_one_in_force() {
    let project = Project::new().config("[role.tl]\neffects = [\"git.*\"]\n");
    let host = project.serve().await;
    project.write("exomonad.toml", "[role.tl]\neffect = []\n");
    let changes = host.reload().await;
    assert_eq!(changes["configuration"]["applied"], false, "{changes}");
    let problem = changes["configuration"]["problem"].as_str().unwrap();
    assert!(problem.contains("exomonad.toml:2:1"), "{problem}");
    assert!(!repo_status(&host).await.is_error());
    host.logs("the old one stays in force", 1).await;
}

#[tokio::test]
async fn sighup_reloads_and_roles_come_and_go() {
    let project = Project::new().config("[role.tl]\n[role.dev]\nplugin = \"tl\"\n");
    let host = project.serve().await;
    assert_eq!(host.get("/role/dev/mcp/tools").await.status, 200);
    project.write("exomonad.toml", "[role.tl]\n[role.lead]\nplugin = \"tl\"\n");
    host.signal(1);
    eventually("the new role serves", async || {
        let tools = host.get("/role/lead/mcp/tools").await;
        (tools.status == 200).then_some(())
    })
    .await;
    assert_eq!(host.get("/role/dev/mcp/tools").await.status, 404);
}

#[tokio::test]
async fn keys_of_the_process_are_named_as_needing_a_restart() {
    let project = Project::new().config("[role.tl]\n");
    let host = project.serve().await;
    project.write("exomonad.toml", "[role.tl]\n[log]\nfilter = \"debug\"\n");
    let changes = host.reload().await;
    assert_eq!(
        changes["configuration"],
        json!({"applied": true, "needsRestart": ["log"]}),
        "{changes}"
    );
}

#[tokio::test]
async fn plugins_that_a_listed_role_hides_are_named() {
    let project = Project::new();
    let echo = std::fs::read(exomonad_test_support::repository().join("plugins/dist/echo.wasm"));
    let project = project
        .plugin("parrot.wasm", echo.unwrap())
        .config("[role.tl]\n");
    let host = project.serve().await;
    host.logs("these plugins are not served", 1).await;
    assert!(host.log().contains("parrot"), "{}", host.log());
}

#[tokio::test]
async fn a_hint_that_is_pasted_keeps_what_holds() {
    let project = Project::new();
    let denied = project.run(["policy", "explain", "tl", "kv.set"]).exits(1);
    let (_, block) = denied.stdout.split_once("\n\n").unwrap();
    project.write("exomonad.toml", block);
    project.run(["policy", "explain", "tl", "kv.set"]).exits(0);
    project
        .run(["policy", "explain", "tl", "git.status"])
        .exits(0);
    let roles = project.run(["roles", "--local"]).exits(0).stdout;
    assert!(roles.contains("echo") && roles.contains("tl"), "{roles}");
}

#[tokio::test]
async fn the_answer_of_a_reload_begins_with_whether_all_is_in_force() {
    let project = Project::new();
    let host = project.serve().await;
    let fine = host.post("/reload", "").await.text();
    assert!(fine.starts_with(r#"{"ok":true,"failed":{}"#), "{fine}");
    project.put_plugin("broken.wasm", "no module");
    let failed = host.post("/reload", "").await;
    assert_eq!(failed.status, 200);
    let text = failed.text();
    assert!(
        text.starts_with(r#"{"ok":false,"failed":{"broken":"#),
        "{text}"
    );
    std::fs::remove_file(project.plugin_path("broken.wasm")).unwrap();
    project.write("exomonad.toml", "[rolle.tl]\n");
    let refused = host.reload().await;
    assert_eq!(refused["ok"], false, "{refused}");
}
