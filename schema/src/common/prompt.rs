//! Prompts and completion, in the shapes of the Model Context Protocol
//! (<https://modelcontextprotocol.io/specification/2025-11-25/server/prompts>).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{Content, Context, Icon};
use crate::error::EffectError;

/// The input of the export `handle_list_prompts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListPromptsInput {
    /// The `nextCursor` of the page before; absent for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_list_prompts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListPromptsResult {
    /// A page of prompts.
    pub prompts: Vec<Prompt>,
    /// The place where the next page begins, in any form that the plugin reads again; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// The failure in place of the list: `invalid_input` for a cursor that the plugin did not give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EffectError>,
}

/// A prompt that a plugin offers: messages that a person chooses to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    /// The name by which it is asked for.
    pub name: String,
    /// A display name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The arguments that it takes, each a text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<PromptArgument>,
    /// Pictures of it for people, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub icons: Vec<Icon>,
}

/// An argument of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromptArgument {
    /// Its name.
    pub name: String,
    /// A display name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// True if the prompt cannot do without it.
    #[serde(default)]
    pub required: bool,
}

/// The input of the export `handle_get_prompt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetPromptInput {
    /// The prompt's name.
    pub name: String,
    /// Its arguments.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_get_prompt`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetPromptResult {
    /// The prompt's purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The messages; none if there is no such prompt.
    #[serde(default)]
    pub messages: Vec<PromptMessage>,
    /// The failure in place of the messages: `not_found` if there is no such prompt, `invalid_input` if an
    /// argument is missing or does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EffectError>,
}

/// A message of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PromptMessage {
    /// The speaker.
    pub role: MessageRole,
    /// The message.
    pub content: Content,
}

/// The speaker of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageRole {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// The input of the export `handle_complete`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompleteInput {
    /// The prompt whose argument is written; absent for a resource template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The resource template whose variable is written; absent for a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri_template: Option<String>,
    /// The name of the argument or variable.
    pub argument: String,
    /// Its beginning, as far as it is written.
    pub value: String,
    /// The other arguments or variables that are known already.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// The call.
    pub context: Context,
}

/// The output of the export `handle_complete`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompleteResult {
    /// The completions.
    pub completion: Completion,
    /// The failure in place of completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EffectError>,
}

/// Ways in which a text may go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Completion {
    /// Whole values, the best first; at most 100.
    #[serde(default)]
    pub values: Vec<String>,
    /// The number of all that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// True if there are more than these.
    #[serde(default)]
    pub has_more: bool,
}
