//! The static linker: every module of a plugin, and the Extism kernel, become one module.
//!
//! Extism instantiates its kernel, each library and the plugin as modules of their own; a guest's load of
//! eight bytes is then a call through an import. Merged into one module it is a direct call that the
//! compiler inlines, one instance is one allocation from the pool, and a snapshot of the initialised
//! module holds all of its state. Kernel and libraries go the same way: there is one mechanism.
//!
//! What the merged module still imports are host functions. What it exports is what the main module
//! exports, plus names that begin with [`RESERVED`], which are for the engine alone.

mod bulk;
mod merge;
mod resolve;
#[cfg(test)]
mod tests;
mod types;
mod unit;

use std::sync::LazyLock;

use wasmparser::WasmFeatures;

pub(crate) use self::merge::{INITIALIZE, KERNEL_MEMORY, memory_export};
pub(crate) use self::resolve::HostFunctions;
use self::resolve::Resolver;
use self::unit::Unit;
use crate::LoadError;

/// Names that begin so are the engine's own.
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

/// The kernel, translated from its text once per process.
static KERNEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    #[expect(
        clippy::expect_used,
        reason = "the text is part of this crate, and a test parses it"
    )]
    wat::parse_str(include_str!("kernel.wat")).expect("the kernel's text is valid")
});

/// The WebAssembly proposals that a plugin may use: all finished ones but threads, since a shared memory
/// has no place in a sandbox that one call owns.
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

/// What a linked module uses: what plugins may, and for the kernel's memory the size of a page.
pub(crate) fn linked_features() -> WasmFeatures {
    features() | WasmFeatures::CUSTOM_PAGE_SIZES
}

/// Merges the modules of a plugin, of which the last is the main one, with the kernel.
pub(crate) fn link(
    modules: &[SourceModule],
    host: &dyn HostFunctions,
) -> Result<Vec<u8>, LoadError> {
    let mut units = vec![Unit::parse(HOST_ENV, &KERNEL, linked_features())?];
    for module in modules {
        let unit = Unit::parse(&module.name, &module.wasm, features())?;
        if let Some(export) = unit.reserved_export() {
            return Err(LoadError::ReservedName {
                module: module.name.clone(),
                export: export.to_owned(),
            });
        }
        units.push(unit);
    }
    let units = in_dependency_order(units);
    let resolver = Resolver::new(&units, host)?;
    merge::merge(&units, &resolver)
}

/// Puts each library after those it imports from: an initial value may only refer to globals before it,
/// and segments are written in order. The kernel stays the first and the main module the last.
fn in_dependency_order(units: Vec<Unit<'_>>) -> Vec<Unit<'_>> {
    let last = units.len() - 1;
    let mut place = vec![0; units.len()];
    let libraries = unit::dependency_order(&units)
        .into_iter()
        .filter(|number| (1..last).contains(number));
    for (nth, number) in libraries.enumerate() {
        place[number] = nth + 1;
    }
    place[last] = last;
    let mut placed: Vec<_> = place.into_iter().zip(units).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, unit)| unit).collect()
}
