//! The plugin of the contract suite, in Rust: it decodes and encodes every type, performs every effect, and has one of
//! each kind of export. `benches/src/contract` calls it.

mod contract;
mod mcp;
mod workflow;

use exomonad_guest::effect::EffectRequest;
use exomonad_guest::prelude::*;
use exomonad_guest::{plugin, random};
use serde::de::DeserializeOwned;

/// Values of a type.
#[derive(Deserialize, JsonSchema)]
pub struct RoundTrip {
    /// The name of a type of the contract.
    kind: String,
    /// Its values.
    #[schemars(with = "Vec<serde_json::Value>")]
    values: Vec<Json>,
}

/// Values.
#[derive(Serialize, JsonSchema)]
pub struct Values {
    /// The values.
    #[schemars(with = "Vec<serde_json::Value>")]
    values: Vec<Json>,
}

/// Decodes values of a type and encodes them again.
#[tool(read_only)]
pub fn round_trip(args: RoundTrip) -> Result<Values, ToolError> {
    let values = args.values.iter();
    let values = values.map(|value| contract::round_trip(&args.kind, value));
    Ok(Values {
        values: values.collect::<Result<_, _>>()?,
    })
}

fn again<T: DeserializeOwned + Serialize>(value: &Json) -> Result<Json, ToolError> {
    Ok(Json::new(&value.parse::<T>()?)?)
}

/// An effect to perform.
#[derive(Deserialize, JsonSchema)]
pub struct Perform {
    /// The effect's function, such as `git_get_branch`.
    function: String,
    /// Its request.
    #[schemars(with = "serde_json::Value")]
    request: Json,
}

/// Performs an effect.
#[tool]
pub fn perform(args: Perform) -> Result<Performed, ToolError> {
    contract::perform(&args.function, &args.request)
}

/// The end of an effect.
#[derive(Default, Serialize, JsonSchema)]
pub struct Performed {
    /// Its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    answer: Option<Json>,
    /// Its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    error: Option<EffectError>,
}

fn performed<R: EffectRequest>(
    perform: fn(&R) -> exomonad_guest::Result<R::Answer>,
    request: &Json,
) -> Result<Performed, ToolError> {
    Ok(match perform(&request.parse()?) {
        Ok(answer) => Performed {
            answer: Some(Json::new(&answer)?),
            ..Performed::default()
        },
        Err(error) => Performed {
            error: Some(error),
            ..Performed::default()
        },
    })
}

/// A text.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Text {
    /// The text.
    text: String,
}

/// Gives its text back.
#[tool(read_only)]
pub fn echo(args: Text) -> Result<Text, ToolError> {
    Ok(args)
}

/// Two numbers.
#[derive(Serialize, JsonSchema)]
pub struct Numbers {
    /// The numbers, as text.
    numbers: [String; 2],
}

/// Draws two numbers: by the host, since there is no other randomness in a module without WASI.
#[tool(name = "random", read_only)]
pub fn draw() -> Result<Numbers, ToolError> {
    let number = || -> Result<String, ToolError> {
        let bytes = random::bytes(&RandomBytes::new(8))?.bytes;
        Ok(bytes.0.iter().map(|byte| format!("{byte:02x}")).collect())
    };
    Ok(Numbers {
        numbers: [number()?, number()?],
    })
}

/// A failure to report.
#[derive(Deserialize, JsonSchema)]
pub struct Fail {
    /// Its message.
    message: String,
}

/// Fails.
#[tool]
pub fn fail(args: Fail) -> Result<(), ToolError> {
    Err(ToolError::new(args.message))
}

/// Panics.
#[tool]
#[expect(clippy::panic, reason = "panicking is its purpose")]
pub fn crash() -> Result<(), ToolError> {
    panic!("as asked")
}

plugin! {
    name: "contract-rust",
    tools: [round_trip, perform, echo, draw, fail, crash],
    hooks: [
        mcp::pre_tool_use, mcp::post_tool_use, mcp::user_prompt_submit, mcp::notification, mcp::session_start,
        mcp::session_end, mcp::stop, mcp::subagent_stop, mcp::pre_compact, mcp::other_event,
    ],
    workflows: [workflow::greet],
    resources: [mcp::first, mcp::note],
    prompts: [mcp::greet],
}
