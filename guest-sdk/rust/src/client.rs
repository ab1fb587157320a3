//! The client that made the call: what most plugins say to it, and ask it.
//!
//! The functions of [`mcp`](crate::mcp) do all that there is; these take what is usual. A guest that asks may be run
//! again when the answer is there, up to the question; effects are not performed again.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::tool::schema_of;
use crate::types::{
    Content, EffectError, ErrorCode, McpElicit, McpElicitAction, McpLog, McpLogLevel, McpProgress,
    McpSample, McpSamplingContent, McpSamplingMessage, MessageRole,
};
use crate::{Json, mcp};

/// Reports how far the call is.
///
/// # Errors
/// If the role is not granted `mcp.progress`.
pub fn progress(progress: u64, total: u64) -> crate::Result<()> {
    let progress = McpProgress {
        progress,
        total: Some(total),
        message: None,
    };
    mcp::progress(&progress).map(|_| ())
}

/// Sends a line of the log to the client.
///
/// # Errors
/// If the role is not granted `mcp.log`.
pub fn log(level: McpLogLevel, line: &str) -> crate::Result<()> {
    let data = Json::new(&line).unwrap_or_default();
    mcp::log(&McpLog::new(level, data)).map(|_| ())
}

/// Asks the person to fill in a form, whose fields are those of `T`: texts, numbers, booleans, choices. `None` if
/// they do not want to.
///
/// # Errors
/// If there is no client that shows forms, the role is not granted `mcp.elicit`, or the answer does not fit.
pub fn elicit<T: DeserializeOwned + JsonSchema>(
    message: impl Into<String>,
) -> crate::Result<Option<T>> {
    elicit_as(None, message)
}

/// As [`elicit`], with a name for the question.
///
/// # Errors
/// As those of [`elicit`].
pub fn elicit_as<T: DeserializeOwned + JsonSchema>(
    key: Option<&str>,
    message: impl Into<String>,
) -> crate::Result<Option<T>> {
    let asked = mcp::elicit(&McpElicit {
        key: key.map(str::to_owned),
        form: Some(form_of::<T>()),
        ..McpElicit::new(message)
    })?;
    match (asked.action, asked.content) {
        (McpElicitAction::Accept, Some(content)) => content.parse().map(Some).map_err(unfit),
        _ => Ok(None),
    }
}

/// The form whose fields are those of `T`.
pub fn form_of<T: JsonSchema>() -> Json {
    Json::new(&schema_of::<T>()).unwrap_or_default()
}

/// Asks the client's model.
///
/// # Errors
/// If there is no client that samples, or the role is not granted `mcp.sample`.
pub fn sample(prompt: impl Into<String>, max_tokens: u64) -> crate::Result<String> {
    let message = McpSamplingMessage::user(prompt);
    let sampled = mcp::sample(&McpSample::new(vec![message], max_tokens))?;
    Ok(text_of(&sampled.content))
}

/// The texts of a sampled message.
pub fn text_of(content: &[McpSamplingContent]) -> String {
    let texts = content.iter().filter_map(|part| match part {
        McpSamplingContent::Content(Content::Text { text }) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

impl McpSamplingMessage {
    /// A text of the person.
    pub fn user(text: impl Into<String>) -> Self {
        Self {
            role: MessageRole::User,
            content: vec![McpSamplingContent::Content(Content::text(text))],
        }
    }
}

fn unfit(problem: serde_json::Error) -> EffectError {
    EffectError {
        code: ErrorCode::Validation,
        message: format!("the person's answer does not fit the form: {problem}"),
        details: None,
    }
}
