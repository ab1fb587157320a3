//! The key-value service on real files, also from several processes.
//!
//! Some tests need a process of their own, to kill it or to limit it: they run
//! this test program again for one test of [`child`].

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod child;
mod crash;
mod failing_disk;
mod processes;
mod roles;
mod store;
mod values;
