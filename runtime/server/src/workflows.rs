//! `/workflows`: runs of workflows. A request sees those of the roles that it may use.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use exomonad_core::values::Area;
use exomonad_host::audit::Operation;
use exomonad_host::workflows::operate::Repair;
use exomonad_host::workflows::run::{PageMark, Run};
use exomonad_host::workflows::view::{HistoryEntry, RunView};
use exomonad_host::{Caller, HostError, Workflows};
use exomonad_schema::effects::workflow::{
    WorkflowId, WorkflowName, WorkflowSignal, WorkflowStartChild,
};
use exomonad_schema::{BoundedText, EffectError, ErrorCode, RawJson, RoleName};
use exomonad_workflow::store::{Filter, STATUSES, status_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::App;
use super::error::RequestError;
use super::identity::Identity;
use super::path_params::PathParams;
use super::routes::QueryParameter;
use super::visible_roles::VisibleRoles;

/// Runs of a page if the request does not say, and at most.
const PAGE: u64 = 50;
const LARGEST_PAGE: u64 = 1000;

/// The parameter that tells runs of several roles apart.
const ROLE: QueryParameter = QueryParameter {
    name: "role",
    description: "The role, if the workflow's id is one of several roles'.",
    schema: || json!({"type": "string"}),
};

/// The parameters of what is about one run.
pub const OF_ROLE: &[QueryParameter] = &[ROLE];

/// The parameters of a history.
pub const HISTORY_QUERY: &[QueryParameter] = &[
    ROLE,
    QueryParameter {
        name: "from",
        description: "The place of the first entry.",
        schema: || json!({"type": "integer", "minimum": 0, "default": 0}),
    },
    QueryParameter {
        name: "limit",
        description: "How many entries a page has at most; it has fewer where they are large.",
        schema: || json!({"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE}),
    },
];

/// The parameters of a list of runs.
pub const QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "role",
        description: "Runs of this role.",
        schema: || json!({"type": "string"}),
    },
    QueryParameter {
        name: "workflow",
        description: "Runs of the workflow of this name.",
        schema: || json!({"type": "string"}),
    },
    QueryParameter {
        name: "workflowId",
        description: "Runs with this workflow id.",
        schema: || json!({"type": "string"}),
    },
    QueryParameter {
        name: "status",
        description: "Runs with this status; may be given more than once.",
        schema: || json!({"type": "string", "enum": STATUSES.map(status_name)}),
    },
    QueryParameter {
        name: "limit",
        description: "How many runs a page has at most; it has fewer where their inputs and outputs are large.",
        schema: || json!({"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE}),
    },
    QueryParameter {
        name: "before",
        description: "Where the page begins: `next` of the page before.",
        schema: || json!({"type": "string"}),
    },
];

/// A page of runs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunPage {
    /// The runs, newest first.
    pub runs: Vec<RunView>,
    /// `before` of the next page; absent if this is the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A part of a run's history.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    /// The entries, in their order.
    pub entries: Vec<HistoryEntry>,
    /// `from` of the next page; absent if this is the last one so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A run to start.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartRun {
    /// The role.
    pub role: RoleName,
    /// The workflow's name.
    pub workflow: WorkflowName,
    /// Its input.
    #[serde(default)]
    pub input: RawJson,
    /// Its id; one that nothing else has when absent. If a run with this id is open, nothing is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
}

/// A signal to send.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendSignal {
    /// Its name.
    pub name: WorkflowName,
    /// Its payload.
    #[serde(default)]
    pub payload: RawJson,
    /// Of the signals with one id the run gets the first. The latest 10,000 ids are known as long as the run is
    /// open, and to the runs that continue it; a run on a Temporal server knows its own alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<WorkflowId>,
}

/// A query to ask.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AskQuery {
    /// Its name.
    pub name: WorkflowName,
    /// Its arguments.
    #[serde(default)]
    pub arguments: RawJson,
}

/// The answer to a query.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueryAnswer {
    /// The answer.
    pub value: RawJson,
}

/// A run to end.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terminate {
    /// The reason, for whoever looks at the run.
    #[serde(default)]
    pub reason: Option<BoundedText<0, 2000>>,
}

/// How a stuck run goes on; one of these.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepairRun {
    /// True to try again, as it is.
    #[serde(default)]
    pub retry: bool,
    /// True to try again on the version of the plugin that serves.
    #[serde(default, rename = "move")]
    pub moves: bool,
    /// The step from which to begin again: what came after it is forgotten, signals are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_from: Option<u64>,
    /// An answer to a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<StepAnswer>,
}

/// An operator's answer to a step.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepAnswer {
    /// The step.
    pub step: u64,
    /// Its answer: `{"kind":"Success","payload":…}` or `{"kind":"Error","payload":{"code":…,"message":…}}`.
    pub value: RawJson,
}

/// The request is written down, and the run hears of it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
}

impl Accepted {
    fn response(run: &Run) -> Response {
        axum::Json(Self {
            workflow_id: run.workflow_id().to_owned(),
            run_id: run.run_id().to_owned(),
        })
        .into_response()
    }
}

/// A page of runs.
pub async fn list(
    State(app): State<App>,
    uri: Uri,
    identity: Identity,
) -> Result<Response, RequestError> {
    let (filter, mark) =
        filter(uri.query().unwrap_or_default()).map_err(HostError::InvalidRequest)?;
    let mut visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Workflows);
    let named = filter.roles.as_ref().and_then(|roles| roles.first());
    visible.check_named(named.map(String::as_str))?;
    let filter = Filter {
        roles: roles_of(&mut visible, filter.roles),
        ..filter
    };
    let (runs, next) = workflows(&app).list(filter, mark).await?;
    Ok(axum::Json(RunPage {
        next: next.map(|mark| mark.to_string()),
        runs,
    })
    .into_response())
}

/// Starts a run.
pub async fn start(
    State(app): State<App>,
    identity: Identity,
    body: Body,
) -> Result<Response, RequestError> {
    VisibleRoles::of(app.serving(), &identity.credentials, Area::Workflows).check_any()?;
    let start: StartRun = app.parse(body).await?;
    let role = start.role.as_str();
    let (role, principal) = app.admitted(role, Some(Area::Workflows), &identity)?;
    let request = WorkflowStartChild {
        workflow: start.workflow,
        input: start.input,
        workflow_id: start.workflow_id,
        on_parent_end: Default::default(),
    };
    let operation = Operation {
        role: role.name().clone(),
        caller: identity.caller(principal.clone()),
        kind: "workflow start",
        name: &request.workflow,
        arguments: request.input.get(),
    };
    let workflows = workflows(&app);
    let started = workflows.start(&role, &request, principal.as_deref());
    let child = audited(&app, operation, started).await?;
    let status = match child.started {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, axum::Json(child)).into_response())
}

/// A run.
pub async fn show(
    State(app): State<App>,
    FoundRun { run, .. }: FoundRun,
) -> Result<Response, RequestError> {
    Ok(axum::Json(run.view(&workflows(&app)).await?).into_response())
}

/// A part of a run's history.
pub async fn history(
    State(app): State<App>,
    uri: Uri,
    FoundRun { run, .. }: FoundRun,
) -> Result<Response, RequestError> {
    let (mut from, mut limit) = (0, PAGE);
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let wrong = |expected: &str| {
            HostError::InvalidRequest(format!("the parameter `{name}` is not {expected}"))
        };
        match &*name {
            "role" => {}
            "from" => from = value.parse().map_err(|_| wrong("a number"))?,
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
                    .ok_or_else(|| wrong(&format!("a number from 1 to {LARGEST_PAGE}")))?;
            }
            _ => {
                let message = format!("there is no parameter `{name}`");
                return Err(HostError::InvalidRequest(message).into());
            }
        }
    }
    let (entries, has_more) = run.history(&workflows(&app), from, limit).await?;
    let next = has_more.then(|| from + entries.len() as u64);
    Ok(axum::Json(HistoryPage { entries, next }).into_response())
}

/// Sends a signal.
pub async fn signal(
    State(app): State<App>,
    found: FoundRun,
    body: Body,
) -> Result<Response, RequestError> {
    let signal: SendSignal = app.parse(body).await?;
    let payload = signal.payload.clone();
    let operation = found.operation("workflow signal", payload.get());
    audited(&app, operation, send_signal(&app, &found, signal)).await?;
    Ok(Accepted::response(&found.run))
}

async fn send_signal(
    app: &App,
    FoundRun { run, by, role, .. }: &FoundRun,
    signal: SendSignal,
) -> Result<(), RequestError> {
    let request = WorkflowSignal {
        workflow_id: run
            .workflow_id()
            .try_into()
            .map_err(|_| unknown(run.run_id()))?,
        name: signal.name,
        payload: signal.payload,
    };
    let request_id = signal.request_id.map(|id| id.to_string());
    let workflows = workflows(app);
    match by {
        // Whatever run of this id is open when it comes.
        NamedBy::WorkflowId => workflows.signal(role, &request, request_id).await?,
        NamedBy::RunId => run.signal(&workflows, &request, request_id).await?,
    }
    Ok(())
}

/// Asks a query.
pub async fn query(
    State(app): State<App>,
    FoundRun { run, .. }: FoundRun,
    body: Body,
) -> Result<Response, RequestError> {
    let asked: AskQuery = app.parse(body).await?;
    let role = app.serving().runtime.role(run.role())?;
    let value = run
        .query(&workflows(&app), &role, &asked.name, &asked.arguments)
        .await?;
    Ok(axum::Json(QueryAnswer { value }).into_response())
}

/// Asks a run to cancel.
pub async fn cancel(State(app): State<App>, found: FoundRun) -> Result<Response, RequestError> {
    let workflows = workflows(&app);
    let cancelled = found.run.cancel(&workflows);
    audited(&app, found.operation("workflow cancel", ""), cancelled).await?;
    Ok(Accepted::response(&found.run))
}

/// Ends a run.
pub async fn terminate(
    State(app): State<App>,
    found: FoundRun,
    body: Body,
) -> Result<Response, RequestError> {
    let asked: Terminate = app.parse_optional(body).await?;
    let reason = asked.reason.map(|reason| reason.to_string());
    let reason = reason.unwrap_or_else(|| "no reason was given".to_owned());
    let workflows = workflows(&app);
    let terminated = found.run.terminate(&workflows, &reason);
    let operation = found.operation("workflow terminate", &reason);
    audited(&app, operation, terminated).await?;
    Ok(Accepted::response(&found.run))
}

/// Lets a stuck run go on.
pub async fn repair(
    State(app): State<App>,
    found: FoundRun,
    body: Body,
) -> Result<Response, RequestError> {
    let asked: RepairRun = app.parse(body).await?;
    let arguments = serde_json::to_string(&asked).unwrap_or_default();
    let repair = match (asked.retry, asked.moves, asked.restart_from, asked.answer) {
        (true, false, None, None) => Repair::Retry,
        (false, true, None, None) => Repair::Move,
        (false, false, Some(step), None) => Repair::RestartFrom(step),
        (false, false, None, Some(StepAnswer { step, value })) => Repair::Answer {
            step,
            answer: value,
        },
        _ => {
            return Err(EffectError::invalid_input(
                "give one of `retry`, `move`, `restartFrom` and `answer`",
            )
            .into());
        }
    };
    let operation = found.operation("workflow repair", &arguments);
    let workflows = workflows(&app);
    audited(&app, operation, found.run.repair(&workflows, repair)).await?;
    Ok(Accepted::response(&found.run))
}

/// Lets a run go on at the Temporal server.
pub async fn move_run(State(app): State<App>, found: FoundRun) -> Result<Response, RequestError> {
    let workflows = workflows(&app);
    let moved = found.run.move_to_server(&workflows);
    let run_id = audited(&app, found.operation("workflow move", ""), moved).await?;
    let workflow_id = found.run.workflow_id().to_owned();
    Ok(axum::Json(Accepted {
        workflow_id,
        run_id,
    })
    .into_response())
}

/// Does something to workflows that the audit has a line of.
pub async fn audited<T, E: Into<RequestError>>(
    app: &App,
    operation: Operation<'_>,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, RequestError> {
    let audit = app.serving().runtime.audit.clone();
    let work = async { work.await.map_err(Into::into) };
    audit.operation(operation, RequestError::code, work).await
}

fn workflows(app: &App) -> Arc<Workflows> {
    app.serving().runtime.workflows.clone()
}

/// The run that a path names, of a role that the request may use; there need not be such a role any more.
pub struct FoundRun {
    run: Run,
    by: NamedBy,
    role: RoleName,
    caller: Caller,
}

impl FoundRun {
    /// The operation of the request on it.
    fn operation<'a>(&'a self, kind: &'static str, arguments: &'a str) -> Operation<'a> {
        Operation {
            role: self.role.clone(),
            caller: self.caller.clone(),
            kind,
            name: self.run.workflow(),
            arguments,
        }
    }
}

/// The id by which a path names a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamedBy {
    /// The workflow's: its newest run is meant.
    WorkflowId,
    /// The run's own.
    RunId,
}

impl FromRequestParts<App> for FoundRun {
    type Rejection = RequestError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, RequestError> {
        let PathParams(id) = PathParams::<String>::from_request_parts(parts, app).await?;
        let Ok(identity) = Identity::from_request_parts(parts, app).await;
        let query = parts.uri.query().unwrap_or_default();
        let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "role");
        let named = named.map(|(_, role)| role.into_owned());
        let mut visible = VisibleRoles::of(app.serving(), &identity.credentials, Area::Workflows);
        visible.check_named(named.as_deref())?;
        let is_asked_for = |role: &RoleName| {
            let is_named = named.as_ref().is_none_or(|named| named == role.as_str());
            is_named && visible.contains(role)
        };
        let found = workflows(app).find_all(&id, is_asked_for).await?;
        let run = match found.as_slice() {
            [] => return Err(unknown(&id).into()),
            [one] => one.clone(),
            several => {
                let several: Vec<&str> = several.iter().map(Run::role).collect();
                return Err(EffectError::new(
                    ErrorCode::Conflict,
                    format!(
                        "several roles have a workflow with the id `{id}`: {}; name one by `role` (`?role=`, `--role`)",
                        several.join(", ")
                    ),
                )
                .into());
            }
        };
        let by = match run.workflow_id() == id {
            true => NamedBy::WorkflowId,
            false => NamedBy::RunId,
        };
        let role: RoleName = run.role().parse().map_err(|_| unknown(&id))?;
        let principal = visible.check(&role)?;
        Ok(Self {
            run,
            by,
            role,
            caller: identity.caller(principal),
        })
    }
}

/// The roles to look for runs in: those that a request names, or may see; `None` for all.
fn roles_of(visible: &mut VisibleRoles, named: Option<Vec<String>>) -> Option<Vec<String>> {
    if named.is_some() || visible.check_operator().is_ok() {
        return named;
    }
    let roles = visible.serving.runtime.roles();
    let seen = roles.keys().filter(|role| visible.contains(role));
    Some(seen.map(ToString::to_string).collect())
}

fn unknown(id: &str) -> EffectError {
    EffectError::new(
        ErrorCode::NotFound,
        format!(
            "there is no run and no workflow with the id `{id}`, or the request may not see it"
        ),
    )
}

/// The filter of a list, and where its page begins.
fn filter(query: &str) -> Result<(Filter, PageMark), String> {
    let mut mark = PageMark::First;
    let mut filter = Filter {
        limit: PAGE,
        ..Filter::default()
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let wrong = |expected: &str| format!("the parameter `{name}` is not {expected}");
        match &*name {
            "role" => filter.roles = Some(vec![value.into_owned()]),
            "workflow" => filter.workflow = Some(value.into_owned()),
            "workflowId" => filter.workflow_id = Some(value.into_owned()),
            "status" => {
                let status = STATUSES
                    .into_iter()
                    .find(|status| status_name(*status) == value);
                filter.statuses.push(status.ok_or_else(|| {
                    wrong(&format!("one of {}", STATUSES.map(status_name).join(", ")))
                })?);
            }
            "limit" => {
                filter.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
                    .ok_or_else(|| wrong(&format!("a number from 1 to {LARGEST_PAGE}")))?;
            }
            "before" => {
                mark = value.parse().map_err(|_| wrong("`next` of a page"))?;
            }
            _ => return Err(format!("there is no parameter `{name}`")),
        }
    }
    Ok((filter, mark))
}

#[cfg(test)]
mod tests {
    use exomonad_schema::effects::workflow::WorkflowStatus;

    use super::*;

    #[test]
    fn a_filter_is_read_and_what_is_wrong_is_named() {
        let (read, mark) = filter("role=tl&status=stuck&status=failed&limit=7&before=12").unwrap();
        assert_eq!(read.roles, Some(vec!["tl".to_owned()]));
        assert_eq!(
            read.statuses,
            [WorkflowStatus::Stuck, WorkflowStatus::Failed]
        );
        assert_eq!((read.limit, mark), (7, PageMark::Here(12)));
        for (text, mark) in [("server:", None), ("server:QQ==", Some("QQ==".to_owned()))] {
            let (_, read) = filter(&format!("before={text}")).unwrap();
            assert_eq!(read, PageMark::There(mark));
            assert_eq!(read.to_string(), text);
        }
        for wrong in ["limit=0", "limit=1001", "status=lost", "before=x", "rle=tl"] {
            let name = wrong.split('=').next().unwrap();
            assert!(
                filter(wrong).unwrap_err().contains(&format!("`{name}`")),
                "{wrong}"
            );
        }
    }
}
