//! The GitHub service against GitHub's own description of its API, played by
//! Prism, and against a server that fails in every way there is.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod every_effect;
mod limits;
mod log;
mod lost;
mod refused;
mod retried;
mod service;
mod unchanged;
