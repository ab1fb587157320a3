//! The Temporal service against Temporal's own dev server, its CLI and a worker by its SDK for Python, and against
//! a gateway in front of the server that asks for keys and certificates.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bounds;
mod faults;
mod gateway;
mod namespaces;
mod schedules;
mod service;
mod with_worker;
mod workflows;
