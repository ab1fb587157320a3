//! The hook that protects work from destructive commands.

use exomonad_guest::prelude::*;

use crate::shell::{UNKNOWN, each_command, has_flag, program};

/// An agent's data about a tool that it is about to use.
#[derive(Deserialize)]
struct ToolUse {
    #[serde(default)]
    tool_input: Json,
}

#[derive(Deserialize)]
struct ToolInput {
    /// The shell command, for tools that run one.
    command: Option<Json>,
}

/// Ordered by severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Harmless,
    UnknownPush,
    ForcedRemoval,
    DeletingPush,
    ForcedPush,
}

/// Denies a push that is forced or deletes, asks before one that the shell completes,
/// before a forced removal and before a command that it cannot parse, and has no opinion
/// on anything else.
#[hook(pre_tool_use)]
pub fn guard_commands(input: &HookInput) -> HookOutput {
    // An agent that the host knows has told the command; what it tells otherwise may hold one.
    let of_agent = input.agent_event.as_ref();
    if let Some(line) = of_agent.and_then(|event| event.command.as_deref()) {
        return judge(line);
    }
    match command_of(&input.payload) {
        Ok(None) => HookOutput::pass(),
        Ok(Some(line)) => judge(&line),
        Err(_) => HookOutput::ask("What it would run is no text that the guard can read."),
    }
}

/// The shell command, for tools that run one. An input of another shape
/// belongs to another tool; an object that cannot be parsed may hold a command.
fn command_of(payload: &Json) -> serde_json::Result<Option<String>> {
    if !payload.get().starts_with('{') {
        return Ok(None);
    }
    let tool_input = payload.parse::<ToolUse>()?.tool_input;
    if !tool_input.get().starts_with('{') {
        return Ok(None);
    }
    match tool_input.parse::<ToolInput>()?.command {
        Some(command) => command.parse(),
        None => Ok(None),
    }
}

fn judge(line: &str) -> HookOutput {
    let mut worst = Verdict::Harmless;
    each_command(line, &mut |command| {
        worst = worst.max(if is_forced_removal(command) {
            Verdict::ForcedRemoval
        } else {
            judge_push(command)
        });
    });
    match worst {
        Verdict::Harmless => HookOutput::pass(),
        Verdict::UnknownPush => HookOutput::ask(
            "What it pushes depends on what the shell fills in. With the names written out the guard can tell.",
        ),
        Verdict::ForcedRemoval => {
            HookOutput::ask("This removes files for good, without asking for each.")
        }
        Verdict::DeletingPush => HookOutput::deny(
            "This deletes what is on the remote, which may be the work of others. Ask the user to delete it.",
        ),
        Verdict::ForcedPush => HookOutput::deny(
            "A forced push can destroy the work of others. Push to a new branch, or ask the user to push.",
        ),
    }
}

/// Options that delete what is on the remote. Git takes their beginnings, too.
const DELETING: [&str; 3] = ["--delete", "--mirror", "--prune"];

/// `git push`: forced (`--force`, `-f`, `--force-with-lease`, a `+refspec`), deleting
/// (`--delete`, `-d`, `--mirror`, `--prune`, a `:refspec`), or completed by the shell.
fn judge_push(command: &[String]) -> Verdict {
    let push = command
        .windows(2)
        .position(|words| words[1] == "push" && words[0] != "stash");
    let (Some(before), "git") = (push, program(command)) else {
        return Verdict::Harmless;
    };
    let verdicts = command[before + 2..].iter().map(|word| {
        let is_deleting = |option: &&str| word.len() > 3 && option.starts_with(word.as_str());
        if word.starts_with("--for") || has_flag(word, 'f') || word.starts_with('+') {
            Verdict::ForcedPush
        } else if DELETING.iter().any(is_deleting)
            || has_flag(word, 'd')
            || (word.starts_with(':') && word != ":")
        {
            Verdict::DeletingPush
        } else if word.contains(UNKNOWN) {
            Verdict::UnknownPush
        } else {
            Verdict::Harmless
        }
    });
    verdicts.max().unwrap_or(Verdict::Harmless)
}

/// `rm` that is recursive and does not ask.
fn is_forced_removal(command: &[String]) -> bool {
    let has = |short: &[char], long: &str| {
        command
            .iter()
            .any(|word| word == long || short.iter().any(|flag| has_flag(word, *flag)))
    };
    program(command) == "rm" && has(&['r', 'R'], "--recursive") && has(&['f'], "--force")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn an_object_that_cannot_be_read_may_hold_a_command() {
        let read = |payload: &str| command_of(&Json::from_text(payload.to_owned()).unwrap());
        for unreadable in [
            r#"{"tool_input":{"command":"rm -rf \ud83d"}}"#,
            r#"{"tool_input":{"command":"ls","command":"rm -rf x"}}"#,
            r#"{"tool_input":{"command":"rm -rf x"},"tool_input":{}}"#,
        ] {
            assert!(read(unreadable).is_err(), "{unreadable}");
        }
        let other_text_is_not_read = r#"{"tool_input":{"command":"ls","why":"\ud83d"}}"#;
        assert_eq!(read(other_text_is_not_read).unwrap().unwrap(), "ls");
    }
}
