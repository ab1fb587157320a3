//! [`AnswerMemory`]: a bound on the memory of answers that their clients have not read.
//!
//! An answer takes its size before it goes out, and gives it back when its last byte is with the kernel. An
//! answer for which there is no room waits, and while one waits no further call begins
//! ([`crate::admission`]): beyond the bound there are at most the answers of calls that were running already,
//! which took their memory in sandboxes before.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of an answer that is not counted: about what a connection takes by itself.
const SMALL: u64 = 16 << 10;

/// Bytes are counted in blocks of this size, so that their number is a semaphore's.
const BLOCK: u64 = 1 << 10;

/// The memory for the answers of one role.
pub struct AnswerMemory {
    room: Arc<Semaphore>,
    blocks: u32,
}

/// The memory of one answer, given back when dropped.
#[derive(Debug)]
#[must_use]
pub struct HeldMemory(#[expect(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);

impl AnswerMemory {
    /// Memory of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let blocks = u32::try_from(bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX);
        Self {
            room: Arc::new(Semaphore::new(blocks as usize)),
            blocks,
        }
    }

    /// Bytes that all answers may take together.
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * BLOCK
    }

    /// Waits until there is room for an answer of this size, first come, first served; `None` if it needs none. One
    /// that is larger than all there is takes all.
    pub async fn hold(&self, bytes: u64) -> Option<HeldMemory> {
        if bytes <= SMALL {
            return None;
        }
        let blocks = u32::try_from(bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX);
        let room = self.room.clone();
        // The semaphore is never closed.
        let held = room.acquire_many_owned(blocks.min(self.blocks)).await;
        held.ok().map(HeldMemory)
    }

    /// False while all is taken, or an answer waits.
    pub fn has_room(&self) -> bool {
        // What is given back goes to those that wait, before it is there for others.
        self.room.available_permits() > 0
    }

    /// Waits until every answer that waits has got its room, and some is left.
    pub async fn room(&self) {
        // The semaphore is never closed.
        let _ = self.room.acquire().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn an_answer_without_room_waits_and_holds_up_what_comes_after_it() {
        let memory = AnswerMemory::new(100 << 10);
        let first = memory.hold(90 << 10).await;
        assert!(memory.has_room());
        let mut second = Box::pin(memory.hold(20 << 10));
        assert!(poll!(&mut second).is_pending());
        assert!(!memory.has_room());
        let mut next = Box::pin(memory.room());
        assert!(poll!(&mut next).is_pending());
        drop(first);
        let _second = second.await;
        next.await;
        assert!(memory.has_room());
    }

    #[tokio::test]
    async fn a_client_that_goes_away_does_not_hold_up_the_others() {
        let memory = AnswerMemory::new(100 << 10);
        let _first = memory.hold(90 << 10).await;
        let mut waiting = Box::pin(memory.hold(20 << 10));
        assert!(poll!(&mut waiting).is_pending());
        drop(waiting);
        assert!(memory.has_room());
    }

    #[tokio::test]
    async fn small_answers_need_no_room_and_the_largest_takes_all() {
        let memory = AnswerMemory::new(100 << 10);
        let all = memory.hold(1 << 40).await;
        assert!(!memory.has_room());
        assert!(memory.hold(SMALL).await.is_none());
        drop(all);
        assert!(memory.has_room());
    }
}
