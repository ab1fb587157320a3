//! The hook that keeps an agent from commands that destroy work.

use exomonad_guest::prelude::*;

use crate::shell::{commands, program};

/// What an agent says of a tool it is about to use.
#[derive(Deserialize)]
struct ToolUse {
    #[serde(default)]
    tool_input: ToolInput,
}

#[derive(Default, Deserialize)]
struct ToolInput {
    /// The line of shell, of tools that run one.
    command: Option<String>,
}

/// Denies a forced push, asks before a forced removal, and has no opinion on
/// anything else.
#[hook(pre_tool_use)]
pub fn guard_commands(input: &HookInput) -> HookOutput {
    // A tool with an input of another shape is not one that runs commands.
    let Ok(ToolUse {
        tool_input: ToolInput {
            command: Some(line),
        },
    }) = input.payload.parse()
    else {
        return HookOutput::pass();
    };
    let commands = commands(&line);
    if commands.iter().any(|command| is_forced_push(command)) {
        return HookOutput::deny(
            "A forced push can destroy the work of others. Push to a new branch, or ask the user to push.",
        );
    }
    if commands.iter().any(|command| is_forced_removal(command)) {
        return HookOutput::ask("This removes files for good, without asking for each.");
    }
    HookOutput::pass()
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

/// `rm` that goes into folders and does not ask.
fn is_forced_removal(command: &[String]) -> bool {
    let has = |short: &[char], long: &str| {
        command
            .iter()
            .any(|word| word == long || short.iter().any(|flag| has_flag(word, *flag)))
    };
    program(command) == "rm" && has(&['r', 'R'], "--recursive") && has(&['f'], "--force")
}

/// Whether a word is a group of short flags with this one among them.
fn has_flag(word: &str, flag: char) -> bool {
    word.strip_prefix('-')
        .is_some_and(|flags| !flags.starts_with('-') && flags.contains(flag))
}
