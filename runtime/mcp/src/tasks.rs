//! Tasks, an extension of the stateless era (`io.modelcontextprotocol/tasks`): a workflow that is a tool answers at once
//! with a handle, by which its client follows it.
//!
//! A task is a workflow's id: it outlives the host, and the runs that continue each other are one task.

use std::sync::Arc;

use exomonad_host::execution::run_answer;
use exomonad_host::workflows::view::{RunView, rfc3339};
use exomonad_host::{HostError, Workflows};
use exomonad_schema::effects::workflow::WorkflowStatus;
use exomonad_schema::{EffectError, ErrorCode, RawJson};
use serde_json::{Value, json};

use crate::capabilities::TASKS;
use crate::kept_answers;
use crate::message::{Params, text};
use crate::methods::{Answer, Context, answer, input_requests, input_responses};
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

/// Checks that the caller may call the tool whose task it is. Tasks of others look as if there were none.
fn check_visible(context: &Context, workflow: &str) -> Result<(), RpcError> {
    match context.caller.allows_tool(workflow) {
        true => Ok(()),
        false => Err(failed(EffectError::new(ErrorCode::NotFound, ""))),
    }
}

/// `tasks/get`.
pub async fn get(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let (workflows, id) = task_of(context, &params)?;
    let run = workflows.find(context.role.name(), &id).await;
    let run = run.map_err(failed)?;
    check_visible(context, &run.workflow)?;
    let questions = match run.ended_at {
        Some(_) => Vec::new(),
        None => workflows
            .questions(&context.role, &run)
            .await
            .map_err(failed)?,
    };
    let run = workflows.view(run);
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
    let run = workflows.find(context.role.name(), &id).await;
    let run = run.map_err(failed)?;
    check_visible(context, &run.workflow)?;
    if run.ended_at.is_none() {
        match workflows.cancel(&run, None).await {
            // It has ended just now.
            Err(error) if matches!(error.code, ErrorCode::NotFound | ErrorCode::Conflict) => {}
            cancelled => cancelled.map_err(failed)?,
        }
    }
    answer(&json!({}))
}

/// `tasks/update`: answers to what a task has asked. One that was not asked is ignored.
pub async fn update(context: &Context, params: Params) -> Result<Answer, RpcError> {
    let (workflows, id) = task_of(context, &params)?;
    if params.input_responses.is_none() {
        return Err(RpcError::params("`inputResponses` has to be an object"));
    }
    let results = input_responses(&params)?.into_iter();
    let results = results.map(|(key, result)| (key, Ok(result)));
    let run = workflows.find(context.role.name(), &id).await;
    let run = run.map_err(failed)?;
    check_visible(context, &run.workflow)?;
    if run.ended_at.is_none() {
        let answered = workflows.answer(&context.role, &run, results.collect());
        answered.await.map_err(failed)?;
    }
    answer(&json!({}))
}
