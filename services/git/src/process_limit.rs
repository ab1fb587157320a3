//! Limit on the number of `git` processes that run on the host.

use std::sync::Arc;

use exomonad_schema::EffectError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::effect_context::EffectContext;

/// Permits for `git` processes; clones share them.
#[derive(Clone, Debug)]
pub(super) struct ProcessLimit(Arc<Semaphore>);

impl ProcessLimit {
    pub(super) fn new(max_concurrent: usize) -> Self {
        let permits = max_concurrent.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// Waits for a permit.
    pub(super) async fn acquire(
        &self,
        context: &EffectContext,
    ) -> Result<OwnedSemaphorePermit, EffectError> {
        self.0
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| EffectError::internal(format!("{}: the host is stopping", context.kind())))
    }
}
