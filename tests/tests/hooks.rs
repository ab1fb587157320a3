//! Hooks: a plugin decides on what an agent is about to do.

use exomonad_test_support::{Guest, Host, Project};
use serde_json::{Value, json};

async fn decide(host: &Host, command: &str) -> Value {
    let event = json!({"tool_name": "Bash", "tool_input": {"command": command}});
    let answer = host
        .post("/role/tl/hook/pre_tool_use", event.to_string())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_command_is_denied_asked_about_or_passed() {
    let project = Project::new();
    let host = project.serve().await;
    let denied = decide(&host, "cd /tmp && git push --force origin main").await;
    assert_eq!(denied["decision"], "deny");
    assert!(denied["reason"].as_str().unwrap().contains("forced push"));
    let asked = decide(&host, "rm -rf build").await;
    assert_eq!(asked["decision"], "ask");
    assert!(asked["reason"].is_string());
    assert_eq!(decide(&host, "git status").await["decision"], "pass");
    assert_eq!(
        decide(&host, "git push origin main").await["decision"],
        "pass"
    );
}

/// The table that the unit tests of `plugins/tl` read: whichever language the plugin is in, it decides so.
#[tokio::test]
async fn each_command_of_the_table_is_decided_as_it_says() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../plugins/tl/guard-cases.json")).unwrap();
    let project = Project::new();
    let host = project.serve().await;
    for case in cases {
        let command = case["command"].as_str().unwrap();
        let answer = decide(&host, command).await;
        assert_eq!(answer["decision"], case["decision"], "{command}");
    }
    for unreadable in [json!(["rm", "-rf", "x"]), json!(7)] {
        let event = json!({"tool_name": "Bash", "tool_input": {"command": unreadable}});
        let answer = host
            .post("/role/tl/hook/pre_tool_use", event.to_string())
            .await;
        assert_eq!(answer.json()["decision"], "ask", "{event}");
    }
}

#[tokio::test]
async fn a_long_command_is_decided_on_within_the_memory_of_a_sandbox() {
    let project = Project::new();
    let host = project.serve().await;
    for part in ["echo ok;", "a word and a ", "'quoted' ", "\\l"] {
        let long = part.repeat(1_500_000 / part.len());
        let harmless = decide(&host, &long).await;
        assert_eq!(harmless["decision"], "pass", "{part}");
        let forced = decide(&host, &format!("{long}; git push -f")).await;
        assert_eq!(forced["decision"], "deny", "{part}");
    }
}

#[tokio::test]
async fn a_plugin_may_allow_and_change_what_the_tool_is_given() {
    let output = json!({"decision": "allow", "payload": {"command": "ls -l"}});
    let guest = Guest::answering("")
        .text(&output.to_string())
        .export("handle_pre_tool_use", "(call $give (call $text))");
    let project = Project::new().plugin("kind.wat", guest.wat());
    let host = project.serve().await;
    let answer = host.post("/role/kind/hook/pre_tool_use", "{}").await;
    assert_eq!(answer.json(), output);
}

#[tokio::test]
async fn events_that_nobody_handles_are_not_found() {
    let project = Project::new();
    let host = project.serve().await;
    let unhandled = host
        .post("/role/tl/hook/session_end", "{}")
        .await
        .problem(404, "hook_not_found");
    assert!(unhandled.contains("pre_tool_use"), "{unhandled}");
    let unknown = host
        .post("/role/tl/hook/lunch", "{}")
        .await
        .problem(404, "hook_not_found");
    assert!(unknown.contains("lunch"), "{unknown}");
    host.post("/role/tl/hook/pre_tool_use", "not json")
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn a_guest_that_fails_has_decided_nothing() {
    let guest = Guest::answering("").text(r#"{"decision":"perhaps"}"#);
    let undecided = guest
        .clone()
        .export("handle_pre_tool_use", "(call $give (call $text))");
    let trapping = guest.export("handle_pre_tool_use", "unreachable");
    let project = Project::new()
        .plugin("undecided.wat", undecided.wat())
        .plugin("trapping.wat", trapping.wat());
    let host = project.serve().await;
    host.post("/role/undecided/hook/pre_tool_use", "{}")
        .await
        .problem(502, "invalid_answer");
    host.post("/role/trapping/hook/pre_tool_use", "{}")
        .await
        .problem(502, "guest_trapped");
}
