//! The repository, branch and pull request that a plugin means, and what blocks merging it.
//!
//! A library of the plugins `tl` and `flows`.

pub mod readiness;
pub mod target;
