//! Modules that do not link, and the error messages.

use super::{Provided, try_link};
use crate::LoadError;
use crate::link::{HostFunctions, SourceModule, link};

#[track_caller]
fn refusal(modules: &[(&str, &str)]) -> String {
    match try_link(modules) {
        Ok(_) => panic!("it links"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn unknown_imports_are_listed_all_at_once_with_suggestions() {
    let message = refusal(&[
        (
            "lib",
            r#"(module (func (export "number")) (memory (export "memory") 1))"#,
        ),
        (
            "main",
            r#"(module
                (import "extism:host/env" "lenght" (func (param i64) (result i64)))
                (import "extism:host/env" "config_gets" (func (param i64) (result i64)))
                (import "extism:host/user" "git_get_brunch" (func (param i64) (result i64)))
                (import "extism:host/user" "launch_missiles" (func (param i64) (result i64)))
                (import "lib" "numbers" (func)) (import "lab" "number" (func))
                (import "wasi_snapshot_preview1" "fd_writ" (func)))"#,
        ),
    ]);
    for part in [
        "nothing provides the function `extism:host/env::lenght` to module `main` (did you mean `length`?)",
        "`extism:host/env::config_gets` to module `main` (did you mean `config_get`?)",
        "`extism:host/user::git_get_brunch` to module `main` (did you mean `git_get_branch`?)",
        "`extism:host/user::launch_missiles` to module `main`;",
        "`lib::numbers` to module `main` (did you mean `number`?)",
        "`lab::number` to module `main` (there is no module `lab`)",
        "`wasi_snapshot_preview1::fd_writ` to module `main` (did you mean `fd_write`?)",
    ] {
        assert!(message.contains(part), "{part}\nis not in\n{message}");
    }
}

#[test]
fn an_import_of_another_type_is_refused_with_both_types() {
    let library = r#"(module (func (export "f") (param i32) (result i64) (i64.const 1)) (memory (export "m") 1))"#;
    let using =
        |import: &str| refusal(&[("lib", library), ("main", &format!("(module {import})"))]);
    let message = using(r#"(import "lib" "f" (func (param i64) (result i64)))"#);
    assert!(
        message.contains("import `lib::f` of module `main`") && message.contains("i64"),
        "{message}"
    );
    let message = using(r#"(import "lib" "f" (memory 1))"#);
    assert!(
        message.contains("has the type memory, but it is function"),
        "{message}"
    );
    let message = using(r#"(import "lib" "m" (global i32))"#);
    assert!(
        message.contains("has the type global, but it is memory"),
        "{message}"
    );
}

#[test]
fn an_import_of_a_kernel_function_with_another_type_is_refused() {
    let message = refusal(&[(
        "main",
        r#"(module (import "extism:host/env" "alloc" (func (param i32) (result i32))))"#,
    )]);
    assert!(message.contains("`extism:host/env::alloc`"), "{message}");
}

#[test]
fn memories_globals_and_tables_are_only_shared_if_their_types_fit() {
    let library = r#"(module
        (memory (export "m") 1 2) (global (export "constant") i32 (i32.const 1))
        (global (export "variable") (mut i64) (i64.const 1)) (table (export "t") 1 4 funcref))"#;
    for import in [
        r#"(import "lib" "constant" (global (mut i32)))"#,
        r#"(import "lib" "variable" (global i64))"#,
        r#"(import "lib" "constant" (global i64))"#,
        r#"(import "lib" "m" (memory 2))"#,
        r#"(import "lib" "m" (memory 1 1))"#,
        r#"(import "lib" "t" (table 1 externref))"#,
        r#"(import "lib" "t" (table 2 funcref))"#,
    ] {
        let result = try_link(&[("lib", library), ("main", &format!("(module {import})"))]);
        assert!(
            matches!(result, Err(LoadError::ImportType { .. })),
            "{import}"
        );
    }
}

#[test]
fn the_kernels_memory_cannot_be_imported() {
    let message = refusal(&[(
        "main",
        r#"(module (import "extism:host/env" "memory" (memory 1)))"#,
    )]);
    assert!(
        message.contains("the kernel shares functions only"),
        "{message}"
    );
}

#[test]
fn circular_reexports_are_refused() {
    let pass =
        |from: &str| format!(r#"(module (import "{from}" "f" (func $f)) (export "f" (func $f)))"#);
    let message = refusal(&[("a", &pass("b")), ("b", &pass("a")), ("main", &pass("a"))]);
    assert!(message.contains("in a circle"), "{message}");
}

#[test]
fn only_some_of_many_unknown_imports_are_named() {
    let imports: String = (0..5000)
        .map(|nth| format!(r#"(import "nowhere" "f{nth}" (func))"#))
        .collect();
    let message = refusal(&[("main", &format!("(module {imports})"))]);
    assert!(
        message.contains("nowhere::f0`") && message.ends_with("more than these"),
        "{message}"
    );
    assert!(message.len() < 4000, "{} bytes", message.len());
}

#[test]
fn reserved_names_are_refused() {
    let message = refusal(&[("main", r#"(module (func (export "exomonad:initialize")))"#)]);
    assert!(
        message.contains("`exomonad:initialize`") && message.contains("belong to the engine"),
        "{message}"
    );
}

#[test]
fn content_that_is_not_a_module_is_refused_with_its_name() {
    let refused = |wasm: &[u8]| {
        let modules = [SourceModule {
            name: "main".to_owned(),
            wasm: wasm.to_vec(),
        }];
        link(&modules, &Provided).map(|_| ()).unwrap_err()
    };
    assert!(matches!(
        refused(b"\0asm\x0d\0\x01\0"),
        LoadError::Component { .. }
    ));
    for wasm in [
        b"".as_slice(),
        b"\0asm",
        b"\0asm\x01\0\0\0\x01",
        b"\0asm\x02\0\0\0",
        b"GIF89a",
        &[0xff; 64],
    ] {
        let error = refused(wasm);
        assert!(
            matches!(&error, LoadError::Invalid { module, .. } if module == "main"),
            "{error}"
        );
    }
}

#[test]
fn proposals_that_the_engine_does_not_run_are_refused_as_invalid() {
    for module in [
        "(module (memory 1 1 shared))",
        "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
        r#"(module (memory (pagesize 1) (data "a")))"#,
    ] {
        let Ok(wasm) = wat::parse_str(module) else {
            panic!("{module}")
        };
        let modules = [SourceModule {
            name: "main".to_owned(),
            wasm,
        }];
        assert!(
            matches!(link(&modules, &Provided), Err(LoadError::Invalid { .. })),
            "{module}"
        );
    }
}

#[test]
fn imports_of_wasi_that_is_not_allowed_are_counted_and_three_are_named() {
    struct WithoutWasi;
    impl HostFunctions for WithoutWasi {
        fn names(&self, _module: &str) -> Vec<&str> {
            Vec::new()
        }
    }
    let refused = |names: &[&str]| {
        let imports: String = names
            .iter()
            .map(|name| format!(r#"(import "wasi_snapshot_preview1" "{name}" (func))"#))
            .collect();
        let modules = [SourceModule {
            name: "main".to_owned(),
            wasm: wat::parse_str(format!("(module {imports})")).unwrap(),
        }];
        link(&modules, &WithoutWasi).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&[
            "fd_write",
            "fd_close",
            "fd_write",
            "environ_get",
            "proc_exit"
        ]),
        "module `main` imports 4 functions of WASI (`wasi_snapshot_preview1`), which is not allowed: \
         `fd_write`, `fd_close`, `environ_get`, …"
    );
    assert_eq!(
        refused(&["fd_write"]),
        "module `main` imports 1 function of WASI (`wasi_snapshot_preview1`), which is not allowed: \
         `fd_write`"
    );
}
