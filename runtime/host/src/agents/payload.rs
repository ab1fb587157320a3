//! The payload of an agent's event. The agents use much the same fields under a few names.

use exomonad_schema::RawJson;
use exomonad_schema::common::AgentEvent;
use serde::Deserialize;
use serde_json::Value;

use super::Agent;
use crate::error::HostError;

/// The fields of all agents. One of an unexpected type says nothing here; the guest has the payload as it was.
#[derive(Deserialize)]
struct Payload {
    #[serde(default, alias = "conversation_id", alias = "sessionID")]
    session_id: Value,
    #[serde(default)]
    cwd: Value,
    /// Cursor's.
    #[serde(default)]
    workspace_roots: Value,
    #[serde(default, alias = "tool")]
    tool_name: Value,
    #[serde(default, alias = "args")]
    tool_input: RawJson,
    #[serde(
        default,
        alias = "tool_output",
        alias = "result_json",
        alias = "output"
    )]
    tool_response: RawJson,
    /// Gemini's.
    #[serde(default)]
    mcp_context: Value,
    /// Cursor's.
    #[serde(default)]
    command: Value,
    /// Cursor's.
    #[serde(default)]
    file_path: Value,
    #[serde(default)]
    prompt: Value,
    #[serde(default, alias = "last_assistant_message", alias = "prompt_response")]
    message: Value,
}

/// The fields of a tool's arguments that many tools have.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Arguments {
    command: Value,
    #[serde(alias = "filePath", alias = "path", alias = "notebook_path")]
    file_path: Value,
}

pub(super) fn read(agent: Agent, name: &str, payload: &RawJson) -> Result<AgentEvent, HostError> {
    let refused = |why: String| {
        let expected = "the payload of a hook is one JSON object, with each key once";
        HostError::InvalidRequest(format!("{expected}: {why}"))
    };
    if !payload.get().starts_with('{') {
        return Err(refused("it is none".to_owned()));
    }
    let mut said: Payload = payload
        .parse()
        .map_err(|error| refused(error.to_string()))?;
    // Cursor sends the arguments of MCP tools as a string.
    let arguments = match said.tool_input.parse::<String>() {
        Ok(text) => RawJson::from_text(text).unwrap_or(said.tool_input),
        Err(_) => said.tool_input,
    };
    let of_tool: Arguments = arguments.parse().unwrap_or_default();
    let tool = text(said.tool_name);
    let of_gemini = said.mcp_context.get_mut("server_name").map(Value::take);
    let server = of_gemini.and_then(text).or_else(|| {
        // Claude Code and Codex call a tool of a server so.
        let (server, _) = tool.as_deref()?.strip_prefix("mcp__")?.split_once("__")?;
        Some(server.to_owned())
    });
    Ok(AgentEvent {
        agent: agent.name().to_owned(),
        name: name.to_owned(),
        session_id: text(said.session_id),
        cwd: text(said.cwd).or_else(|| match said.workspace_roots {
            Value::Array(mut roots) if !roots.is_empty() => text(roots.swap_remove(0)),
            _ => None,
        }),
        tool,
        server,
        command: command(said.command).or_else(|| command(of_tool.command)),
        path: text(said.file_path).or_else(|| text(of_tool.file_path)),
        arguments: present(arguments),
        answer: present(said.tool_response),
        prompt: text(said.prompt),
        message: text(said.message),
    })
}

fn present(json: RawJson) -> Option<RawJson> {
    (json.get() != "null").then_some(json)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A command as a line of shell. Codex has tools that take the words of one.
fn command(value: Value) -> Option<String> {
    match value {
        Value::String(line) => Some(line),
        Value::Array(words) => {
            let words: Option<Vec<_>> = words.into_iter().map(text).collect();
            let quoted = words?.into_iter().map(|word| quoted(&word));
            Some(quoted.collect::<Vec<_>>().join(" "))
        }
        _ => None,
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use serde_json::json;

    use super::*;

    fn read_json(agent: Agent, name: &str, payload: &Value) -> AgentEvent {
        read(
            agent,
            name,
            &RawJson::from_text(payload.to_string()).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn the_same_command_of_five_agents_reads_the_same() {
        let line = "git push --force";
        let payloads = [
            (
                Agent::Claude,
                "PreToolUse",
                json!({"session_id": "s", "cwd": "/w", "tool_name": "Bash", "tool_input": {"command": line}}),
            ),
            (
                Agent::Codex,
                "PreToolUse",
                json!({"session_id": "s", "cwd": "/w", "tool_name": "Bash", "tool_input": {"command": ["git", "push", "--force"]}}),
            ),
            (
                Agent::Gemini,
                "BeforeTool",
                json!({"session_id": "s", "cwd": "/w", "tool_name": "run_shell_command", "tool_input": {"command": line}}),
            ),
            (
                Agent::Cursor,
                "beforeShellExecution",
                json!({"conversation_id": "s", "workspace_roots": ["/w"], "command": line}),
            ),
            (
                Agent::Opencode,
                "tool.execute.before",
                json!({"sessionID": "s", "cwd": "/w", "tool": "bash", "args": {"command": line}}),
            ),
        ];
        for (agent, name, payload) in payloads {
            let event = read_json(agent, name, &payload);
            assert_eq!(event.command.as_deref(), Some(line), "{agent:?}");
            assert_eq!(event.session_id.as_deref(), Some("s"), "{agent:?}");
            assert_eq!(event.cwd.as_deref(), Some("/w"), "{agent:?}");
            assert_eq!(
                (event.agent.as_str(), event.name.as_str()),
                (agent.name(), name)
            );
        }
    }

    #[test]
    fn the_server_of_an_mcp_tool_is_told() {
        let payload = json!({"tool_name": "mcp__tl__file_pr", "tool_input": {"title": "t"}});
        let event = read_json(Agent::Claude, "PreToolUse", &payload);
        assert_eq!(event.server.as_deref(), Some("tl"));
        let payload = json!({"tool_name": "file_pr", "mcp_context": {"server_name": "tl"}});
        let event = read_json(Agent::Gemini, "BeforeTool", &payload);
        assert_eq!(event.server.as_deref(), Some("tl"));
        let payload = json!({"tool_name": "file_pr", "tool_input": r#"{"title":"t"}"#});
        let event = read_json(Agent::Cursor, "beforeMCPExecution", &payload);
        assert_eq!(event.arguments.unwrap().get(), r#"{"title":"t"}"#);
    }

    #[test]
    fn words_keep_their_borders_in_a_line_of_shell() {
        let words = json!(["bash", "-lc", "echo 'a b' && git push --force", ""]);
        let line = r"bash -lc 'echo '\''a b'\'' && git push --force' ''";
        assert_eq!(command(words).as_deref(), Some(line));
        assert_eq!(command(json!(["ls", 1])), None);
    }

    #[test]
    fn a_payload_that_says_a_thing_twice_is_refused() {
        for payload in [
            "[]",
            "null",
            r#"{"command":"ls","command":"rm -rf /"}"#,
            r#"{"tool":"a","tool_name":"b"}"#,
        ] {
            let payload = RawJson::from_text(payload.to_owned()).unwrap();
            assert!(
                read(Agent::Cursor, "beforeShellExecution", &payload).is_err(),
                "{payload:?}"
            );
        }
    }
}
