//! Hooks: events of an agent on which a plugin decides.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::Context;
use crate::value::RawJson;

macro_rules! hook_events {
    ($($(#[doc = $doc:literal])* $Event:ident = $name:literal,)*) => {
        /// The events of an agent on which a plugin can decide.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize, JsonSchema,
        )]
        pub enum HookEvent {
            $($(#[doc = $doc])* #[serde(rename = $name)] $Event,)*
        }

        impl HookEvent {
            /// Every event.
            pub const ALL: &'static [Self] = &[$(Self::$Event,)*];

            /// The event in URLs and JSON, such as `pre_tool_use`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Event => $name,)* }
            }

            /// The guest export that handles it, such as `handle_pre_tool_use`.
            pub const fn export(self) -> &'static str {
                match self { $(Self::$Event => concat!("handle_", $name),)* }
            }
        }
    };
}

hook_events! {
    /// A tool is about to run; the hook may deny it, ask the user, or replace its arguments.
    PreToolUse = "pre_tool_use",
    /// A tool has run.
    PostToolUse = "post_tool_use",
    /// The user has sent a prompt that the agent has not yet seen.
    UserPromptSubmit = "user_prompt_submit",
    /// The agent requests the user's attention.
    Notification = "notification",
    /// A session begins or is resumed.
    SessionStart = "session_start",
    /// A session ends.
    SessionEnd = "session_end",
    /// The agent is about to stop; denying keeps it going.
    Stop = "stop",
    /// A subagent is about to stop.
    SubagentStop = "subagent_stop",
    /// The agent is about to compact its context.
    PreCompact = "pre_compact",
    /// Anything else that an agent tells of; `agentEvent.name` says what.
    Other = "other_event",
}

impl HookEvent {
    /// The event with this name, such as `pre_tool_use`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name() == name)
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The input of a hook's export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookInput {
    /// The event.
    pub event: HookEvent,
    /// The agent's own data about the event, unchanged; for a tool's use an
    /// object with `tool_name` and `tool_input`.
    #[serde(default)]
    pub payload: RawJson,
    /// The event in terms that all agents share; absent if the host was not told which agent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_event: Option<AgentEvent>,
    /// The call.
    pub context: Context,
}

/// An event in terms that all agents share. What an agent does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentEvent {
    /// The agent: `claude`, `codex`, `gemini`, `cursor`, `opencode`, or one that comes later.
    pub agent: String,
    /// The event as the agent calls it, such as `BeforeTool`.
    pub name: String,
    /// The agent's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The agent's working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The tool, as the agent calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The MCP server that the tool is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The tool's arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<RawJson>,
    /// The shell command that the tool runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The file that the tool reads or writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The tool's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<RawJson>,
    /// The user's prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// A message of the agent: of a notification, or its last one before it stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// The output of a hook's export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookOutput {
    /// The decision.
    pub decision: HookDecision,
    /// The reason, for the agent or the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The replacement for the agent's own data: for `pre_tool_use` the tool's
    /// new input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<RawJson>,
}

/// A hook's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookDecision {
    /// Proceed without asking the user.
    Allow,
    /// Do not proceed.
    Deny,
    /// Ask the user.
    Ask,
    /// No decision: the agent does what it would do without a hook.
    Pass,
}
