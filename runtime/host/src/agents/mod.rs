//! Coding agents: the events on which they ask a hook, and what these tell, in terms that all agents share.
//!
//! | module | subject |
//! |---|---|
//! | `events` | the events of each agent, a table |
//! | `payload` | what an agent says of an event |
//! | `reply` | a decision, in the form that an agent reads |

mod events;
mod payload;
mod reply;

use exomonad_engine::closest;
use exomonad_schema::RawJson;
use exomonad_schema::common::{AgentEvent, HookEvent};

pub use events::{EventKind, NamedEvent};
pub use reply::Reply;

use crate::error::HostError;

/// A coding agent whose hooks the host understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agent {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Cursor.
    Cursor,
    /// opencode, by the plugin that `exomonad init` writes.
    Opencode,
}

impl Agent {
    /// Every agent.
    pub const ALL: &'static [Self] = &[
        Self::Claude,
        Self::Codex,
        Self::Gemini,
        Self::Cursor,
        Self::Opencode,
    ];

    /// The name in commands and requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Cursor => "cursor",
            Self::Opencode => "opencode",
        }
    }

    /// The agent of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_name(name: &str) -> Result<Self, HostError> {
        let mut all = Self::ALL.iter().copied();
        all.find(|agent| agent.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|agent| agent.name()).collect();
            HostError::InvalidRequest(format!(
                "there is no agent `{name}`: there are {}",
                names.join(", ")
            ))
        })
    }

    /// The event that the agent calls so.
    ///
    /// # Errors
    /// If it has none of this name.
    pub fn event(self, name: &str) -> Result<&'static NamedEvent, HostError> {
        let mut all = self.events().iter();
        all.find(|event| event.name == name).ok_or_else(|| {
            let names = self.events().iter().map(|event| event.name);
            let near = closest(name, names)
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            HostError::InvalidRequest(format!("{} has no event `{name}`{near}", self.name()))
        })
    }

    /// The agent's words about an event, in the contract's terms.
    ///
    /// # Errors
    /// If the agent has no such event, or the payload is no JSON object, or has a key twice.
    pub fn read(self, name: &str, payload: &RawJson) -> Result<(HookEvent, AgentEvent), HostError> {
        let event = self.event(name)?;
        Ok((event.event, payload::read(self, name, payload)?))
    }
}
