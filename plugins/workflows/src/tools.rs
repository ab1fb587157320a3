//! Tools that start workflows and talk to them.

use exomonad_guest::prelude::*;
use exomonad_guest::workflow;
use serde_json::Value;

use crate::waiting::{Sleeper, sleeper};

/// The run to start.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartSleeper {
    /// Its id.
    workflow_id: String,
    /// How long it sleeps.
    millis: u64,
}

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The workflow's id.
    workflow_id: String,
    /// The run's id.
    run_id: String,
    /// False if it was there already.
    started: bool,
}

/// Starts the workflow `sleeper`.
#[tool]
pub fn start_sleeper(args: StartSleeper) -> Result<Started, ToolError> {
    let run = workflow::start_child(&WorkflowStartChild {
        workflow_id: Some(args.workflow_id),
        ..WorkflowStartChild::of::<sleeper>(&Sleeper {
            millis: args.millis,
        })?
    })?;
    Ok(Started {
        workflow_id: run.workflow_id,
        run_id: run.run_id,
        started: run.started,
    })
}

/// The signal to send.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendSignal {
    /// The workflow's id.
    workflow_id: String,
    /// The signal's name.
    name: String,
    /// Its payload.
    #[serde(default)]
    payload: Value,
}

/// Sends a signal to a workflow.
#[tool]
pub fn send_signal(args: SendSignal) -> Result<String, ToolError> {
    workflow::signal(&WorkflowSignal {
        payload: args.payload.into(),
        ..WorkflowSignal::new(args.workflow_id, args.name)
    })?;
    Ok("sent".to_owned())
}

/// The run to look at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkflowStatusArgs {
    /// The workflow's id.
    workflow_id: String,
}

/// A run's status.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Status {
    /// Its status, such as `sleeping`.
    status: String,
    /// Its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Value>,
}

/// Reports the status of a workflow.
#[tool(read_only)]
pub fn workflow_status(args: WorkflowStatusArgs) -> Result<Status, ToolError> {
    let run = workflow::get(&WorkflowGet::new(args.workflow_id))?;
    Ok(Status {
        status: run.status.name().to_owned(),
        output: run.output.map(|output| output.parse()).transpose()?,
    })
}
