//! The interface to the host, the only module with `unsafe` code.
//!
//! In WebAssembly this is Extism's plugin ABI: memory that belongs to the host's
//! kernel, accessed by offset. Natively it is the fake host of
//! [`testing`](crate::testing).

#[cfg(any(test, target_family = "wasm"))]
mod allocator;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
use native as host;
#[cfg(target_family = "wasm")]
use wasm as host;

pub(crate) use host::{call, input, report_panics, set_error, set_output};
#[cfg(target_family = "wasm")]
pub use wasm::Import;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::import;

/// The value of `key` in the role's configuration.
pub fn config(key: &str) -> Option<String> {
    host::config(key)
}

/// The value of a variable. Variables last as long as the sandbox: for one call, or
/// as long as a pooled instance lives. Use [`kv`](crate::kv) for persistent values.
pub fn variable(key: &str) -> Option<Vec<u8>> {
    host::variable(key)
}

/// Sets a variable, or removes it if `value` is `None`.
pub fn set_variable(key: &str, value: Option<&[u8]>) {
    host::set_variable(key, value);
}
