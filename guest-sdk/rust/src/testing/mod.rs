//! A host for native unit tests.
//!
//! ```
//! use exomonad_guest::prelude::*;
//! use exomonad_guest::testing::FakeHost;
//!
//! let host = FakeHost::new().on(|_: GitGetBranch| {
//!     Ok(GitBranch { head: GitHead::Branch, branch: Some("main".into()), commit: None })
//! });
//! let branch = host.run(|| exomonad_guest::git::get_branch(&GitGetBranch::default()));
//! assert_eq!(branch.unwrap().branch.as_deref(), Some("main"));
//! assert_eq!(host.requests::<GitGetBranch>().len(), 1);
//! ```
//!
//! By default it keeps keys and values in memory, has a clock that
//! only [`Sleep`](crate::types::Sleep) moves, returns the same random bytes in
//! every run, keeps log lines and events, and takes progress and lines for a client. Any other effect answers
//! `not_configured` until a closure is set for it.
//!
//! [`FakeHost::run_workflow`] runs a workflow in simulated time: a month in a millisecond.

mod defaults;
mod host;
mod workflow;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

pub use host::FakeHost;
pub use workflow::FinishedRun;

use crate::plugin::Plugin;
use crate::types::{
    CallToolResult, Context, GetPromptResult, HookEvent, HookInput, HookOutput, ReadResourceResult,
};
use crate::{Json, ToolError};

thread_local! {
    static CURRENT: RefCell<Option<Rc<host::State>>> = const { RefCell::new(None) };
}

/// Calls `body` with the host that is installed on this thread.
///
/// # Panics
/// If there is none: an effect outside of [`FakeHost::run`] is a mistake in a test.
pub(crate) fn with_current_host<T>(body: impl FnOnce(&host::State) -> T) -> T {
    let current = CURRENT.with_borrow(Clone::clone);
    match current {
        Some(host) => body(&host),
        None => panic!("no host: call effects within FakeHost::run"),
    }
}

/// Lets the current host know an effect that a workflow starts by its capability.
pub(crate) fn know<R: crate::effect::EffectRequest>() {
    with_current_host(host::State::know::<R>);
}

/// Restores the previous host, also when the test panics.
struct Installed(Option<Rc<host::State>>);

impl Installed {
    fn new(host: Rc<host::State>) -> Self {
        Self(CURRENT.replace(Some(host)))
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// The context of calls in tests: role `test`, call `test-call`.
pub fn context() -> Context {
    Context {
        role: "test".to_owned(),
        call_id: "test-call".to_owned(),
        ..Context::default()
    }
}

impl FakeHost {
    /// Runs `body` with this host, which gets every effect in it.
    pub fn run<T>(&self, body: impl FnOnce() -> T) -> T {
        let _installed = Installed::new(self.state());
        body()
    }

    /// Calls a plugin's tool as the host does, through JSON.
    pub fn call_tool(&self, plugin: &Plugin, name: &str, arguments: &Value) -> CallToolResult {
        self.run(|| plugin.call_tool(name, &arguments.to_string(), &context()))
    }

    /// Reads a plugin's resource.
    pub fn read_resource(&self, plugin: &Plugin, uri: &str) -> ReadResourceResult {
        self.run(|| plugin.read_resource(uri, &context()))
    }

    /// Gets the messages of a plugin's prompt.
    pub fn get_prompt(
        &self,
        plugin: &Plugin,
        name: &str,
        arguments: &[(&str, &str)],
    ) -> GetPromptResult {
        let arguments = arguments
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.run(|| plugin.get_prompt(name, &arguments, &context()))
    }

    /// Calls a plugin's hook for an event; the last one if it has several.
    ///
    /// # Errors
    /// If the hook fails.
    ///
    /// # Panics
    /// If the plugin has no hook for it.
    pub fn call_hook(
        &self,
        plugin: &Plugin,
        event: HookEvent,
        payload: &Value,
    ) -> Result<HookOutput, ToolError> {
        let name = json!(event);
        let hook = plugin.hooks.iter().rfind(|hook| name == hook.event);
        let Some(hook) = hook else {
            panic!("the plugin has no hook for {name}")
        };
        let input = HookInput {
            event,
            payload: Json::from(payload.clone()),
            agent_event: None,
            context: context(),
        };
        self.run(|| (hook.call)(&input))
    }
}
