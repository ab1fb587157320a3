//! Questions to the client by name, as clients of the era without sessions answer them: by calling again.
//!
//! Nothing here knows of that. A tool asks and gets an answer; the host runs it again when that is there.

use exomonad_guest::{client, mcp, prelude::*, random};
use serde_json::json;

/// A person's name.
#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

/// A person's agreement.
#[derive(Deserialize, JsonSchema)]
struct Agreement {
    ok: bool,
}

/// A favourite colour.
#[derive(Deserialize, JsonSchema)]
struct Color {
    color: String,
}

fn asked_name(key: &str, message: &str) -> Result<String, ToolError> {
    let name: Option<Name> = client::elicit_as(Some(key), message)?;
    Ok(name.map_or_else(|| "nobody".to_owned(), |answer| answer.name))
}

fn sample(key: &str, prompt: &str, max_tokens: u64) -> McpSample {
    McpSample {
        key: Some(key.to_owned()),
        ..McpSample::new(vec![McpSamplingMessage::user(prompt)], max_tokens)
    }
}

fn roots(key: &str) -> McpListRoots {
    McpListRoots {
        key: Some(key.to_owned()),
    }
}

fn told(roots: &McpRoots) -> String {
    let uris: Vec<&str> = roots.roots.iter().map(|root| root.uri.as_str()).collect();
    uris.join(", ")
}

/// Asks for a name.
#[tool(name = "test_input_required_result_elicitation")]
pub fn elicitation() -> Result<String, ToolError> {
    let name = asked_name("user_name", "What is your name?")?;
    Ok(format!("Hello, {name}!"))
}

/// Asks the client's model for a capital.
#[tool(name = "test_input_required_result_sampling")]
pub fn sampling() -> Result<String, ToolError> {
    let request = sample("capital_question", "What is the capital of France?", 100);
    Ok(client::text_of(&mcp::sample(&request)?.content))
}

/// Asks for the client's folders.
#[tool(name = "test_input_required_result_list_roots")]
pub fn list_roots() -> Result<String, ToolError> {
    Ok(told(&mcp::list_roots(&roots("client_roots"))?))
}

fn confirmed() -> Result<String, ToolError> {
    let agreed: Option<Agreement> = client::elicit_as(Some("confirm"), "Please confirm")?;
    Ok(match agreed {
        Some(Agreement { ok: true }) => "state-ok".to_owned(),
        _ => "not confirmed".to_owned(),
    })
}

/// Asks for a confirmation.
#[tool(name = "test_input_required_result_request_state")]
pub fn request_state() -> Result<String, ToolError> {
    confirmed()
}

/// Asks for a confirmation, whose state nobody may have changed.
#[tool(name = "test_input_required_result_tampered_state")]
pub fn tampered_state() -> Result<String, ToolError> {
    confirmed()
}

/// Asks for a name, a greeting and folders at once.
#[tool(name = "test_input_required_result_multiple_inputs")]
pub fn multiple_inputs() -> Result<String, ToolError> {
    let name = McpElicit {
        key: Some("user_name".to_owned()),
        form: Some(client::form_of::<Name>()),
        ..McpElicit::new("What is your name?")
    };
    let questions = vec![
        McpQuestion::Elicit(name),
        McpQuestion::Sample(sample("greeting", "Generate a greeting", 50)),
        McpQuestion::ListRoots(roots("client_roots")),
    ];
    let answers = mcp::ask(&McpAsk::new(questions))?.answers;
    let told = answers.iter().map(|answer| match answer {
        McpAnswer::Elicit(elicited) => {
            let content = elicited.content.as_ref().map(Json::get);
            content.unwrap_or("nothing").to_owned()
        }
        McpAnswer::Sample(sampled) => client::text_of(&sampled.content),
        McpAnswer::ListRoots(roots) => told(roots),
    });
    Ok(told.collect::<Vec<_>>().join("; "))
}

/// Asks for a name, and then for a colour.
#[tool(name = "test_input_required_result_multi_round")]
pub fn multi_round() -> Result<String, ToolError> {
    let name = asked_name("step1", "Step 1: What is your name?")?;
    let message = "Step 2: What is your favorite color?";
    let color: Option<Color> = client::elicit_as(Some("step2"), message)?;
    let color = color.map_or_else(|| "none".to_owned(), |answer| answer.color);
    Ok(format!("{name} likes {color}"))
}

/// Draws a number, asks about it, and tells it: what came before a question is not done again.
#[tool]
pub fn ask_about_a_number() -> Result<String, ToolError> {
    let number = random::bytes(&RandomBytes::new(8))?.bytes.0;
    let number: u64 = number
        .iter()
        .fold(0, |all, byte| all << 8 | u64::from(*byte));
    let agreed: Option<Agreement> = client::elicit(format!("Is it {number}?"))?;
    let agreed = agreed.is_some_and(|answer| answer.ok);
    Ok(format!("{number} {agreed}"))
}

/// Asks whatever the client can be asked.
#[tool(name = "test_input_required_result_capabilities")]
pub fn capabilities() -> Result<String, ToolError> {
    let client = mcp::get_client(&McpGetClient::default())?;
    let mut told = Vec::new();
    if client.samples {
        let request = sample("capital_question", "What is the capital of France?", 100);
        told.push(client::text_of(&mcp::sample(&request)?.content));
    }
    if client.elicits_forms {
        told.push(asked_name("user_name", "What is your name?")?);
    }
    Ok(json!(told).to_string())
}
