//! The contract as its users have it: what is generated from it, and what its types read and write.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod fuzz;
mod generated;
mod round_trip;
