//! Workflows that ship.
//!
//! | workflow | |
//! |---|---|
//! | `ship_pr` | pushes a branch, opens a pull request, waits for checks and reviews, merges, cleans up |
//! | `nightly` | runs a command in a container for each of several repositories, and files issues on failure |
//! | `nightly_check` | the part of `nightly` for one repository |
//!
//! Each effect is a step, so that a run survives a restart of the host at any point.

pub mod nightly;
pub mod ship_pr;

use exomonad_guest::plugin;

plugin! {
    name: "flows",
    tools: [],
    workflows: [ship_pr::ship_pr, nightly::nightly, nightly::nightly_check],
}
