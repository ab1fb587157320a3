//! Prompts, with arguments that are completed.

use exomonad_guest::{client, prelude::*};

use crate::content::{embedded, image, red_pixel};

/// A prompt without arguments.
#[prompt(name = "test_simple_prompt", title = "Simple", icon = red_pixel)]
pub fn simple() -> Result<&'static str, ToolError> {
    Ok("This is a simple prompt for testing.")
}

/// Two arguments.
#[derive(Deserialize, JsonSchema)]
pub struct Arguments {
    /// First test argument
    arg1: String,
    /// Second test argument
    arg2: String,
}

/// A prompt with arguments.
#[prompt(name = "test_prompt_with_arguments", complete(arg1 = cities))]
pub fn with_arguments(arguments: Arguments) -> Result<String, ToolError> {
    let Arguments { arg1, arg2 } = arguments;
    Ok(format!(
        "Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"
    ))
}

fn cities(value: &str) -> Vec<String> {
    ["paris", "park", "party"]
        .into_iter()
        .filter(|city| city.starts_with(value))
        .map(str::to_owned)
        .collect()
}

/// The resource to embed.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Embedding {
    /// URI of the resource to embed
    resource_uri: String,
}

/// A prompt with a resource in it.
#[prompt(name = "test_prompt_with_embedded_resource")]
pub fn with_embedded_resource(arguments: Embedding) -> Result<Vec<PromptMessage>, ToolError> {
    let text = "Embedded resource content for testing.";
    let resource = embedded(&arguments.resource_uri, "text/plain", text);
    Ok(vec![
        PromptMessage::user(resource),
        PromptMessage::user(Content::text("Please process the embedded resource above.")),
    ])
}

/// A prompt with a picture in it.
#[prompt(name = "test_prompt_with_image")]
pub fn with_image() -> Result<Vec<PromptMessage>, ToolError> {
    Ok(vec![
        PromptMessage::user(image()),
        PromptMessage::user(Content::text("Please analyze the image above.")),
    ])
}

/// The context of a prompt.
#[derive(Deserialize, JsonSchema)]
struct Background {
    context: String,
}

/// A prompt that asks the person before it is there.
#[prompt(name = "test_input_required_result_prompt")]
pub fn that_asks() -> Result<String, ToolError> {
    let message = "What context should the prompt use?";
    let background: Option<Background> = client::elicit_as(Some("user_context"), message)?;
    let context = background.map_or_else(|| "none".to_owned(), |answer| answer.context);
    Ok(format!("Use this context: {context}"))
}
