//! The Docker service against a real engine, which `scripts/docker-engine` sets up.
//!
//! Under `CI=true` an engine there must be; elsewhere, where none can be had, each test says
//! SKIPPED.

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
