//! Tasks, an extension of the stateless era (`io.modelcontextprotocol/tasks`): a workflow that is a tool answers at once
//! with a handle, by which its client follows it.
//!
//! A task is a workflow's id: it outlives the host, and the runs that continue each other are one task.

use std::sync::Arc;

use exomonad_core::Principal;
use exomonad_host::audit::Operation;
use exomonad_host::execution::run_answer;
use exomonad_host::workflows::run::Run;
use exomonad_host::workflows::view::{RunView, rfc3339};
use exomonad_host::{HostError, Workflows};
use exomonad_schema::effects::workflow::WorkflowStatus;
use exomonad_schema::{EffectError, ErrorCode, RawJson};
use serde_json::{Value, json};

use crate::capabilities::TASKS;
use crate::kept_answers;
use crate::message::{Params, text};
use crate::methods::{Answer, Context, answer, input_requests, input_responses, principal};
use crate::rpc_error::RpcError;

/// The time between two looks of a client, in milliseconds.
const POLL: u64 = 1000;

/// The capability that a request about tasks takes.
pub fn required() -> Value {
    json!({"extensions": {TASKS: {}}})
}

/// The result of a call whose tool goes on as a task.
pub fn created(run: &RunView) -> Result<Answer, RpcError> {
    Ok(Answer {
        result_type: "task",
        ..answer(&described(run, "working"))?
    })
}

fn described(run: &RunView, status: &str) -> Value {
    let changed = run.ended_unix_millis.unwrap_or(run.began_unix_millis);
    json!({
        "taskId": run.workflow_id,
        "status": status,
        "createdAt": rfc3339(run.began_unix_millis),
        "lastUpdatedAt": rfc3339(changed),
        // It is there for as long as `workflows.retention` has it.
        "ttlMs": null,
        "pollIntervalMs": POLL,
    })
}

/// The host's workflows, and the id of the task that a request is about.
fn task_of(context: &Context, params: &Params) -> Result<(Arc<Workflows>, String), RpcError> {
    if !context.capabilities.has_tasks {
        return Err(RpcError::capabilities(&required()));
    }
    let id = text(params.task_id.as_ref())
        .ok_or_else(|| RpcError::params("`taskId` has to be a task's id"))?;
    let workflows = context.role.settings.workflows.clone();
    let workflows = workflows.ok_or_else(|| RpcError::server("this process runs no workflows"))?;
    Ok((workflows, id))
}

fn failed(error: EffectError) -> RpcError {
    match error.code {
        ErrorCode::NotFound => RpcError::params("there is no task of this id"),
        ErrorCode::InvalidInput => RpcError::params(error.message),
        _ => RpcError::guest(&error),
    }
}

/// The run of a task that is the caller's: one that nobody else has started, of a tool that it may call. Others'
/// look as if there were none.
async fn find(context: &Context, workflows: &Arc<Workflows>, id: &str) -> Result<Run, RpcError> {
    let run = workflows.find(context.role.name(), id).await;
    let run = run.map_err(failed)?;
    let caller = principal(&context.caller);
    let is_own = run.started_by().is_none_or(|by| by == caller);
    match (is_own || caller == Principal::OPERATOR) && context.caller.allows_tool(run.workflow()) {
        true => Ok(run),
        false => Err(failed(EffectError::new(ErrorCode::NotFound, ""))),
    }
}

/// Does something to a task that the audit has a line of.
async fn audited<T>(
    context: &Context,
    kind: &'static str,
    run: &Run,
    arguments: &str,
    work: impl Future<Output = Result<T, EffectError>>,
) -> Result<T, RpcError> {
    let operation = Operation {
        role: context.role.name().clone(),
        caller: context.caller.clone(),
        kind,
        name: run.workflow(),
        arguments,
    };
    let audit = &context.role.audit;
    let done = audit.operation(operation, |error: &EffectError| error.code.name(), work);
    done.await.map_err(failed)
}

/// `tasks/get`.
pub async fn get(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let (workflows, id) = task_of(context, &params)?;
    let run = find(context, &workflows, &id).await?;
    let questions = match &run {
        Run::Here(row) if run.is_open() => workflows
            .questions(&context.role, row)
            .await
            .map_err(failed)?,
        _ => Vec::new(),
    };
    let run = run.view(&workflows).await.map_err(failed)?;
    let status = match run.status {
        WorkflowStatus::Running
        | WorkflowStatus::Sleeping
        | WorkflowStatus::Waiting
        | WorkflowStatus::Continued => match questions.is_empty() {
            true => "working",
            false => "input_required",
        },
        // What the tool itself says, also that it failed, is its result.
        WorkflowStatus::Completed | WorkflowStatus::Failed => "completed",
        WorkflowStatus::Cancelled => "cancelled",
        WorkflowStatus::Stuck | WorkflowStatus::Terminated => "failed",
    };
    let mut described = described(&run, status);
    match status {
        "input_required" => described["inputRequests"] = input_requests(&questions),
        "completed" => {
            let whose = format!("task {}", run.run_id);
            let result = run_answer(run.into())?.json;
            let result = kept_answers::fitted(context, &whose, false, result);
            let result: RawJson = serde_json::from_slice(&result)
                .map_err(|error| HostError::Internal(error.to_string()))?;
            described["result"] = json!(result);
        }
        "failed" => {
            let error = run.error;
            let code = error.as_ref().map_or("terminated", |error| &error.code);
            let message = error
                .as_ref()
                .map_or("it was terminated", |error| &error.message);
            described["error"] =
                json!({"code": -32603, "message": message, "data": {"code": code}});
        }
        _ => {}
    }
    answer(&described)
}

/// `tasks/cancel`. A task that has ended stays as it is.
pub async fn cancel(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let (workflows, id) = task_of(context, &params)?;
    let run = find(context, &workflows, &id).await?;
    if run.is_open() {
        let cancelled = async {
            match run.cancel(&workflows).await {
                // It has ended just now.
                Err(error) if matches!(error.code, ErrorCode::NotFound | ErrorCode::Conflict) => {
                    Ok(())
                }
                cancelled => cancelled,
            }
        };
        audited(context, "task cancel", &run, "", cancelled).await?;
    }
    answer(&json!({}))
}

/// `tasks/update`: answers to what a task has asked. One that was not asked is ignored.
pub async fn update(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let (workflows, id) = task_of(context, &params)?;
    let Some(responses) = &params.input_responses else {
        return Err(RpcError::params("`inputResponses` has to be an object"));
    };
    let results = input_responses(&params)?.into_iter();
    let results = results.map(|(key, result)| (key, Ok(result)));
    let run = find(context, &workflows, &id).await?;
    if let Run::Here(row) = &run
        && run.is_open()
    {
        let answered = workflows.answer(&context.role, row, results.collect());
        audited(context, "task update", &run, responses.get(), answered).await?;
    }
    answer(&json!({}))
}
