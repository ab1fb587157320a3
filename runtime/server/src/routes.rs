//! The endpoints: one table that the router and the API description are both made from.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use exomonad_schema::common::{CallToolResult, HookEvent, HookOutput, ListToolsResult};
use exomonad_schema::{CallId, RawJson};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::path_params::PathParams;
use super::unread::Unread;
use super::{App, calls, challenge, events, mcp, openapi, parse_json, schedules, workflows};
use crate::error::RequestError;
use exomonad_access::TokensProblem;
use exomonad_core::values::Area;
use exomonad_host::agents::Agent;
use exomonad_host::plugins::reload::Changes;
use exomonad_host::workflows::schedules::{ScheduleView, SetSchedule};
use exomonad_host::workflows::view::RunView;
use exomonad_host::{Execution, HostError, Role, report};
use exomonad_journal::{CallRecord, Page};
use exomonad_schema::effects::workflow::WorkflowChild;

/// The schema of a body.
pub type BodySchema = fn(&mut SchemaGenerator) -> Schema;

/// The kind of a request or response body.
#[derive(Clone, Copy)]
pub enum Content {
    /// There is none.
    None,
    /// JSON of this schema.
    Json(BodySchema),
    /// Messages of JSON-RPC in this media type. A refusal may be one, too, in `application/json`.
    JsonRpc(&'static str),
    /// Server-sent events whose data is of this schema.
    Events(BodySchema),
    /// Text of this media type.
    Text(&'static str),
    /// Any bytes.
    Bytes,
}

/// One endpoint.
pub struct Route {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Its summary, in a line.
    pub summary: &'static str,
    /// The request's body.
    pub request: Content,
    /// The response's body.
    pub response: Content,
    /// Statuses of success.
    pub success: &'static [u16],
    /// Statuses of problem documents, besides those that every endpoint has.
    pub problems: &'static [u16],
    /// True if it wants a token when tokens are configured.
    pub wants_token: bool,
    /// Its handler.
    pub handler: fn() -> MethodRouter<App>,
}

/// A parameter in the query of an endpoint.
pub struct QueryParameter {
    /// Its name.
    pub name: &'static str,
    /// Its meaning, in a line.
    pub description: &'static str,
    /// Its JSON Schema.
    pub schema: fn() -> serde_json::Value,
}

/// The parameters in the query of endpoints, by their paths.
pub const QUERIES: &[(&str, &[QueryParameter])] = &[
    ("/role/{role}/hook/{event}", HOOK_QUERY),
    ("/workflows", workflows::QUERY),
    ("/workflows/{id}", workflows::OF_ROLE),
    ("/workflows/{id}/history", workflows::HISTORY_QUERY),
    ("/workflows/{id}/signal", workflows::OF_ROLE),
    ("/workflows/{id}/query", workflows::OF_ROLE),
    ("/workflows/{id}/cancel", workflows::OF_ROLE),
    ("/workflows/{id}/terminate", workflows::OF_ROLE),
    ("/workflows/{id}/repair", workflows::OF_ROLE),
    ("/workflows/{id}/move", workflows::OF_ROLE),
    ("/schedules", schedules::QUERY),
    ("/schedules/{id}", schedules::OF_ROLE),
    ("/schedules/{id}/pause", schedules::OF_ROLE),
    ("/schedules/{id}/resume", schedules::OF_ROLE),
    ("/schedules/{id}/trigger", schedules::OF_ROLE),
    ("/events", events::QUERY),
    ("/calls", calls::QUERY),
    ("/calls/records", calls::RECORDS_QUERY),
];

/// All endpoints.
pub const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/health",
        summary: "The state of the host and of each role whose plugin does not serve.",
        request: Content::None,
        response: Content::Json(schema::<report::Health>),
        success: &[200],
        problems: &[],
        wants_token: false,
        handler: || get(health),
    },
    Route {
        method: "GET",
        path: "/ready",
        summary: "200 once every plugin has been tried, 503 before and while the host shuts down.",
        request: Content::None,
        response: Content::Json(schema::<report::Ready>),
        success: &[200],
        problems: &[503],
        wants_token: false,
        handler: || get(ready),
    },
    Route {
        method: "GET",
        path: "/openapi.json",
        summary: "This description.",
        request: Content::None,
        response: Content::Json(schema::<serde_json::Value>),
        success: &[200],
        problems: &[],
        wants_token: false,
        handler: || get(async || shared(openapi::document())),
    },
    Route {
        method: "GET",
        path: "/.well-known/oauth-protected-resource",
        summary: "The authorization servers whose tokens open roles (RFC 9728), if there are any.",
        request: Content::None,
        response: Content::Json(schema::<serde_json::Value>),
        success: &[200],
        problems: &[404],
        wants_token: false,
        handler: || get(challenge::metadata_of_host),
    },
    Route {
        method: "GET",
        path: "/.well-known/oauth-protected-resource/role/{role}/mcp",
        summary: "The authorization servers whose tokens open a role (RFC 9728), if there are any.",
        request: Content::None,
        response: Content::Json(schema::<serde_json::Value>),
        success: &[200],
        problems: &[400, 404],
        wants_token: false,
        handler: || get(challenge::metadata_of_role),
    },
    Route {
        method: "GET",
        path: "/roles",
        summary: "The roles with their plugins, tools and hooks.",
        request: Content::None,
        response: Content::Json(schema::<report::Roles>),
        success: &[200],
        problems: &[401],
        wants_token: true,
        handler: || get(roles),
    },
    Route {
        method: "GET",
        path: "/role/{role}",
        summary: "The tools and hooks of a role that the request's token may use.",
        request: Content::None,
        response: Content::Json(schema::<report::UsableRole>),
        success: &[200],
        problems: &[400, 401, 404, 503],
        wants_token: true,
        handler: || get(usable_role),
    },
    Route {
        method: "POST",
        path: "/role/{role}/mcp",
        summary: "A message of the Model Context Protocol (Streamable HTTP), of any of its revisions.",
        request: Content::JsonRpc("application/json"),
        response: Content::JsonRpc("application/json"),
        success: &[200, 202],
        problems: &[400, 401, 404, 413],
        wants_token: true,
        handler: || post(mcp::post),
    },
    Route {
        method: "GET",
        path: "/role/{role}/mcp",
        summary: "The events of an MCP session.",
        request: Content::None,
        response: Content::JsonRpc("text/event-stream"),
        success: &[200],
        problems: &[400, 401, 404, 406],
        wants_token: true,
        handler: || get(mcp::get),
    },
    Route {
        method: "DELETE",
        path: "/role/{role}/mcp",
        summary: "Ends an MCP session.",
        request: Content::None,
        response: Content::JsonRpc("application/json"),
        success: &[204],
        problems: &[400, 401, 404],
        wants_token: true,
        handler: || delete(mcp::delete),
    },
    Route {
        method: "GET",
        path: "/role/{role}/mcp/tools",
        summary: "The tools of a role.",
        request: Content::None,
        response: Content::Json(schema::<ListToolsResult>),
        success: &[200],
        problems: &[400, 401, 404, 503],
        wants_token: true,
        handler: || get(tools),
    },
    Route {
        method: "POST",
        path: "/role/{role}/mcp/call",
        summary: "Calls a tool. A tool that fails answers with `isError`.",
        request: Content::Json(schema::<ToolCall>),
        response: Content::Json(schema::<CallToolResult>),
        success: &[200],
        problems: &[400, 401, 404, 413, 422, 429, 503],
        wants_token: true,
        handler: || post(call_tool),
    },
    Route {
        method: "POST",
        path: "/role/{role}/hook/{event}",
        summary: "Asks a role's plugin to decide on an event, such as `pre_tool_use`. The body is the event.",
        request: Content::Json(schema::<serde_json::Value>),
        response: Content::Json(schema::<HookOutput>),
        success: &[200],
        problems: &[400, 401, 404, 413, 429, 502, 503],
        wants_token: true,
        handler: || post(call_hook),
    },
    Route {
        method: "GET",
        path: "/calls",
        summary: "The recorded calls of the roles that the request may use, latest first.",
        request: Content::None,
        response: Content::Json(schema::<Page>),
        success: &[200],
        problems: &[400, 401],
        wants_token: true,
        handler: || get(calls::list),
    },
    Route {
        method: "GET",
        path: "/calls/records",
        summary: "The records of these calls, oldest first, one a line; as they are read, so that any number takes little memory.",
        request: Content::None,
        response: Content::Text(calls::RECORDS),
        success: &[200],
        problems: &[400, 401],
        wants_token: true,
        handler: || get(calls::records),
    },
    Route {
        method: "GET",
        path: "/calls/{id}",
        summary: "The record of a call: its input, each effect with its answer, its outcome.",
        request: Content::None,
        response: Content::Json(schema::<CallRecord>),
        success: &[200],
        problems: &[400, 401, 404],
        wants_token: true,
        handler: || get(calls::show),
    },
    Route {
        method: "GET",
        path: "/workflows",
        summary: "The runs of workflows that the request may see, newest first.",
        request: Content::None,
        response: Content::Json(schema::<workflows::RunPage>),
        success: &[200],
        problems: &[400, 401, 422, 502, 503],
        wants_token: true,
        handler: || get(workflows::list),
    },
    Route {
        method: "POST",
        path: "/workflows",
        summary: "Starts a run of a workflow, or finds the open one of its id.",
        request: Content::Json(schema::<workflows::StartRun>),
        response: Content::Json(schema::<WorkflowChild>),
        success: &[200, 201],
        problems: &[400, 401, 404, 409, 413, 422, 429, 502, 503],
        wants_token: true,
        handler: || post(workflows::start),
    },
    Route {
        method: "GET",
        path: "/workflows/{id}",
        summary: "A run: by its run id, or the newest one of a workflow's id.",
        request: Content::None,
        response: Content::Json(schema::<RunView>),
        success: &[200],
        problems: &[400, 401, 404, 409, 422, 502, 503],
        wants_token: true,
        handler: || get(workflows::show),
    },
    Route {
        method: "GET",
        path: "/workflows/{id}/history",
        summary: "The history of a run: each step with its answer, timers, signals.",
        request: Content::None,
        response: Content::Json(schema::<workflows::HistoryPage>),
        success: &[200],
        problems: &[400, 401, 404, 409, 422, 502, 503],
        wants_token: true,
        handler: || get(workflows::history),
    },
    Route {
        method: "POST",
        path: "/workflows/{id}/signal",
        summary: "Sends a signal to a run: the one of this run id, or the open one of a workflow's id.",
        request: Content::Json(schema::<workflows::SendSignal>),
        response: Content::Json(schema::<workflows::Accepted>),
        success: &[200],
        problems: &[400, 401, 404, 409, 413, 422, 429, 502, 503],
        wants_token: true,
        handler: || post(workflows::signal),
    },
    Route {
        method: "POST",
        path: "/workflows/{id}/query",
        summary: "Asks a run's plugin about the state that the run has published.",
        request: Content::Json(schema::<workflows::AskQuery>),
        response: Content::Json(schema::<workflows::QueryAnswer>),
        success: &[200],
        problems: &[400, 401, 404, 409, 413, 422, 429, 502, 503],
        wants_token: true,
        handler: || post(workflows::query),
    },
    Route {
        method: "POST",
        path: "/workflows/{id}/cancel",
        summary: "Asks a run to cancel: its code cleans up and ends.",
        request: Content::None,
        response: Content::Json(schema::<workflows::Accepted>),
        success: &[200],
        problems: &[400, 401, 404, 409, 422, 502, 503],
        wants_token: true,
        handler: || post(workflows::cancel),
    },
    Route {
        method: "POST",
        path: "/workflows/{id}/terminate",
        summary: "Ends a run at once: its code does not hear of it.",
        request: Content::Json(schema::<workflows::Terminate>),
        response: Content::Json(schema::<workflows::Accepted>),
        success: &[200],
        problems: &[400, 401, 404, 409, 413, 422, 429, 502, 503],
        wants_token: true,
        handler: || post(workflows::terminate),
    },
    Route {
        method: "POST",
        path: "/workflows/{id}/repair",
        summary: "Lets a stuck run go on.",
        request: Content::Json(schema::<workflows::RepairRun>),
        response: Content::Json(schema::<workflows::Accepted>),
        success: &[200],
        problems: &[400, 401, 404, 409, 413, 422, 429, 502, 503],
        wants_token: true,
        handler: || post(workflows::repair),
    },
    Route {
        method: "POST",
        path: "/workflows/{id}/move",
        summary: "Lets a waiting run of the host's own store go on at the Temporal server that its role's workflows are on.",
        request: Content::None,
        response: Content::Json(schema::<workflows::Accepted>),
        success: &[200],
        problems: &[400, 401, 404, 409, 413, 422, 502, 503],
        wants_token: true,
        handler: || post(workflows::move_run),
    },
    Route {
        method: "GET",
        path: "/schedules",
        summary: "The schedules that the request may see: what starts runs at given times.",
        request: Content::None,
        response: Content::Json(schema::<schedules::ScheduleList>),
        success: &[200],
        problems: &[400, 401, 503],
        wants_token: true,
        handler: || get(schedules::list),
    },
    Route {
        method: "PUT",
        path: "/schedules/{id}",
        summary: "Sets a schedule, in the place of the one with its id.",
        request: Content::Json(schema::<SetSchedule>),
        response: Content::Json(schema::<ScheduleView>),
        success: &[200, 201],
        problems: &[400, 401, 404, 413, 422, 429, 503],
        wants_token: true,
        handler: || put(schedules::set),
    },
    Route {
        method: "GET",
        path: "/schedules/{id}",
        summary: "A schedule, with its next times.",
        request: Content::None,
        response: Content::Json(schema::<ScheduleView>),
        success: &[200],
        problems: &[400, 401, 404, 409, 503],
        wants_token: true,
        handler: || get(schedules::show),
    },
    Route {
        method: "DELETE",
        path: "/schedules/{id}",
        summary: "Removes a schedule. Runs that it has started go on.",
        request: Content::None,
        response: Content::None,
        success: &[204],
        problems: &[400, 401, 404, 409, 503],
        wants_token: true,
        handler: || delete(schedules::delete),
    },
    Route {
        method: "POST",
        path: "/schedules/{id}/pause",
        summary: "Pauses a schedule: it starts nothing until it is resumed.",
        request: Content::None,
        response: Content::Json(schema::<ScheduleView>),
        success: &[200],
        problems: &[400, 401, 404, 409, 503],
        wants_token: true,
        handler: || post(schedules::pause),
    },
    Route {
        method: "POST",
        path: "/schedules/{id}/resume",
        summary: "Resumes a schedule. Times that have passed meanwhile are not made up for.",
        request: Content::None,
        response: Content::Json(schema::<ScheduleView>),
        success: &[200],
        problems: &[400, 401, 404, 409, 503],
        wants_token: true,
        handler: || post(schedules::resume),
    },
    Route {
        method: "POST",
        path: "/schedules/{id}/trigger",
        summary: "Starts a run of a schedule now.",
        request: Content::None,
        response: Content::Json(schema::<WorkflowChild>),
        success: &[201],
        problems: &[400, 401, 404, 409, 422, 503],
        wants_token: true,
        handler: || post(schedules::trigger),
    },
    Route {
        method: "GET",
        path: "/events",
        summary: "What happens, as server-sent events: changes of runs, their steps if asked for, and events that plugins emit. `Last-Event-ID` goes on after an event.",
        request: Content::None,
        response: Content::Events(schema::<events::event::LiveEvent>),
        success: &[200],
        problems: &[400, 401, 429, 503],
        wants_token: true,
        handler: || get(events::stream),
    },
    Route {
        method: "GET",
        path: "/metrics",
        summary: "The metrics, in Prometheus' text format.",
        request: Content::None,
        response: Content::Text(exomonad_telemetry::MEDIA_TYPE),
        success: &[200],
        problems: &[401],
        wants_token: true,
        handler: || get(metrics),
    },
    Route {
        method: "POST",
        path: "/reload",
        summary: "Reads the configuration again, reconciles the roles with the plugin folder, and reports the changes.",
        request: Content::None,
        response: Content::Json(schema::<Reloaded>),
        success: &[200],
        problems: &[401, 503],
        wants_token: true,
        handler: || post(reload),
    },
    Route {
        method: "POST",
        path: "/call",
        summary: "Calls any export of a role's plugin, raw in and out. Off unless `server.raw_calls` is true.",
        request: Content::Json(schema::<RawCall>),
        response: Content::Bytes,
        success: &[200],
        problems: &[400, 401, 403, 404, 413, 429, 502, 503],
        wants_token: true,
        handler: || post(call_raw),
    },
];

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A call of a tool.
#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `name` and `arguments`"
)]
pub struct ToolCall {
    /// The tool.
    name: String,
    /// Its arguments, an object; none when absent.
    #[serde(default = "RawJson::empty_object")]
    arguments: RawJson,
    /// Metadata that MCP clients add for themselves.
    #[serde(default, rename = "_meta")]
    #[expect(dead_code, reason = "it is accepted, not used")]
    meta: Option<RawJson>,
}

/// A call of any export.
#[derive(Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with `plugin`, `function` and `input`"
)]
pub struct RawCall {
    /// The role whose plugin is called.
    plugin: String,
    /// The export.
    function: String,
    /// Its input, as it is.
    #[serde(default)]
    input: String,
}

/// The outcome of a reload.
#[derive(Serialize, JsonSchema)]
pub struct Reloaded {
    /// True if everything that is there is in force: no plugin failed, no file is ignored, no configuration is
    /// refused. What is named below is not in force otherwise.
    ok: bool,
    #[serde(flatten)]
    changes: Changes,
}

/// Whoever has no token gets codes: a message may tell what is in a file.
async fn health(State(app): State<App>, identity: Identity) -> Response {
    let serving = app.serving();
    let detail = match app.check_operator(&identity) {
        Ok(_) => report::Detail::Messages,
        Err(_) => report::Detail::Codes,
    };
    let tokens = serving.guard.tokens_problem().map(|problem| {
        let (code, message) = match problem {
            TokensProblem::Missing(message) => (report::TokensProblemCode::Missing, message),
            TokensProblem::Unreadable(message) => (report::TokensProblemCode::Unreadable, message),
        };
        report::TokensHealth {
            code,
            message: Some(message),
        }
    });
    let health = report::health(&serving.runtime, app.is_draining(), tokens, detail);
    axum::Json(health).into_response()
}

async fn ready(State(app): State<App>) -> Result<Response, RequestError> {
    if app.is_draining() {
        return Err(RequestError::Draining);
    }
    if !app.serving().reload.is_ready() {
        let reason = "plugins are still loading".to_owned();
        return Err(HostError::PluginNotLoaded {
            role: "*".to_owned(),
            reason,
        }
        .into());
    }
    Ok(axum::Json(report::Ready { ready: true }).into_response())
}

async fn roles(State(app): State<App>, identity: Identity) -> Result<Response, RequestError> {
    app.check_operator(&identity)?;
    Ok(axum::Json(report::roles(&app.serving().runtime)).into_response())
}

async fn usable_role(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    identity: Identity,
) -> Result<Response, RequestError> {
    let (role, principal) = app.role(&role, &identity)?;
    let version = role.serving()?;
    let caller = identity.caller(principal);
    let tools = version.tools.iter().map(|tool| &tool.tool.name);
    let hooks = version
        .hooks()
        .filter(|_| caller.scopes().allows(Area::Hooks));
    Ok(axum::Json(report::UsableRole {
        name: role.name().to_string(),
        tools: tools
            .filter(|tool| caller.allows_tool(tool))
            .cloned()
            .collect(),
        hooks: hooks.map(|event| event.name().to_owned()).collect(),
    })
    .into_response())
}

async fn tools(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    identity: Identity,
) -> Result<Response, RequestError> {
    let (role, principal) = app.role(&role, &identity)?;
    let version = role.serving()?;
    let caller = identity.caller(principal);
    if caller.scopes().is_all() {
        return Ok(shared(version.tools_json.clone()));
    }
    let tools = version.tools.iter().map(|tool| &tool.tool);
    let tools: Vec<_> = tools
        .filter(|tool| caller.allows_tool(&tool.name))
        .collect();
    Ok(axum::Json(serde_json::json!({"tools": tools})).into_response())
}

async fn call_tool(
    State(app): State<App>,
    PathParams(role): PathParams<String>,
    identity: Identity,
    body: Body,
) -> Result<Response, RequestError> {
    let (role, principal) = app.role(&role, &identity)?;
    let call: ToolCall = app.parse(body).await?;
    let id = CallId::random();
    let execution = Execution::new(role.clone(), id.clone(), identity.caller(principal))?;
    // Awaited here, so that a client that goes away cancels it at once.
    let called = execution.tool(call.name, call.arguments).await;
    let answer = called.map_err(|error| of_call(error, &id))?;
    Ok(answer_of(role, with_call_id(json(answer.json), &id)))
}

/// The parameters of a hook.
const HOOK_QUERY: &[QueryParameter] = &[QueryParameter {
    name: "agent",
    description: "The agent whose event the body is. The event is then called as the agent calls it, and the plugin gets it in terms that all agents share, too.",
    schema: || {
        let names: Vec<_> = Agent::ALL.iter().map(|agent| agent.name()).collect();
        serde_json::json!({"type": "string", "enum": names})
    },
}];

/// The agent that a hook's query names.
fn agent(uri: &Uri) -> Result<Option<Agent>, HostError> {
    let mut agent = None;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "agent" => agent = Some(Agent::from_name(&value)?),
            _ => {
                return Err(HostError::InvalidRequest(format!(
                    "there is no parameter `{name}`"
                )));
            }
        }
    }
    Ok(agent)
}

async fn call_hook(
    State(app): State<App>,
    PathParams((role, event)): PathParams<(String, String)>,
    uri: Uri,
    identity: Identity,
    body: Body,
) -> Result<Response, RequestError> {
    let (role, principal) = app.role(&role, &identity)?;
    // Whatever the agent says of its event.
    let payload: RawJson = app.read(body, parse_json).await??;
    let (event, agent_event) = match agent(&uri)? {
        Some(agent) => {
            let (event, said) = agent.read(&event, &payload)?;
            (event, Some(said))
        }
        None => match HookEvent::from_name(&event) {
            Some(event) => (event, None),
            None => return Err(role.hook_not_found(&event).into()),
        },
    };
    let id = CallId::random();
    let execution = Execution::new(role.clone(), id.clone(), identity.caller(principal))?;
    let decided = execution.hook(event, payload, agent_event).await;
    let output = decided.map_err(|error| of_call(error, &id))?;
    let response = axum::Json(output).into_response();
    Ok(answer_of(role, with_call_id(response, &id)))
}

async fn call_raw(
    State(app): State<App>,
    identity: Identity,
    body: Body,
) -> Result<Response, RequestError> {
    let principal = app.check_operator(&identity)?;
    if !app.serving().runtime.config.server.raw_calls {
        return Err(RequestError::RawCallsOff);
    }
    let call: RawCall = app.parse(body).await?;
    let role = app.serving().runtime.role(&call.plugin)?;
    let id = CallId::random();
    let execution = Execution::new(role.clone(), id.clone(), identity.caller(principal))?;
    let called = execution.raw(call.function, call.input.into_bytes()).await;
    let output = called.map_err(|error| of_call(error, &id))?;
    let response = (
        [(header::CONTENT_TYPE, "application/octet-stream")],
        output.bytes,
    )
        .into_response();
    Ok(answer_of(role, with_call_id(response, &id)))
}

async fn metrics(State(app): State<App>, identity: Identity) -> Result<Response, RequestError> {
    app.check_operator(&identity)?;
    let metrics = app.metrics.clone();
    // Looks into folders.
    let text = tokio::task::spawn_blocking(move || metrics.text()).await;
    let text = text.map_err(|error| HostError::Internal(format!("no metrics: {error}")))?;
    Ok((
        [(header::CONTENT_TYPE, exomonad_telemetry::MEDIA_TYPE)],
        text,
    )
        .into_response())
}

async fn reload(State(app): State<App>, identity: Identity) -> Result<Response, RequestError> {
    app.check_operator(&identity)?;
    let changes = app.reload().await?;
    let ok = changes.is_complete();
    Ok(axum::Json(Reloaded { ok, changes }).into_response())
}

/// The failure of a call, with its id.
fn of_call(error: HostError, id: &CallId) -> RequestError {
    match &error {
        HostError::Guest { .. } => {
            tracing::info!(call_id = %id, code = error.code(), "a call failed");
        }
        // The caller's mistakes, and what a busy host refuses, come in any number.
        _ => tracing::debug!(call_id = %id, code = error.code(), "a call is refused"),
    }
    RequestError::Call {
        error,
        id: id.clone(),
    }
}

/// JSON that is in memory in any case, whoever reads it.
fn shared(bytes: Bytes) -> Response {
    let mut response = json(bytes);
    response.extensions_mut().insert(Unread::Nobody);
    response
}

/// The answer of a call of this role, in whose memory for answers it is.
pub fn answer_of(role: Arc<Role>, mut response: Response) -> Response {
    response.extensions_mut().insert(Unread::Role(role));
    response
}

fn json(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// The call's id, to find it in the log.
pub fn with_call_id(mut response: Response, id: &CallId) -> Response {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert("x-exomonad-call-id", value);
    }
    response
}
