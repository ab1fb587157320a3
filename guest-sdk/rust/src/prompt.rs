//! Prompts: functions with `#[prompt]`; and what completes their arguments.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::ToolError;
use crate::effect::error_of;
use crate::resource::{ResourceEntry, Variables};
use crate::tool::schema_of;
use crate::types::{
    CompleteInput, CompleteResult, Completion, Content, Context, EffectError, ErrorCode,
    GetPromptResult, Icon, ListPromptsResult, MessageRole, Prompt, PromptArgument, PromptMessage,
};

/// A function with `#[prompt]`.
pub trait PromptFunction {
    /// The plugin's entry for it.
    const ENTRY: PromptEntry;
}

/// A plugin's entry for a prompt.
pub struct PromptEntry {
    /// The name by which it is asked for.
    pub name: &'static str,
    /// A display name for people.
    pub title: Option<&'static str>,
    /// Its purpose.
    pub description: &'static str,
    /// Pictures of it, the best first.
    pub icons: fn() -> Vec<Icon>,
    /// The arguments that it takes.
    pub arguments: fn() -> Vec<PromptArgument>,
    /// The functions that complete arguments.
    pub complete: &'static [CompletionEntry],
    /// The function, from its arguments to the messages.
    pub get: fn(&Variables, &Context) -> Result<GetPromptResult, ToolError>,
}

/// A plugin's entry for the completion of an argument.
pub struct CompletionEntry {
    /// The argument's name.
    pub argument: &'static str,
    /// The function, from the beginning and the other arguments to the values that it may become.
    pub values: fn(&str, &BTreeMap<String, String>) -> Vec<String>,
}

/// A function that completes an argument: of its beginning, or also of the other arguments.
pub trait CompletionFunction<Arguments> {
    /// The values that it may become, the best first.
    fn values(&self, value: &str, others: &BTreeMap<String, String>) -> Vec<String>;
}

impl<F: Fn(&str) -> Vec<String>> CompletionFunction<(&str,)> for F {
    fn values(&self, value: &str, _: &BTreeMap<String, String>) -> Vec<String> {
        self(value)
    }
}

impl<F: Fn(&str, &BTreeMap<String, String>) -> Vec<String>> CompletionFunction<(&str, &str)> for F {
    fn values(&self, value: &str, others: &BTreeMap<String, String>) -> Vec<String> {
        self(value, others)
    }
}

/// The prompts of a plugin, in one page.
pub(crate) fn list(entries: &[PromptEntry]) -> ListPromptsResult {
    let listed = |entry: &PromptEntry| Prompt {
        name: entry.name.to_owned(),
        title: entry.title.map(str::to_owned),
        description: Some(entry.description.to_owned()),
        arguments: (entry.arguments)(),
        icons: (entry.icons)(),
    };
    ListPromptsResult {
        prompts: entries.iter().map(listed).collect(),
        ..ListPromptsResult::default()
    }
}

/// The messages of a prompt.
pub(crate) fn get(
    entries: &[PromptEntry],
    name: &str,
    arguments: &Variables,
    context: &Context,
) -> GetPromptResult {
    let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
        return failed(EffectError {
            code: ErrorCode::NotFound,
            message: format!("there is no prompt `{name}`"),
            details: None,
        });
    };
    match (entry.get)(arguments, context) {
        Ok(result) => GetPromptResult {
            description: result
                .description
                .or_else(|| Some(entry.description.to_owned())),
            ..result
        },
        Err(error) => failed(error_of(&error)),
    }
}

fn failed(error: EffectError) -> GetPromptResult {
    GetPromptResult {
        error: Some(error),
        ..GetPromptResult::default()
    }
}

/// Completes an argument of a prompt, or a variable of a resource.
pub(crate) fn complete(
    prompts: &[PromptEntry],
    resources: &[ResourceEntry],
    input: &CompleteInput,
) -> CompleteResult {
    let of_prompt = prompts
        .iter()
        .filter(|entry| input.prompt.as_deref() == Some(entry.name));
    let of_resource = resources
        .iter()
        .filter(|entry| input.uri_template.as_deref() == Some(entry.uri));
    let entries = of_prompt
        .flat_map(|entry| entry.complete)
        .chain(of_resource.flat_map(|entry| entry.complete));
    let mut entries = entries.filter(|entry| entry.argument == input.argument);
    let values = entries.next().map_or_else(Vec::new, |entry| {
        (entry.values)(&input.value, &input.arguments)
    });
    CompleteResult {
        completion: Completion {
            values,
            ..Completion::default()
        },
        error: None,
    }
}

/// The arguments that a type has: its properties.
pub fn arguments_of<T: JsonSchema>() -> Vec<PromptArgument> {
    let schema = schema_of::<T>();
    let text = |value: Option<&serde_json::Value>| value?.as_str().map(str::to_owned);
    let required: Vec<String> = schema
        .get("required")
        .and_then(|names| serde_json::from_value(names.clone()).ok())
        .unwrap_or_default();
    let properties = schema.get("properties").and_then(|all| all.as_object());
    let properties = properties.into_iter().flatten();
    properties
        .map(|(name, property)| PromptArgument {
            name: name.clone(),
            title: text(property.get("title")),
            description: text(property.get("description")),
            required: required.contains(name),
        })
        .collect()
}

/// A prompt's messages: a text or a content of the person, several messages, or a result built by hand.
pub trait PromptOutput {
    /// The messages as the host gets them.
    fn into_result(self) -> GetPromptResult;
}

impl PromptOutput for GetPromptResult {
    fn into_result(self) -> GetPromptResult {
        self
    }
}

impl PromptOutput for Vec<PromptMessage> {
    fn into_result(self) -> GetPromptResult {
        GetPromptResult {
            messages: self,
            ..GetPromptResult::default()
        }
    }
}

impl PromptOutput for Content {
    fn into_result(self) -> GetPromptResult {
        let message = PromptMessage {
            role: MessageRole::User,
            content: self,
        };
        vec![message].into_result()
    }
}

impl PromptOutput for String {
    fn into_result(self) -> GetPromptResult {
        Content::Text { text: self }.into_result()
    }
}

impl PromptOutput for &str {
    fn into_result(self) -> GetPromptResult {
        self.to_owned().into_result()
    }
}

/// The return type of a prompt's function: a `Result` of a [`PromptOutput`] and any error.
pub trait PromptReturn {
    /// The messages as the host gets them.
    ///
    /// # Errors
    /// The function's own failure.
    fn into_result(self) -> Result<GetPromptResult, ToolError>;
}

impl<T: PromptOutput, E: Into<ToolError>> PromptReturn for Result<T, E> {
    fn into_result(self) -> Result<GetPromptResult, ToolError> {
        Ok(self.map_err(Into::into)?.into_result())
    }
}

impl PromptMessage {
    /// A message of the person.
    pub fn user(content: Content) -> Self {
        Self {
            role: MessageRole::User,
            content,
        }
    }

    /// A message of the model.
    pub fn assistant(content: Content) -> Self {
        Self {
            role: MessageRole::Assistant,
            content,
        }
    }
}

impl Content {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}
