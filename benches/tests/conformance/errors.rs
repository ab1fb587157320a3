//! Return codes and `error_set`, alone and together.

use crate::engines::{same, same_bodies, same_calls};
use crate::outcome::{FailureKind, Outcome};
use crate::setup::Setup;

#[test]
fn return_codes_are_reported_alike() {
    for (result, code) in [
        ("i32", 0),
        ("i32", 1),
        ("i32", -1),
        ("i32", 7),
        ("i32", i32::MIN),
        ("i32", i32::MAX),
    ] {
        let body = format!(
            r#"(func (export "run") (result {result}) (call $answer (call $greeting)) ({result}.const {code}))"#
        );
        let outcome = same(&format!("{result} {code}"), &Setup::with_abi(&body), b"");
        assert_eq!(matches!(outcome, Outcome::Answer(_)), code == 0);
    }
    same_bodies(b"", &[("no result", "(call $answer (call $greeting))")]);
}

#[test]
fn errors_are_reported_alike_with_every_return_code() {
    for code in [
        "",
        "(result i32) (i32.const 0)",
        "(result i32) (i32.const 1)",
        "(result i32) (i32.const -1)",
    ] {
        let (result, value) = code.split_at(code.find("(i32.const").unwrap_or(0));
        for (what, body) in [
            ("set", "(call $error_set (call $it_broke))"),
            (
                "set after an output",
                "(call $answer (call $greeting)) (call $error_set (call $it_broke))",
            ),
            (
                "set to what is not UTF-8",
                "(call $error_set (call $not_text))",
            ),
            (
                "set twice",
                "(call $error_set (call $greeting)) (call $error_set (call $it_broke))",
            ),
            (
                "cleared",
                "(call $error_set (call $it_broke)) (call $error_set (i64.const 0))",
            ),
            (
                "never a place in memory",
                "(call $error_set (i64.const -1)) (call $error_set (i64.const 0x1_0000_0000))",
            ),
        ] {
            let body = format!(r#"(func (export "run") {result} {body} {value})"#);
            same(
                &format!("error {what}, {code}"),
                &Setup::with_abi(&body),
                b"",
            );
        }
    }
}

#[test]
fn an_error_set_before_an_abort_is_the_message() {
    let body = r#"(func (export "run") (call $error_set (call $it_broke)) (unreachable))"#;
    let outcome = same("an abort", &Setup::with_abi(body), b"");
    assert!(
        matches!(outcome, Outcome::Failed(FailureKind::Message(message), _) if message == "it broke")
    );
}

#[test]
fn the_next_call_knows_nothing_of_the_last_ones_error() {
    let body = r#"
        (func (export "fails") (result i32) (call $error_set (call $it_broke)) (i32.const 1))
        (func (export "run") (call $say (call $error_get)) (call $say (call $output_length)) (call $report))"#;
    same_calls(
        "after an error",
        &Setup::with_abi(body),
        &[("fails", b""), ("run", b""), ("fails", b"x"), ("run", b"y")],
    );
}
