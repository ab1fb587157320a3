//! The attributes of `exomonad-guest`.
//!
//! They leave their function unchanged and add a type of the same name: types
//! and functions have separate namespaces in Rust, so that
//! `plugin! { tools: [repo_status] }` finds both the function and its metadata
//! by one name.

mod completion;
mod doc;
mod export;
mod hook;
mod icons;
mod prompt;
mod resource;
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

/// Turns a function into a resource: `#[resource("notes://today")]`, or into all resources of a template:
/// `#[resource("notes://{name}")]`.
///
/// The function takes nothing, the variables of the template (a type with `Deserialize` whose fields are texts),
/// `&Context`, or both in this order. It returns a `Result` of a text, bytes, JSON, or an `Option` of one, which is
/// `None` if there is no such resource. A variable is a part of a path; `{+name}` may go over several.
///
/// Options: `name = "…"`, `title = "…"`, `mime_type = "…"`; of a template also `list = function`, which lists the
/// resources that there are, and `complete(variable = function)`.
#[proc_macro_attribute]
pub fn resource(options: TokenStream, item: TokenStream) -> TokenStream {
    resource::expand(options.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Turns a function into a prompt, which a person chooses to begin with.
///
/// The function takes nothing, its arguments (a type with `Deserialize` and `JsonSchema` whose fields are texts),
/// `&Context`, or both in this order. It returns a `Result` of a text, a `Content`, or messages. Its name is the
/// prompt's name, its doc comment the description.
///
/// Options: `name = "…"`, `title = "…"`, `complete(argument = function)`: the function takes the beginning of the
/// argument, `&str`, and returns the values that it may become.
#[proc_macro_attribute]
pub fn prompt(options: TokenStream, item: TokenStream) -> TokenStream {
    prompt::expand(options.into(), item.into())
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
/// clients may start it as a tool, and `task`, if only those that have tasks may: it takes too long for a call that
/// waits.
#[proc_macro_attribute]
pub fn workflow(options: TokenStream, item: TokenStream) -> TokenStream {
    workflow::expand(options.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
