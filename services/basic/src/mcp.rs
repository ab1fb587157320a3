//! The MCP service: what a guest says to the client of its call, and asks it.
//!
//! The call has the line to its client. Here is what passes it: the contract's types as the parameters and results
//! of the protocol's methods. Without a client, progress and lines of the log go nowhere, and questions are an error.

use exomonad_core::mcp::{ClientCapability, Question};
use exomonad_core::{CallContext, Changes, McpService};
use exomonad_schema::common::MessageRole;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::mcp::{
    McpAnswer, McpAnswers, McpAsk, McpClient, McpElicit, McpElicited, McpGetClient, McpListRoots,
    McpLog, McpNotify, McpProgress, McpQuestion, McpRoots, McpSample, McpSampled,
    McpSamplingContent,
};
use exomonad_schema::{EffectError, EffectKind, ErrorCode, RawJson};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Questions that are asked at once.
const QUESTIONS: usize = 16;

/// The MCP service. Cheap to clone; the clones share the changes.
#[derive(Clone, Debug, Default)]
pub struct Mcp {
    changes: Changes,
}

impl Mcp {
    /// A service that notes changes here.
    pub fn new(changes: Changes) -> Self {
        Self { changes }
    }
}

impl McpService for Mcp {
    async fn get_client(
        &self,
        call: &CallContext,
        _: McpGetClient,
    ) -> Result<McpClient, EffectError> {
        Ok(call
            .client
            .as_ref()
            .map(|client| client.describe())
            .unwrap_or_default())
    }

    async fn progress(
        &self,
        call: &CallContext,
        request: McpProgress,
    ) -> Result<Done, EffectError> {
        if let Some(client) = &call.client {
            client.progress(request).await;
        }
        Ok(Done {})
    }

    async fn log(&self, call: &CallContext, request: McpLog) -> Result<Done, EffectError> {
        if let Some(client) = &call.client {
            client.log(request).await;
        }
        Ok(Done {})
    }

    async fn notify(&self, call: &CallContext, request: McpNotify) -> Result<Done, EffectError> {
        self.changes.note(&call.role, &request);
        Ok(Done {})
    }

    async fn elicit(
        &self,
        call: &CallContext,
        request: McpElicit,
    ) -> Result<McpElicited, EffectError> {
        let kind = EffectKind::McpElicit;
        let [answer] = one(ask(call, kind, vec![elicit_question(kind, request)?]).await?)?;
        read(kind, &answer)
    }

    async fn sample(
        &self,
        call: &CallContext,
        request: McpSample,
    ) -> Result<McpSampled, EffectError> {
        let kind = EffectKind::McpSample;
        let [answer] = one(ask(call, kind, vec![sample_question(request)?]).await?)?;
        read_sampled(kind, &answer)
    }

    async fn list_roots(
        &self,
        call: &CallContext,
        request: McpListRoots,
    ) -> Result<McpRoots, EffectError> {
        let kind = EffectKind::McpListRoots;
        let [answer] = one(ask(call, kind, vec![roots_question(request)?]).await?)?;
        read(kind, &answer)
    }

    async fn ask(&self, call: &CallContext, request: McpAsk) -> Result<McpAnswers, EffectError> {
        let kind = EffectKind::McpAsk;
        if request.questions.is_empty() || request.questions.len() > QUESTIONS {
            return Err(EffectError::invalid_input(format!(
                "{kind}: 1 to {QUESTIONS} questions can be asked at once"
            )));
        }
        let mut keys = Vec::new();
        let mut questions = Vec::new();
        for question in &request.questions {
            let question = match question.clone() {
                McpQuestion::Elicit(elicit) => elicit_question(kind, elicit)?,
                McpQuestion::Sample(sample) => sample_question(sample)?,
                McpQuestion::ListRoots(roots) => roots_question(roots)?,
            };
            if let Some(key) = &question.key {
                if keys.contains(key) {
                    return Err(EffectError::invalid_input(format!(
                        "{kind}: two questions have the key `{key}`"
                    )));
                }
                keys.push(key.clone());
            }
            questions.push(question);
        }
        let answered = ask(call, kind, questions).await?;
        let answers = request.questions.iter().zip(&answered);
        let answers = answers.map(|(question, answer)| {
            Ok(match question {
                McpQuestion::Elicit(_) => McpAnswer::Elicit(read(kind, answer)?),
                McpQuestion::Sample(_) => McpAnswer::Sample(read_sampled(kind, answer)?),
                McpQuestion::ListRoots(_) => McpAnswer::ListRoots(read(kind, answer)?),
            })
        });
        Ok(McpAnswers {
            answers: answers.collect::<Result<_, EffectError>>()?,
        })
    }
}

/// Holds a client's result against the protocol.
///
/// # Errors
/// If it is none that the method of this capability has.
pub fn check_result(capability: ClientCapability, result: &RawJson) -> Result<(), EffectError> {
    match capability {
        ClientCapability::ElicitForms | ClientCapability::ElicitUrls => {
            read::<McpElicited>(EffectKind::McpElicit, result).map(drop)
        }
        ClientCapability::Sample | ClientCapability::SampleWithTools => {
            read_sampled(EffectKind::McpSample, result).map(drop)
        }
        ClientCapability::ListRoots => read::<McpRoots>(EffectKind::McpListRoots, result).map(drop),
    }
}

async fn ask(
    call: &CallContext,
    kind: EffectKind,
    questions: Vec<Question>,
) -> Result<Vec<RawJson>, EffectError> {
    let Some(client) = &call.client else {
        return Err(EffectError::new(
            ErrorCode::Unsupported,
            format!("{kind}: this call comes from no MCP client that could be asked"),
        ));
    };
    client.ask(questions).await
}

fn one(answers: Vec<RawJson>) -> Result<[RawJson; 1], EffectError> {
    answers
        .try_into()
        .map_err(|_| EffectError::internal("one question has not got one answer"))
}

fn elicit_question(kind: EffectKind, request: McpElicit) -> Result<Question, EffectError> {
    let wrong = |message: &str| Err(EffectError::invalid_input(format!("{kind}: {message}")));
    let (capability, params) = match (request.form, request.url) {
        (Some(form), None) => {
            let schema: Value = form.parse().unwrap_or_default();
            if schema["type"] != "object" || !schema["properties"].is_object() {
                return wrong("`form` has to be the JSON Schema of an object with `properties`");
            }
            let params = json!({"message": request.message, "requestedSchema": form});
            (ClientCapability::ElicitForms, params)
        }
        (None, Some(url)) => {
            let params = json!({"mode": "url", "message": request.message, "url": url});
            (ClientCapability::ElicitUrls, params)
        }
        _ => return wrong("it needs either a `form` or a `url`"),
    };
    question(request.key.map(String::from), capability, &params)
}

fn sample_question(request: McpSample) -> Result<Question, EffectError> {
    let capability = match request.tools.is_empty() && request.tool_choice.is_none() {
        true => ClientCapability::Sample,
        false => ClientCapability::SampleWithTools,
    };
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| json!({"role": message.role, "content": as_content(&message.content)}))
        .collect();
    let mut params = Map::new();
    for (name, value) in &request.options {
        params.insert(name.clone(), json!(value));
    }
    params.insert("messages".to_owned(), json!(messages));
    params.insert("maxTokens".to_owned(), json!(request.max_tokens));
    if let Some(prompt) = &request.system_prompt {
        params.insert("systemPrompt".to_owned(), json!(prompt));
    }
    if !request.tools.is_empty() {
        params.insert("tools".to_owned(), json!(request.tools));
    }
    if let Some(choice) = request.tool_choice {
        params.insert("toolChoice".to_owned(), json!({"mode": choice}));
    }
    question(
        request.key.map(String::from),
        capability,
        &Value::Object(params),
    )
}

fn roots_question(request: McpListRoots) -> Result<Question, EffectError> {
    question(
        request.key.map(String::from),
        ClientCapability::ListRoots,
        &json!({}),
    )
}

fn question(
    key: Option<String>,
    capability: ClientCapability,
    params: &Value,
) -> Result<Question, EffectError> {
    let params = RawJson::new(params)
        .map_err(|error| EffectError::invalid_input(format!("it is no JSON: {error}")))?;
    Ok(Question {
        key,
        capability,
        params,
    })
}

/// The content of a message: one part alone, as all revisions have it, or several.
fn as_content(parts: &[McpSamplingContent]) -> Value {
    let with_type = |kind: &str, part: Value| {
        let mut part = part;
        part["type"] = json!(kind);
        part
    };
    let wire = |part: &McpSamplingContent| match part {
        McpSamplingContent::Content(content) => json!(content),
        McpSamplingContent::ToolUse(call) => with_type(TOOL_USE, json!(call)),
        McpSamplingContent::ToolResult(result) => with_type(TOOL_RESULT, json!(result)),
    };
    match parts {
        [part] => wire(part),
        parts => parts.iter().map(wire).collect(),
    }
}

const TOOL_USE: &str = "tool_use";
const TOOL_RESULT: &str = "tool_result";

/// A sampled message as clients write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sampled {
    role: MessageRole,
    content: RawJson,
    model: String,
    stop_reason: Option<String>,
}

fn read_sampled(kind: EffectKind, answer: &RawJson) -> Result<McpSampled, EffectError> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    let sampled: Sampled = read(kind, answer)?;
    let parts: Vec<RawJson> = match sampled.content.get().starts_with('[') {
        true => read(kind, &sampled.content)?,
        false => vec![sampled.content],
    };
    let parts = parts.iter().map(|part| {
        let typed: Typed = read(kind, part)?;
        Ok(match typed.r#type.as_str() {
            TOOL_USE => McpSamplingContent::ToolUse(read(kind, part)?),
            TOOL_RESULT => McpSamplingContent::ToolResult(read(kind, part)?),
            _ => McpSamplingContent::Content(read(kind, part)?),
        })
    });
    Ok(McpSampled {
        role: sampled.role,
        content: parts.collect::<Result<_, EffectError>>()?,
        model: sampled.model,
        stop_reason: sampled.stop_reason,
    })
}

fn read<T: serde::de::DeserializeOwned>(
    kind: EffectKind,
    answer: &RawJson,
) -> Result<T, EffectError> {
    answer.parse().map_err(|error| wrong_answer(kind, &error))
}

fn wrong_answer(kind: EffectKind, error: &serde_json::Error) -> EffectError {
    EffectError::new(
        ErrorCode::Validation,
        format!("{kind}: the client's answer does not fit the protocol: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use exomonad_core::{BoxFuture, CallClient};
    use exomonad_schema::common::Content;
    use exomonad_schema::effects::mcp::{
        McpElicitAction, McpLogLevel, McpSamplingMessage, McpToolChoice,
    };

    use super::*;
    use crate::test_call::call;

    /// A client that answers each question with the next of these.
    struct Scripted(Mutex<Vec<&'static str>>, Mutex<Vec<Question>>);

    impl CallClient for Scripted {
        fn describe(&self) -> McpClient {
            McpClient {
                connected: true,
                ..McpClient::default()
            }
        }

        fn progress(&self, _: McpProgress) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }

        fn log(&self, _: McpLog) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }

        fn ask(
            &self,
            questions: Vec<Question>,
        ) -> BoxFuture<'_, Result<Vec<RawJson>, EffectError>> {
            let mut script = self.0.lock().unwrap();
            let answers = questions.iter().map(|_| script.remove(0));
            let answers = answers.map(|text| RawJson::from_text(text.to_owned()).unwrap());
            let answers = Ok(answers.collect());
            self.1.lock().unwrap().extend(questions);
            Box::pin(std::future::ready(answers))
        }
    }

    fn asked(answers: &[&'static str]) -> (CallContext, Arc<Scripted>) {
        let client = Arc::new(Scripted(Mutex::new(answers.to_vec()), Mutex::default()));
        let mut context = call("tl");
        context.client = Some(client.clone());
        (context, client)
    }

    fn form() -> McpElicit {
        McpElicit {
            key: None,
            message: "name?".to_owned(),
            form: Some(
                json!({"type": "object", "properties": {"name": {"type": "string"}}}).into(),
            ),
            url: None,
        }
    }

    #[tokio::test]
    async fn without_a_client_nothing_is_said_and_a_question_is_an_error() {
        let (mcp, call) = (Mcp::default(), call("tl"));
        assert!(
            !mcp.get_client(&call, McpGetClient {})
                .await
                .unwrap()
                .connected
        );
        let progress = McpProgress {
            progress: 1,
            total: None,
            message: None,
        };
        mcp.progress(&call, progress).await.unwrap();
        let line = McpLog {
            level: McpLogLevel::Info,
            logger: None,
            data: RawJson::empty_object(),
        };
        mcp.log(&call, line).await.unwrap();
        let refused = mcp.elicit(&call, form()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unsupported, "{refused}");
    }

    #[tokio::test]
    async fn a_change_is_noted_for_the_role() {
        let changes = Changes::default();
        let seen = changes.of(&"tl".parse().unwrap());
        let notified = McpNotify {
            prompts_changed: true,
            ..McpNotify::default()
        };
        Mcp::new(changes)
            .notify(&call("tl"), notified)
            .await
            .unwrap();
        assert_eq!(seen.borrow().lists, [0, 1, 0]);
    }

    #[tokio::test]
    async fn a_form_or_an_address_is_asked_for_and_nothing_in_between() {
        let (call, client) = asked(&[
            r#"{"action":"accept","content":{"name":"Ada"}}"#,
            r#"{"action":"decline"}"#,
            r#"{"action":"shrug"}"#,
        ]);
        let mcp = Mcp::default();
        let answer = mcp.elicit(&call, form()).await.unwrap();
        assert_eq!(answer.action, McpElicitAction::Accept);
        assert_eq!(answer.content.unwrap().get(), r#"{"name":"Ada"}"#);
        let url = McpElicit {
            form: None,
            url: Some("https://example.test/login".to_owned()),
            ..form()
        };
        let answer = mcp.elicit(&call, url).await.unwrap();
        assert_eq!(answer.action, McpElicitAction::Decline);
        let wrong = mcp.elicit(&call, form()).await.unwrap_err();
        assert_eq!(wrong.code, ErrorCode::Validation);
        let neither = McpElicit {
            form: None,
            ..form()
        };
        let invalid = mcp.elicit(&call, neither).await.unwrap_err();
        assert_eq!(invalid.code, ErrorCode::InvalidInput);
        let asked = client.1.lock().unwrap();
        assert_eq!(asked[0].capability, ClientCapability::ElicitForms);
        assert_eq!(asked[1].capability, ClientCapability::ElicitUrls);
        assert!(asked[1].params.get().contains(r#""mode":"url""#));
    }

    #[tokio::test]
    async fn one_part_is_a_message_by_itself_and_an_answer_may_have_several() {
        let (call, client) = asked(&[
            r#"{"role":"assistant","model":"m","content":{"type":"text","text":"a"}}"#,
            r#"{"role":"assistant","model":"m","stopReason":"toolUse","content":[{"type":"tool_use","id":"1","name":"t","input":{"n":1.10}}]}"#,
        ]);
        let mcp = Mcp::default();
        let request = || McpSample {
            key: None,
            messages: vec![McpSamplingMessage {
                role: MessageRole::User,
                content: vec![McpSamplingContent::Content(Content::Text {
                    text: "hello".to_owned(),
                })],
            }],
            max_tokens: 100.try_into().unwrap(),
            system_prompt: None,
            tools: Vec::new(),
            tool_choice: None,
            options: [("temperature".to_owned(), json!(0.5).into())].into(),
        };
        let sampled = mcp.sample(&call, request()).await.unwrap();
        assert_eq!(sampled.content.len(), 1);
        let with_tools = McpSample {
            tool_choice: Some(McpToolChoice::Auto),
            ..request()
        };
        let sampled = mcp.sample(&call, with_tools).await.unwrap();
        let [McpSamplingContent::ToolUse(call)] = sampled.content.as_slice() else {
            panic!("{sampled:?}");
        };
        assert_eq!(call.input.get(), r#"{"n":1.10}"#);
        let asked = client.1.lock().unwrap();
        let params: Value = asked[0].params.parse().unwrap();
        assert_eq!(
            params,
            json!({
                "messages": [{"role": "user", "content": {"type": "text", "text": "hello"}}],
                "maxTokens": 100, "temperature": 0.5
            })
        );
        assert_eq!(asked[1].capability, ClientCapability::SampleWithTools);
    }

    #[tokio::test]
    async fn several_questions_keep_their_order_and_have_keys_of_their_own() {
        let (call, _client) = asked(&[
            r#"{"roots":[{"uri":"file:///a"}]}"#,
            r#"{"action":"cancel"}"#,
        ]);
        let mcp = Mcp::default();
        let questions = vec![
            McpQuestion::ListRoots(McpListRoots::default()),
            McpQuestion::Elicit(form()),
        ];
        let answers = mcp.ask(&call, McpAsk { questions }).await.unwrap().answers;
        assert!(
            matches!(&answers[..], [McpAnswer::ListRoots(roots), McpAnswer::Elicit(_)] if roots.roots[0].uri == "file:///a")
        );
        let same = || McpElicit {
            key: Some("k".to_owned().try_into().unwrap()),
            ..form()
        };
        let questions = vec![McpQuestion::Elicit(same()), McpQuestion::Elicit(same())];
        let refused = mcp.ask(&call, McpAsk { questions }).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidInput);
        let questions = Vec::new();
        assert!(mcp.ask(&call, McpAsk { questions }).await.is_err());
    }
}
