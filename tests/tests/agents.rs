//! Coding agents: their events reach a role's hook, its decision reaches them, and `init` writes their files.

use std::fs;
use std::os::unix::fs::symlink;

use exomonad_test_support::{CommandOutput, Guest, Host, Project};
use serde_json::{Value, json};

/// The event before a command runs, as each agent calls it, and what it says of one.
fn before_command(line: &str) -> [(&'static str, &'static str, Value); 6] {
    let tool = json!({"command": line});
    [
        (
            "claude",
            "PreToolUse",
            json!({"session_id": "s", "cwd": "/w", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": tool}),
        ),
        (
            "codex",
            "PreToolUse",
            json!({"session_id": "s", "turn_id": "1", "tool_name": "Bash", "tool_input": tool}),
        ),
        (
            "gemini",
            "BeforeTool",
            json!({"session_id": "s", "tool_name": "run_shell_command", "tool_input": tool}),
        ),
        (
            "cursor",
            "preToolUse",
            json!({"conversation_id": "s", "tool_name": "Shell", "tool_input": tool}),
        ),
        (
            "cursor",
            "beforeShellExecution",
            json!({"conversation_id": "s", "workspace_roots": ["/w"], "command": line}),
        ),
        (
            "opencode",
            "tool.execute.before",
            json!({"sessionID": "s", "callID": "c", "tool": "bash", "args": tool}),
        ),
    ]
}

fn hook(project: &Project, url: &str, agent: &str, event: &str, payload: &[u8]) -> CommandOutput {
    let words = [
        "hook", event, "--agent", agent, "--role", "tl", "--url", url,
    ];
    project.run_with_input(words, payload)
}

fn asked(
    project: &Project,
    host: &Host,
    agent: &str,
    event: &str,
    payload: &Value,
) -> CommandOutput {
    hook(
        project,
        &host.url(),
        agent,
        event,
        payload.to_string().as_bytes(),
    )
}

#[tokio::test]
async fn one_policy_denies_a_forced_push_of_each_agent() {
    let project = Project::new();
    let host = project.serve().await;
    for (agent, event, payload) in before_command("git push --force origin main") {
        let ran = asked(&project, &host, agent, event, &payload).exits(2);
        assert!(
            ran.stderr.contains("forced push"),
            "{agent} {event}: {ran:?}"
        );
        assert_eq!(ran.stdout, "", "{agent} {event}");
    }
    for (agent, event, payload) in before_command("git status") {
        let ran = asked(&project, &host, agent, event, &payload).exits(0);
        assert_eq!(ran.output(), "", "{agent} {event}");
    }
}

#[tokio::test]
async fn an_agent_that_can_ask_its_user_does_and_another_is_denied() {
    let project = Project::new();
    let host = project.serve().await;
    for (agent, event, payload) in before_command("rm -rf build") {
        let ran = asked(&project, &host, agent, event, &payload);
        match agent {
            "claude" => {
                let says = &ran.exits(0).json()["hookSpecificOutput"];
                assert_eq!(says["permissionDecision"], "ask", "{says}");
                assert_eq!(says["hookEventName"], event);
            }
            "cursor" => assert_eq!(ran.exits(0).json()["permission"], "ask"),
            _ => assert!(ran.exits(2).stderr.contains("Ask the user"), "{agent}"),
        }
    }
}

#[tokio::test]
async fn a_gate_that_cannot_be_asked_is_closed() {
    let project = Project::new();
    let host = project.serve().await;
    let nowhere = "http://127.0.0.1:9";
    for (agent, event, payload) in before_command("ls") {
        let payload = payload.to_string();
        let ran = hook(&project, nowhere, agent, event, payload.as_bytes()).exits(2);
        assert!(ran.stderr.contains("could not be asked"), "{ran:?}");
        for broken in [
            b"{".as_slice(),
            b"[]",
            b"\xff",
            br#"{"command":"ls","command":"rm"}"#,
        ] {
            hook(&project, &host.url(), agent, event, broken).exits(2);
        }
        let words = [
            "hook",
            event,
            "--agent",
            agent,
            "--role",
            "tl",
            "--url",
            nowhere,
            "--on-failure",
            "allow",
        ];
        let ran = project.run_with_input(words, payload.as_bytes()).exits(4);
        assert!(ran.stderr.contains("cannot be reached"), "{ran:?}");
        // A name that the agent does not have would never be asked about.
        hook(
            &project,
            &host.url(),
            agent,
            "PreTolUse",
            payload.as_bytes(),
        )
        .exits(2);
    }
    // A role that is not there cannot be asked either.
    let words = [
        "hook",
        "PreToolUse",
        "--agent",
        "claude",
        "--role",
        "nope",
        "--url",
        &host.url(),
    ];
    project.run_with_input(words, b"{}").exits(2);
    // Stopping is not what a gate guards.
    let ran = hook(&project, nowhere, "claude", "Stop", b"{}").exits(4);
    assert!(ran.stderr.contains("cannot be reached"), "{ran:?}");
}

#[tokio::test]
async fn a_plugin_without_the_hook_has_no_opinion() {
    let project = Project::new();
    let host = project.serve().await;
    let words = [
        "hook",
        "PreToolUse",
        "--agent",
        "claude",
        "--role",
        "echo",
        "--url",
        &host.url(),
    ];
    let ran = project.run_with_input(words, b"{}").exits(0);
    assert_eq!(ran.output(), "");
    let ran = hook(&project, &host.url(), "claude", "Notification", b"{}").exits(0);
    assert_eq!(ran.output(), "");
}

#[tokio::test]
async fn without_a_host_the_process_itself_decides_if_that_is_asked_for() {
    let project = Project::new();
    let [(agent, event, payload), ..] = before_command("git push -f");
    let words = ["hook", event, "--agent", agent, "--role", "tl", "--local"];
    let ran = project.run_with_input(words, payload.to_string().as_bytes());
    assert!(ran.exits(2).stderr.contains("forced push"));
}

#[tokio::test]
async fn a_plugin_gets_any_event_in_terms_that_all_agents_share() {
    let telling = Guest::answering("")
        .export("handle_other_event", "(call $give (call $text))")
        .text(r#"{"decision":"deny","reason":"no"}"#);
    let project = Project::new().plugin("tl.wat", telling.wat());
    let host = project.serve().await;
    let payload = json!({"tool_name": "Bash", "tool_input": {"command": "ls"}});
    let ran = asked(&project, &host, "claude", "PermissionRequest", &payload).exits(0);
    let decision = &ran.json()["hookSpecificOutput"]["decision"];
    assert_eq!(*decision, json!({"behavior": "deny", "message": "no"}));
    let ran = asked(&project, &host, "gemini", "BeforeModel", &json!({})).exits(0);
    assert_eq!(ran.json(), json!({"decision": "deny", "reason": "no"}));
    let wrong = host
        .post("/role/tl/hook/BeforeModel?agent=nope", "{}")
        .await;
    assert_eq!(wrong.status, 400, "{wrong:?}");
    assert!(
        wrong.json()["detail"]
            .as_str()
            .unwrap()
            .contains("opencode")
    );
}

fn tree(project: &Project) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![project.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() && !path.is_symlink() {
                true if path.ends_with(".git") || path.ends_with(".exomonad") => {}
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(project.path("")).unwrap();
                    let text = fs::read_to_string(&path).unwrap_or_default();
                    files.push((name.display().to_string(), text));
                }
            }
        }
    }
    files.sort();
    files
}

const AGENTS: [&str; 10] = [
    "--agent", "claude", "--agent", "codex", "--agent", "gemini", "--agent", "cursor", "--agent",
    "opencode",
];

#[test]
fn the_files_of_five_agents_are_written_once_and_removed_as_a_whole() {
    let project = Project::new();
    let before = tree(&project);
    let init = |more: &[&str]| project.run([&["init", "--role", "tl"], more].concat());
    let would = init(&[&AGENTS[..], &["--dry-run"]].concat()).exits(0);
    assert!(would.stdout.contains("would be added"), "{would:?}");
    assert_eq!(tree(&project), before);

    let did = init(&AGENTS).exits(0);
    assert!(did.stdout.contains("Next:"), "{did:?}");
    let written = tree(&project);
    let text = |name: &str| {
        let file = written.iter().find(|(path, _)| path == name);
        file.unwrap_or_else(|| panic!("{name}: {written:?}"))
            .1
            .clone()
    };
    let mcp: Value = serde_json::from_str(&text(".mcp.json")).unwrap();
    let server = json!({"command": "exomonad", "args": ["mcp", "--role", "tl"]});
    assert_eq!(mcp["mcpServers"]["exomonad-tl"], server);
    let settings: Value = serde_json::from_str(&text(".claude/settings.json")).unwrap();
    let command = &settings["hooks"]["PreToolUse"][0]["hooks"][0]["command"];
    assert_eq!(command, "exomonad hook PreToolUse --agent claude --role tl");
    assert!(text(".codex/config.toml").contains("[mcp_servers.exomonad-tl]"));
    assert!(text(".codex/hooks.json").contains("--agent codex"));
    assert!(text(".gemini/settings.json").contains("hook BeforeTool --agent gemini"));
    assert!(text(".cursor/hooks.json").contains("hook preToolUse --agent cursor"));
    assert!(text(".opencode/plugin/exomonad.js").contains(r#"const ROLE = "tl";"#));
    assert!(text("opencode.json").contains(r#""type": "local""#));
    // What it wrote is a configuration under which the role may do what it could.
    project.run(["config", "check"]).exits(0);
    assert!(text("exomonad.toml").contains("[role.tl]"));

    let again = init(&AGENTS).exits(0);
    assert!(again.stdout.starts_with("nothing to do"), "{again:?}");
    assert_eq!(tree(&project), written);

    project.run(["init", "--remove"]).exits(0);
    let mut left = tree(&project);
    left.retain(|(path, _)| path != "exomonad.toml");
    assert_eq!(left, before);
}

#[test]
fn agents_are_found_by_their_files_and_what_others_wrote_there_stays() {
    let project = Project::new();
    let refused = project.run(["init", "--role", "tl"]).exits(2);
    assert!(refused.stderr.contains("--agent claude"), "{refused:?}");
    let own = "{\n  // mine\n  \"model\": \"opus\",\n  \"hooks\": {\"Stop\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"./stop.sh\"}]}]}\n}\n";
    project.write(".claude/settings.json", own);
    project.run(["init", "--role", "tl"]).exits(0);
    let text = fs::read_to_string(project.path(".claude/settings.json")).unwrap();
    assert!(
        text.contains("// mine") && text.contains("./stop.sh"),
        "{text}"
    );
    assert!(text.contains("--agent claude --role tl"), "{text}");
    assert!(!project.path(".gemini").exists());
    project.run(["init", "--remove", "--role", "tl"]).exits(0);
    let text = fs::read_to_string(project.path(".claude/settings.json")).unwrap();
    assert!(
        text.contains("// mine") && text.contains("./stop.sh"),
        "{text}"
    );
    assert!(!text.contains("exomonad"), "{text}");
}

#[test]
fn a_file_that_cannot_be_kept_stops_it_before_anything_is_written() {
    let broken = Project::new();
    broken.write(".gemini/settings.json", "{ \"theme\": ");
    let before = tree(&broken);
    let words = [
        "init", "--role", "tl", "--agent", "claude", "--agent", "gemini",
    ];
    let refused = broken.run(words).exits(2);
    assert!(
        refused.stderr.contains(".gemini/settings.json"),
        "{refused:?}"
    );
    assert_eq!(tree(&broken), before);

    let own = Project::new();
    own.write(".opencode/plugin/exomonad.js", "// my own\n");
    let before = tree(&own);
    let words = ["init", "--role", "tl", "--agent", "opencode"];
    let refused = own.run(words).exits(2);
    assert!(refused.stderr.contains("exomonad.js"), "{refused:?}");
    own.run(["init", "--remove"]).exits(0);
    assert_eq!(tree(&own), before);

    let leading_out = Project::new();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), leading_out.path(".claude")).unwrap();
    let words = ["init", "--role", "tl", "--agent", "claude"];
    let refused = leading_out.run(words).exits(2);
    assert!(refused.stderr.contains("is a link"), "{refused:?}");
    assert!(fs::read_dir(outside.path()).unwrap().next().is_none());
    assert!(!leading_out.path(".mcp.json").exists());
}
