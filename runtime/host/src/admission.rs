//! Admission: how many calls run at once, and how many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::answer_memory::AnswerMemory;

/// The part of all sandboxes that is kept for roles that have less than their share: one in so many.
const RESERVED: u32 = 8;

/// The wait queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFullError {
    /// Calls that may run at once.
    pub running: u32,
    /// Calls that may wait.
    pub queue: u32,
}

/// The host's sandboxes, shared by all roles.
///
/// Most go to whoever comes first. Some are kept for roles that have less than an equal share, so that one
/// role with many long calls does not hold all of them. A role that is alone may have all.
#[derive(Debug)]
pub struct HostSandboxes {
    open: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    total: u32,
    roles: AtomicU32,
}

impl HostSandboxes {
    /// So many sandboxes.
    pub fn new(total: u32) -> Arc<Self> {
        let reserved = match total {
            0 | 1 => 0,
            _ => (total / RESERVED).max(1),
        };
        Arc::new(Self {
            open: Arc::new(Semaphore::new((total - reserved) as usize)),
            reserved: Arc::new(Semaphore::new(reserved as usize)),
            total,
            roles: AtomicU32::new(0),
        })
    }

    /// The number that is free.
    pub fn available(&self) -> u64 {
        (self.open.available_permits() + self.reserved.available_permits()) as u64
    }

    /// True if a role with so many running calls may have one of those that are kept.
    fn may_have_reserved(&self, running: u32) -> bool {
        let roles = self.roles.load(Ordering::Relaxed).max(1);
        roles == 1 || running < (self.total / roles).max(1)
    }

    fn try_acquire(&self, running: u32) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.open.clone().try_acquire_owned() {
            return Some(permit);
        }
        match self.may_have_reserved(running) {
            true => self.reserved.clone().try_acquire_owned().ok(),
            false => None,
        }
    }

    async fn acquire(&self, running: u32) -> Result<OwnedSemaphorePermit, AcquireError> {
        let open = self.open.clone().acquire_owned();
        if !self.may_have_reserved(running) {
            return open.await;
        }
        tokio::select! {
            biased;
            permit = open => permit,
            permit = self.reserved.clone().acquire_owned() => permit,
        }
    }
}

/// Lets a bounded number of a role's calls run, and a bounded number wait.
///
/// A role's calls also count against the whole host's sandboxes. None begins while there is no room for the
/// answers of those that have run.
pub struct AdmissionQueue {
    role: Arc<Semaphore>,
    host: Arc<HostSandboxes>,
    /// The memory for answers that their clients have not read.
    pub answers: AnswerMemory,
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

impl Drop for AdmissionQueue {
    fn drop(&mut self) {
        self.host.roles.fetch_sub(1, Ordering::Relaxed);
    }
}

impl AdmissionQueue {
    /// A queue for `running` calls at once and `queue` that wait, within the host's own bound.
    pub fn new(running: u32, queue: u32, answers: AnswerMemory, host: Arc<HostSandboxes>) -> Self {
        host.roles.fetch_add(1, Ordering::Relaxed);
        Self {
            role: Arc::new(Semaphore::new(running as usize)),
            host,
            answers,
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
        if self.answers.has_room()
            && let Ok(role) = self.role.clone().try_acquire_owned()
            && let Some(host) = self.host.try_acquire(self.others_running())
        {
            return Ok(Permit {
                _role: role,
                _host: host,
            });
        }
        let _slot = self.take_slot()?;
        self.answers.room().await;
        // Neither semaphore is ever closed.
        let full = |_| self.full();
        let role = self.role.clone().acquire_owned().await.map_err(full)?;
        let host = self
            .host
            .acquire(self.others_running())
            .await
            .map_err(full)?;
        Ok(Permit {
            _role: role,
            _host: host,
        })
    }

    /// The number of calls that run beside the one that has just got the role's permit.
    fn others_running(&self) -> u32 {
        self.running().saturating_sub(1)
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

    fn queue(running: u32, queue: u32, host: Arc<HostSandboxes>) -> AdmissionQueue {
        AdmissionQueue::new(running, queue, AnswerMemory::new(1 << 20), host)
    }

    #[tokio::test]
    async fn no_call_begins_while_there_is_no_room_for_answers() {
        let host = HostSandboxes::new(2);
        let queue = queue(2, 1, host.clone());
        let unread = queue.answers.hold(1 << 20).await;
        let mut waiter = Box::pin(queue.admit());
        assert!(futures_util::poll!(&mut waiter).is_pending());
        assert_eq!((host.available(), queue.waiting()), (2, 1));
        assert!(queue.admit().await.is_err(), "one may wait");
        drop(unread);
        assert!(waiter.await.is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_waiter_that_leaves_makes_room() {
        let queue = queue(1, 1, HostSandboxes::new(10));
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
        let host = HostSandboxes::new(2);
        let queue = queue(1, 1, host.clone());
        let _permit = queue.admit().await.unwrap();
        let mut waiter = Box::pin(queue.admit());
        assert!(futures_util::poll!(&mut waiter).is_pending());
        assert_eq!(host.available(), 1);
    }

    #[tokio::test]
    async fn the_bound_of_the_host_holds_over_all_roles() {
        let host = HostSandboxes::new(1);
        let one = queue(5, 5, host.clone());
        let other = queue(5, 0, host);
        let _permit = one.admit().await.unwrap();
        assert!(other.admit().await.is_err());
    }

    #[tokio::test]
    async fn one_role_does_not_hold_all_sandboxes_of_the_host() {
        let host = HostSandboxes::new(16);
        let greedy = queue(100, 100, host.clone());
        let modest = queue(100, 100, host.clone());
        let mut held = Vec::new();
        loop {
            let mut next = Box::pin(greedy.admit());
            match futures_util::poll!(&mut next) {
                std::task::Poll::Ready(permit) => held.push(permit.unwrap()),
                std::task::Poll::Pending => break,
            }
        }
        assert_eq!(held.len(), 14, "two are kept for the other role");
        let permit = modest.admit().await.unwrap();
        drop(modest);
        // Alone, it may have all that are left.
        assert!(greedy.admit().await.is_ok());
        drop(permit);
    }
}
