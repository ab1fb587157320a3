//! The client that a call comes from, by the Model Context Protocol
//! (<https://modelcontextprotocol.io/specification/2025-11-25/client>).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::common::{Content, MessageRole, Tool};
use crate::value::{BoundedInt, BoundedText, RawJson};

/// Asks who the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpGetClient {}

/// The client of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpClient {
    /// True if the call comes by MCP. Without a client everything else is absent.
    pub connected: bool,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The revision of the protocol, such as `2025-11-25`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// True if it shows forms (`mcp.elicit` with `form`).
    #[serde(default)]
    pub elicits_forms: bool,
    /// True if it opens addresses (`mcp.elicit` with `url`).
    #[serde(default)]
    pub elicits_urls: bool,
    /// True if it samples its model (`mcp.sample`).
    #[serde(default)]
    pub samples: bool,
    /// True if its model may call tools in that.
    #[serde(default)]
    pub samples_with_tools: bool,
    /// True if it lists its folders (`mcp.list_roots`).
    #[serde(default)]
    pub lists_roots: bool,
}

/// Reports how far the call is. It reaches clients that have asked for it, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpProgress {
    /// The part that is done; more each time.
    pub progress: u64,
    /// The whole that there is to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// The work at the moment, for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A line of the log for the client. It reaches clients that want lines of its level, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpLog {
    /// Its severity.
    pub level: McpLogLevel,
    /// The part of the plugin that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// The line: a text, or any JSON.
    pub data: RawJson,
}

/// The severity of a line, as in RFC 5424.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum McpLogLevel {
    /// For debugging.
    Debug,
    /// Information.
    Info,
    /// Normal, and significant.
    Notice,
    /// Something that may become a problem.
    Warning,
    /// A failure.
    Error,
    /// A failure of a component.
    Critical,
    /// Something that has to be dealt with at once.
    Alert,
    /// Nothing works.
    Emergency,
}

/// Tells the role's clients of changes, whoever made the call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpNotify {
    /// The tools have to be listed again. The host lists a plugin's tools when it loads it.
    #[serde(default)]
    pub tools_changed: bool,
    /// The prompts have to be listed again.
    #[serde(default)]
    pub prompts_changed: bool,
    /// The resources have to be listed again.
    #[serde(default)]
    pub resources_changed: bool,
    /// The URIs of resources whose content is another one now; it reaches clients that have subscribed to them.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub updated_resources: Vec<BoundedText<1, 4096>>,
}

/// Asks the person at the client: a form to fill in, or an address to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpElicit {
    /// A name for the question, by which a client answers it in revisions without sessions; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<BoundedText<1, 128>>,
    /// The question.
    pub message: String,
    /// The JSON Schema of the answer: an object whose properties are texts, numbers, booleans or choices.
    /// Either this or `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<RawJson>,
    /// The address to open, for what must not pass the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The person's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpElicited {
    /// The decision.
    pub action: McpElicitAction,
    /// The form, filled in; absent unless it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<RawJson>,
}

/// A person's decision about a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum McpElicitAction {
    /// Answered.
    Accept,
    /// Refused.
    Decline,
    /// Closed without an answer.
    Cancel,
}

/// Asks the client's model to go on with a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpSample {
    /// A name for the question, by which a client answers it in revisions without sessions; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<BoundedText<1, 128>>,
    /// The conversation so far.
    pub messages: Vec<McpSamplingMessage>,
    /// The number of tokens that the model may write.
    pub max_tokens: BoundedInt<1, 1_000_000>,
    /// The system prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// The tools that the model may call. The guest runs them and asks again with the results.
    #[serde(default)]
    pub tools: Vec<Tool>,
    /// The way in which the model chooses tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<McpToolChoice>,
    /// Further fields of `sampling/createMessage`: `temperature`, `stopSequences`, `modelPreferences`, `metadata`.
    #[serde(default)]
    pub options: BTreeMap<String, RawJson>,
}

/// The way in which a model chooses tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum McpToolChoice {
    /// As it likes.
    Auto,
    /// It has to call one.
    Required,
    /// It calls none.
    None,
}

/// A message of a sampled conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpSamplingMessage {
    /// The speaker.
    pub role: MessageRole,
    /// The parts of the message.
    pub content: Vec<McpSamplingContent>,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "payload")]
pub enum McpSamplingContent {
    /// Text, an image or a sound.
    Content(Content),
    /// The model calls a tool.
    ToolUse(McpToolUse),
    /// The result of such a call.
    ToolResult(McpToolResult),
}

/// A model's call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpToolUse {
    /// The call's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub input: RawJson,
}

/// The result of a model's call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpToolResult {
    /// The call's id.
    pub tool_use_id: String,
    /// The result.
    pub content: Vec<Content>,
    /// True if the tool failed.
    #[serde(default)]
    pub is_error: bool,
}

/// The model's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpSampled {
    /// The speaker.
    pub role: MessageRole,
    /// The parts of the message.
    pub content: Vec<McpSamplingContent>,
    /// The model.
    pub model: String,
    /// Why it ended, such as `endTurn` or `toolUse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
}

/// Asks for the folders that the client works in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpListRoots {
    /// A name for the question, by which a client answers it in revisions without sessions; made up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<BoundedText<1, 128>>,
}

/// The client's folders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpRoots {
    /// The folders.
    pub roots: Vec<McpRoot>,
}

/// A folder of the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpRoot {
    /// Its address, such as `file:///home/ada/project`.
    pub uri: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Asks several things at once. Its grant is one for all kinds of questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpAsk {
    /// The questions; at most 16.
    #[schemars(length(min = 1, max = 16))]
    pub questions: Vec<McpQuestion>,
}

/// A question to the client.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "payload")]
pub enum McpQuestion {
    /// To the person.
    Elicit(McpElicit),
    /// To the model.
    Sample(McpSample),
    /// For the folders.
    ListRoots(McpListRoots),
}

/// The answers to several questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct McpAnswers {
    /// The answers, in the order of the questions.
    pub answers: Vec<McpAnswer>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "payload")]
pub enum McpAnswer {
    /// Of the person.
    Elicit(McpElicited),
    /// Of the model.
    Sample(McpSampled),
    /// The folders.
    ListRoots(McpRoots),
}

/// A union as it stands in JSON. Written by hand as [`Effect`](crate::Effect) is: a derived adjacently tagged union
/// buffers a payload that precedes its kind, and raw JSON does not survive the buffer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged {
    kind: String,
    payload: Box<RawValue>,
}

impl Tagged {
    fn read<T: DeserializeOwned, E: serde::de::Error>(&self) -> Result<T, E> {
        serde_json::from_str(self.payload.get()).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for McpQuestion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tagged = Tagged::deserialize(deserializer)?;
        match tagged.kind.as_str() {
            "Elicit" => tagged.read().map(Self::Elicit),
            "Sample" => tagged.read().map(Self::Sample),
            "ListRoots" => tagged.read().map(Self::ListRoots),
            other => Err(D::Error::unknown_variant(
                other,
                &["Elicit", "Sample", "ListRoots"],
            )),
        }
    }
}

impl<'de> Deserialize<'de> for McpSamplingContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tagged = Tagged::deserialize(deserializer)?;
        match tagged.kind.as_str() {
            "Content" => tagged.read().map(Self::Content),
            "ToolUse" => tagged.read().map(Self::ToolUse),
            "ToolResult" => tagged.read().map(Self::ToolResult),
            other => Err(D::Error::unknown_variant(
                other,
                &["Content", "ToolUse", "ToolResult"],
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_is_read_whichever_of_its_fields_comes_first() {
        let call = r#"{"payload":{"id":"1","name":"t","input":{"n":1.10}},"kind":"ToolUse"}"#;
        let read: McpSamplingContent = serde_json::from_str(call).unwrap();
        let McpSamplingContent::ToolUse(read) = read else {
            panic!("{read:?}");
        };
        assert_eq!(read.input.get(), r#"{"n":1.10}"#);
        let question = r#"{"payload":{"message":"?","form":{"type":"object"}},"kind":"Elicit"}"#;
        assert!(serde_json::from_str::<McpQuestion>(question).is_ok());
        assert!(serde_json::from_str::<McpQuestion>(r#"{"kind":"X","payload":{}}"#).is_err());
    }
}
