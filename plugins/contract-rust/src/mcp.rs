//! Hooks, resources and a prompt.

use exomonad_guest::prelude::*;

/// A hook for each event, which denies and names it.
macro_rules! denying {
    ($($event:ident)*) => {
        $(
            /// Denies, with its event and the agent's tool as the reason.
            #[hook($event)]
            pub fn $event(input: &HookInput) -> HookOutput {
                denied(stringify!($event), input)
            }
        )*
    };
}

denying! {
    pre_tool_use post_tool_use user_prompt_submit notification session_start session_end stop subagent_stop
    pre_compact other_event
}

fn denied(event: &str, input: &HookInput) -> HookOutput {
    #[derive(Deserialize, Default)]
    struct Payload {
        #[serde(default)]
        tool_name: String,
    }
    let payload: Payload = input.payload.parse().unwrap_or_default();
    HookOutput::deny(format!("{event} {}", payload.tool_name))
}

/// The first note.
#[resource("notes://first", mime_type = "text/plain")]
pub fn first() -> Result<&'static str, ToolError> {
    Ok("the first note")
}

/// The name of a note, or of somebody to greet.
#[derive(Deserialize, JsonSchema)]
pub struct Name {
    /// The name.
    name: String,
}

/// A note.
#[resource("notes://{name}", mime_type = "text/plain", complete(name = notes))]
pub fn note(variables: Name) -> Result<String, ToolError> {
    Ok(format!("a note about {}", variables.name))
}

/// Greets somebody.
#[prompt(complete(name = people))]
pub fn greet(arguments: Name) -> Result<String, ToolError> {
    Ok(format!("Greet {}.", arguments.name))
}

fn notes(value: &str) -> Vec<String> {
    beginning_with(value, ["alpha", "beta"])
}

fn people(value: &str) -> Vec<String> {
    beginning_with(value, ["Ada", "Grace"])
}

fn beginning_with(value: &str, offered: [&str; 2]) -> Vec<String> {
    let offered = offered.into_iter().filter(|one| one.starts_with(value));
    offered.map(str::to_owned).collect()
}
