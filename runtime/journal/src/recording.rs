//! [`Recording`]: the events of a call while it runs, in bounded memory.
//!
//! It is known only when a call ends if it is kept, so its events are held until then. Each record has a bound, and
//! so have all records together; where one of these is reached, the record says that it is not complete, and
//! the call goes on.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::codec::Part;

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
    is_cut: bool,
    used_sandbox: bool,
}

/// The events of a call that has ended.
#[derive(Debug, Default)]
pub struct Recorded {
    /// As [`Part::write`] has appended them.
    pub events: Vec<u8>,
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
        let fits = events.bytes.len().saturating_add(size) <= self.largest;
        if !fits || !self.budget.take(size) {
            events.is_cut = true;
            return;
        }
        let before = events.bytes.len();
        part.write(&mut events.bytes);
        let written = events.bytes.len() - before;
        self.budget.give_back(size.saturating_sub(written));
    }

    /// Notes that the sandbox had served another call before.
    pub fn in_used_sandbox(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.used_sandbox = true;
    }

    /// The events; none are left here. Their bytes stay taken from the budget, for whoever takes them.
    pub fn end(&self) -> Recorded {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = std::mem::take(&mut *events);
        // Whatever still comes belongs to nothing.
        events.is_cut = true;
        Recorded {
            events: ended.bytes,
            is_cut: ended.is_cut,
            used_sandbox: ended.used_sandbox,
            effects: self.effects.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let events = self
            .events
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.budget.give_back(events.bytes.len());
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
        assert_eq!(budget.used(), ended.events.len());
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
        let third = Recording::new(1 << 20, budget.clone());
        third.add(Part::Random(&[0; 900]));
        let ended = third.end();
        assert!(!ended.is_cut);
        drop(third);
        assert_eq!(
            budget.used(),
            ended.events.len(),
            "whoever took the events has them"
        );
    }
}
