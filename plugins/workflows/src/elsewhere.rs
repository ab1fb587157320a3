//! Workflows for a Temporal server: they ask it for what only a server has.

use std::collections::BTreeMap;

use exomonad_guest::prelude::*;
use exomonad_guest::workflow::Run;
use serde_json::Value;

/// An activity of another worker.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// Its type.
    pub activity_type: String,
    /// The task queue of its worker.
    pub task_queue: String,
    /// Its argument.
    pub argument: Value,
}

/// Asks a worker of another SDK for an activity, and gives its answer.
#[workflow]
pub fn asks_elsewhere(asked: Asked) -> Result<Value, WorkflowError> {
    let mut request = TemporalExecuteActivity::new(asked.activity_type, asked.task_queue);
    request.input = vec![Json::new(&asked.argument)?];
    let answer = temporal::execute_activity(&request)?;
    Ok(answer.result.parse()?)
}

/// The attributes to set.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attributes {
    /// Search attributes.
    #[serde(default)]
    pub search_attributes: BTreeMap<String, Value>,
    /// The memo.
    #[serde(default)]
    pub memo: BTreeMap<String, Value>,
}

/// Sets attributes of its own, and waits for the signal `go`.
#[workflow(signals(go))]
pub fn sets_attributes(attributes: Attributes, run: &Run) -> Result<(), WorkflowError> {
    let json = |values: BTreeMap<String, Value>| {
        let values = values.into_iter();
        values
            .map(|(name, value)| Ok((name, Json::new(&value)?)))
            .collect::<Result<_, WorkflowError>>()
    };
    temporal::set_attributes(&TemporalSetAttributes {
        search_attributes: json(attributes.search_attributes)?,
        memo: json(attributes.memo)?,
    })?;
    run.wait_signal::<Value>("go")?;
    Ok(())
}

/// A run to signal.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Other {
    /// The workflow's id.
    pub workflow_id: String,
    /// The signal.
    pub signal: String,
}

/// Sends a signal to another run.
#[workflow]
pub fn signals_other(other: Other) -> Result<(), WorkflowError> {
    exomonad_guest::workflow::signal(&WorkflowSignal::new(other.workflow_id, other.signal))?;
    Ok(())
}
