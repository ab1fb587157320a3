//! The git service on real repositories, made by the `git` command, against
//! what `git` itself says about them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod area;
mod bounds;
mod branches;
mod checkout;
mod cloned;
mod converted;
mod corpus;
mod damage;
mod diff;
mod differential;
mod fuzz;
mod history;
mod hostile;
mod only_git;
mod planted;
mod porcelain;
mod push_fetch;
mod remotes;
mod service;
mod shapes;
mod ssh;
mod stash;
mod status;
mod submodules;
mod target;
mod worktrees;
mod write;
mod writers;
