//! How many `git` programs the host runs at once.

use std::sync::Arc;

use exomonad_schema::EffectError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::task::Task;

/// Places for `git` programs; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Programs(Arc<Semaphore>);

impl Programs {
    pub(super) fn new(max_concurrent: usize) -> Self {
        let permits = max_concurrent.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Waits until one more may run.
    pub(super) async fn place(&self, task: &Task) -> Result<OwnedSemaphorePermit, EffectError> {
        self.0
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| EffectError::internal(format!("{}: the host is stopping", task.kind())))
    }
}
