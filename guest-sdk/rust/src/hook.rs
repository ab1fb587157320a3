//! Hooks: functions with `#[hook]`.

use crate::export;
use crate::types::{HookDecision, HookInput, HookOutput};
use crate::{Json, ToolError};

/// A function with `#[hook]`.
pub trait HookFunction {
    /// The plugin's entry for it.
    const ENTRY: HookEntry;
}

/// A plugin's entry for a hook.
pub struct HookEntry {
    /// The event it decides on, such as `pre_tool_use`.
    pub event: &'static str,
    /// The function.
    pub call: fn(&HookInput) -> Result<HookOutput, ToolError>,
}

/// The return type of a hook's function: a [`HookOutput`] or a `Result` of one.
pub trait HookReturn {
    /// The decision, or the reason why there is none.
    ///
    /// # Errors
    /// If the hook could not decide; the host then treats it as a failed hook.
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
    /// Proceed without asking the user.
    pub fn allow() -> Self {
        Self {
            decision: HookDecision::Allow,
            reason: None,
            payload: None,
        }
    }

    /// Do not proceed, for this reason.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self {
            decision: HookDecision::Deny,
            reason: Some(reason.into()),
            payload: None,
        }
    }

    /// Ask the user, for this reason.
    pub fn ask(reason: impl Into<String>) -> Self {
        Self {
            decision: HookDecision::Ask,
            reason: Some(reason.into()),
            payload: None,
        }
    }

    /// No decision.
    pub fn pass() -> Self {
        Self {
            decision: HookDecision::Pass,
            reason: None,
            payload: None,
        }
    }

    /// The same decision, with a replacement for the agent's own data.
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
