//! The suite of `git` once more, on repositories in a container: the same tests,
//! through the container's own `git` on a real Docker engine.
//!
//! Tests of the host alone are marked `host_only!`, with the reason,
//! and three files are left out whole:
//!
//! | file | what it is about | why not here |
//! |---|---|---|
//! | `bounds` | the role's `paths` | they bound the host's files; of a container all may be reached |
//! | `planted` | files that lead libgit2 out of these paths | the same |
//! | `converted`, `only_git` | what libgit2 cannot do as git does | git itself does it there |
//!
//! An effect takes some 100 ms here and more, so of the shapes of `differential` and the kinds of `corpus` a
//! part is tried, and all where `EXOMONAD_TEST_ALL` is set.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod access;
#[path = "../git/area.rs"]
mod area;
#[path = "../git/branches.rs"]
mod branches;
#[path = "../git/checkout.rs"]
mod checkout;
#[path = "../git/cloned.rs"]
mod cloned;
#[path = "../git/corpus.rs"]
mod corpus;
#[path = "../git/damage.rs"]
mod damage;
#[path = "../git/diff.rs"]
mod diff;
#[path = "../git/differential.rs"]
mod differential;
#[path = "../git/history.rs"]
mod history;
#[path = "../git/hostile.rs"]
mod hostile;
#[path = "../git/porcelain.rs"]
mod porcelain;
#[path = "../git/push_fetch.rs"]
mod push_fetch;
#[path = "../git/remotes.rs"]
mod remotes;
#[path = "../git/service.rs"]
mod service;
#[path = "../git/shapes.rs"]
mod shapes;
#[path = "../git/ssh.rs"]
mod ssh;
#[path = "../git/stash.rs"]
mod stash;
#[path = "../git/status.rs"]
mod status;
#[path = "../git/submodules.rs"]
mod submodules;
mod target;
#[path = "../git/worktrees.rs"]
mod worktrees;
#[path = "../git/write.rs"]
mod write;
#[path = "../git/writers.rs"]
mod writers;
