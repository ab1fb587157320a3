//! The official conformance suite of MCP, against the host with the plugin `everything`.

use std::process::Command;

use exomonad_test_support::mcp::mcp_path;
use exomonad_test_support::{Project, end_with_parent, repository, shipped_plugin};

use crate::mcp_clients::Clients;

/// Every scenario may ask the client, and long work that breaks is not begun again.
const CONFIG: &str = "[role.everything]\neffects = [\"*\"]\n[workflows]\nrestarts = 0\n";

/// Runs what a revision requires, or all that the suite has for it. What fails is listed, with the reason, in
/// `tests/mcp-clients/expected-failures-REVISION.yml`; an entry that does not fail any more is a failure.
async fn check(revision: &str, selection: &[&str]) {
    let Some(clients) = Clients::find() else {
        return;
    };
    let (Some(node), Some(suite)) = (
        clients.node(),
        clients.package("@modelcontextprotocol/conformance/dist/index.js"),
    ) else {
        return;
    };
    let project = Project::new()
        .config(CONFIG)
        .plugin("everything.wasm", shipped_plugin("everything"));
    let host = project.serve().await;
    let baseline = repository().join(format!(
        "tests/mcp-clients/expected-failures-{revision}.yml"
    ));
    let mut command = Command::new(node);
    command
        .current_dir(project.path(""))
        .arg(suite)
        .arg("server");
    command.args([
        "--url",
        &format!("{}{}", host.url(), mcp_path("everything")),
    ]);
    command.args(selection);
    command.arg("--expected-failures").arg(baseline);
    let output = end_with_parent(&mut command).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = text
        .split_once("=== SUMMARY ===")
        .map_or(text.as_str(), |(_, summary)| summary);
    println!("{summary}");
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn revision_2025_03_26() {
    check("2025-03-26", &["--spec-version", "2025-03-26"]).await;
}

#[tokio::test]
async fn revision_2025_06_18() {
    check("2025-06-18", &["--spec-version", "2025-06-18"]).await;
}

#[tokio::test]
async fn revision_2025_11_25() {
    check("2025-11-25", &["--requirements", "2025-11-25"]).await;
}

#[tokio::test]
async fn revision_2026_07_28() {
    check("2026-07-28", &["--requirements", "2026-07-28"]).await;
}
