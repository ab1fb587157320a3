//! The bulk functions of our SDKs: fast where the engine knows them, and no way around the kernel.

use exomonad_engine::{CallError, Plugin};

use crate::recorder::{call, load, with_abi};

/// A guest whose own bodies would trap: what works is what the linker put in their place.
///
/// The input is (kernel offset: u64, guest address: u32, length: u32, bytes to store at 4096…).
const COPYING: &str = r#"
  (func $read (export "exomonad_memory_read") (param $offset i64) (param $at i32) (param $length i32) (unreachable))
  (func $write (export "exomonad_memory_write") (param $offset i64) (param $at i32) (param $length i32) (unreachable))
  (func $word (param $at i64) (result i64) (call $load_u64 (i64.add (call $input_offset) (local.get $at))))
  (func $offset (result i64) (call $word (i64.const 0)))
  (func $at (result i32) (i32.wrap_i64 (call $word (i64.const 8))))
  (func $length_asked (result i32) (i32.wrap_i64 (i64.shr_u (call $word (i64.const 8)) (i64.const 32))))

  ;; The whole input, through the guest's memory and back.
  (func (export "echo") (local $length i32) (local $block i64)
    (local.set $length (i32.wrap_i64 (call $input_length)))
    (drop (memory.grow (i32.const 16)))
    (call $read (call $input_offset) (i32.const 100) (local.get $length))
    (local.set $block (call $alloc (call $input_length)))
    (call $write (local.get $block) (i32.const 100) (local.get $length))
    (call $output_set (local.get $block) (call $input_length)))
  (func (export "read") (call $read (call $offset) (call $at) (call $length_asked)))
  (func (export "write") (call $write (call $offset) (call $at) (call $length_asked)))
  ;; The guest's view after reading the first 160 bytes, which a byte-wise read allows.
  (func (export "peek") (result i32) (local $i i64) (local $seen i32)
    (loop $next
      (local.set $seen (i32.or (local.get $seen) (call $load_u8 (local.get $i))))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $next (i64.lt_u (local.get $i) (i64.const 160))))
    (local.get $seen))"#;

/// The size of the memories after instantiation.
/// The guest's memory, and the kernel's before it grows.
const PAGE: u64 = 65_536;
const KERNEL: u64 = 4096;

async fn copy(
    plugin: &Plugin,
    export: &str,
    offset: u64,
    at: u32,
    length: u32,
) -> Result<(), CallError> {
    let input = [
        offset.to_le_bytes().as_slice(),
        &at.to_le_bytes(),
        &length.to_le_bytes(),
    ]
    .concat();
    call(plugin, export, &input).await.map(|_| ())
}

#[tokio::test]
async fn bytes_go_in_and_out_as_they_are() {
    let plugin = load(&with_abi(COPYING)).await;
    for size in [0, 1, 7, 8, 65, 4096, 60_000, 1 << 20] {
        let input: Vec<u8> = (0..size).map(|n| (n % 241) as u8).collect();
        assert_eq!(
            call(&plugin, "echo", &input).await.unwrap().bytes,
            input,
            "{size} bytes"
        );
    }
}

#[tokio::test]
async fn ranges_within_both_memories_are_copied_and_all_others_trap() {
    let plugin = load(&with_abi(COPYING)).await;
    for export in ["read", "write"] {
        for (offset, at, length) in [
            (160, 0, 1),
            (KERNEL - 1, 0, 1),
            (KERNEL, 0, 0),
            (176, PAGE as u32 - 1, 1),
            (176, PAGE as u32, 0),
            (1024, 4096, 2048),
        ] {
            copy(&plugin, export, offset, at, length)
                .await
                .unwrap_or_else(|error| panic!("{export} {offset} {at} {length}: {error}"));
        }
        for (offset, at, length) in [
            // The kernel's own state.
            (0, 0, 1),
            (1, 0, 200),
            (24, 0, 8),
            (159, 0, 1),
            (159, 0, 100),
            // Beyond the kernel's memory, or around its end.
            (KERNEL, 0, 1),
            (KERNEL - 1, 0, 2),
            (160, 0, u32::MAX),
            (1 << 32, 0, 1),
            ((1 << 32) + 176, 0, 1),
            (u64::MAX, 0, 1),
            (u64::MAX - 7, 0, 8),
            (1 << 63, 0, 1),
            (0xFFFF_FFFF, 0, 1),
            (0xFFFF_FF00, 0, 0x200),
            // Beyond the guest's memory.
            (176, PAGE as u32, 1),
            (176, PAGE as u32 - 1, 2),
            (176, u32::MAX, 1),
            (176, 0, PAGE as u32 + 1),
        ] {
            let ended = copy(&plugin, export, offset, at, length).await;
            assert!(
                matches!(ended, Err(CallError::Trap { .. })),
                "{export} {offset:#x} {at:#x} {length:#x}: {ended:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_empty_copy_may_come_with_any_offset() {
    let plugin = load(&with_abi(COPYING)).await;
    for export in ["read", "write"] {
        for offset in [0, 1, 159, 1 << 32, u64::MAX] {
            copy(&plugin, export, offset, 0, 0).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_kernels_own_state_is_not_to_be_seen() {
    let plugin = load(&with_abi(COPYING)).await;
    call(&plugin, "peek", b"an input, so that there is some state")
        .await
        .unwrap();
}

#[tokio::test]
async fn functions_of_another_type_or_that_are_imported_keep_their_meaning() {
    let plugin = load(
        r#"(module (memory 1)
        (func (export "exomonad_memory_read") (result i32) (i32.const 5))
        (func (export "exomonad_memory_write") (param i64 i32) (unreachable)))"#,
    )
    .await;
    assert_eq!(
        call(&plugin, "exomonad_memory_read", b"")
            .await
            .unwrap_err()
            .return_code(),
        5
    );
}
