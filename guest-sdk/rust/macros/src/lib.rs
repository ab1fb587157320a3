//! The attributes of `exomonad-guest`.
//!
//! They leave their function unchanged and add a type of the same name: types
//! and functions have separate namespaces in Rust, so that
//! `plugin! { tools: [repo_status] }` finds both the function and its metadata
//! by one name.

mod doc;
mod export;
mod hook;
mod signature;
mod tool;
mod workflow;

use proc_macro::TokenStream;

/// Turns a function into a tool.
///
/// The function takes nothing, its arguments (a type with `Deserialize` and
/// `JsonSchema`), `&Context`, or both in this order, and returns a `Result`
/// whose error becomes the tool's failure. Its name is the tool's name, its doc
/// comment the tool's description.
///
/// Options: `name = "…"`, `title = "…"`, and the hints `read_only`,
/// `destructive`, `idempotent`, `open_world`.
#[proc_macro_attribute]
pub fn tool(options: TokenStream, item: TokenStream) -> TokenStream {
    tool::expand(options.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Turns a function into a hook: `#[hook(pre_tool_use)]`.
///
/// The function takes `&HookInput` and returns a `HookOutput`, or a `Result` of one.
#[proc_macro_attribute]
pub fn hook(options: TokenStream, item: TokenStream) -> TokenStream {
    hook::expand(options.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Turns a function into an entry point of its own name: bytes in, bytes out.
///
/// The function takes `&[u8]` and returns `Result<Vec<u8>, ToolError>`.
#[proc_macro_attribute]
pub fn export(options: TokenStream, item: TokenStream) -> TokenStream {
    export::expand(&options.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Turns a function into a workflow, whose runs outlive the host's process.
///
/// The function takes nothing, its input (a type with `Deserialize` and `JsonSchema`), `&Run<State>`, or both in
/// this order, and returns a `Result` of its output. Its name is the workflow's name, its doc comment the
/// description. `State` is the type of the state that it publishes; `Run` alone publishes none.
///
/// Options: `name = "…"`, `title = "…"`; `signals(approve = Approval, stop)`, the signals that it takes with the
/// types of their payloads; `queries(progress, of = function)`, the functions of its state that answer queries;
/// `state_version = 2` and `migrate = function`, from an older version's state to the current one; `tool`, if MCP
/// clients may start it as a tool.
#[proc_macro_attribute]
pub fn workflow(options: TokenStream, item: TokenStream) -> TokenStream {
    workflow::expand(options.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
