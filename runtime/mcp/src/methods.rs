//! The methods of a role, whatever transport and era a request comes by: one table.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use exomonad_config::McpConfig;
use exomonad_core::values::Area;
use exomonad_host::client::{KeyedQuestion, Suspended, SuspendedState};
use exomonad_host::plugins::version::PluginVersion;
use exomonad_host::{Caller, ClientCall, Execution, HostError, Role, ToolAnswer};
use exomonad_schema::common::{
    CallToolResult, HANDLE_COMPLETE, HANDLE_GET_PROMPT, HANDLE_LIST_PROMPTS, HANDLE_LIST_RESOURCES,
    HANDLE_READ_RESOURCE, Tool,
};
use exomonad_schema::effects::mcp::McpLogLevel;
use exomonad_schema::{CallId, RawJson};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use crate::Roles;
use crate::capabilities::{Capabilities, TASKS};
use crate::guest_methods;
use crate::kept_answers::{self, KeptAnswers, Owner};
use crate::lists::List;
use crate::message::{Params, Request, object, text};
use crate::request_state::{Bound, RequestState};
use crate::revision::{Era, Revision};
use crate::rpc_error::RpcError;
use crate::sessions::Session;
use crate::tasks;

/// Answers to questions that one request may bring.
const RESPONSES: usize = 64;
/// The time that a client waits for a plugin that loads, to be told what it can do.
const LOADING: Duration = Duration::from_secs(5);

/// The environment of a request.
pub struct Context {
    /// The role that it is for.
    pub role: Arc<Role>,
    /// The configuration in force.
    pub config: McpConfig,
    /// The revision that the client speaks.
    pub revision: Revision,
    /// The client, as it calls itself.
    pub caller: Caller,
    /// The id of the call that the request may make.
    pub call_id: CallId,
    /// The session, in the era that has them.
    pub session: Option<Arc<Session>>,
    /// The line to the client, where a guest may talk to it.
    pub client: Option<Arc<ClientCall>>,
    /// The call's work so far, if it goes on.
    pub resumed: Option<SuspendedState>,
    /// Keeps what a call did until its client calls again, in the era without sessions.
    pub sealer: Option<Sealer>,
    /// The roles, for what they tell their clients.
    pub roles: Arc<dyn Roles>,
    /// The client's capabilities.
    pub capabilities: Capabilities,
    /// The parts that are kept of answers that were too large.
    pub kept: Arc<KeptAnswers>,
    /// Whose that is.
    pub owner: Owner,
}

/// The caller, as its token proves: what belongs to it is nobody else's. A token that takes the place of another one
/// changes nothing.
pub fn principal(caller: &Caller) -> &str {
    let principal = caller.principal.as_ref();
    principal.map_or("", |principal| &principal.id)
}

impl Context {
    /// The environment of a request whose guest does not talk to the client.
    pub fn new(
        roles: &Arc<dyn Roles>,
        role: &Arc<Role>,
        revision: Revision,
        caller: Caller,
        kept: &Arc<KeptAnswers>,
    ) -> Self {
        let owner = Owner {
            role: role.name().to_string(),
            principal: principal(&caller).as_bytes().to_vec(),
        };
        Self {
            role: role.clone(),
            config: roles.config(),
            revision,
            caller,
            call_id: CallId::random(),
            session: None,
            client: None,
            resumed: None,
            sealer: None,
            roles: roles.clone(),
            capabilities: Capabilities::default(),
            kept: kept.clone(),
            owner,
        }
    }

    /// A call of the guest.
    pub fn execution(&self) -> Result<Execution, HostError> {
        let execution =
            Execution::new(self.role.clone(), self.call_id.clone(), self.caller.clone())?;
        Ok(match &self.client {
            Some(client) => execution.with_client(client.clone(), self.resumed.clone()),
            None => execution,
        })
    }

    /// The answer to a call that has asked its client.
    ///
    /// # Errors
    /// If what it takes to go on is too large.
    pub fn input_required(&self, suspended: &Suspended) -> Result<Answer, RpcError> {
        let Some(sealer) = &self.sealer else {
            let message = "a call with a session does not wait for another call".to_owned();
            return Err(HostError::Internal(message).into());
        };
        let state = sealer.seal(&suspended.state, &self.config)?;
        let result = json!({
            "inputRequests": input_requests(&suspended.questions),
            "requestState": state
        });
        Ok(Answer {
            result_type: "input_required",
            ..answer(&result)?
        })
    }
}

/// Questions to the client, by their keys.
pub fn input_requests(questions: &[KeyedQuestion]) -> Value {
    let requests = questions.iter().map(|question| {
        let request = json!({"method": question.capability.method(), "params": question.params});
        (question.key.clone(), request)
    });
    Value::Object(requests.collect())
}

/// The answers to what the call before has asked.
pub fn input_responses(params: &Params) -> Result<HashMap<String, RawJson>, RpcError> {
    let Some(responses) = &params.input_responses else {
        return Ok(HashMap::new());
    };
    let responses: Option<HashMap<String, RawJson>> = object(responses);
    let responses = responses.filter(|responses| {
        responses.len() <= RESPONSES
            && responses
                .values()
                .all(|response| response.get().starts_with('{'))
    });
    responses.ok_or_else(|| {
        RpcError::params(format!(
            "`inputResponses` has to be an object of at most {RESPONSES} results, each an object"
        ))
    })
}

/// Seals what a call did, for the client to send along when it calls again.
pub struct Sealer {
    /// The key.
    pub states: Arc<RequestState>,
    /// The role.
    pub role: String,
    /// The caller's credentials.
    pub principal: Vec<u8>,
    /// The method.
    pub method: String,
    /// A hash of its parameters.
    pub params: String,
}

impl Sealer {
    fn bound(&self) -> Bound<'_> {
        Bound {
            role: &self.role,
            principal: &self.principal,
            method: &self.method,
            params: &self.params,
        }
    }

    fn seal(&self, state: &SuspendedState, config: &McpConfig) -> Result<String, RpcError> {
        let (valid, largest) = (config.client_answer.get(), config.max_request_state.get());
        self.states.seal(state, &self.bound(), valid, largest)
    }

    /// The state that a client has sent along.
    ///
    /// # Errors
    /// If it is none that was given for this call.
    pub fn open(&self, text: &str) -> Result<SuspendedState, RpcError> {
        self.states.open(text, &self.bound())
    }
}

/// A method's result.
pub struct Answer {
    /// A JSON object.
    pub json: Vec<u8>,
    /// The call that gave it, if it was one.
    pub call_id: Option<CallId>,
    /// True if clients may keep it for a while.
    pub is_cacheable: bool,
    /// Its `resultType`, in the era that has it.
    pub result_type: &'static str,
}

type Answered<'a> = Pin<Box<dyn Future<Output = Result<Answer, RpcError>> + Send + 'a>>;

/// A method.
pub struct Method {
    name: &'static str,
    eras: &'static [Era],
    is_cacheable: bool,
    /// True if the guest may talk to the client meanwhile.
    pub talks: bool,
    /// The list that the client knows then.
    pub lists: Option<List>,
    /// The parameter that a header repeats.
    pub named: fn(&Params) -> Option<&RawJson>,
    handle: for<'a> fn(&'a Context, Params) -> Answered<'a>,
}

/// A method that says little of itself.
const PLAIN: Method = Method {
    name: "",
    eras: &[Era::Sessionful, Era::Stateless],
    is_cacheable: false,
    talks: false,
    lists: None,
    named: |_| None,
    handle: |_, _| Box::pin(std::future::ready(answer(&json!({})))),
};

const METHODS: &[Method] = &[
    Method {
        name: "ping",
        eras: &[Era::Sessionful],
        ..PLAIN
    },
    Method {
        name: "server/discover",
        eras: &[Era::Stateless],
        is_cacheable: true,
        handle: |context, _| Box::pin(discover(context)),
        ..PLAIN
    },
    Method {
        name: "tools/list",
        is_cacheable: true,
        lists: Some(List::Tools),
        handle: |context, params| Box::pin(list_tools(context, params)),
        ..PLAIN
    },
    Method {
        name: "tools/call",
        talks: true,
        named: |params| params.name.as_ref(),
        handle: |context, params| Box::pin(call_tool(context, params)),
        ..PLAIN
    },
    Method {
        name: "resources/list",
        is_cacheable: true,
        lists: Some(List::Resources),
        handle: |context, params| Box::pin(guest_methods::list_resources(context, params)),
        ..PLAIN
    },
    Method {
        name: "resources/templates/list",
        is_cacheable: true,
        handle: |context, params| Box::pin(guest_methods::list_resource_templates(context, params)),
        ..PLAIN
    },
    Method {
        name: "resources/read",
        is_cacheable: true,
        talks: true,
        named: |params| params.uri.as_ref(),
        handle: |context, params| Box::pin(guest_methods::read_resource(context, params)),
        ..PLAIN
    },
    Method {
        name: "resources/subscribe",
        eras: &[Era::Sessionful],
        handle: |context, params| Box::pin(subscribe(context, params, true)),
        ..PLAIN
    },
    Method {
        name: "resources/unsubscribe",
        eras: &[Era::Sessionful],
        handle: |context, params| Box::pin(subscribe(context, params, false)),
        ..PLAIN
    },
    Method {
        name: "prompts/list",
        is_cacheable: true,
        lists: Some(List::Prompts),
        handle: |context, params| Box::pin(guest_methods::list_prompts(context, params)),
        ..PLAIN
    },
    Method {
        name: "prompts/get",
        talks: true,
        named: |params| params.name.as_ref(),
        handle: |context, params| Box::pin(guest_methods::get_prompt(context, params)),
        ..PLAIN
    },
    Method {
        name: "completion/complete",
        handle: |context, params| Box::pin(guest_methods::complete(context, params)),
        ..PLAIN
    },
    Method {
        name: "tasks/get",
        eras: &[Era::Stateless],
        named: |params| params.task_id.as_ref(),
        handle: |context, params| Box::pin(tasks::get(context, params)),
        ..PLAIN
    },
    Method {
        name: "tasks/cancel",
        eras: &[Era::Stateless],
        named: |params| params.task_id.as_ref(),
        handle: |context, params| Box::pin(tasks::cancel(context, params)),
        ..PLAIN
    },
    Method {
        name: "tasks/update",
        eras: &[Era::Stateless],
        named: |params| params.task_id.as_ref(),
        handle: |context, params| Box::pin(tasks::update(context, params)),
        ..PLAIN
    },
    Method {
        name: "logging/setLevel",
        eras: &[Era::Sessionful],
        handle: |context, params| Box::pin(set_level(context, params)),
        ..PLAIN
    },
];

/// The method of this name, if the era has it.
pub fn method(name: &str, era: Era) -> Option<&'static Method> {
    let mut all = METHODS.iter();
    all.find(|method| method.name == name && method.eras.contains(&era))
}

/// The beginning of a cursor; the last name of the page before follows.
const CURSOR: &str = "after:";

/// Answers a request.
///
/// # Errors
/// If there is no such method in the era, or the method's own.
pub async fn answer_request(context: &Context, request: Request) -> Result<Answer, RpcError> {
    let Some(method) = method(&request.method, context.revision.era()) else {
        return Err(RpcError::method(&request.method).answering(request.id));
    };
    let answered = (method.handle)(context, request.params).await;
    let mut answer = answered.map_err(|error| error.answering(request.id))?;
    answer.is_cacheable = method.is_cacheable && answer.result_type == COMPLETE;
    Ok(answer)
}

/// The `resultType` of a result that is all there is.
const COMPLETE: &str = "complete";

/// The result of `initialize`.
pub async fn initialize(context: &Context) -> Result<Answer, RpcError> {
    answer(&json!({
        "protocolVersion": context.revision.name(),
        "capabilities": capabilities(context).await,
        "serverInfo": server_info(&context.role),
    }))
}

/// The role as a piece of software: by its name, and the version of its plugin if that says one.
pub fn server_info(role: &Role) -> Value {
    let version = role.version();
    let description = version
        .as_ref()
        .and_then(|version| version.description.as_ref());
    let version = description.map_or(env!("CARGO_PKG_VERSION"), |described| {
        described.version.as_str()
    });
    json!({"name": role.name(), "version": version})
}

/// The news that a role's clients can get.
pub struct Offered {
    /// The lists that may change, by [`List`].
    pub lists: [bool; 3],
    /// True if it says which resources were updated.
    pub updates: bool,
}

/// The news that clients can get from a version; everything, while it is not known which one will serve.
pub fn offered(version: Option<&PluginVersion>) -> Offered {
    let Some(version) = version else {
        return Offered {
            lists: [true; 3],
            updates: true,
        };
    };
    let has = |exports: [&str; 2]| exports.iter().any(|export| version.plugin.has(export));
    let resources = has([HANDLE_LIST_RESOURCES, HANDLE_READ_RESOURCE]);
    Offered {
        lists: [
            true,
            has([HANDLE_LIST_PROMPTS, HANDLE_GET_PROMPT]),
            resources,
        ],
        updates: resources && version.notifies_clients,
    }
}

/// The capabilities of the server: those that the plugin delivers. One that is still loading is waited for.
async fn capabilities(context: &Context) -> Value {
    let mut capabilities = json!({"tools": {"listChanged": true}});
    let Ok(Ok(version)) = timeout(LOADING, context.role.settled()).await else {
        return capabilities;
    };
    let Offered { lists, updates } = offered(Some(&version));
    let [_, prompts, resources] = lists;
    if kept_answers::may_keep(context) {
        capabilities["resources"] = json!({});
    }
    if resources {
        capabilities["resources"] = json!({"listChanged": true, "subscribe": updates});
    }
    if prompts {
        capabilities["prompts"] = json!({"listChanged": true});
    }
    if version.plugin.has(HANDLE_COMPLETE) {
        capabilities["completions"] = json!({});
    }
    if version.logs_to_client {
        capabilities["logging"] = json!({});
    }
    if context.revision.era() == Era::Stateless && version.tools.iter().any(|tool| tool.is_workflow)
    {
        capabilities["extensions"] = json!({TASKS: {}});
    }
    capabilities
}

/// The version that serves, if it has an export.
///
/// # Errors
/// If none serves, or it does not have it: then there is no such method here.
pub async fn version_with(
    context: &Context,
    export: &str,
    method: &str,
) -> Result<Arc<PluginVersion>, RpcError> {
    let version = context.role.settled().await?;
    match version.plugin.has(export) {
        true => Ok(version),
        false => Err(RpcError::method(method)),
    }
}

async fn discover(context: &Context) -> Result<Answer, RpcError> {
    let capabilities = capabilities(context).await;
    answer(&json!({"supportedVersions": Revision::names(), "capabilities": capabilities}))
}

/// A result, from a value.
pub fn answer(result: &impl Serialize) -> Result<Answer, RpcError> {
    let json = serde_json::to_vec(result)
        .map_err(|error| HostError::Internal(format!("the answer is not JSON: {error}")))?;
    Ok(Answer {
        json,
        call_id: None,
        is_cacheable: false,
        result_type: COMPLETE,
    })
}

async fn set_level(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let version = context.role.settled().await?;
    let (true, Some(session)) = (version.logs_to_client, &context.session) else {
        return Err(RpcError::method("logging/setLevel"));
    };
    let level = params.level.as_ref().and_then(|json| json.parse().ok());
    let level: McpLogLevel = level.ok_or_else(|| {
        RpcError::params("`level` has to be a level of RFC 5424, such as \"info\"")
    })?;
    session.set_log_level(level);
    answer(&json!({}))
}

async fn subscribe(context: &Context, params: Params, begins: bool) -> Result<Answer, RpcError> {
    guest_methods::in_scope(context, Area::Resources)?;
    let version = version_with(context, HANDLE_READ_RESOURCE, "resources/subscribe").await?;
    let (true, Some(session)) = (version.notifies_clients, &context.session) else {
        return Err(RpcError::method("resources/subscribe"));
    };
    let uri = guest_methods::uri(&params)?;
    if !begins {
        session.unsubscribe(&uri);
    } else {
        let seen = context.roles.changes(context.role.name()).borrow().last();
        if !session.subscribe(&uri, seen) {
            return Err(RpcError::server(
                "this session is subscribed to as many resources as it may be",
            ));
        }
    }
    answer(&json!({}))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    tools: Vec<&'a Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Pages are sorted and begin after a name, so that they fit together also when the plugin is replaced
/// between two of them.
async fn list_tools(context: &Context, params: Params) -> Result<Answer, RpcError> {
    // An agent may begin together with the host.
    let version = context.role.settled().await?;
    let cursor = match &params.cursor {
        None => String::new(),
        cursor => text(cursor.as_ref()).ok_or_else(wrong_cursor)?,
    };
    let after = match cursor.as_str() {
        "" => "",
        cursor => cursor.strip_prefix(CURSOR).ok_or_else(wrong_cursor)?,
    };
    let mut tools: Vec<&Tool> = version
        .tools
        .iter()
        .map(|tool| &tool.tool)
        .filter(|tool| tool.name.as_str() > after && context.caller.allows_tool(&tool.name))
        .collect();
    tools.sort_unstable_by_key(|tool| &tool.name);
    let size = context.config.page_size as usize;
    let has_more = tools.len() > size;
    tools.truncate(size);
    let last = tools.last().filter(|_| has_more);
    let next_cursor = last.map(|tool| format!("{CURSOR}{}", tool.name));
    answer(&Page { tools, next_cursor })
}

fn wrong_cursor() -> RpcError {
    RpcError::params("`cursor` is none that a list here has given")
}

async fn call_tool(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let name = text(params.name.as_ref())
        .ok_or_else(|| RpcError::params("`name` has to be a tool's name"))?;
    let arguments = params.arguments.unwrap_or_else(RawJson::empty_object);
    if !arguments.get().starts_with('{') {
        return Err(RpcError::params("`arguments` have to be an object"));
    }
    context.role.settled().await?;
    let has_tasks = context.revision.era() == Era::Stateless && context.capabilities.has_tasks;
    let execution = context.execution()?.coercing().with_tasks(has_tasks);
    let called = execution.tool(name.clone(), arguments).await;
    let json = match called {
        Err(HostError::InputRequired(suspended)) => return context.input_required(&suspended),
        Ok(ToolAnswer {
            task: Some(run), ..
        }) => return tasks::created(&run),
        Ok(answer) if answer.is_of_host() => failure(&answer.json),
        Ok(answer) => {
            let has_schema = context.role.version().is_some_and(|version| {
                let tool = version.tool(&name).ok();
                tool.is_some_and(|(tool, _)| tool.tool.output_schema.is_some())
            });
            let id = context.call_id.as_str();
            kept_answers::fitted(context, id, has_schema, answer.json)
        }
        Err(error @ HostError::InvalidArguments { .. })
            if context.revision.input_errors_are_results() =>
        {
            let details = json!({"code": error.code(), "errors": error.violations()});
            failed(&json!(CallToolResult::error(error.to_string())), details)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Answer {
        json,
        call_id: Some(context.call_id.clone()),
        is_cacheable: false,
        result_type: COMPLETE,
    })
}

/// The member of `_meta` that says how the host could not answer.
const ERROR: &str = "exomonad/error";

/// A failure of the guest as the host tells it, for clients that hold `structuredContent` against the tool's
/// output schema whatever `isError` says (typescript-sdk 1.32 does).
fn failure(json: &[u8]) -> Vec<u8> {
    let mut result: Value = serde_json::from_slice(json).unwrap_or_default();
    let details = result
        .as_object_mut()
        .and_then(|result| result.remove("structuredContent"));
    let details = details.and_then(|mut details| details.get_mut("error").map(Value::take));
    failed(&result, details.unwrap_or_default())
}

fn failed(result: &Value, details: Value) -> Vec<u8> {
    let mut result = result.clone();
    result["_meta"] = json!({ERROR: details});
    serde_json::to_vec(&result).unwrap_or_default()
}
