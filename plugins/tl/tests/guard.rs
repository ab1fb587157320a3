//! Which commands the hook lets an agent run.

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

#[test]
fn a_forced_push_is_denied_however_it_is_written() {
    for command in [
        "git push --force",
        "git push -f origin main",
        "git push origin +main",
        "git push --force-with-lease",
        "git -C ../other push -uf origin main",
        "cd x && GIT_TRACE=1 git push --force",
        "bash -c 'git push -f'",
        "/usr/bin/git push \"--force\"",
    ] {
        assert_eq!(decision_on(command), HookDecision::Deny, "{command}");
    }
}

#[test]
fn a_forced_removal_is_asked_about() {
    for command in [
        "rm -rf target",
        "rm -fr x",
        "rm -r -f x",
        "sudo rm --recursive --force /",
        "ls; rm -Rf x",
    ] {
        assert_eq!(decision_on(command), HookDecision::Ask, "{command}");
    }
}

#[test]
fn ordinary_commands_are_left_to_the_agent() {
    for command in [
        "git push",
        "git push -u origin fix",
        "git fetch --force",
        "rm -r build",
        "rm -f a.o",
        "echo 'git push --force'",
        "cargo test --release -- --force",
        "",
    ] {
        assert_eq!(decision_on(command), HookDecision::Pass, "{command}");
    }
}

#[test]
fn a_tool_that_runs_no_command_is_left_to_the_agent() {
    for payload in [
        json!({ "tool_name": "Read", "tool_input": { "path": "rm -rf" } }),
        json!({ "tool_name": "Odd", "tool_input": { "command": ["rm", "-rf"] } }),
        json!({ "tool_name": "Odd", "tool_input": "rm -rf" }),
        json!(null),
    ] {
        assert_eq!(decision(&payload), HookDecision::Pass, "{payload}");
    }
}
