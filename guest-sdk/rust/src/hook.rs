//! Hooks: what `#[hook]` makes of a function.

use crate::export;
use crate::types::{HookDecision, HookInput, HookOutput};
use crate::{Json, ToolError};

/// A function with `#[hook]`.
pub trait HookFunction {
    /// What a plugin knows of it.
    const ENTRY: HookEntry;
}

/// What a plugin knows of a hook.
pub struct HookEntry {
    /// The event it decides on, such as `pre_tool_use`.
    pub event: &'static str,
    /// Decides.
    pub call: fn(&HookInput) -> Result<HookOutput, ToolError>,
}

/// What a hook's function may return: a [`HookOutput`] or a `Result` of one.
pub trait HookReturn {
    /// The decision, or why there is none.
    ///
    /// # Errors
    /// When the hook could not decide; the host then does what it does when a hook fails.
    fn into_output(self) -> Result<HookOutput, ToolError>;
}

impl HookReturn for HookOutput {
    fn into_output(self) -> Result<HookOutput, ToolError> {
        Ok(self)
    }
}

impl HookReturn for Result<HookOutput, ToolError> {
    fn into_output(self) -> Result<HookOutput, ToolError> {
        self
    }
}

impl HookOutput {
    /// Go ahead, without asking the user.
    pub fn allow() -> Self {
        Self {
            decision: HookDecision::Allow,
            reason: None,
            payload: None,
        }
    }

    /// Do not, and why.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self {
            decision: HookDecision::Deny,
            reason: Some(reason.into()),
            payload: None,
        }
    }

    /// Ask the user, and why.
    pub fn ask(reason: impl Into<String>) -> Self {
        Self {
            decision: HookDecision::Ask,
            reason: Some(reason.into()),
            payload: None,
        }
    }

    /// No opinion.
    pub fn pass() -> Self {
        Self {
            decision: HookDecision::Pass,
            reason: None,
            payload: None,
        }
    }

    /// The same decision, with what the agent shall go on with.
    #[must_use]
    pub fn with_payload(mut self, payload: Json) -> Self {
        self.payload = Some(payload);
        self
    }
}

/// The body of a hook's export.
#[doc(hidden)]
pub fn run_export(entry: &HookEntry) -> i32 {
    export::run(|input| {
        let input: HookInput = serde_json::from_str(std::str::from_utf8(input)?)?;
        Ok(serde_json::to_vec(&(entry.call)(&input)?)?)
    })
}
