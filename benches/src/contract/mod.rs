//! The contract suite: a plugin of one language beside the host's own types.
//!
//! Each language has a plugin `plugins/contract-<language>` with the same tools: `round_trip` decodes values of a
//! type of the contract and encodes them again, `perform` requests an effect and returns its answer. Values come
//! from the schema with a fixed seed; an answer that means something else to the host's own types is a failure.
//!
//! `tests/conformance/contract` asserts that there is none, `src/bin/languages` writes `guest-sdk/MATRIX.md`.

mod calls;
mod cases;
mod effects;
mod host;
mod values;

pub use calls::Guest;
pub use cases::{Case, cases};

use std::fmt::Write as _;

/// The cases of a run and those that failed.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases that passed.
    pub passed: usize,
    /// The others: the case, and how it failed.
    pub failures: Vec<String>,
}

impl Report {
    /// Counts a case.
    fn count(&mut self, case: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(reason) => self
                .failures
                .push(format!("{case}: {}", shortened(&reason))),
        }
    }

    /// The failures, as text.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!("{} passed, {} failed\n", self.passed, self.failures.len());
        for failure in self.failures.iter().take(40) {
            let _ = writeln!(text, "  {failure}");
        }
        text
    }
}

/// Runs every case on a plugin.
pub async fn run(guest: &Guest) -> Report {
    let mut report = Report::default();
    let cases = cases();
    values::run(guest, &cases, &mut report).await;
    effects::run(guest, &cases, &mut report).await;
    calls::run(guest, &mut report).await;
    report
}

/// A message of a length that people read.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 900;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
