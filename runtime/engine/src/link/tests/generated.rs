//! Generated modules: valid modules link to a valid module.

use proptest::prelude::*;
use wasm_smith::{Config, Module};
use wasmparser::{ExternalKind, Validator};

use super::Provided;
use crate::link::input::InputModule;
use crate::link::{SourceModule, features, link, linked_features};

/// Modules that use everything the engine runs, without imports.
fn configuration() -> Config {
    Config {
        max_imports: 0,
        export_everything: true,
        bulk_memory_enabled: true,
        exceptions_enabled: true,
        gc_enabled: true,
        memory64_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        relaxed_simd_enabled: true,
        simd_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        custom_page_sizes_enabled: false,
        custom_descriptors_enabled: false,
        wide_arithmetic_enabled: false,
        max_memories: 3,
        max_tables: 3,
        ..Config::default()
    }
}

fn generated(seed: &[u8]) -> Option<Vec<u8>> {
    let mut source = arbitrary::Unstructured::new(seed);
    Some(Module::new(configuration(), &mut source).ok()?.to_bytes())
}

/// A main module that imports and re-exports all functions of `lib` whose types need no definitions.
fn importing(library: &[u8]) -> String {
    let library = InputModule::parse("lib", library, features()).unwrap();
    let mut main = String::from("(module");
    for (nth, export) in library.exports.iter().enumerate() {
        if export.kind != ExternalKind::Func {
            continue;
        }
        let Some((_, ty)) = library.exported_function(export.name) else {
            continue;
        };
        if ty
            .params()
            .iter()
            .chain(ty.results())
            .any(|ty| matches!(ty, wasmparser::ValType::Ref(_)))
        {
            continue;
        }
        let name = wat_string(export.name);
        let (params, results) = (types(ty.params()), types(ty.results()));
        main += &format!(
            " (import \"lib\" \"{name}\" (func $f{nth} (param {params}) (result {results})))"
        );
    }
    main + ")"
}

fn types(types: &[wasmparser::ValType]) -> String {
    types
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

fn wat_string(name: &str) -> String {
    name.bytes().map(|byte| format!("\\{byte:02x}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn modules_that_are_valid_link_to_a_module_that_is_valid(seeds in prop::collection::vec(prop::collection::vec(any::<u8>(), 200..3000), 1..4)) {
        let wasm: Vec<Vec<u8>> = seeds.iter().filter_map(|seed| generated(seed)).collect();
        prop_assume!(!wasm.is_empty());
        let mut modules: Vec<SourceModule> =
            (0..).zip(&wasm).map(|(nth, wasm)| SourceModule { name: format!("module {nth}"), wasm: wasm.clone() }).collect();
        modules[0].name = "lib".to_owned();
        let main = importing(&wasm[0]);
        modules.push(SourceModule { name: "main".to_owned(), wasm: wat::parse_str(&main).unwrap() });
        let linked = link(&modules, &Provided).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let valid = Validator::new_with_features(linked_features()).validate_all(&linked);
        prop_assert!(valid.is_ok(), "{:?}", valid.err());
    }
}
