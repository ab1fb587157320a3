//! The events of each agent.

use exomonad_schema::common::HookEvent as Event;

use super::Agent;

/// An event, as an agent calls it.
#[derive(Debug)]
pub struct NamedEvent {
    /// The agent's name for it.
    pub name: &'static str,
    /// The event in the contract.
    pub event: Event,
    /// The effect of a decision on it.
    pub kind: EventKind,
}

/// The effect of a decision on an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It lets something happen or not. Without a decision nothing happens.
    Gate,
    /// It answers a question that the agent would ask the user.
    Permission,
    /// Denying stops what is under way, or keeps the agent going when it wants to stop.
    Block,
    /// A reason goes to the model as context; nothing can be denied.
    Context,
    /// It changes nothing.
    Notice,
}

const fn row(name: &'static str, event: Event, kind: EventKind) -> NamedEvent {
    NamedEvent { name, event, kind }
}

use EventKind::{Block, Context, Gate, Notice, Permission};

const CLAUDE: &[NamedEvent] = &[
    row("PreToolUse", Event::PreToolUse, Gate),
    row("PostToolUse", Event::PostToolUse, Block),
    row("PostToolUseFailure", Event::PostToolUse, Context),
    row("UserPromptSubmit", Event::UserPromptSubmit, Block),
    row("Notification", Event::Notification, Notice),
    row("SessionStart", Event::SessionStart, Context),
    row("SessionEnd", Event::SessionEnd, Notice),
    row("Stop", Event::Stop, Block),
    row("SubagentStop", Event::SubagentStop, Block),
    row("PreCompact", Event::PreCompact, Block),
    row("PermissionRequest", Event::Other, Permission),
    row("ConfigChange", Event::Other, Block),
    row("PostToolBatch", Event::Other, Block),
    row("TaskCreated", Event::Other, Block),
    row("TaskCompleted", Event::Other, Block),
    row("TeammateIdle", Event::Other, Block),
    row("UserPromptExpansion", Event::Other, Block),
    row("Setup", Event::Other, Context),
    row("SubagentStart", Event::Other, Context),
    row("CwdChanged", Event::Other, Notice),
    row("DirectoryAdded", Event::Other, Notice),
    row("Elicitation", Event::Other, Notice),
    row("ElicitationResult", Event::Other, Notice),
    row("FileChanged", Event::Other, Notice),
    row("InstructionsLoaded", Event::Other, Notice),
    row("MessageDisplay", Event::Other, Notice),
    row("PermissionDenied", Event::Other, Notice),
    row("PostCompact", Event::Other, Notice),
    row("PostModelSwitch", Event::Other, Notice),
    row("PreModelSwitch", Event::Other, Notice),
    row("PreSkillShellCommand", Event::Other, Gate),
    row("StopFailure", Event::Other, Notice),
    row("WorktreeCreate", Event::Other, Notice),
    row("WorktreeRemove", Event::Other, Notice),
];

const CODEX: &[NamedEvent] = &[
    row("PreToolUse", Event::PreToolUse, Gate),
    row("PostToolUse", Event::PostToolUse, Block),
    row("UserPromptSubmit", Event::UserPromptSubmit, Block),
    row("SessionStart", Event::SessionStart, Context),
    row("SessionEnd", Event::SessionEnd, Notice),
    row("Stop", Event::Stop, Block),
    row("SubagentStop", Event::SubagentStop, Block),
    row("PreCompact", Event::PreCompact, Notice),
    row("PermissionRequest", Event::Other, Permission),
    row("Interrupt", Event::Other, Notice),
    row("PostCompact", Event::Other, Notice),
    row("PostModelRequest", Event::Other, Notice),
    row("PreModelRequest", Event::Other, Notice),
    row("SubagentStart", Event::Other, Context),
];

const GEMINI: &[NamedEvent] = &[
    row("BeforeTool", Event::PreToolUse, Gate),
    row("AfterTool", Event::PostToolUse, Block),
    row("BeforeAgent", Event::UserPromptSubmit, Block),
    row("AfterAgent", Event::Stop, Block),
    row("Notification", Event::Notification, Notice),
    row("SessionStart", Event::SessionStart, Context),
    row("SessionEnd", Event::SessionEnd, Notice),
    row("PreCompress", Event::PreCompact, Notice),
    row("AfterModel", Event::Other, Block),
    row("BeforeModel", Event::Other, Block),
    row("BeforeToolSelection", Event::Other, Notice),
];

const CURSOR: &[NamedEvent] = &[
    row("preToolUse", Event::PreToolUse, Gate),
    row("beforeShellExecution", Event::PreToolUse, Gate),
    row("beforeMCPExecution", Event::PreToolUse, Gate),
    row("beforeReadFile", Event::PreToolUse, Gate),
    row("postToolUse", Event::PostToolUse, Notice),
    row("afterShellExecution", Event::PostToolUse, Notice),
    row("afterMCPExecution", Event::PostToolUse, Notice),
    row("afterFileEdit", Event::PostToolUse, Notice),
    row("beforeSubmitPrompt", Event::UserPromptSubmit, Block),
    row("sessionStart", Event::SessionStart, Notice),
    row("sessionEnd", Event::SessionEnd, Notice),
    row("stop", Event::Stop, Block),
];

const OPENCODE: &[NamedEvent] = &[
    row("tool.execute.before", Event::PreToolUse, Gate),
    row("tool.execute.after", Event::PostToolUse, Notice),
    row("permission.ask", Event::Other, Permission),
    row("event", Event::Other, Notice),
];

impl Agent {
    /// The events to ask a plugin about that handles these. Cursor has several for one: the first is enough.
    pub fn events_for(self, handled: &[Event]) -> impl Iterator<Item = &'static NamedEvent> {
        let all = self.events();
        let is_first = move |event: &&NamedEvent| {
            let first = all.iter().find(|other| other.event == event.event);
            self != Self::Cursor || first.is_some_and(|first| first.name == event.name)
        };
        let is_handled = |event: &&'static NamedEvent| handled.contains(&event.event);
        all.iter().filter(is_handled).filter(is_first)
    }

    /// The events that the agent has.
    pub const fn events(self) -> &'static [NamedEvent] {
        match self {
            Self::Claude => CLAUDE,
            Self::Codex => CODEX,
            Self::Gemini => GEMINI,
            Self::Cursor => CURSOR,
            Self::Opencode => OPENCODE,
        }
    }
}
