//! Runs Extism plugins in wasmtime: one fresh sandbox per call, asynchronous host functions, limits always on.
//!
//! Any plugin made with an Extism PDK runs unchanged, but not in the way Extism runs it. The reasons, with
//! numbers, are in `benches/RESULTS.md`. The steps:
//!
//! 1. a [`Manifest`] names its modules;
//! 2. the linker (`link`) merges them with the Extism kernel into one module;
//! 3. a module with an initialisation is initialised once and replaced by its snapshot (`snapshot`);
//! 4. it is compiled (`compile`), or loaded from the [`CompileCache`], and linked with the host functions
//!    (`abi`, `wasi`): a [`Plugin`];
//! 5. a call takes a [`Sandbox`] from the pool, writes the input into the kernel (`kernel`), runs the entry
//!    point under its [`Limits`], and reads the output.
//!
//! The engine knows no service: effects leave through the [`Host`] as bytes, and return as bytes.

mod abi;
mod cache;
mod compile;
mod engine;
mod error;
mod file_kind;
mod host;
mod initial;
mod kernel;
mod limits;
mod link;
mod manifest;
mod manifest_error;
mod plugin;
mod sandbox;
mod snapshot;
mod state;
mod suggest;
mod units;
mod user_key;
mod wasi;

pub use cache::CompileCache;
pub use compile::{CompileLimits, run_compiler, use_own_binary};
pub use engine::{Engine, EngineConfig};
pub use error::{CallError, InitialSizeError, Limit, LimitExceeded, LoadError};
pub use host::{Host, HostFuture, HttpError, HttpRequest, HttpResponse, LogLevel};
pub use limits::{Limits, Usage};
pub use manifest::Manifest;
pub use plugin::{LoadOptions, Plugin, SnapshotPolicy, SnapshotStatus};
pub use sandbox::{Output, Sandbox};
pub use suggest::closest;
pub use user_key::UserKey;
