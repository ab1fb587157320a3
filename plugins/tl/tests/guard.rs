//! The decisions of the hook on commands.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use exomonad_guest::prelude::*;
use exomonad_guest::testing::FakeHost;
use serde_json::{Value, json};
use tl::PLUGIN;

fn decision(payload: &Value) -> HookDecision {
    let host = FakeHost::new();
    host.call_hook(&PLUGIN, HookEvent::PreToolUse, payload)
        .unwrap()
        .decision
}

fn decision_on(command: &str) -> HookDecision {
    decision(&json!({ "tool_name": "Bash", "tool_input": { "command": command } }))
}

/// `tests/tests/hooks.rs` runs the same table over both plugins, built for a host.
#[test]
fn each_command_gets_the_decision_in_the_table() {
    #[derive(Deserialize)]
    struct Case {
        command: String,
        decision: HookDecision,
    }
    let cases: Vec<Case> = serde_json::from_str(include_str!("../guard-cases.json")).unwrap();
    for Case {
        command,
        decision: wanted,
    } in cases
    {
        assert_eq!(decision_on(&command), wanted, "{command}");
    }
}

#[test]
fn a_tool_that_runs_no_command_gets_no_decision() {
    for payload in [
        json!({ "tool_name": "Read", "tool_input": { "path": "rm -rf" } }),
        json!({ "tool_name": "Odd", "tool_input": { "command": null } }),
        json!({ "tool_name": "Odd", "tool_input": "rm -rf" }),
        json!(null),
    ] {
        assert_eq!(decision(&payload), HookDecision::Pass, "{payload}");
    }
}

#[test]
fn the_user_is_asked_about_a_command_that_is_not_text() {
    for command in [json!(["rm", "-rf", "x"]), json!(7)] {
        let payload = json!({ "tool_name": "Odd", "tool_input": { "command": command } });
        assert_eq!(decision(&payload), HookDecision::Ask, "{payload}");
    }
}
