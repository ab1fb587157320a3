//! Initialisation before the first call: start functions, reactors, constructors, Haskell's `hs_init`.

use crate::engines::{call_both, same_calls};
use crate::outcome::Outcome;
use crate::setup::Setup;

/// Notes which functions ran, in order, as digits of one number.
const NOTES: &str = r#"
    (global $ran (mut i64) (i64.const 0))
    (func $note (param $digit i64)
      (global.set $ran (i64.add (i64.mul (global.get $ran) (i64.const 10)) (local.get $digit))))
    (func (export "run") (call $say (global.get $ran)) (call $report))"#;

#[track_caller]
fn ran(what: &str, wasi: bool, body: &str) -> i64 {
    let setup = Setup {
        wasi,
        ..Setup::with_abi(&format!("{NOTES} {body}"))
    };
    // Twice: what initialises must not run again.
    let outcome = same_calls(what, &setup, &[("run", b""), ("run", b"")]);
    outcome.numbers().map_or(-1, |said| said[0])
}

const REACTOR: &str = r#"(func (export "_initialize") (call $note (i64.const 1)))"#;
const CONSTRUCTORS: &str = r#"(func (export "__wasm_call_ctors") (call $note (i64.const 2)))"#;
const HASKELL: &str = r#"(func (export "hs_init") (param $argc i32) (param $argv i32)
    (call $note (i64.add (i64.const 3) (i64.extend_i32_u (i32.or (local.get $argc) (local.get $argv))))))"#;
const START: &str = r#"(func $start (call $note (i64.const 4))) (start $start)"#;

#[test]
fn each_kind_of_guest_is_initialised_alike_and_once() {
    for wasi in [false, true] {
        assert_eq!(ran("a plain module", wasi, ""), 0);
        assert_eq!(ran("a reactor", wasi, REACTOR), 1);
        assert_eq!(ran("constructors", wasi, CONSTRUCTORS), 2);
        assert_eq!(
            ran(
                "constructors and a reactor",
                wasi,
                &format!("{REACTOR} {CONSTRUCTORS}")
            ),
            2
        );
        assert_eq!(ran("Haskell", wasi, HASKELL), 3);
        assert_eq!(
            ran("a Haskell reactor", wasi, &format!("{HASKELL} {REACTOR}")),
            13
        );
        assert_eq!(
            ran(
                "Haskell with constructors",
                wasi,
                &format!("{HASKELL} {CONSTRUCTORS}")
            ),
            3
        );
        assert_eq!(ran("a start function", wasi, START), 4);
        assert_eq!(
            ran(
                "a start function and a reactor",
                wasi,
                &format!("{START} {REACTOR}")
            ),
            41
        );
    }
}

#[test]
fn functions_that_only_have_such_a_name_are_left_alone() {
    assert_eq!(
        ran(
            "constructors with a result",
            false,
            r#"(func (export "__wasm_call_ctors") (result i32) (call $note (i64.const 2)) (i32.const 0))"#
        ),
        0
    );
    assert_eq!(
        ran(
            "a main function",
            true,
            r#"(func (export "_start") (call $note (i64.const 5)))"#
        ),
        0
    );
}

#[test]
fn an_initialiser_that_fails_fails_the_call_in_both() {
    for body in [
        r#"(func (export "_initialize") (unreachable))"#,
        r#"(func (export "__wasm_call_ctors") (drop (i32.div_u (i32.const 1) (i32.const 0))))"#,
        r#"(func $start (unreachable)) (start $start)"#,
    ] {
        let setup = Setup::with_abi(&format!("{NOTES} {body}"));
        let both = call_both(&setup, &[("run", b"")]);
        for outcome in [&both.extism[0], &both.fresh[0], &both.kept[0]] {
            // Extism instantiates the main module while it loads it, and once more for its first call.
            assert!(
                matches!(outcome, Outcome::Failed(..) | Outcome::NotLoaded),
                "{body}: {both:?}"
            );
        }
    }
}

#[test]
fn what_an_initialiser_sets_as_output_or_error_is_not_the_calls() {
    for name in ["_initialize", "__wasm_call_ctors"] {
        let body = format!(
            r#"(func (export "{name}") (call $answer (call $greeting)) (call $error_set (call $it_broke)))
            (func (export "run"))"#
        );
        let outcome = same_calls(name, &Setup::with_abi(&body), &[("run", b""), ("run", b"")]);
        assert_eq!(outcome, Outcome::Answer(Vec::new()));
    }
}

#[test]
fn what_an_initialiser_leaves_in_memory_and_globals_is_there() {
    let body = r#"
        (func (export "_initialize")
          (i64.store (i32.const 8192) (i64.const 77))
          (call $note (i64.const 1))
          (drop (memory.grow (i32.const 2)))
          (i64.store (i32.const 320000) (i64.const 78)))
        (func (export "see")
          (call $say (i64.load (i32.const 8192))) (call $say (i64.load (i32.const 320000)))
          (call $say32 (memory.size)) (call $say (global.get $ran)) (call $report))"#;
    let setup = Setup::with_abi(&format!("{NOTES} {body}"));
    let outcome = same_calls("what was left", &setup, &[("see", b""), ("see", b"")]);
    assert_eq!(outcome.numbers(), Some(vec![77, 78, 5, 1]));
}
