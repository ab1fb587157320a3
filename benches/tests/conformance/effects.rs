//! The functions behind which the host stands: configuration, variables, and the user's own.

use std::collections::BTreeMap;

use crate::engines::{same, same_bodies, same_calls};
use crate::outcome::{FailureKind, Outcome};
use crate::setup::Setup;

fn configured(body: &str) -> Setup {
    let config = BTreeMap::from([
        ("greeting", "hello"),
        ("", "the empty key"),
        ("it broke", ""),
        ("große", "Straße"),
    ]);
    let config = config
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    Setup {
        config,
        ..Setup::with_abi(&format!(
            r#"(func (export "run") (local $a i64) (local $b i64) {body})"#
        ))
    }
}

#[test]
fn configuration_answers_alike() {
    for key in ["greeting", "absent", "it broke", "große", "GREETING"] {
        let setup = configured("(call $answer (call $config_get (call $input_block)))");
        same(&format!("the key `{key}`"), &setup, key.as_bytes());
    }
    for (what, body) in [
        (
            "the key is the host's afterwards",
            "(local.set $a (call $it_broke)) (drop (call $config_get (local.get $a))) (call $say (call $length (local.get $a))) (call $report)",
        ),
        (
            "the empty key",
            "(call $answer (call $config_get (i64.const 0)))",
        ),
    ] {
        same(what, &configured(body), b"");
    }
}

#[test]
fn variables_answer_alike_within_a_call() {
    same_bodies(b"", &[
        ("absent", "(call $say (call $var_get (call $greeting))) (call $report)"),
        (
            "a value stays when its key is freed once more",
            "(call $var_set (call $greeting) (call $alloc (i64.const 40)))
             (local.set $a (call $greeting)) (local.set $b (call $var_get (local.get $a)))
             (call $free (local.get $a)) (drop (call $alloc (i64.const 24)))
             (call $say (call $length (local.get $b))) (call $report)",
        ),
        (
            "set and read",
            "(call $var_set (call $greeting) (call $it_broke)) (call $answer (call $var_get (call $greeting)))",
        ),
        (
            "set twice",
            "(call $var_set (call $greeting) (call $it_broke)) (call $var_set (call $greeting) (call $greeting))
             (call $answer (call $var_get (call $greeting)))",
        ),
        (
            "deleted by a value of 0",
            "(call $var_set (call $greeting) (call $it_broke)) (call $var_set (call $greeting) (i64.const 0))
             (call $var_set (call $it_broke) (i64.const 0))
             (call $say (call $var_get (call $greeting))) (call $report)",
        ),
        (
            "key and value are the host's afterwards",
            "(local.set $a (call $greeting)) (local.set $b (call $it_broke))
             (call $var_set (local.get $a) (local.get $b))
             (call $say (call $length (local.get $a))) (call $say (call $length (local.get $b))) (call $report)",
        ),
        (
            "each answer is a block of its own",
            "(call $var_set (call $greeting) (call $it_broke))
             (local.set $a (call $var_get (call $greeting))) (local.set $b (call $var_get (call $greeting)))
             (call $say32 (i64.ne (local.get $a) (local.get $b))) (call $say (call $length (local.get $b)))
             (call $report)",
        ),
        ("the empty key", "(call $var_set (i64.const 0) (call $greeting)) (call $answer (call $var_get (i64.const 0)))"),
        (
            "any bytes as the value",
            "(call $var_set (call $greeting) (call $not_text)) (call $answer (call $var_get (call $greeting)))",
        ),
    ]);
}

#[test]
fn a_full_or_forbidden_store_of_variables_refuses_alike() {
    let set =
        r#"(func (export "run") (call $var_set (call $greeting) (call $alloc (i64.const 5000))))"#;
    for bytes in [0, 1000, 4999] {
        let outcome = same(
            "too much",
            &Setup {
                var_bytes: Some(bytes),
                ..Setup::with_abi(set)
            },
            b"",
        );
        assert!(
            matches!(outcome, Outcome::Failed(FailureKind::Vars, _)),
            "{outcome:?}"
        );
    }
    same(
        "enough",
        &Setup {
            var_bytes: Some(6000),
            ..Setup::with_abi(set)
        },
        b"",
    );
    same("the default", &Setup::with_abi(set), b"");
}

#[test]
fn host_functions_answer_alike() {
    same_bodies(b"", &[
        ("what comes back", "(call $answer (call $reverse (call $greeting)))"),
        ("what comes back, twice", "(call $answer (call $reverse (call $reverse (call $greeting))))"),
        ("any bytes", "(call $answer (call $reverse (call $not_text)))"),
        ("nothing comes back", "(call $say (call $nothing (call $greeting))) (call $report)"),
        ("nothing goes out", "(call $say (call $reverse (i64.const 0))) (call $report)"),
        (
            "the argument stays the guest's",
            "(local.set $a (call $greeting)) (drop (call $reverse (local.get $a)))
             (call $say (call $length (local.get $a))) (call $report)",
        ),
        (
            "the answer is a block",
            "(local.set $a (call $reverse (call $greeting))) (call $say (call $length (local.get $a)))
             (call $free (local.get $a)) (call $say (call $length (local.get $a))) (call $report)",
        ),
    ]);
}

#[test]
fn a_kept_sandbox_keeps_its_memory_as_extisms_plugin_does() {
    // A fresh sandbox knows nothing of the first call: both calls are the first for it.
    let setup =
        Setup::with_abi(r#"(func (export "run") (call $say (call $input_length)) (call $report))"#);
    same_calls(
        "two calls that share nothing",
        &setup,
        &[("run", b"one"), ("run", b"three")],
    );
}
