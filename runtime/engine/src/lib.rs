//! Runs Extism plugins in wasmtime: one fresh sandbox per call, asynchronous host functions, limits always on.
//!
//! Any plugin made with an Extism PDK runs unchanged, but not the way Extism runs it. The reasons, with
//! numbers, are in `benches/RESULTS.md`; the way a plugin goes:
//!
//! 1. a [`Manifest`] names its modules;
//! 2. the linker (`link`) merges them with the Extism kernel into one module;
//! 3. if it has something to initialise, that runs once and a snapshot of it takes its place (`snapshot`);
//! 4. it is compiled, or comes from the [`CompileCache`], and is connected with the host functions
//!    (`abi`, `wasi`): a [`Plugin`];
//! 5. a call takes a [`Sandbox`] from the pool, puts the input into the kernel (`kernel`), runs the entry
//!    point under its [`Limits`], and takes the output.
//!
//! The engine knows no service: effects leave through the [`Host`] as bytes, and come back as bytes.

mod abi;
mod cache;
mod engine;
mod error;
mod host;
mod kernel;
mod limits;
mod link;
mod manifest;
mod names;
mod plugin;
mod sandbox;
mod snapshot;
mod state;
mod wasi;

pub use cache::CompileCache;
pub use engine::{Engine, EngineConfig};
pub use error::{CallError, Limit, LimitHit, LoadError};
pub use host::{Host, HostFuture, HttpError, HttpRequest, HttpResponse, LogLevel};
pub use limits::{Limits, Usage};
pub use manifest::Manifest;
pub use names::closest;
pub use plugin::{LoadOptions, Plugin, Snapshot};
pub use sandbox::{Output, Sandbox};
