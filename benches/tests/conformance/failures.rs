//! Traps, exits, limits, and calls that cannot be made.

use std::time::Duration;

use crate::engines::{call_both, ours, same, same_bodies};
use crate::outcome::{FailureKind, Outcome};
use crate::setup::Setup;

#[test]
fn traps_are_reported_alike() {
    let outcome = same_bodies(
        b"",
        &[
            ("unreachable", "(unreachable)"),
            (
                "division by zero",
                "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            ),
            (
                "overflow",
                "(drop (i32.div_s (i32.const 0x8000_0000) (i32.const -1)))",
            ),
            (
                "a float that is no integer",
                "(drop (i32.trunc_f32_s (f32.const nan)))",
            ),
            (
                "a load out of bounds",
                "(drop (i32.load (i32.const 0x7fff_ffff)))",
            ),
            (
                "a store out of bounds",
                "(i64.store (i32.const -4) (i64.const 1))",
            ),
            (
                "a copy out of bounds",
                "(memory.copy (i32.const 0) (i32.const 1) (i32.const -1))",
            ),
        ],
    );
    assert!(
        outcome
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Failed(FailureKind::Trap(_), _))),
        "{outcome:?}"
    );
}

#[test]
fn traps_of_tables_and_the_stack_are_reported_alike() {
    for (what, body) in [
        (
            "an element that is null",
            r#"(table 2 funcref) (func (export "run") (call_indirect (i32.const 0)))"#,
        ),
        (
            "an element that is not there",
            r#"(table 2 funcref) (func (export "run") (call_indirect (i32.const 2)))"#,
        ),
        (
            "an element of another type",
            r#"(table 1 funcref) (elem (i32.const 0) $other) (func $other (param i32))
               (func (export "run") (call_indirect (i32.const 0)))"#,
        ),
        (
            "endless recursion",
            r#"(func $run (export "run") (result i32) (i32.add (call $run) (i32.const 1)))"#,
        ),
    ] {
        let outcome = same(what, &Setup::with_abi(body), b"");
        assert!(
            matches!(outcome, Outcome::Failed(FailureKind::Trap(_), _)),
            "{outcome:?}"
        );
    }
}

#[test]
fn forged_handles_are_refused_alike() {
    let calls = [
        "(drop (call $config_get BAD))",
        "(drop (call $var_get BAD))",
        "(call $var_set BAD (call $greeting))",
        "(call $var_set (call $greeting) BAD)",
        "(call $log_info BAD)",
        "(drop (call $http_request BAD (i64.const 0)))",
    ];
    let forged = [
        "(i64.const 12345)",
        "(i64.const -1)",
        "(i64.const 0x1_0000_0000)",
        "(i64.add (call $greeting) (i64.const 1))",
    ];
    for call in calls {
        for bad in forged {
            let call = call.replace("BAD", bad);
            let outcome = same_bodies(b"", &[(&call, &call)]);
            assert!(
                matches!(outcome[0], Outcome::Failed(FailureKind::BadHandle, _)),
                "{call}: {outcome:?}"
            );
        }
    }
    // Extism's C interface cannot refuse the argument of a host function: see `differences`.
    for bad in forged {
        let body = format!(r#"(func (export "run") (drop (call $reverse {bad})))"#);
        for kept in [false, true] {
            let outcomes = ours(&Setup::with_abi(&body), &[("run", b"")], kept);
            assert!(
                matches!(outcomes[0], Outcome::Failed(FailureKind::BadHandle, _)),
                "{bad}: {outcomes:?}"
            );
        }
    }
}

#[test]
fn exits_end_a_call_alike() {
    for (code, error) in [
        (0, ""),
        (1, ""),
        (42, ""),
        (0, "(call $error_set (call $it_broke))"),
        (3, "(call $error_set (call $it_broke))"),
    ] {
        let body = format!(
            r#"(func (export "run") (call $answer (call $greeting)) {error} (call $exit (i32.const {code})) (unreachable))"#
        );
        let wat = include_str!("abi.wat").replace("BODY", &body);
        let import =
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
        let setup = Setup {
            wasi: true,
            ..Setup::of(wat.replacen("(module", import, 1))
        };
        same(&format!("exit {code} {error}"), &setup, b"");
    }
}

#[test]
fn calls_that_cannot_be_made_fail_alike() {
    let setup = Setup::with_abi(
        r#"(func (export "run") (param i32))
           (func (export "two") (result i32 i32) (i32.const 0) (i32.const 0))
           (global (export "global") i32 (i32.const 0))"#,
    );
    let both = call_both(
        &setup,
        &[
            ("run", b""),
            ("two", b""),
            ("global", b""),
            ("absent", b""),
            ("", b""),
        ],
    );
    for (nth, extism) in both.extism.iter().enumerate() {
        assert!(
            matches!(extism, Outcome::Failed(..)) && matches!(both.fresh[nth], Outcome::Failed(..)),
            "{nth}: {both:?}"
        );
    }
    assert_eq!(both.extism[2..], both.fresh[2..]);
}

#[test]
fn limits_end_a_call_alike() {
    let spin = Setup {
        timeout: Some(Duration::from_millis(50)),
        ..Setup::with_abi(r#"(func (export "run") (loop $l (br $l)))"#)
    };
    let outcome = same("a guest that spins", &spin, b"");
    assert!(
        matches!(outcome, Outcome::Failed(FailureKind::Timeout, _)),
        "{outcome:?}"
    );
    for grow in [
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable)",
        "(loop $l (br_if $l (i64.ne (call $alloc (i64.const 100000)) (i64.const 0)))) (unreachable)",
    ] {
        let body = format!(r#"(func (export "run") {grow})"#);
        let outcome = same(
            "a guest that eats memory",
            &Setup {
                memory_pages: Some(20),
                ..Setup::with_abi(&body)
            },
            b"",
        );
        assert!(
            matches!(outcome, Outcome::Failed(FailureKind::Memory, _)),
            "{outcome:?}"
        );
    }
}
