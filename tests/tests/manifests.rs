//! Plugins of several modules, and those that have to start up.

use exomonad_test_support::{Guest, OWN_TEXT, Project};
use serde_json::json;
use sha2::{Digest, Sha256};

/// A module that a plugin is linked with: it knows one number.
fn number(value: i32) -> Vec<u8> {
    wat(&format!(
        r#"(module (func (export "number") (result i32) (i32.const {value})))"#
    ))
}

fn wat(text: &str) -> Vec<u8> {
    // The engine reads text as well; a digest is of the bytes as they lie there.
    text.as_bytes().to_vec()
}

/// A plugin that says what the module `numbers` knows.
fn asker() -> Vec<u8> {
    let text = r#"{"content":[{"type":"text","text":"4?"}]}"#;
    let digit = OWN_TEXT + text.find('?').unwrap();
    Guest::answering("")
        .import("numbers", "number", "(result i32)")
        .without("handle_mcp_call")
        .text(text)
        .export(
            "handle_mcp_call",
            &format!("(i32.store8 (i32.const {digit}) (i32.add (i32.const 48) (call $number))) (call $give (call $text))"),
        )
        .wasm()
}

fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn manifest(numbers: &[u8]) -> String {
    format!(
        "[[wasm]]\npath = 'numbers.wat'\nname = 'numbers'\nhash = '{}'\n[[wasm]]\npath = 'asker.wasm'\nname = 'main'\n",
        hexadecimal(numbers)
    )
}

/// A project with the plugin `oracle` of two modules.
fn oracle(known: i32) -> Project {
    Project::new()
        .plugin("oracle/numbers.wat", number(known))
        .plugin("oracle/asker.wasm", asker())
        .plugin("oracle/plugin.toml", manifest(&number(known)))
}

#[tokio::test]
async fn a_manifest_links_two_modules_into_one_plugin() {
    let project = oracle(2);
    let host = project.serve().await;
    assert_eq!(host.tool("oracle", "answer", json!({})).await.text(), "42");
    let source = host.role("oracle").await["plugin"]["source"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(source.ends_with("oracle/plugin.toml"), "{source}");
}

#[tokio::test]
async fn a_module_with_another_hash_than_the_manifest_says_is_refused() {
    let project = oracle(2);
    let host = project.serve().await;
    project.put_plugin("oracle/numbers.wat", number(3));
    host.reload().await;
    let problem = host.problem("oracle").await;
    assert!(problem.contains("`numbers`"), "{problem}");
    assert!(
        problem.contains(&hexadecimal(&number(2))) && problem.contains(&hexadecimal(&number(3))),
        "{problem}"
    );
    assert_eq!(
        host.tool("oracle", "answer", json!({})).await.text(),
        "42",
        "the old version serves"
    );
    project.put_plugin("oracle/plugin.toml", manifest(&number(3)));
    host.reload().await;
    assert_eq!(host.problem("oracle").await, "");
    assert_eq!(host.tool("oracle", "answer", json!({})).await.text(), "43");
}

#[tokio::test]
async fn an_error_names_the_mistake_in_a_manifest() {
    let project = oracle(2);
    let host = project.serve().await;
    for (content, words) in [
        ("[[wasm]\n", "plugin.toml"),
        ("wasm = []\n", "names no module"),
        ("[[wasm]]\npath = 'missing.wasm'\n", "missing.wasm"),
        (
            "[[wasm]]\nurl = 'https://example.com/a.wasm'\n",
            "download it",
        ),
        ("[[wasm]]\npath = 'asker.wasm'\n", "numbers"),
    ] {
        project.put_plugin("oracle/plugin.toml", content);
        host.reload().await;
        let problem = host.problem("oracle").await;
        assert!(problem.contains(words), "{content}: {problem}");
        assert_eq!(
            host.tool("oracle", "answer", json!({})).await.text(),
            "42",
            "{content}"
        );
    }
}

#[tokio::test]
async fn a_folder_and_a_file_of_one_name_are_both_named() {
    let project = oracle(2).plugin("oracle.wasm", Guest::answering("").wasm());
    let host = project.serve().await;
    let problem = host.problem("oracle").await;
    assert!(
        problem.contains("oracle.wasm") && problem.contains("oracle/plugin.toml"),
        "{problem}"
    );
}

/// Some fifty milliseconds of start-up.
const ROUNDS: u64 = 50_000_000;

#[tokio::test]
async fn a_start_up_is_paid_once_and_each_sandbox_begins_after_it() {
    let slow = Guest::answering("ready").starting_up(ROUNDS);
    let project = Project::new()
        .plugin("slow.wasm", slow.wasm())
        .plugin("quick.wasm", Guest::answering("ready").wasm());
    let host = project.serve().await;
    assert_eq!(host.role("slow").await["plugin"]["snapshot"], "taken");
    assert_eq!(host.role("quick").await["plugin"]["snapshot"], "not_needed");
    for _ in 0..20 {
        assert_eq!(host.tool("slow", "answer", json!({})).await.text(), "ready");
    }
}

#[tokio::test]
async fn a_start_up_longer_than_a_call_may_take_is_no_part_of_the_call() {
    // The start-up takes some seconds: calls that had to repeat it would run into the limit.
    let project = Project::new()
        .config("[role.slow.limits]\nwall_time = '500ms'\n")
        .plugin(
            "slow.wasm",
            Guest::answering("ready").starting_up(ROUNDS * 60).wasm(),
        );
    let host = project.serve().await;
    assert_eq!(host.role("slow").await["plugin"]["snapshot"], "taken");
    assert_eq!(host.tool("slow", "answer", json!({})).await.text(), "ready");
}

#[tokio::test]
async fn snapshots_can_be_turned_off() {
    let project = Project::new()
        .config("[plugins]\nsnapshot = false\n")
        .plugin(
            "slow.wasm",
            Guest::answering("ready").starting_up(1000).wasm(),
        );
    let host = project.serve().await;
    assert_eq!(host.role("slow").await["plugin"]["snapshot"], "off");
    assert_eq!(host.tool("slow", "answer", json!({})).await.text(), "ready");
}

#[tokio::test]
async fn a_second_start_finds_its_compiled_plugins_and_answers_the_same() {
    let project = Project::new().own_cache().plugin(
        "slow.wasm",
        Guest::answering("ready").starting_up(ROUNDS).wasm(),
    );
    let first = project.serve().await.role("slow").await;
    let cached = std::fs::read_dir(project.home("cache/exomonad"))
        .unwrap()
        .count();
    assert!(cached >= 3, "tl, echo and this one: {cached}");
    let host = project.serve().await;
    let second = host.role("slow").await;
    assert_eq!(second["plugin"]["snapshot"], "taken");
    assert_eq!(second["plugin"]["digest"], first["plugin"]["digest"]);
    assert_eq!(host.tool("slow", "answer", json!({})).await.text(), "ready");
    assert_eq!(
        std::fs::read_dir(project.home("cache/exomonad"))
            .unwrap()
            .count(),
        cached
    );
}

#[tokio::test]
async fn a_damaged_cache_costs_time_and_nothing_else() {
    let project = Project::new().own_cache();
    drop(project.serve().await);
    for file in std::fs::read_dir(project.home("cache/exomonad")).unwrap() {
        let path = file.unwrap().path();
        let mut content = std::fs::read(&path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 0xff;
        std::fs::write(&path, content).unwrap();
    }
    let host = project.serve().await;
    assert_eq!(
        host.tool("tl", "repo_status", json!({})).await.structured()["branch"],
        "main"
    );
}

#[tokio::test]
async fn a_manifest_of_thousands_of_modules_is_a_problem_and_no_end_of_the_host() {
    let modules: Vec<_> = (0..20_000)
        .map(|number| json!({"name": format!("m{number}"), "data": "AGFzbQEAAAA="}))
        .collect();
    let project = oracle(2).plugin("chain/plugin.json", json!({"wasm": modules}).to_string());
    let host = project.serve().await;
    let problem = host.problem("chain").await;
    assert!(problem.contains("names 20000 modules"), "{problem}");
    assert_eq!(host.tool("oracle", "answer", json!({})).await.text(), "42");
}
