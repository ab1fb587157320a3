//! Intended differences between our engine and Extism: one table, with the reasons.

use crate::engines::{Outcomes, call_both};
use crate::outcome::{FailureKind, Outcome};
use crate::setup::Setup;

/// A difference that is meant.
struct Difference {
    what: &'static str,
    why: &'static str,
    /// The functions of the plugin; `run` is called twice in each engine.
    body: &'static str,
    /// The outcome of the second call.
    extism: fn(&Outcome) -> bool,
    fresh: fn(&Outcome) -> bool,
    kept: fn(&Outcome) -> bool,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "variables last for the call, unless the sandbox is kept",
        why: "a fresh sandbox for every call is what isolates calls; `instance = \"pooled\"` has Extism's way",
        body: r#"(func (export "run")
            (call $say32 (i64.ne (call $var_get (call $greeting)) (i64.const 0)))
            (call $var_set (call $greeting) (call $it_broke)) (call $report))"#,
        extism: |outcome| outcome.numbers() == Some(vec![1]),
        fresh: |outcome| outcome.numbers() == Some(vec![0]),
        kept: |outcome| outcome.numbers() == Some(vec![1]),
    },
    Difference {
        what: "globals and memory of the guest last for the call, unless the sandbox is kept",
        why: "the same",
        body: r#"(global $calls (mut i64) (i64.const 0))
            (func (export "run")
              (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
              (i64.store (i32.const 4096) (i64.add (i64.load (i32.const 4096)) (i64.const 1)))
              (call $say (global.get $calls)) (call $say (i64.load (i32.const 4096))) (call $report))"#,
        extism: |outcome| outcome.numbers() == Some(vec![2, 2]),
        fresh: |outcome| outcome.numbers() == Some(vec![1, 1]),
        kept: |outcome| outcome.numbers() == Some(vec![2, 2]),
    },
    Difference {
        what: "the place of a freed block may be given out at once",
        why: "our lists of free blocks need no room for a split; which block comes back was never promised",
        body: r#"(func (export "run") (local $a i64) (local $b i64)
            (local.set $a (call $alloc (i64.const 64))) (local.set $b (call $alloc (i64.const 64)))
            (call $free (local.get $a))
            (call $say32 (i64.eq (call $alloc (i64.const 64)) (local.get $a))) (call $report))"#,
        extism: |outcome| outcome.numbers() == Some(vec![0]),
        fresh: |outcome| outcome.numbers() == Some(vec![1]),
        kept: |outcome| outcome.numbers() == Some(vec![1]),
    },
    Difference {
        what: "`memory_bytes` counts all of the kernel's memory",
        why: "Extism leaves out its own header",
        body: r#"(func (export "run")
            (call $say (i64.and (call $memory_bytes) (i64.const 0xfff))) (call $report))"#,
        extism: |outcome| outcome.numbers() == Some(vec![4096 - 64]),
        fresh: |outcome| outcome.numbers() == Some(vec![0]),
        kept: |outcome| outcome.numbers() == Some(vec![0]),
    },
    Difference {
        what: "an output with a length that overflows is no output",
        why: "`output_set` refuses it; Extism passes it on to its host",
        body: r#"(func (export "run") (call $output_set (call $greeting) (i64.const -1)))"#,
        extism: |outcome| matches!(outcome, Outcome::Failed(FailureKind::ImpossibleOutput, _)),
        fresh: |outcome| *outcome == Outcome::Answer(Vec::new()),
        kept: |outcome| *outcome == Outcome::Answer(Vec::new()),
    },
    Difference {
        what: "a host function is not called with a handle of no block",
        why: "the call fails; Extism's C interface shows the host function a block of length 0",
        body: r#"(func (export "run") (call $say (call $reverse (i64.const 12345))) (call $report))"#,
        extism: |outcome| outcome.numbers() == Some(vec![0]),
        fresh: |outcome| matches!(outcome, Outcome::Failed(FailureKind::BadHandle, _)),
        kept: |outcome| matches!(outcome, Outcome::Failed(FailureKind::BadHandle, _)),
    },
    Difference {
        what: "`http_headers` before any request answers with nothing",
        why: "there are no headers; Extism answers with the JSON of none",
        body: r#"(func (export "run") (call $say (call $length (call $http_headers))) (call $report))"#,
        extism: |outcome| outcome.numbers() == Some(vec![2]),
        fresh: |outcome| outcome.numbers() == Some(vec![0]),
        kept: |outcome| outcome.numbers() == Some(vec![0]),
    },
    Difference {
        what: "a trap other than `unreachable` is reported even if an error was set before",
        why: "`unreachable` is how guests abort after they said why; the others are bugs, and their place counts",
        body: r#"(func (export "run") (call $error_set (call $it_broke)) (drop (i32.div_u (i32.const 1) (i32.const 0))))"#,
        extism: |outcome| says(outcome, "it broke"),
        fresh: |outcome| matches!(outcome, Outcome::Failed(FailureKind::Trap(_), _)),
        kept: |outcome| matches!(outcome, Outcome::Failed(FailureKind::Trap(_), _)),
    },
    Difference {
        what: "a result of i64 is a return code",
        why: "Extism reads -1 from it, whatever it is, which no guest can have meant",
        body: r#"(func (export "run") (result i64) (call $answer (call $greeting)) (i64.const 0))"#,
        extism: |outcome| says(outcome, "Returned non-zero exit code: -1"),
        fresh: |outcome| *outcome == Outcome::Answer(b"greeting".to_vec()),
        kept: |outcome| *outcome == Outcome::Answer(b"greeting".to_vec()),
    },
    Difference {
        what: "an `_initialize` that takes something is a function like any other",
        why: "only its name is a reactor's; Extism's linker refuses the module",
        body: r#"(func (export "_initialize") (param i32) (unreachable)) (func (export "run"))"#,
        extism: |outcome| *outcome == Outcome::NotLoaded,
        fresh: |outcome| *outcome == Outcome::Answer(Vec::new()),
        kept: |outcome| *outcome == Outcome::Answer(Vec::new()),
    },
];

fn says(outcome: &Outcome, words: &str) -> bool {
    matches!(outcome, Outcome::Failed(FailureKind::Message(message), _) if message.contains(words))
}

#[test]
fn the_engines_differ_exactly_where_the_table_says() {
    for difference in DIFFERENCES {
        let Outcomes {
            extism,
            fresh,
            kept,
        } = call_both(
            &Setup::with_abi(difference.body),
            &[("run", b"input"), ("run", b"input")],
        );
        let row = format!(
            "{} (because {}): {extism:?}, {fresh:?}, {kept:?}",
            difference.what, difference.why
        );
        assert!((difference.extism)(&extism[1]), "Extism: {row}");
        assert!((difference.fresh)(&fresh[1]), "ours, fresh: {row}");
        assert!((difference.kept)(&kept[1]), "ours, kept: {row}");
    }
}
