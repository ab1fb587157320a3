//! The kernel's blocks: `alloc`, `free`, `length`, loads, stores, `reset`, `memory_bytes`.

use crate::engines::same_bodies;

#[test]
fn allocation_answers_alike() {
    same_bodies(b"", &[
        ("nothing has no block", "(call $say (call $alloc (i64.const 0))) (call $report)"),
        ("more than 4 GiB has none", "(call $say (call $alloc (i64.const 0x1_0000_0000))) (call $report)"),
        (
            "after a refused one comes a good one",
            "(call $say (call $alloc (i64.const 0x7fff_ffff_0000)))
             (call $say (call $length (call $alloc (i64.const 8)))) (call $report)",
        ),
        (
            "blocks are apart",
            "(local.set $a (call $alloc (i64.const 24))) (local.set $b (call $alloc (i64.const 24)))
             (call $store_u64 (i64.add (local.get $a) (i64.const 16)) (i64.const -1))
             (call $say (call $load_u64 (local.get $b)))
             (call $store_u64 (local.get $b) (i64.const 5))
             (call $say (call $load_u64 (i64.add (local.get $a) (i64.const 16))))
             (call $report)",
        ),
        (
            "a new block is empty",
            "(local.set $a (call $alloc (i64.const 16)))
             (call $say (call $load_u64 (local.get $a)))
             (call $say (call $load_u64 (i64.add (local.get $a) (i64.const 8)))) (call $report)",
        ),
        (
            "a block of a megabyte holds a megabyte",
            "(local.set $a (call $alloc (i64.const 1048576)))
             (call $store_u64 (i64.add (local.get $a) (i64.const 1048568)) (i64.const 77))
             (call $say (call $load_u64 (i64.add (local.get $a) (i64.const 1048568))))
             (call $say (call $length (local.get $a))) (call $report)",
        ),
    ]);
}

#[test]
fn lengths_answer_alike() {
    let lengths: String = [1, 7, 8, 15, 16, 17, 100, 255, 256, 70_000]
        .iter()
        .map(|length| {
            format!(
                "(local.set $a (call $alloc (i64.const {length})))
                 (call $say (call $length (local.get $a))) (call $say (call $length_unsafe (local.get $a)))"
            )
        })
        .collect();
    same_bodies(b"input", &[
        ("of live blocks", &format!("{lengths} (call $report)")),
        (
            "of what is none",
            "(local.set $a (call $alloc (i64.const 64)))
             (call $say (call $length (i64.const 0))) (call $say (call $length (i64.const 1)))
             (call $say (call $length (i64.add (local.get $a) (i64.const 8))))
             (call $say (call $length (i64.sub (local.get $a) (i64.const 1))))
             (call $say (call $length (i64.const -1))) (call $say (call $length (i64.const 0x1_0000_0000)))
             (call $say (call $length (i64.add (local.get $a) (i64.const 0x1_0000_0000))))
             (call $say (call $length_unsafe (i64.const 0))) (call $say (call $length_unsafe (i64.const -1)))
             (call $report)",
        ),
        ("of the input", "(call $say (call $length (call $input_offset))) (call $report)"),
        (
            "of a freed block",
            "(local.set $a (call $alloc (i64.const 64))) (local.set $b (call $alloc (i64.const 64)))
             (call $free (local.get $a)) (call $free (local.get $b))
             (call $say (call $length (local.get $a))) (call $say (call $length (local.get $b)))
             (call $say (call $length_unsafe (local.get $a))) (call $report)",
        ),
    ]);
}

#[test]
fn freed_blocks_come_back_alike() {
    same_bodies(b"", &[
        (
            "a smaller one has its own length",
            "(local.set $a (call $alloc (i64.const 64))) (local.set $b (call $alloc (i64.const 8)))
             (call $free (local.get $a))
             (call $say (call $length (call $alloc (i64.const 50)))) (call $report)",
        ),
        (
            "a larger one leaves it alone",
            "(local.set $a (call $alloc (i64.const 16))) (local.set $b (call $alloc (i64.const 8)))
             (call $free (local.get $a))
             (call $say32 (i64.eq (call $alloc (i64.const 64)) (local.get $a))) (call $report)",
        ),
        (
            "freeing twice, or what is no block, does nothing",
            "(local.set $a (call $alloc (i64.const 64))) (local.set $b (call $alloc (i64.const 64)))
             (call $free (local.get $a)) (call $free (local.get $a)) (call $free (i64.const 0))
             (call $free (i64.add (local.get $b) (i64.const 8))) (call $free (i64.const -1))
             (call $say (call $length (local.get $b)))
             (local.set $a (call $alloc (i64.const 64))) (local.set $c (call $alloc (i64.const 64)))
             (call $say32 (i64.ne (local.get $a) (local.get $c)))
             (call $say (call $length (local.get $a))) (call $report)",
        ),
        (
            "ten thousand rounds need no more memory than one",
            "(local.set $c (i64.const 10000))
             (call $free (call $alloc (i64.const 5000)))
             (local.set $b (call $memory_bytes))
             (loop $next
               (local.set $a (call $alloc (i64.const 5000))) (call $free (local.get $a))
               (local.set $c (i64.sub (local.get $c) (i64.const 1)))
               (br_if $next (i64.ne (local.get $c) (i64.const 0))))
             (call $say32 (i64.eq (call $memory_bytes) (local.get $b))) (call $report)",
        ),
    ]);
}

#[test]
fn loads_and_stores_answer_alike() {
    same_bodies(b"", &[
        (
            "what was stored is loaded, at any alignment",
            "(local.set $a (call $alloc (i64.const 40)))
             (call $store_u64 (i64.add (local.get $a) (i64.const 3)) (i64.const 0x0102030405060708))
             (call $store_u8 (i64.add (local.get $a) (i64.const 5)) (i32.const 0x1ff))
             (call $say (call $load_u64 (i64.add (local.get $a) (i64.const 3))))
             (call $say (call $load_u64 (i64.add (local.get $a) (i64.const 4))))
             (call $say32 (call $load_u8 (i64.add (local.get $a) (i64.const 5)))) (call $report)",
        ),
        (
            "loads beyond the memory are 0",
            "(call $say32 (call $load_u8 (i64.const 0))) (call $say32 (call $load_u8 (i64.const -1)))
             (call $say32 (call $load_u8 (i64.add (call $memory_bytes) (i64.const 1))))
             (call $say (call $load_u64 (i64.const 0))) (call $say (call $load_u64 (i64.const -16)))
             (call $say (call $load_u64 (i64.add (call $memory_bytes) (i64.const 8))))
             (call $say (call $load_u64 (i64.const 0x1_0000_1000))) (call $report)",
        ),
        (
            "stores beyond the memory do nothing",
            "(local.set $a (call $alloc (i64.const 16)))
             (call $store_u64 (local.get $a) (i64.const 5))
             (call $store_u8 (i64.const 0) (i32.const 255)) (call $store_u64 (i64.const 0) (i64.const -1))
             (call $store_u8 (i64.const -1) (i32.const 1)) (call $store_u64 (i64.const -16) (i64.const -1))
             (call $store_u64 (i64.add (local.get $a) (i64.const 0x1_0000_0000)) (i64.const 9))
             (call $say (call $load_u64 (local.get $a))) (call $say (call $length (local.get $a))) (call $report)",
        ),
    ]);
}

#[test]
fn reset_and_memory_bytes_answer_alike() {
    same_bodies(b"some input", &[
        (
            "reset forgets blocks and input",
            "(local.set $a (call $alloc (i64.const 64))) (call $store_u64 (local.get $a) (i64.const -1))
             (call $output_set (local.get $a) (i64.const 8)) (call $error_set (local.get $a))
             (call $reset)
             (call $say (call $length (local.get $a))) (call $say (call $input_length))
             (call $say (call $output_length)) (call $say (call $error_get))
             (call $say (call $load_u64 (call $alloc (i64.const 64)))) (call $report)",
        ),
        (
            "memory grows with need",
            "(local.set $a (call $memory_bytes))
             (drop (call $alloc (i64.const 1048576)))
             (call $say32 (i64.gt_u (call $memory_bytes) (i64.add (local.get $a) (i64.const 900000))))
             (call $report)",
        ),
    ]);
}
