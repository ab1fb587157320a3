//! The hook that protects work from destructive commands.

use exomonad_guest::prelude::*;

use crate::shell::{each_command, has_flag, program};

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
    ForcedRemoval,
    ForcedPush,
}

/// Denies a forced push, asks before a forced removal and before a command that
/// it cannot parse, and has no opinion on anything else.
#[hook(pre_tool_use)]
pub fn guard_commands(input: &HookInput) -> HookOutput {
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
        worst = worst.max(if is_forced_push(command) {
            Verdict::ForcedPush
        } else if is_forced_removal(command) {
            Verdict::ForcedRemoval
        } else {
            Verdict::Harmless
        });
    });
    match worst {
        Verdict::Harmless => HookOutput::pass(),
        Verdict::ForcedRemoval => {
            HookOutput::ask("This removes files for good, without asking for each.")
        }
        Verdict::ForcedPush => HookOutput::deny(
            "A forced push can destroy the work of others. Push to a new branch, or ask the user to push.",
        ),
    }
}

/// `git push` with `--force`, `-f`, `--force-with-lease`, `--mirror`, or a `+refspec`.
fn is_forced_push(command: &[String]) -> bool {
    if program(command) != "git" {
        return false;
    }
    let Some(push) = command.iter().position(|word| word == "push") else {
        return false;
    };
    command[push + 1..].iter().any(|word| {
        word.starts_with("--force")
            || word == "--mirror"
            || has_flag(word, 'f')
            || word.starts_with('+')
    })
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
