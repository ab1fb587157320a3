//! Work that keeps a thread busy, and its end when nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::{JoinError, spawn_blocking};

/// Does a piece of work: on a thread that may be busy for a while if it `is_long`, else here, where it is done
/// sooner.
///
/// # Errors
/// If the work panics on the other thread.
pub async fn aside<T: Send + 'static>(
    is_long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    match is_long {
        false => Ok(work()),
        true => spawn_blocking(work).await,
    }
}

/// Tells work on another thread that nobody waits for it any more: held by whoever waits, and dropped with
/// the call.
#[derive(Debug, Default)]
pub struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    /// The flag, for the work to look at now and then: true once this is dropped.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
