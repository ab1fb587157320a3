//! [`replay`]: the history of a workflow, as Temporal's programs export it, played to a plugin. Nothing is performed.

use std::sync::Arc;

use exomonad_host::plugins::version::PluginVersion;
use exomonad_host::{Role, Workflows};
use exomonad_temporal::codec::Undecodable;
use exomonad_temporal::{Temporal, proto_json};
use futures_util::stream;
use temporalio_common::worker::WorkerTaskTypes;
use temporalio_protos::temporal::api::history::v1::History;
use temporalio_protos::temporal::api::history::v1::history_event::Attributes;
use temporalio_sdk_core::replay::{HistoryForReplay, ReplayWorkerInput};
use temporalio_sdk_core::{WorkerConfig, WorkerVersioningStrategy, init_replay_worker};

use crate::worker::RoleWorker;

/// The failure of a replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The JSON is no history.
    #[error("it is no history: {0}")]
    History(String),
    /// The plugin takes another way than the history, or fails.
    #[error("{0}")]
    Differs(String),
    /// Nothing could be played.
    #[error("{0}")]
    Worker(String),
}

/// Plays a history to a version of a role's plugin: the JSON that `temporal workflow show --output json` prints.
///
/// # Errors
/// If the plugin takes another way, or the JSON is no history.
pub async fn replay(
    role: Arc<Role>,
    version: Arc<PluginVersion>,
    workflows: Arc<Workflows>,
    temporal: Arc<Temporal>,
    history: &str,
) -> Result<(), ReplayError> {
    let history: History = proto_json::parse("temporal.api.history.v1.History", history)
        .map_err(ReplayError::History)?;
    let numbers = history.events.iter().map(|event| event.event_id);
    if let Some((_, wrong)) = (1..).zip(numbers).find(|(nth, number)| nth != number) {
        let message = format!("its events have to be numbered from 1 on, and one is {wrong}");
        return Err(ReplayError::History(message));
    }
    // It stays as it is, for the worker: what is encrypted has other marks.
    for event in &history.events {
        let mut event = event.clone();
        let codec = temporal.codec();
        let decoded = codec.decode(&mut event, Undecodable::IsAnError).await;
        decoded.map_err(|error| ReplayError::History(error.to_string()))?;
    }
    let begun = history
        .events
        .first()
        .and_then(|event| match &event.attributes {
            Some(Attributes::WorkflowExecutionStartedEventAttributes(begun)) => Some(begun),
            _ => None,
        });
    // Its plugin may have asked for it.
    let workflow_id = match begun {
        Some(begun) => begun.workflow_id.clone(),
        None => {
            let message = "its first event has to be the start of a workflow".to_owned();
            return Err(ReplayError::History(message));
        }
    };
    let config = WorkerConfig::builder()
        .namespace("replay")
        .task_queue("replay")
        .max_outstanding_workflow_tasks(2_usize)
        .task_types(WorkerTaskTypes::workflow_only())
        .versioning_strategy(WorkerVersioningStrategy::default())
        .build()
        .map_err(ReplayError::Worker)?;
    let histories = stream::iter([HistoryForReplay::new(history, workflow_id)]);
    let core = init_replay_worker(ReplayWorkerInput::new(config, histories))
        .map_err(|error| ReplayError::Worker(error.to_string()))?;
    let worker = Arc::new(RoleWorker::of_replay(
        core, role, version, workflows, temporal,
    ));
    worker.poll_workflows().await;
    let differs = worker.first_failure();
    worker.finish().await;
    match differs {
        Some(message) => Err(ReplayError::Differs(message)),
        None => Ok(()),
    }
}
