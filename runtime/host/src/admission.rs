//! Admission: how many calls run at once, and how many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The wait queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFullError {
    /// Calls that may run at once.
    pub running: u32,
    /// Calls that may wait.
    pub queue: u32,
}

/// Lets a bounded number of a role's calls run, and a bounded number wait.
///
/// A role's calls also count against the whole host's sandboxes.
pub struct AdmissionQueue {
    role: Arc<Semaphore>,
    host: Arc<Semaphore>,
    waiting: AtomicU32,
    refused: AtomicU64,
    running: u32,
    queue: u32,
}

/// The right to have one sandbox, given back when dropped.
///
/// It is held while a guest runs, not for as long as its execution lives: an execution that waits between
/// two runs of its guest holds none.
#[derive(Debug)]
pub struct Permit {
    _role: OwnedSemaphorePermit,
    _host: OwnedSemaphorePermit,
}

impl AdmissionQueue {
    /// A queue for `running` calls at once and `queue` that wait, within the host's own bound.
    pub fn new(running: u32, queue: u32, host: Arc<Semaphore>) -> Self {
        Self {
            role: Arc::new(Semaphore::new(running as usize)),
            host,
            waiting: AtomicU32::new(0),
            refused: AtomicU64::new(0),
            running,
            queue,
        }
    }

    /// Waits for a permit, first come, first served.
    ///
    /// # Errors
    /// If as many calls wait already as may.
    pub async fn admit(&self) -> Result<Permit, QueueFullError> {
        // One alone is given back before the wait: a call that waits holds no sandbox.
        if let Ok(role) = self.role.clone().try_acquire_owned()
            && let Ok(host) = self.host.clone().try_acquire_owned()
        {
            return Ok(Permit {
                _role: role,
                _host: host,
            });
        }
        let _slot = self.take_slot()?;
        // Neither semaphore is ever closed.
        let full = |_| self.full();
        let role = self.role.clone().acquire_owned().await.map_err(full)?;
        let host = self.host.clone().acquire_owned().await.map_err(full)?;
        Ok(Permit {
            _role: role,
            _host: host,
        })
    }

    /// The number of calls that have a permit.
    pub fn running(&self) -> u32 {
        let free = u32::try_from(self.role.available_permits()).unwrap_or(u32::MAX);
        self.running.saturating_sub(free)
    }

    /// The number of calls that wait.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The number of calls that found the queue full, since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn full(&self) -> QueueFullError {
        QueueFullError {
            running: self.running,
            queue: self.queue,
        }
    }

    fn take_slot(&self) -> Result<QueueSlot<'_>, QueueFullError> {
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        let slot = QueueSlot(&self.waiting);
        if before >= self.queue {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(self.full());
        }
        Ok(slot)
    }
}

/// A slot in the queue, given up when dropped: also when the client that waits goes away.
struct QueueSlot<'q>(&'q AtomicU32);

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_waiter_that_leaves_makes_room() {
        let queue = AdmissionQueue::new(1, 1, Arc::new(Semaphore::new(10)));
        let permit = queue.admit().await.unwrap();
        let mut waiter = Box::pin(queue.admit());
        assert!(futures_util::poll!(&mut waiter).is_pending());
        assert_eq!(
            queue.admit().await.err(),
            Some(QueueFullError {
                running: 1,
                queue: 1
            })
        );
        drop(waiter);
        let mut waiter = Box::pin(queue.admit());
        assert!(futures_util::poll!(&mut waiter).is_pending());
        drop(permit);
        assert!(waiter.await.is_ok());
    }

    #[tokio::test]
    async fn a_call_that_waits_holds_nothing_of_the_host() {
        let host = Arc::new(Semaphore::new(2));
        let queue = AdmissionQueue::new(1, 1, host.clone());
        let _permit = queue.admit().await.unwrap();
        let mut waiter = Box::pin(queue.admit());
        assert!(futures_util::poll!(&mut waiter).is_pending());
        assert_eq!(host.available_permits(), 1);
    }

    #[tokio::test]
    async fn the_bound_of_the_host_holds_over_all_roles() {
        let host = Arc::new(Semaphore::new(1));
        let one = AdmissionQueue::new(5, 5, host.clone());
        let other = AdmissionQueue::new(5, 0, host);
        let _permit = one.admit().await.unwrap();
        assert!(other.admit().await.is_err());
    }
}
