//! The engine as its users have it: plugins in WebAssembly text, loaded and called.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bounds;
mod bulk;
mod cache;
mod calls;
mod hostile;
mod isolation;
mod kernel;
mod recorder;
mod snapshots;
mod wasi;
