//! [`Work`]: the bound on checking one call's arguments, counted while it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u64 = 1 << 16;

/// The reason why a check ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It needs more steps than it may take.
    TooMuch,
    /// Schemas apply to each other deeper than is followed.
    TooDeep,
    /// Its time is up, or nobody waits for it any more.
    Deadline,
}

/// The steps, bytes and time that a check may still use. A step is some nanoseconds: a keyword looked at, a
/// character passed by one state of a pattern.
#[derive(Debug)]
pub struct Work {
    left: u64,
    until_look: u64,
    deadline: Option<Instant>,
    cancelled: Arc<AtomicBool>,
}

impl Work {
    /// Work of at most `steps`.
    pub fn new(steps: u64) -> Self {
        Self {
            left: steps,
            until_look: STEPS_PER_LOOK,
            deadline: None,
            cancelled: Arc::default(),
        }
    }

    /// Ends it at this time, or once `cancelled` is set.
    #[must_use]
    pub fn until(self, deadline: Instant, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            deadline: Some(deadline),
            cancelled,
            ..self
        }
    }

    /// Counts steps.
    ///
    /// # Errors
    /// If there are none left, or no time.
    pub fn spend(&mut self, steps: u64) -> Result<(), Stop> {
        self.left = self.left.checked_sub(steps).ok_or(Stop::TooMuch)?;
        if let Some(until_look) = self.until_look.checked_sub(steps) {
            self.until_look = until_look;
            return Ok(());
        }
        self.until_look = STEPS_PER_LOOK;
        let is_late = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        match is_late || self.cancelled.load(Ordering::Relaxed) {
            true => Err(Stop::Deadline),
            false => Ok(()),
        }
    }

    /// Counts the reading of a text: some bytes a step.
    ///
    /// # Errors
    /// As [`spend`](Self::spend).
    pub fn spend_bytes(&mut self, bytes: usize) -> Result<(), Stop> {
        self.spend(1 + bytes as u64 / 8)
    }
}
