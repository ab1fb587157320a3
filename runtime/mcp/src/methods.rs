//! The methods of a role, whatever transport and era a request comes by: one table.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use exomonad_config::McpConfig;
use exomonad_host::{Caller, Execution, HostError, Role};
use exomonad_schema::common::{CallToolResult, Tool};
use exomonad_schema::{CallId, RawJson};
use serde::Serialize;
use serde_json::{Value, json};

use crate::message::{Params, Request, text};
use crate::revision::{Era, Revision};
use crate::rpc_error::RpcError;

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
}

/// A method's result.
pub struct Answer {
    /// A JSON object.
    pub json: Vec<u8>,
    /// The call that gave it, if it was one.
    pub call_id: Option<CallId>,
    /// True if clients may keep it for a while.
    pub is_cacheable: bool,
}

type Answered<'a> = Pin<Box<dyn Future<Output = Result<Answer, RpcError>> + Send + 'a>>;

struct Method {
    name: &'static str,
    eras: &'static [Era],
    is_cacheable: bool,
    handle: for<'a> fn(&'a Context, Params) -> Answered<'a>,
}

const METHODS: &[Method] = &[
    Method {
        name: "ping",
        eras: &[Era::Sessionful],
        is_cacheable: false,
        handle: |_, _| Box::pin(std::future::ready(answer(&json!({})))),
    },
    Method {
        name: "server/discover",
        eras: &[Era::Stateless],
        is_cacheable: true,
        handle: |context, _| Box::pin(std::future::ready(discover(context))),
    },
    Method {
        name: LIST_TOOLS,
        eras: &[Era::Sessionful, Era::Stateless],
        is_cacheable: true,
        handle: |context, params| Box::pin(list_tools(context, params)),
    },
    Method {
        name: CALL_TOOL,
        eras: &[Era::Sessionful, Era::Stateless],
        is_cacheable: false,
        handle: |context, params| Box::pin(call_tool(context, params)),
    },
];

/// The method that lists tools.
pub const LIST_TOOLS: &str = "tools/list";

/// The method that calls a tool.
pub const CALL_TOOL: &str = "tools/call";

/// The beginning of a cursor; the last name of the page before follows.
const CURSOR: &str = "after:";

/// Answers a request.
///
/// # Errors
/// If there is no such method in the era, or the method's own.
pub async fn answer_request(context: &Context, request: Request) -> Result<Answer, RpcError> {
    let era = context.revision.era();
    let mut all = METHODS.iter();
    let method = all.find(|method| method.name == request.method && method.eras.contains(&era));
    let Some(method) = method else {
        return Err(RpcError::method(&request.method).answering(request.id));
    };
    let answered = (method.handle)(context, request.params).await;
    let mut answer = answered.map_err(|error| error.answering(request.id))?;
    answer.is_cacheable = method.is_cacheable;
    Ok(answer)
}

/// The result of `initialize`.
pub fn initialize(context: &Context) -> Result<Answer, RpcError> {
    answer(&json!({
        "protocolVersion": context.revision.name(),
        "capabilities": capabilities(),
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

/// The capabilities of the server: those that it delivers.
fn capabilities() -> Value {
    json!({"tools": {"listChanged": true}})
}

fn discover(_: &Context) -> Result<Answer, RpcError> {
    answer(&json!({"supportedVersions": Revision::names(), "capabilities": capabilities()}))
}

fn answer(result: &impl Serialize) -> Result<Answer, RpcError> {
    let json = serde_json::to_vec(result)
        .map_err(|error| HostError::Internal(format!("the answer is not JSON: {error}")))?;
    Ok(Answer {
        json,
        call_id: None,
        is_cacheable: false,
    })
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
        .filter(|tool| tool.name.as_str() > after)
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
    let (role, id) = (&context.role, CallId::random());
    role.settled().await?;
    let execution = Execution::new(role.clone(), id.clone(), context.caller.clone())?.coercing();
    let called = execution.tool(name.clone(), arguments).await;
    let (json, is_error) = match called {
        Ok(answer) if answer.is_of_host() => (failure(&answer.json), true),
        Ok(answer) => (answer.json, answer.is_error),
        Err(error @ HostError::InvalidArguments { .. })
            if context.revision.input_errors_are_results() =>
        {
            let details = json!({"code": error.code(), "errors": error.violations()});
            (
                failed(&json!(CallToolResult::error(error.to_string())), details),
                true,
            )
        }
        Err(error) => return Err(error.into()),
    };
    tracing::info!(role = %role.name(), tool = name, call_id = %id, is_error, "tool call");
    Ok(Answer {
        json,
        call_id: Some(id),
        is_cacheable: false,
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
