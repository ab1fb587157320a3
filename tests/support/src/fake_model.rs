//! A language model for coding agents.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::WebServer;

/// The HTTP interface of a vendor's models.
#[derive(Clone, Copy)]
pub enum ModelApi {
    /// Anthropic's Messages, which Claude Code talks to.
    Messages,
    /// `OpenAI`'s Responses, which Codex talks to.
    Responses,
    /// Google's `generateContent`, which Gemini CLI talks to.
    GenerateContent,
    /// `OpenAI`'s chat completions, which opencode talks to.
    ChatCompletions,
}

/// The use of a tool, which the model asks for.
#[derive(Clone)]
pub struct ToolUse {
    /// The namespace of the tool, in interfaces that have them.
    pub namespace: Option<String>,
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
}

/// A model that asks for one use of a tool after the other, and then says that it is done.
pub struct FakeModel {
    server: WebServer,
    results: Arc<Mutex<Vec<Value>>>,
}

impl FakeModel {
    /// Starts a model that asks for these uses of tools.
    #[must_use]
    pub fn start(api: ModelApi, uses: Vec<ToolUse>) -> Self {
        let results = Arc::new(Mutex::new(Vec::new()));
        let seen = results.clone();
        let server = WebServer::replying(move |request| {
            let (head, body) = request.split_once("\r\n\r\n").unwrap_or_default();
            let asked: Value = serde_json::from_str(body).unwrap_or_default();
            let results = api.results(&asked);
            // Agents ask for a title and the like as well, without tools.
            let has_tools = asked["tools"]
                .as_array()
                .is_some_and(|tools| !tools.is_empty());
            let asks_for = uses.get(results.len()).filter(|_| has_tools);
            let number = results.len();
            if let Ok(mut seen) = seen.lock()
                && number > seen.len()
            {
                *seen = results;
            }
            let is_streamed = !head
                .lines()
                .next()
                .unwrap_or_default()
                .contains(":generateContent");
            match is_streamed {
                true => ("text/event-stream", api.stream(asks_for, number)),
                false => ("application/json", content(asks_for).to_string()),
            }
        });
        Self { server, results }
    }

    /// The address of the interface, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url().trim_end_matches('/').to_owned()
    }

    /// The results of its uses of tools, as the agent has reported them.
    #[must_use]
    pub fn results(&self) -> Vec<Value> {
        let seen = self.results.lock();
        seen.map(|results| results.clone()).unwrap_or_default()
    }
}

impl ModelApi {
    /// The results of tools that came with a request.
    fn results(self, asked: &Value) -> Vec<Value> {
        let (messages, parts, is_result): (_, _, fn(&Value) -> bool) = match self {
            Self::Messages => ("messages", Some("content"), |part| {
                part["type"] == "tool_result"
            }),
            Self::Responses => ("input", None, |item| {
                let kind = item["type"].as_str();
                kind.is_some_and(|kind| kind.ends_with("_call_output"))
            }),
            Self::GenerateContent => ("contents", Some("parts"), |part| {
                part["functionResponse"].is_object()
            }),
            Self::ChatCompletions => ("messages", None, |message| message["role"] == "tool"),
        };
        let messages = asked[messages].as_array().into_iter().flatten();
        let parts: Vec<&Value> = match parts {
            None => messages.collect(),
            Some(key) => messages
                .flat_map(|message| message[key].as_array().into_iter().flatten())
                .collect(),
        };
        let results = parts.into_iter().filter(|part| is_result(part));
        results.cloned().collect()
    }

    /// An answer as server-sent events. `number`: that of the use.
    fn stream(self, asks_for: Option<&ToolUse>, number: usize) -> String {
        let events = match self {
            Self::Messages => messages(asks_for, number),
            Self::Responses => responses(asks_for, number),
            Self::GenerateContent => vec![content(asks_for)],
            Self::ChatCompletions => chunks(asks_for, number),
        };
        let frames = events.iter().map(|event| match event["type"].as_str() {
            Some(name) => format!("event: {name}\ndata: {event}\n\n"),
            None => format!("data: {event}\n\n"),
        });
        let mut stream: String = frames.collect();
        if matches!(self, Self::ChatCompletions) {
            stream.push_str("data: [DONE]\n\n");
        }
        stream
    }
}

fn messages(asks_for: Option<&ToolUse>, number: usize) -> Vec<Value> {
    let (block, delta, why) = match asks_for {
        Some(tool) => (
            json!({"type": "tool_use", "id": format!("toolu_{number}"), "name": tool.name, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": tool.arguments.to_string()}),
            "tool_use",
        ),
        None => (
            json!({"type": "text", "text": ""}),
            json!({"type": "text_delta", "text": "done"}),
            "end_turn",
        ),
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "fake", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage
    });
    vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
}

fn responses(asks_for: Option<&ToolUse>, number: usize) -> Vec<Value> {
    let item = match asks_for {
        Some(tool) => {
            let mut item = json!({
                "type": "function_call", "id": format!("fc_{number}"), "call_id": format!("call_{number}"),
                "name": tool.name, "arguments": tool.arguments.to_string()
            });
            if let Some(namespace) = &tool.namespace {
                item["namespace"] = json!(namespace);
            }
            item
        }
        None => json!({
            "type": "message", "id": "msg_1", "role": "assistant",
            "content": [{"type": "output_text", "text": "done"}]
        }),
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "total_tokens": 2});
    vec![
        json!({"type": "response.created", "response": {"id": "r"}}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": {"id": "r", "usage": usage}}),
    ]
}

fn content(asks_for: Option<&ToolUse>) -> Value {
    let part = match asks_for {
        Some(tool) => json!({"functionCall": {"name": tool.name, "args": tool.arguments}}),
        None => json!({"text": "done"}),
    };
    json!({
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    })
}

fn chunks(asks_for: Option<&ToolUse>, number: usize) -> Vec<Value> {
    let (delta, why) = match asks_for {
        Some(tool) => {
            let function = json!({"name": tool.name, "arguments": tool.arguments.to_string()});
            let call = json!({"index": 0, "id": format!("call_{number}"), "type": "function", "function": function});
            (
                json!({"role": "assistant", "tool_calls": [call]}),
                "tool_calls",
            )
        }
        None => (json!({"role": "assistant", "content": "done"}), "stop"),
    };
    let chunk = |delta: Value, why: Option<&str>| {
        json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "fake",
            "choices": [{"index": 0, "delta": delta, "finish_reason": why}]
        })
    };
    vec![chunk(delta, None), chunk(json!({}), Some(why))]
}
