//! The Docker service against a real engine, which `scripts/docker-engine` sets up.
//!
//! Where there is none, the tests are skipped, except under `CI=true`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bounds;
mod exec;
mod faults;
mod killing;
mod latency;
mod lifecycle;
mod looking;
mod spawn;
mod stage;
mod tls;
