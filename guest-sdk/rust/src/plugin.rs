//! Plugins: tools and hooks under a name, with the exports that dispatch to them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ToolError;
use crate::hook::HookEntry;
use crate::tool::{ToolEntry, failure};
use crate::types::{CallToolResult, Context, ListToolsResult, PluginDescription};

/// A plugin, as [`plugin!`](crate::plugin!) declares it.
pub struct Plugin {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its tools, as they are listed.
    pub tools: &'static [ToolEntry],
    /// Its hooks.
    pub hooks: &'static [HookEntry],
}

/// The input of `handle_mcp_call`, borrowed.
#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    context: Context,
}

impl Plugin {
    /// Its tools as the host lists them.
    pub fn list_tools(&self) -> ListToolsResult {
        ListToolsResult {
            tools: self.tools.iter().map(ToolEntry::listing).collect(),
        }
    }

    /// Calls a tool with its arguments' JSON. A failure is a result too.
    pub fn call_tool(&self, name: &str, arguments: &str, context: &Context) -> CallToolResult {
        let outcome = match self.tools.iter().find(|tool| tool.name == name) {
            Some(tool) => (tool.call)(arguments, context),
            None => Err(self.no_such_tool(name)),
        };
        outcome.unwrap_or_else(|error| failure(&error))
    }

    /// The plugin's description. The effects it needs are the host functions it
    /// imports, so that no list has to be maintained.
    pub fn description(&self) -> PluginDescription {
        PluginDescription {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            effects: Vec::new(),
            sdk: Some(concat!("rust/", env!("CARGO_PKG_VERSION")).to_owned()),
        }
    }

    fn no_such_tool(&self, name: &str) -> ToolError {
        let known: Vec<_> = self.tools.iter().map(|tool| tool.name).collect();
        ToolError::new(format!("no tool `{name}`; there are {}", known.join(", ")))
    }

    /// `handle_list_tools`: its tools, as JSON.
    ///
    /// # Errors
    /// Never in practice: a tool list always has JSON.
    pub fn handle_list_tools(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.list_tools())?)
    }

    /// `handle_mcp_call`: from a `ToolCallInput` to a `CallToolResult`, both as JSON.
    ///
    /// # Errors
    /// If the input is not a `ToolCallInput`. A tool's own failure is a result.
    pub fn handle_mcp_call(&self, input: &[u8]) -> Result<Vec<u8>, ToolError> {
        let call: ToolCall<'_> = serde_json::from_str(std::str::from_utf8(input)?)?;
        let arguments = call.arguments.map_or("{}", RawValue::get);
        Ok(serde_json::to_vec(&self.call_tool(
            &call.name,
            arguments,
            &call.context,
        ))?)
    }

    /// `describe`: the plugin's description, as JSON.
    ///
    /// # Errors
    /// Never in practice: a description always has JSON.
    pub fn describe(&self) -> Result<Vec<u8>, ToolError> {
        Ok(serde_json::to_vec(&self.description())?)
    }
}

/// Declares the plugin: its tools and its hooks, by the names of their functions.
///
/// ```ignore
/// plugin! {
///     name: "tl",
///     tools: [repo_status, recent_work],
///     hooks: [guard_commands],
/// }
/// ```
///
/// Defines `PLUGIN`, for tests, and in WebAssembly the exports `handle_list_tools`,
/// `handle_mcp_call` and `describe`. Use it once per crate.
#[macro_export]
macro_rules! plugin {
    (
        name: $name:expr,
        tools: [$($tool:path),* $(,)?]
        $(, hooks: [$($hook:path),* $(,)?])?
        $(,)?
    ) => {
        /// This plugin.
        pub static PLUGIN: $crate::plugin::Plugin = $crate::plugin::Plugin {
            name: $name,
            version: env!("CARGO_PKG_VERSION"),
            tools: &[$(<$tool as $crate::tool::ToolFunction>::ENTRY),*],
            hooks: &[$($(<$hook as $crate::hook::HookFunction>::ENTRY),*)?],
        };

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "an export has a name that the linker sees")]
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn handle_list_tools() -> i32 {
                $crate::export::run(|_| PLUGIN.handle_list_tools())
            }

            #[unsafe(no_mangle)]
            extern "C" fn handle_mcp_call() -> i32 {
                $crate::export::run(|input| PLUGIN.handle_mcp_call(input))
            }

            #[unsafe(no_mangle)]
            extern "C" fn describe() -> i32 {
                $crate::export::run(|_| PLUGIN.describe())
            }
        };
    };
}
