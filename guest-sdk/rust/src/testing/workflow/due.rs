//! The agenda: what is due, in the order of time, and at one time in the order in which it was started.

use std::collections::BTreeMap;

use crate::Json;

/// Something that is due.
pub(super) enum Due {
    /// The code of a run is called for the first time.
    Begin { run: usize },
    /// An attempt at a step ends.
    Attempt { run: usize, handle: u64 },
    /// A timer's time has come.
    Fire { run: usize, handle: u64 },
    /// A step or a child is answered.
    Answer {
        run: usize,
        handle: u64,
        answer: Vec<u8>,
    },
    /// A signal comes.
    Signal {
        run: usize,
        name: String,
        payload: Json,
    },
    /// A run is asked to cancel.
    Cancel { run: usize },
}

/// The things that are due, by time and order.
#[derive(Default)]
pub(super) struct Agenda {
    entries: BTreeMap<(i64, u64), Due>,
    next: u64,
}

impl Agenda {
    pub fn add(&mut self, unix_millis: i64, due: Due) {
        self.entries.insert((unix_millis, self.next), due);
        self.next += 1;
    }

    /// The next thing that is due, and its time.
    pub fn next(&mut self) -> Option<(i64, Due)> {
        let ((unix_millis, _), due) = self.entries.pop_first()?;
        Some((unix_millis, due))
    }

    /// True if something is due at this time.
    pub fn has_due(&self, unix_millis: i64) -> bool {
        self.entries
            .first_key_value()
            .is_some_and(|((time, _), _)| *time <= unix_millis)
    }
}
