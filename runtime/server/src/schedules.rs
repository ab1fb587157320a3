//! `/schedules`: what starts runs at given times. A request sees the schedules of the roles that it may use.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use exomonad_core::values::Area;
use exomonad_host::audit::Operation;
use exomonad_host::workflows::schedules::{ScheduleId, ScheduleView, SetSchedule};
use exomonad_host::{Caller, HostError, Role, Workflows};
use exomonad_schema::{EffectError, ErrorCode, RoleName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::App;
use super::error::RequestError;
use super::identity::Identity;
use super::path_params::PathParams;
use super::routes::QueryParameter;
use super::visible_roles::VisibleRoles;
use super::workflows::audited;

/// The parameters of a list.
pub const QUERY: &[QueryParameter] = &[QueryParameter {
    name: "role",
    description: "Schedules of this role.",
    schema: || json!({"type": "string"}),
}];

/// The parameters of what is about one schedule.
pub const OF_ROLE: &[QueryParameter] = &[QueryParameter {
    name: "role",
    description: "The role, if several have a schedule with this id.",
    schema: || json!({"type": "string"}),
}];

/// The schedules.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleList {
    /// By role and id.
    pub schedules: Vec<ScheduleView>,
}

/// The schedules that a request may see.
pub async fn list(
    State(app): State<App>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    let mut visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Workflows);
    let role = role_of(&uri);
    visible.check_named(role.as_ref().ok().and_then(Option::as_deref))?;
    let role = role.map_err(HostError::InvalidRequest)?;
    let mut schedules = visible_schedules(&app, &mut visible, role.as_deref()).await?;
    schedules.retain(|schedule| role.as_deref().is_none_or(|role| role == schedule.role));
    Ok(axum::Json(ScheduleList { schedules }).into_response())
}

/// Sets a schedule.
pub async fn set(
    State(app): State<App>,
    PathParams(id): PathParams<String>,
    identity: Identity,
    body: Body,
) -> Result<Response, RequestError> {
    VisibleRoles::of(app.serving(), &identity.credentials, Area::Workflows).check_any()?;
    let id: ScheduleId = id
        .try_into()
        .map_err(|error| EffectError::invalid_input(format!("the schedule's id: {error}")))?;
    let set: SetSchedule = app.parse(body).await?;
    let role = set.role.as_str();
    let (role, principal) = app.admitted(role, Some(Area::Workflows), &identity)?;
    let arguments = serde_json::to_string(&set).unwrap_or_default();
    let operation = Operation {
        role: role.name().clone(),
        caller: identity.caller(principal),
        kind: "schedule set",
        name: &id,
        arguments: &arguments,
    };
    let workflows = workflows(&app);
    let set = workflows.set_schedule(&role, &id, set);
    let (schedule, is_new) = audited(&app, operation, set).await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, axum::Json(schedule)).into_response())
}

/// A schedule.
pub async fn show(
    State(app): State<App>,
    PathParams(id): PathParams<String>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    let (role, _) = find(&app, &id, &uri, identity).await?;
    let schedule = workflows(&app).schedule(&role, &id).await?;
    Ok(axum::Json(schedule).into_response())
}

/// Removes a schedule.
pub async fn delete(
    State(app): State<App>,
    PathParams(id): PathParams<String>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    let found = find(&app, &id, &uri, identity).await?;
    let workflows = workflows(&app);
    let deleted = workflows.delete_schedule(&found.0, &id);
    audited(&app, operation(&found, "schedule delete", &id), deleted).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Pauses a schedule.
pub async fn pause(
    State(app): State<App>,
    PathParams(id): PathParams<String>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    set_paused(&app, &id, &uri, identity, true).await
}

/// Resumes a schedule.
pub async fn resume(
    State(app): State<App>,
    PathParams(id): PathParams<String>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    set_paused(&app, &id, &uri, identity, false).await
}

async fn set_paused(
    app: &App,
    id: &str,
    uri: &Uri,
    identity: Identity,
    paused: bool,
) -> Result<Response, RequestError> {
    let found = find(app, id, uri, identity).await?;
    let kind = match paused {
        true => "schedule pause",
        false => "schedule resume",
    };
    let workflows = workflows(app);
    let set = workflows.pause_schedule(&found.0, id, paused);
    let schedule = audited(app, operation(&found, kind, id), set).await?;
    Ok(axum::Json(schedule).into_response())
}

/// Starts a run of a schedule now.
pub async fn trigger(
    State(app): State<App>,
    PathParams(id): PathParams<String>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    let found = find(&app, &id, &uri, identity).await?;
    let role: Arc<Role> = app.serving().runtime.role(found.0.as_str())?;
    let workflows = workflows(&app);
    let triggered = workflows.trigger_schedule(&role, &id);
    let child = audited(&app, operation(&found, "schedule trigger", &id), triggered).await?;
    Ok((StatusCode::CREATED, axum::Json(child)).into_response())
}

/// The operation of a request on a schedule.
fn operation<'a>(
    (role, caller): &(RoleName, Caller),
    kind: &'static str,
    id: &'a str,
) -> Operation<'a> {
    Operation {
        role: role.clone(),
        caller: caller.clone(),
        kind,
        name: id,
        arguments: "",
    }
}

fn workflows(app: &App) -> Arc<Workflows> {
    app.serving().runtime.workflows.clone()
}

/// The role that a request names.
fn role_of(uri: &Uri) -> Result<Option<String>, String> {
    let mut role = None;
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "role" => role = Some(value.into_owned()),
            _ => return Err(format!("there is no parameter `{name}`")),
        }
    }
    Ok(role)
}

/// The schedules of a role, or of all that the request may see.
async fn visible_schedules(
    app: &App,
    visible: &mut VisibleRoles,
    role: Option<&str>,
) -> Result<Vec<ScheduleView>, RequestError> {
    // A name that no role can have has none.
    let role: Option<RoleName> = role.and_then(|role| role.parse().ok());
    let mut schedules = workflows(app).schedules(role).await?;
    schedules.retain(|schedule| {
        let role = schedule.role.parse();
        role.is_ok_and(|role| visible.contains(&role))
    });
    Ok(schedules)
}

/// The role of the schedule that a path names, if the request may use it, and who makes the request.
async fn find(
    app: &App,
    id: &str,
    uri: &Uri,
    identity: Identity,
) -> Result<(RoleName, Caller), RequestError> {
    let mut visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Workflows);
    let role = role_of(uri);
    visible.check_named(role.as_ref().ok().and_then(Option::as_deref))?;
    let role = role.map_err(HostError::InvalidRequest)?;
    let schedules = visible_schedules(app, &mut visible, role.as_deref()).await?;
    let mut roles = schedules
        .into_iter()
        .filter(|schedule| schedule.id == id)
        .filter(|schedule| role.as_deref().is_none_or(|role| role == schedule.role))
        .map(|schedule| schedule.role);
    let unknown = || {
        EffectError::new(
            ErrorCode::NotFound,
            format!("there is no schedule `{id}`, or the request may not see it"),
        )
    };
    let first = roles.next().ok_or_else(unknown)?;
    if let Some(second) = roles.next() {
        return Err(EffectError::new(
            ErrorCode::Conflict,
            format!("roles `{first}` and `{second}` have a schedule `{id}`; name one by `role` (`?role=`, `--role`)"),
        )
        .into());
    }
    let role = first.parse().map_err(|_| unknown())?;
    let principal = visible.check(&role)?;
    Ok((role, identity.caller(principal)))
}
