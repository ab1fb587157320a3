//! Inputs and outputs: `input_*` and `output_*`.

use crate::engines::{same, same_bodies};
use crate::outcome::Outcome;
use crate::setup::Setup;

#[test]
fn the_input_is_read_alike() {
    let reads: String = [
        "0",
        "1",
        "2",
        "3",
        "7",
        "8",
        "9",
        "10",
        "11",
        "-1",
        "-8",
        "0x1_0000_0000",
        "0x7fff_ffff_ffff_ffff",
    ]
    .iter()
    .map(|at| {
        // Extism adds 8 to an offset before it compares: see `differences` for -1 and -8.
        let word = if at.starts_with('-') {
            String::new()
        } else {
            format!("(call $say (call $input_load_u64 (i64.const {at})))")
        };
        format!("(call $say32 (call $input_load_u8 (i64.const {at}))) {word}")
    })
    .collect();
    for input in [
        b"".as_slice(),
        b"1",
        b"1234567",
        b"12345678",
        b"a longer input than that",
    ] {
        same_bodies(
            input,
            &[
                (
                    "at any place",
                    &format!("(call $say (call $input_length)) {reads} (call $report)"),
                ),
                (
                    "through its offset",
                    "(call $say32 (call $load_u8 (call $input_offset)))
                 (call $say (call $length (call $input_offset))) (call $report)",
                ),
                (
                    "as the answer",
                    "(call $output_set (call $input_offset) (call $input_length))",
                ),
            ],
        );
    }
}

#[test]
fn the_input_can_be_replaced_and_freed_alike() {
    same_bodies(b"the input", &[
        (
            "replaced by a block",
            "(call $input_set (call $greeting) (i64.const 5))
             (call $say (call $input_length)) (call $say32 (call $input_load_u8 (i64.const 4)))
             (call $say32 (call $input_load_u8 (i64.const 5))) (call $report)",
        ),
        (
            "not replaced by what is no memory",
            "(call $input_set (i64.const -1) (i64.const 5)) (call $say (call $input_length))
             (call $input_set (i64.const 0x1_0000_0000) (i64.const 5)) (call $say (call $input_length))
             (call $input_set (call $greeting) (i64.const 0x7fff_ffff)) (call $say (call $input_length))
             (call $report)",
        ),
        ("freed", "(call $free (call $input_offset)) (call $say (call $input_length)) (call $report)"),
        (
            "consumed by a host function",
            "(call $log_info (call $input_offset)) (call $say (call $input_length))
             (call $say32 (call $input_load_u8 (i64.const 0))) (call $report)",
        ),
    ]);
}

#[test]
fn the_output_is_what_was_set_last_and_is_memory() {
    let answers = same_bodies(b"in", &[
        ("nothing set", ""),
        ("a part of a block", "(call $output_set (i64.add (call $greeting) (i64.const 2)) (i64.const 3))"),
        (
            "the last of two",
            "(call $output_set (call $greeting) (i64.const 8)) (call $output_set (call $it_broke) (i64.const 2))",
        ),
        ("an empty one", "(call $output_set (call $greeting) (i64.const 8)) (call $output_set (call $greeting) (i64.const 0))"),
        ("offset 0", "(call $output_set (call $greeting) (i64.const 8)) (call $output_set (i64.const 0) (i64.const 0))"),
        ("beyond the memory", "(call $output_set (i64.const -1) (i64.const 8))"),
        ("far beyond the memory", "(call $output_set (i64.const 0x1_0000_0000) (i64.const 8))"),
        ("longer than the memory", "(call $output_set (call $greeting) (i64.const 0x7fff_ffff_ffff))"),
        (
            "told to the guest",
            "(local.set $a (call $greeting)) (call $output_set (local.get $a) (i64.const 4))
             (call $say (i64.sub (call $output_offset) (local.get $a))) (call $say (call $output_length)) (call $report)",
        ),
        (
            "a block that was freed after it",
            "(local.set $a (call $greeting)) (call $output_set (local.get $a) (i64.const 8)) (call $free (local.get $a))",
        ),
    ]);
    assert_eq!(answers[1], Outcome::Answer(b"eet".to_vec()));
}

#[test]
fn payloads_of_any_size_and_content_come_back() {
    let echo = Setup::with_abi(r#"(func (export "run") (call $answer (call $input_block)))"#);
    for size in [0, 1, 8, 159, 160, 161, 65_520, 65_536, 1 << 20] {
        let input: Vec<u8> = (0..size).map(|n| (n % 253) as u8).collect();
        assert_eq!(
            same("an echo", &echo, &input),
            Outcome::Answer(input),
            "{size} bytes"
        );
    }
}
