//! Tools that talk to the client: progress, its log, forms, its model.

use exomonad_guest::types::Sleep;
use exomonad_guest::{client, clock, mcp, prelude::*};
use serde_json::json;

/// Waits a moment, as work would.
fn work() -> Result<(), ToolError> {
    clock::sleep(&Sleep::new(50))?;
    Ok(())
}

/// Writes three lines to the client's log.
#[tool(name = "test_tool_with_logging")]
pub fn tool_with_logging() -> Result<String, ToolError> {
    client::log(McpLogLevel::Info, "Tool execution started")?;
    work()?;
    client::log(McpLogLevel::Info, "Tool processing data")?;
    work()?;
    client::log(McpLogLevel::Info, "Tool execution completed")?;
    Ok("logged".to_owned())
}

/// Writes a line to the client's log, which it may not want.
#[tool(name = "test_logging_tool")]
pub fn logging_tool() -> Result<String, ToolError> {
    client::log(McpLogLevel::Info, "a line that the client has asked for")?;
    Ok("logged".to_owned())
}

/// Reports progress.
#[tool(name = "test_tool_with_progress")]
pub fn tool_with_progress() -> Result<String, ToolError> {
    for progress in [0, 50, 100] {
        client::progress(progress, 100)?;
        work()?;
    }
    Ok("done".to_owned())
}

/// What to ask the client's model.
#[derive(Deserialize, JsonSchema)]
pub struct SamplingArgs {
    /// The prompt.
    prompt: String,
}

/// Asks the client's model.
#[tool(name = "test_sampling")]
pub fn sampling(args: SamplingArgs) -> Result<String, ToolError> {
    Ok(format!(
        "LLM response: {}",
        client::sample(args.prompt, 100)?
    ))
}

/// What to ask the person.
#[derive(Deserialize, JsonSchema)]
pub struct ElicitationArgs {
    /// The question.
    message: String,
}

/// A person's account.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// User's response
    username: String,
    /// User's email address
    email: String,
}

/// Asks the person for an account.
#[tool(name = "test_elicitation")]
pub fn elicitation(args: ElicitationArgs) -> Result<String, ToolError> {
    let account: Option<Account> = client::elicit(args.message)?;
    let content = account.map_or_else(|| "none".to_owned(), |account| json!(account).to_string());
    Ok(format!("User response: {content}"))
}

/// Asks by a schema that is written by hand, and tells the answer.
fn elicited(message: &str, form: serde_json::Value) -> Result<String, ToolError> {
    let asked = mcp::elicit(&McpElicit {
        form: Some(form.into()),
        ..McpElicit::new(message)
    })?;
    let content = asked
        .content
        .map_or("{}".to_owned(), |content| content.get().to_owned());
    Ok(format!(
        "Elicitation completed: action={}, content={content}",
        asked.action.name()
    ))
}

/// Asks with a default for each kind of field.
#[tool(name = "test_elicitation_sep1034_defaults")]
pub fn elicitation_defaults() -> Result<String, ToolError> {
    elicited(
        "Please review the defaults",
        json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "default": "John Doe"},
                "age": {"type": "integer", "default": 30},
                "score": {"type": "number", "default": 95.5},
                "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
                "verified": {"type": "boolean", "default": true}
            }
        }),
    )
}

/// Asks with each kind of choice.
#[tool(name = "test_elicitation_sep1330_enums")]
pub fn elicitation_enums() -> Result<String, ToolError> {
    let titled = |word: &str| {
        let one =
            |value: &str, nth: &str| json!({"const": value, "title": format!("{nth} {word}")});
        json!([
            one("value1", "First"),
            one("value2", "Second"),
            one("value3", "Third")
        ])
    };
    let options = json!(["option1", "option2", "option3"]);
    elicited(
        "Please choose",
        json!({
            "type": "object",
            "properties": {
                "untitledSingle": {"type": "string", "enum": options},
                "titledSingle": {"type": "string", "oneOf": titled("Option")},
                "legacyEnum": {
                    "type": "string", "enum": ["opt1", "opt2", "opt3"],
                    "enumNames": ["Option One", "Option Two", "Option Three"]
                },
                "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
                "titledMulti": {"type": "array", "items": {"anyOf": titled("Choice")}}
            }
        }),
    )
}

/// Reports progress, and then asks.
#[tool(name = "test_streaming_elicitation")]
pub fn streaming_elicitation() -> Result<String, ToolError> {
    client::progress(1, 2)?;
    let account: Option<Account> = client::elicit("Who are you?")?;
    Ok(account.map_or_else(|| "nobody".to_owned(), |account| account.username))
}

/// Asks the client's model, which the client may not have declared.
#[tool(name = "test_missing_capability")]
pub fn missing_capability() -> Result<String, ToolError> {
    Ok(client::sample("Are you there?", 10)?)
}

/// Says that the list of tools is another one.
#[tool(name = "test_trigger_tool_change")]
pub fn trigger_tool_change() -> Result<String, ToolError> {
    mcp::notify(&McpNotify {
        tools_changed: true,
        ..McpNotify::default()
    })?;
    Ok("told".to_owned())
}

/// Says that the list of prompts is another one.
#[tool(name = "test_trigger_prompt_change")]
pub fn trigger_prompt_change() -> Result<String, ToolError> {
    mcp::notify(&McpNotify {
        prompts_changed: true,
        ..McpNotify::default()
    })?;
    Ok("told".to_owned())
}

/// Says that the watched resource has another content.
#[tool]
pub fn touch_watched_resource() -> Result<String, ToolError> {
    mcp::notify(&McpNotify {
        updated_resources: vec![crate::resources::WATCHED.to_owned()],
        ..McpNotify::default()
    })?;
    Ok("told".to_owned())
}
