(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "reverse" (func $reverse (param i64) (result i64)))
  (import "extism:host/user" "wait" (func $wait (param i64) (result i64)))
  ;; Where a Rust guest's stack and data would be, and its heap after them.
  (memory (export "memory") 17)
  (global $heap i32 (i32.const 1048576))

  ;; The input, copied into the guest's own memory.
  (func $take_input (result i32)
    (local $length i64) (local $at i64) (local $pages i32)
    (local.set $length (call $input_length))
    (local.set $pages
      (i32.sub
        (i32.shr_u
          (i32.add (i32.add (global.get $heap) (i32.wrap_i64 (local.get $length))) (i32.const 0xffff))
          (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $pages) (i32.const 0))
      (then (if (i32.lt_s (memory.grow (local.get $pages)) (i32.const 0)) (then (unreachable)))))
    (block $words_done
      (loop $words
        (br_if $words_done
          (i64.gt_u (i64.add (local.get $at) (i64.const 8)) (local.get $length)))
        (i64.store
          (i32.add (global.get $heap) (i32.wrap_i64 (local.get $at)))
          (call $input_load_u64 (local.get $at)))
        (local.set $at (i64.add (local.get $at) (i64.const 8)))
        (br $words)))
    (block $bytes_done
      (loop $bytes
        (br_if $bytes_done (i64.ge_u (local.get $at) (local.get $length)))
        (i32.store8
          (i32.add (global.get $heap) (i32.wrap_i64 (local.get $at)))
          (call $input_load_u8 (local.get $at)))
        (local.set $at (i64.add (local.get $at) (i64.const 1)))
        (br $bytes)))
    (i32.wrap_i64 (local.get $length)))

  ;; A block with `length` bytes of the guest's own memory.
  (func $give (param $length i32) (result i64)
    (local $block i64) (local $at i32)
    (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
    (block $words_done
      (loop $words
        (br_if $words_done (i32.gt_u (i32.add (local.get $at) (i32.const 8)) (local.get $length)))
        (call $store_u64
          (i64.add (local.get $block) (i64.extend_i32_u (local.get $at)))
          (i64.load (i32.add (global.get $heap) (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $words)))
    (block $bytes_done
      (loop $bytes
        (br_if $bytes_done (i32.ge_u (local.get $at) (local.get $length)))
        (call $store_u8
          (i64.add (local.get $block) (i64.extend_i32_u (local.get $at)))
          (i32.load8_u (i32.add (global.get $heap) (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $bytes)))
    (local.get $block))

  (func (export "echo") (result i32)
    (local $length i32)
    (local.set $length (call $take_input))
    (call $output_set (call $give (local.get $length)) (i64.extend_i32_u (local.get $length)))
    (i32.const 0))

  (func (export "effect") (result i32)
    (local $answer i64)
    (local.set $answer (call $reverse (call $give (call $take_input))))
    (call $output_set (local.get $answer) (call $length (local.get $answer)))
    (i32.const 0))

  (func (export "wait") (result i32)
    (local $answer i64)
    (local.set $answer (call $wait (call $give (call $take_input))))
    (call $output_set (local.get $answer) (call $length (local.get $answer)))
    (i32.const 0)))
