//! How many calls run at once, and how many may wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// More calls wait already than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull {
    /// Calls that may run at once.
    pub running: u32,
    /// Calls that may wait.
    pub queue: u32,
}

/// Lets a bounded number of a role's calls run, and a bounded number wait.
///
/// Behind a role's own bound stands that of the whole host: a sandbox for each call that runs.
pub struct Gate {
    own: Semaphore,
    all: Arc<Semaphore>,
    waiting: AtomicU32,
    refused: AtomicU64,
    running: u32,
    queue: u32,
}

/// The right to run one call, given back when dropped.
pub struct Turn<'g> {
    _own: SemaphorePermit<'g>,
    _all: SemaphorePermit<'g>,
}

impl Gate {
    /// A gate for `running` calls at once with `queue` places to wait, within the host's `all`.
    pub fn new(running: u32, queue: u32, all: Arc<Semaphore>) -> Self {
        Self {
            own: Semaphore::new(running as usize),
            all,
            waiting: AtomicU32::new(0),
            refused: AtomicU64::new(0),
            running,
            queue,
        }
    }

    /// Waits for a turn, first come, first served.
    pub async fn enter(&self) -> Result<Turn<'_>, QueueFull> {
        if let (Ok(own), Ok(all)) = (self.own.try_acquire(), self.all.try_acquire()) {
            return Ok(Turn {
                _own: own,
                _all: all,
            });
        }
        let _place = self.take_place()?;
        // Neither semaphore is ever closed.
        let full = |_| QueueFull {
            running: self.running,
            queue: self.queue,
        };
        let own = self.own.acquire().await.map_err(full)?;
        let all = self.all.acquire().await.map_err(full)?;
        Ok(Turn {
            _own: own,
            _all: all,
        })
    }

    /// How many calls have a turn now.
    pub fn running(&self) -> u32 {
        let free = u32::try_from(self.own.available_permits()).unwrap_or(u32::MAX);
        self.running.saturating_sub(free)
    }

    /// How many calls wait for one.
    pub fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many calls found no place to wait.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn take_place(&self) -> Result<Place<'_>, QueueFull> {
        let before = self.waiting.fetch_add(1, Ordering::SeqCst);
        let place = Place(&self.waiting);
        if before >= self.queue {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(QueueFull {
                running: self.running,
                queue: self.queue,
            });
        }
        Ok(place)
    }
}

/// A place in the queue, given up when dropped: also when the client that waits goes away.
struct Place<'g>(&'g AtomicU32);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_waiter_that_leaves_makes_room() {
        let gate = Gate::new(1, 1, Arc::new(Semaphore::new(10)));
        let turn = gate.enter().await.unwrap();
        let mut waiter = Box::pin(gate.enter());
        assert!(futures_util::poll!(&mut waiter).is_pending());
        assert_eq!(
            gate.enter().await.err(),
            Some(QueueFull {
                running: 1,
                queue: 1
            })
        );
        drop(waiter);
        let mut waiter = Box::pin(gate.enter());
        assert!(futures_util::poll!(&mut waiter).is_pending());
        drop(turn);
        assert!(waiter.await.is_ok());
    }

    #[tokio::test]
    async fn the_hosts_bound_holds_over_all_roles() {
        let all = Arc::new(Semaphore::new(1));
        let (one, other) = (Gate::new(5, 5, all.clone()), Gate::new(5, 0, all));
        let _turn = one.enter().await.unwrap();
        assert!(other.enter().await.is_err());
    }
}
