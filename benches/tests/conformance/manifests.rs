//! Manifests of several modules, and plugins that do not load.

use sha2::{Digest, Sha256};

use crate::engines::{same, same_calls};
use crate::outcome::Outcome;
use crate::setup::Setup;

const NUMBER: &str = r#"(module (func (export "number") (result i64) (i64.const 42)))"#;

const VARIABLE: &str = r#"(module (global (export "g") (mut i32) (i32.const 1)))"#;
const CONSTANT: &str = r#"(module (import "lib" "g" (global i32)))"#;

fn main_with(imports: &str, body: &str) -> String {
    let wat = include_str!("abi.wat").replace(
        "BODY",
        &format!(r#"(func (export "run") {body} (call $report))"#),
    );
    wat.replacen("(module", &format!("(module {imports}"), 1)
}

fn linked(modules: &[(Option<&'static str>, &str)]) -> Setup {
    let modules = modules.iter().map(|(name, wat)| (*name, (*wat).to_owned()));
    Setup {
        modules: modules.collect(),
        wasi: true,
        ..Setup::default()
    }
}

fn using(library: &str) -> String {
    main_with(
        &format!(r#"(import "{library}" "number" (func $number (result i64)))"#),
        "(call $say (call $number)) (call $say (call $number))",
    )
}

#[track_caller]
fn says(what: &str, modules: &[(Option<&'static str>, &str)], expected: &[i64]) {
    let outcome = same(what, &linked(modules), b"in");
    assert_eq!(
        outcome.numbers(),
        Some(expected.to_vec()),
        "{what}: {outcome:?}"
    );
}

#[test]
fn a_library_is_linked_wherever_the_main_module_stands() {
    says(
        "named main, last",
        &[(Some("lib"), NUMBER), (Some("main"), &using("lib"))],
        &[42, 42],
    );
    says(
        "named main, first",
        &[(Some("main"), &using("lib")), (Some("lib"), NUMBER)],
        &[42, 42],
    );
    says(
        "unnamed, last",
        &[(Some("lib"), NUMBER), (None, &using("lib"))],
        &[42, 42],
    );
    says(
        "another name, last",
        &[(Some("lib"), NUMBER), (Some("other"), &using("lib"))],
        &[42, 42],
    );
    says(
        "alone under any name",
        &[(Some("other"), &main_with("", "(call $say (i64.const 1))"))],
        &[1],
    );
}

#[test]
fn a_library_has_its_own_memory_globals_and_kernel_access() {
    let library = r#"(module
        (import "extism:host/env" "input_length" (func $input_length (result i64)))
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/user" "reverse" (func $reverse (param i64) (result i64)))
        (memory (export "memory") 1)
        (data (i32.const 65536) "")
        (global $calls (mut i64) (i64.const 100))
        (func (export "number") (result i64)
          (global.set $calls (i64.add (global.get $calls) (call $input_length)))
          (i64.store (i32.const 0) (i64.add (i64.load (i32.const 0)) (i64.const 1)))
          (drop (call $reverse (call $alloc (i64.const 4))))
          (i64.add (global.get $calls) (i64.load (i32.const 0)))))"#;
    says(
        "a library with state",
        &[(Some("lib"), library), (None, &using("lib"))],
        &[103, 106],
    );
}

#[test]
fn a_library_that_is_a_reactor_or_has_a_start_function_is_initialised_first() {
    let library = r#"(module
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (memory (export "memory") 1)
        (global $ready (mut i64) (i64.const 0))
        (func (export "_initialize") (drop (call $yield)) (global.set $ready (i64.add (global.get $ready) (i64.const 1))))
        (func $start (global.set $ready (i64.add (global.get $ready) (i64.const 10)))) (start $start)
        (func (export "number") (result i64) (global.get $ready)))"#;
    says(
        "a reactor",
        &[(Some("lib"), library), (None, &using("lib"))],
        &[11, 11],
    );
}

#[test]
fn libraries_share_memories_tables_and_globals_by_import() {
    let library = r#"(module
        (memory (export "shared") 1) (table (export "table") 4 funcref) (global (export "base") i64 (i64.const 7))
        (global (export "count") (mut i64) (i64.const 0))
        (func $nine (result i64) (i64.const 9)) (elem (i32.const 1) $nine)
        (data (i32.const 16) "\05"))"#;
    let main = main_with(
        r#"(import "lib" "shared" (memory $lib 1)) (import "lib" "table" (table $table 1 funcref))
           (import "lib" "base" (global $base i64)) (import "lib" "count" (global $count (mut i64)))
           (type $number (func (result i64)))"#,
        "(call $say (global.get $base)) (global.set $count (i64.const 3)) (call $say (global.get $count))
         (call $say (call_indirect $table (type $number) (i32.const 1)))
         (call $say (i64.load $lib (i32.const 16)))",
    );
    // The texts of abi.wat and its stores mean the memory that is not imported.
    let main = main
        .replacen(
            "(memory (export \"memory\") 3)",
            "(memory $own (export \"memory\") 3)",
            1,
        )
        .replace("(data (i32", "(data (memory $own) (i32")
        .replace(
            "(i64.store (global.get $said)",
            "(i64.store $own (global.get $said)",
        )
        .replace(
            "(i32.load8_u (i32.add (local.get $at)",
            "(i32.load8_u $own (i32.add (local.get $at)",
        );
    says(
        "everything but functions",
        &[(Some("lib"), library), (None, &main)],
        &[7, 3, 9, 5],
    );
}

#[test]
fn libraries_may_need_libraries() {
    let middle = r#"(module (import "base" "number" (func $n (result i64)))
        (func (export "number") (result i64) (i64.add (call $n) (i64.const 1))) (export "again" (func $n)))"#;
    says(
        "a chain",
        &[
            (Some("middle"), middle),
            (Some("base"), NUMBER),
            (None, &using("middle")),
        ],
        &[43, 43],
    );
    let through = main_with(
        r#"(import "middle" "again" (func $number (result i64)))"#,
        "(call $say (call $number))",
    );
    says(
        "a function passed on",
        &[
            (Some("base"), NUMBER),
            (Some("middle"), middle),
            (None, &through),
        ],
        &[42],
    );
}

#[test]
fn a_kept_library_keeps_its_state_from_call_to_call() {
    let library = r#"(module (func (export "number") (result i64) (i64.const 5)))"#;
    let setup = linked(&[(Some("lib"), library), (None, &using("lib"))]);
    same_calls("two calls", &setup, &[("run", b""), ("run", b"")]);
}

#[test]
fn what_cannot_be_loaded_is_refused_by_both() {
    let digest = |wat: &str| -> String {
        let wasm = wat::parse_str(wat).expect("it is valid");
        Sha256::digest(wasm)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    let main = using("lib");
    let right = Setup {
        digest: Some(digest(NUMBER)),
        ..linked(&[(Some("lib"), NUMBER), (None, &main)])
    };
    assert!(matches!(
        same("the right digest", &right, b""),
        Outcome::Answer(_)
    ));
    let refused = [
        (
            "a wrong digest",
            Setup {
                digest: Some("00".repeat(32)),
                ..right.clone()
            },
        ),
        (
            "no such module",
            linked(&[(Some("lab"), NUMBER), (None, &main)]),
        ),
        (
            "no such function",
            linked(&[(Some("lib"), "(module)"), (None, &main)]),
        ),
        (
            "two modules of one name",
            linked(&[(Some("lib"), NUMBER), (Some("lib"), NUMBER), (None, &main)]),
        ),
        (
            "a function of another type",
            linked(&[
                (
                    Some("lib"),
                    r#"(module (func (export "number") (result i32) (i32.const 1)))"#,
                ),
                (None, &main),
            ]),
        ),
        (
            "a memory as a function",
            linked(&[
                (Some("lib"), r#"(module (memory (export "number") 1))"#),
                (None, &main),
            ]),
        ),
        (
            "an unknown function of the kernel",
            Setup::of(r#"(module (import "extism:host/env" "allocate" (func)))"#),
        ),
        (
            "the kernel's memory",
            Setup::of(r#"(module (import "extism:host/env" "memory" (memory 1)))"#),
        ),
        (
            "a host function of another type",
            Setup::of(
                r#"(module (import "extism:host/env" "config_get" (func (param i32) (result i32))))"#,
            ),
        ),
        (
            "an effect of another type",
            Setup::of(
                r#"(module (import "extism:host/user" "reverse" (func (param i32 i32) (result i32))))"#,
            ),
        ),
        (
            "a variable as a constant",
            linked(&[(Some("lib"), VARIABLE), (None, CONSTANT)]),
        ),
        (
            "an unknown effect",
            Setup::of(r#"(module (import "extism:host/user" "explode" (func)))"#),
        ),
        (
            "WASI where it is off",
            Setup::of(
                r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))))"#,
            ),
        ),
        (
            "another host's module",
            Setup::of(r#"(module (import "env" "abort" (func)))"#),
        ),
        ("no module at all", linked(&[])),
        (
            "bytes that are no module",
            Setup {
                binary: Some(b"\0asm nonsense".to_vec()),
                ..Setup::default()
            },
        ),
        (
            "a component",
            Setup {
                binary: Some(b"\0asm\x0d\0\x01\0".to_vec()),
                ..Setup::default()
            },
        ),
        (
            "nothing",
            Setup {
                binary: Some(Vec::new()),
                ..Setup::default()
            },
        ),
    ];
    for (what, setup) in refused {
        assert_eq!(same(what, &setup, b""), Outcome::NotLoaded, "{what}");
    }
}
