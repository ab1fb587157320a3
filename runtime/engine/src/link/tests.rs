//! Tests of the linker alone: the linked module is validated, instantiated and called.

mod fuzz;
mod generated;
mod refusals;
mod sharing;

use std::sync::{Arc, Mutex};

use wasmparser::Validator;
use wasmtime::{Config, Engine, ExternType, Linker, Module, Store, Val};

use super::{HOST_ENV, HOST_USER, HostFunctions, SourceModule, WASI, link, linked_features};
use crate::{LoadError, abi};

/// A host with the whole ABI, two effects, and two functions of WASI.
struct Provided;

impl HostFunctions for Provided {
    fn names(&self, module: &str) -> Vec<&str> {
        match module {
            HOST_ENV => abi::FUNCTIONS.to_vec(),
            HOST_USER => vec!["note", "git_get_branch"],
            WASI => vec!["fd_write", "sched_yield"],
            _ => Vec::new(),
        }
    }
}

/// Links modules in WAT, of which the last is the main one.
fn try_link(modules: &[(&str, &str)]) -> Result<Vec<u8>, LoadError> {
    let source = |(name, wat): &(&str, &str)| SourceModule {
        name: (*name).to_owned(),
        wasm: wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}\n{wat}")),
    };
    link(&modules.iter().map(source).collect::<Vec<_>>(), &Provided)
}

/// Links modules without errors, and validates the result.
#[track_caller]
fn linked(modules: &[(&str, &str)]) -> Vec<u8> {
    let wasm = try_link(modules).unwrap_or_else(|error| panic!("{error}"));
    if let Err(error) = Validator::new_with_features(linked_features()).validate_all(&wasm) {
        panic!(
            "{error}\n{}",
            wasmprinter::print_bytes(&wasm).unwrap_or_default()
        );
    }
    wasm
}

/// The results of calls of some exports, in one instance.
struct Ran {
    /// The first result of each call, 0 if it has none.
    returned: Vec<i64>,
    /// The arguments of `note`, in order, starting with the instantiation.
    noted: Vec<i64>,
}

/// An engine with the proposals that a linked module uses.
fn compiler() -> Engine {
    let mut config = Config::new();
    config.wasm_features(linked_features(), true);
    Engine::new(&config).unwrap()
}

/// Instantiates a linked module and calls these exports in order.
#[track_caller]
fn run(wasm: &[u8], exports: &[&str]) -> Ran {
    let engine = compiler();
    let module = Module::new(&engine, wasm).unwrap();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let mut linker = Linker::new(&engine);
    // Each module's import of the same host function is an import of the merged module.
    linker.allow_shadowing(true);
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else {
            panic!("{import:?}")
        };
        let (noted, is_note) = (noted.clone(), import.name() == "note");
        linker
            .func_new(
                import.module(),
                import.name(),
                ty,
                move |_, arguments, results| {
                    if let (true, Some(Val::I64(number))) = (is_note, arguments.first()) {
                        noted.lock().unwrap().push(*number);
                    }
                    for result in results {
                        *result = Val::default_for_ty(&result_type(result)).unwrap_or(Val::I64(0));
                    }
                    Ok(())
                },
            )
            .unwrap();
    }
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let call = |export: &&str| {
        let function = instance
            .get_func(&mut store, export)
            .unwrap_or_else(|| panic!("no export `{export}`"));
        let ty = function.ty(&store);
        let arguments: Vec<Val> = ty
            .params()
            .filter_map(|ty| Val::default_for_ty(&ty))
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        function
            .call(&mut store, &arguments, &mut results)
            .unwrap_or_else(|error| panic!("{export}: {error:#}"));
        match results.first() {
            Some(Val::I32(number)) => i64::from(*number),
            Some(Val::I64(number)) => *number,
            _ => 0,
        }
    };
    let returned = exports.iter().map(call).collect();
    Ran {
        returned,
        noted: noted.lock().unwrap().clone(),
    }
}

/// The type of a host function's result in its initial state.
fn result_type(result: &Val) -> wasmtime::ValType {
    match result {
        Val::I32(_) => wasmtime::ValType::I32,
        _ => wasmtime::ValType::I64,
    }
}

const NOTE: &str = r#"(import "extism:host/user" "note" (func $note (param i64) (result i64)))"#;

#[test]
fn the_kernels_text_is_valid_and_defines_no_function_of_the_host() {
    let wasm = linked(&[("main", "(module)")]);
    let module = Module::new(&compiler(), &wasm).unwrap();
    assert_eq!(module.imports().len(), 0);
    let kernel = super::InputModule::parse(HOST_ENV, &super::KERNEL, linked_features()).unwrap();
    assert!(
        abi::FUNCTIONS
            .iter()
            .all(|name| kernel.export(name).is_none())
    );
}

#[test]
fn only_the_exports_of_the_main_module_and_of_the_engine_remain() {
    let wasm = linked(&[
        (
            "lib",
            r#"(module (func (export "hidden")) (memory (export "memory") 1))"#,
        ),
        (
            "main",
            r#"(module (func (export "seen")) (global (export "value") i32 (i32.const 1)))"#,
        ),
    ]);
    let module = Module::new(&compiler(), &wasm).unwrap();
    let mut names: Vec<_> = module
        .exports()
        .map(|export| export.name().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["exomonad:kernel", "seen", "value"]);
}

#[test]
fn modules_may_use_the_same_names_for_different_things() {
    let library = |number: u32| {
        format!(
            r#"(module (memory (export "memory") 1) (global $g (mut i64) (i64.const {number})) (type $t (func (result i64)))
               (table 1 funcref) (elem (i32.const 0) $f) (data (i32.const 0) "\{number:02x}")
               (func $f (export "value") (type $t)
                 (i64.add (global.get $g) (i64.add (i64.load8_u (i32.const 0)) (i64.extend_i32_u (memory.size))))))"#
        )
    };
    let main = r#"(module
        (import "one" "value" (func $one (result i64))) (import "two" "value" (func $two (result i64)))
        (memory (export "memory") 7) (data (i32.const 0) "\64")
        (func (export "one") (result i64) (call $one)) (func (export "two") (result i64) (call $two))
        (func (export "own") (result i64) (i64.add (i64.load8_u (i32.const 0)) (i64.extend_i32_u (memory.size)))))"#;
    let wasm = linked(&[("one", &library(10)), ("two", &library(20)), ("main", main)]);
    assert_eq!(run(&wasm, &["one", "two", "own"]).returned, [21, 41, 107]);
}

#[test]
fn start_functions_run_in_the_order_of_the_imports() {
    let starting = |imports: &str, number: u32| {
        format!(
            "(module {NOTE} {imports} (func $s (drop (call $note (i64.const {number})))) (start $s))"
        )
    };
    let wasm = linked(&[
        ("middle", &starting(r#"(import "base" "f" (func))"#, 2)),
        (
            "base",
            &format!(
                r#"(module {NOTE} (func (export "f")) (func $s (drop (call $note (i64.const 1)))) (start $s))"#
            ),
        ),
        ("main", &starting(r#"(import "base" "f" (func))"#, 3)),
    ]);
    assert_eq!(run(&wasm, &[]).noted, [1, 2, 3]);
}

#[test]
fn initialisers_of_libraries_run_before_the_main_modules() {
    let initialised = |name: &str, imports: &str, number: u32| {
        format!(
            r#"(module {NOTE} {imports} (func (export "{name}") (drop (call $note (i64.const {number})))))"#
        )
    };
    let wasm = linked(&[
        ("lib", &initialised("_initialize", "", 1)),
        // Extism calls only the main module's constructors.
        ("other", &initialised("__wasm_call_ctors", "", 9)),
        (
            "main",
            &initialised(
                "__wasm_call_ctors",
                r#"(import "lib" "_initialize" (func))"#,
                2,
            ),
        ),
    ]);
    assert_eq!(run(&wasm, &[super::INITIALIZE]).noted, [1, 2]);
    assert!(run(&wasm, &[]).noted.is_empty(), "the host decides when");
}

#[test]
fn each_module_has_its_own_wasi_imports() {
    let write = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    let wasm = linked(&[
        (
            "lib",
            &format!(r#"(module {write} (memory (export "memory") 2) (func (export "f")))"#),
        ),
        (
            "main",
            &format!(r#"(module {write} (import "lib" "f" (func)) (memory (export "memory") 3))"#),
        ),
    ]);
    let module = Module::new(&compiler(), &wasm).unwrap();
    let imports: Vec<_> = module
        .imports()
        .map(|import| import.module().to_owned())
        .collect();
    assert_eq!(imports, ["exomonad:wasi:1", "exomonad:wasi:2"]);
    for (input, pages) in [("1", 2), ("2", 3)] {
        let Some(ExternType::Memory(memory)) = module.get_export(&super::memory_export(input))
        else {
            panic!("no memory of module {input}");
        };
        assert_eq!(memory.minimum(), pages);
    }
}

#[test]
fn only_the_bodies_of_bulk_copies_are_replaced() {
    let module = |signature: &str| {
        format!(
            r#"(module (memory 1) (func (export "exomonad_memory_read") (param {signature}) (unreachable)))"#
        )
    };
    let text =
        |signature| wasmprinter::print_bytes(linked(&[("main", &module(signature))])).unwrap();
    assert!(text("i64 i32 i32").contains("memory.copy 1 0"));
    assert!(!text("i64 i32 i64").contains("memory.copy"));
    let without_memory =
        r#"(module (func (export "exomonad_memory_read") (param i64 i32 i32) (unreachable)))"#;
    linked(&[("main", without_memory)]);
}
