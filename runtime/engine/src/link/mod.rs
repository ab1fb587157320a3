//! The static linker: merges the modules of a plugin and the Extism kernel into one module.
//!
//! Extism instantiates its kernel, each library and the plugin as separate modules, so that a guest's load of
//! eight bytes is a call through an import. Merged into one module, it is a direct call that the
//! compiler inlines, one instance is one allocation from the pool, and a snapshot of the initialised
//! module holds all of its state. Kernel and libraries use the same mechanism.
//!
//! The merged module imports only host functions. It exports everything that the main module exports,
//! plus names that begin with [`RESERVED`], which are for the engine alone.

mod bulk;
mod input;
mod merge;
mod resolve;
#[cfg(test)]
mod tests;
mod types;

use std::sync::LazyLock;

use wasmparser::WasmFeatures;

use self::input::InputModule;
pub(crate) use self::merge::{INITIALIZE, KERNEL_MEMORY, memory_export};
pub(crate) use self::resolve::HostFunctions;
use self::resolve::Resolver;
use crate::LoadError;

/// The prefix of names that are reserved for the engine.
pub(crate) const RESERVED: &str = "exomonad:";
/// The module that the Extism ABI's own functions are imported from.
pub(crate) const HOST_ENV: &str = "extism:host/env";
/// The module that effects are imported from.
pub(crate) const HOST_USER: &str = "extism:host/user";
/// The module that WASI preview 1 is imported from.
pub(crate) const WASI: &str = "wasi_snapshot_preview1";

/// A module of a plugin under its name in the manifest.
#[derive(Clone, Debug)]
pub(crate) struct SourceModule {
    pub name: String,
    pub wasm: Vec<u8>,
}

/// The kernel in binary format, translated once per process.
static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the text is part of this crate, and a test parses it"
    )]
    wat::parse_str(include_str!("kernel.wat")).expect("the kernel's text is valid")
});

/// The WebAssembly proposals that a plugin may use: all finished ones except threads, since a sandbox
/// belongs to one call and shares no memory.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::GC_TYPES
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::FUNCTION_REFERENCES
        | WasmFeatures::GC
        | WasmFeatures::EXCEPTIONS
}

/// The proposals that a linked module uses: those of plugins, and custom page sizes for the kernel's memory.
pub(crate) fn linked_features() -> WasmFeatures {
    features() | WasmFeatures::CUSTOM_PAGE_SIZES
}

/// Merges the modules of a plugin, of which the last is the main one, with the kernel.
pub(crate) fn link(
    modules: &[SourceModule],
    host: &dyn HostFunctions,
) -> Result<Vec<u8>, LoadError> {
    let mut inputs = vec![InputModule::parse(HOST_ENV, &KERNEL, linked_features())?];
    for module in modules {
        let input = InputModule::parse(&module.name, &module.wasm, features())?;
        if let Some(export) = input.reserved_export() {
            return Err(LoadError::ReservedName {
                module: module.name.clone(),
                export: export.to_owned(),
            });
        }
        inputs.push(input);
    }
    let inputs = in_dependency_order(inputs);
    let resolver = Resolver::new(&inputs, host)?;
    merge::merge(&inputs, &resolver)
}

/// Puts each library after those that it imports from: an initial value may only refer to earlier globals,
/// and segments are written in order. The kernel stays the first and the main module the last.
fn in_dependency_order(inputs: Vec<InputModule<'_>>) -> Vec<InputModule<'_>> {
    let last = inputs.len() - 1;
    let mut place = vec![0; inputs.len()];
    let libraries = input::dependency_order(&inputs)
        .into_iter()
        .filter(|number| (1..last).contains(number));
    for (nth, number) in libraries.enumerate() {
        place[number] = nth + 1;
    }
    place[last] = last;
    let mut placed: Vec<_> = place.into_iter().zip(inputs).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, input)| input).collect()
}
