//! [`Recording`]: the events of a call while it runs, in bounded memory.
//!
//! It is known only when a call ends if it is kept, so its events are held until then. Each record has a bound, and
//! so have all records together; where one of these is reached, the record says that it is not complete, and
//! the call goes on.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::codec::Part;

/// Bytes that the events of most calls fit into.
const FEW_EVENTS: usize = 1 << 10;

/// Bytes that all records may take that are not yet in a file.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// So many bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
        })
    }

    /// Takes some, if there are as many.
    #[must_use]
    pub fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    /// Gives some back that were taken.
    pub fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are taken now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The events of one call, so far.
#[derive(Debug)]
pub struct Recording {
    events: Mutex<Events>,
    effects: AtomicU32,
    largest: usize,
    budget: Arc<Budget>,
}

#[derive(Debug, Default)]
struct Events {
    bytes: Vec<u8>,
    /// Bytes that were taken from the budget for these: some at a time, since all calls take from it.
    taken: usize,
    is_cut: bool,
    used_sandbox: bool,
}

/// The events of a call that has ended.
#[derive(Debug, Default)]
pub struct Recorded {
    /// As [`Part::write`] has appended them.
    pub events: Vec<u8>,
    /// Bytes that they have taken from the budget, to be given back.
    pub taken: usize,
    /// True if some are missing.
    pub is_cut: bool,
    /// True if the sandbox had served another call before.
    pub used_sandbox: bool,
    /// Effects that were asked for, those that are missing among them.
    pub effects: u32,
}

impl Recording {
    /// Begins; the events may take `largest` bytes.
    pub fn new(largest: usize, budget: Arc<Budget>) -> Self {
        Self {
            events: Mutex::default(),
            effects: AtomicU32::new(0),
            largest,
            budget,
        }
    }

    /// Adds a part of an event, or cuts the record.
    pub fn add(&self, part: Part<'_>) {
        if matches!(part, Part::Effect { .. } | Part::Http { .. }) {
            self.effects.fetch_add(1, Ordering::Relaxed);
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.is_cut {
            return;
        }
        let size = part.size();
        let needed = events.bytes.len().saturating_add(size);
        let missing = needed.saturating_sub(events.taken);
        if needed > self.largest || (missing > 0 && !self.take(&mut events, missing)) {
            events.is_cut = true;
            return;
        }
        part.write(&mut events.bytes);
    }

    /// Takes these bytes from the budget, and as many as there are already if it has them.
    fn take(&self, events: &mut Events, missing: usize) -> bool {
        let more = missing.max(FEW_EVENTS).max(events.taken);
        let taken = match self.budget.take(more) {
            true => more,
            false if self.budget.take(missing) => missing,
            false => return false,
        };
        events.taken += taken;
        let additional = events.taken - events.bytes.len();
        events.bytes.reserve_exact(additional);
        true
    }

    /// Notes that the sandbox had served another call before.
    pub fn in_used_sandbox(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.used_sandbox = true;
    }

    /// The events; none are left here. What they have taken from the budget stays taken, for whoever has them.
    pub fn end(&self) -> Recorded {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::take(&mut *events);
        // Whatever still comes belongs to nothing.
        events.is_cut = true;
        Recorded {
            events: ended.bytes,
            taken: ended.taken,
            is_cut: ended.is_cut,
            used_sandbox: ended.used_sandbox,
            effects: self.effects.load(Ordering::Relaxed),
        }
    }
}

impl Recording {
    /// The events, for a call that goes on with them instead of having them kept: they take nothing from the budget
    /// any more.
    pub fn take_out(&self) -> Recorded {
        let recorded = self.end();
        self.budget.give_back(recorded.taken);
        Recorded {
            taken: 0,
            ..recorded
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let events = self
            .events
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.budget.give_back(events.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::read_events;

    #[test]
    fn a_record_is_cut_where_its_bound_is_and_keeps_what_fits() {
        let budget = Budget::new(1 << 20);
        let recording = Recording::new(300, budget.clone());
        for _ in 0..10 {
            recording.add(Part::Effect {
                name: "kv.get",
                request: &[b'x'; 50],
            });
        }
        let ended = recording.end();
        assert!(ended.is_cut && ended.events.len() <= 300);
        assert_eq!(ended.effects, 10);
        assert!((1..10).contains(&read_events(&ended.events).unwrap().len()));
        assert_eq!(budget.used(), ended.taken);
    }

    #[test]
    fn all_records_together_have_a_bound_and_give_back_what_they_took() {
        let budget = Budget::new(1000);
        let one = Recording::new(1 << 20, budget.clone());
        let other = Recording::new(1 << 20, budget.clone());
        one.add(Part::Random(&[0; 900]));
        other.add(Part::Random(&[0; 900]));
        assert!(other.end().is_cut);
        drop(one);
        assert_eq!(budget.used(), 0);
        let goes_on = Recording::new(1 << 20, budget.clone());
        goes_on.add(Part::Random(&[0; 900]));
        assert!(goes_on.take_out().events.len() > 900);
        assert_eq!(budget.used(), 0);
        let third = Recording::new(1 << 20, budget.clone());
        third.add(Part::Random(&[0; 900]));
        let ended = third.end();
        assert!(!ended.is_cut);
        drop(third);
        assert!(ended.taken >= ended.events.len());
        assert_eq!(
            budget.used(),
            ended.taken,
            "whoever took the events has them"
        );
    }
}
