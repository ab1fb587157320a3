;; Performs a script of kernel calls and answers with what each did.
;;
;; The input is the script: records of five u64, (operation, base kind, base, delta, operand). The offset
;; that an operation works on is base + delta, where base is
;;   kind 0  the number itself      kind 1  the offset that the step with this number got from `alloc`
;;   kind 2  the size of the kernel's memory
;; The output is (input offset, memory size) and then (offset, result, memory size) for each step.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "input_set" (func $input_set (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "output_offset" (func $output_offset (result i64)))
  (import "extism:host/env" "output_length" (func $output_length (result i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "error_get" (func $error_get (result i64)))
  (import "extism:host/env" "reset" (func $reset))
  (import "extism:host/env" "memory_bytes" (func $memory_bytes (result i64)))
  ;; The script, then the offsets from `alloc` by step, then the results.
  (memory (export "memory") 8)
  (global $slots i32 (i32.const 131072))
  (global $results i32 (i32.const 262144))

  (func $perform (param $operation i64) (param $p i64) (param $operand i64) (result i64)
    (block $error_get (block $error_set (block $output_length (block $output_offset (block $output_set
    (block $input_length (block $input_set (block $reset (block $length (block $load8 (block $load1
    (block $store8 (block $store1 (block $input8 (block $input1 (block $free (block $alloc
      (br_table $alloc $free $length $load1 $load8 $store1 $store8 $input1 $input8 $reset $input_set
        $input_length $output_set $output_offset $output_length $error_set $error_get
        (i32.wrap_i64 (local.get $operation))))
      (return (call $alloc (local.get $operand))))
      (call $free (local.get $p)) (return (i64.const 0)))
      (return (i64.extend_i32_u (call $input_load_u8 (local.get $operand)))))
      (return (call $input_load_u64 (local.get $operand))))
      (call $store_u8 (local.get $p) (i32.wrap_i64 (local.get $operand))) (return (i64.const 0)))
      (call $store_u64 (local.get $p) (local.get $operand)) (return (i64.const 0)))
      (return (i64.extend_i32_u (call $load_u8 (local.get $p)))))
      (return (call $load_u64 (local.get $p))))
      (return (call $length (local.get $p))))
      (call $reset) (return (i64.const 0)))
      (call $input_set (local.get $p) (local.get $operand)) (return (i64.const 0)))
      (return (call $input_length)))
      (call $output_set (local.get $p) (local.get $operand)) (return (i64.const 0)))
      (return (call $output_offset)))
      (return (call $output_length)))
      (call $error_set (local.get $p)) (return (i64.const 0)))
    (call $error_get))

  (func (export "run")
    (local $length i32) (local $at i32) (local $step i32) (local $p i64) (local $kind i64) (local $base i64)
    (local $result i64) (local $out i32) (local $block i64)
    (local.set $length (i32.wrap_i64 (call $input_length)))
    (loop $copy
      (i64.store (local.get $at) (call $input_load_u64 (i64.extend_i32_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $copy (i32.lt_u (local.get $at) (local.get $length))))
    (local.set $out (global.get $results))
    (i64.store (local.get $out) (call $input_offset))
    (i64.store offset=8 (local.get $out) (call $memory_bytes))
    (local.set $out (i32.add (local.get $out) (i32.const 16)))
    (local.set $at (i32.const 0))
    (loop $steps
      (local.set $kind (i64.load offset=8 (local.get $at)))
      (local.set $base (i64.load offset=16 (local.get $at)))
      (if (i64.eq (local.get $kind) (i64.const 1))
        (then
          (local.set $base
            (i64.load
              (i32.add (global.get $slots) (i32.shl (i32.wrap_i64 (local.get $base)) (i32.const 3)))))))
      (if (i64.eq (local.get $kind) (i64.const 2)) (then (local.set $base (call $memory_bytes))))
      (local.set $p (i64.add (local.get $base) (i64.load offset=24 (local.get $at))))
      (local.set $result
        (call $perform (i64.load (local.get $at)) (local.get $p) (i64.load offset=32 (local.get $at))))
      (i64.store
        (i32.add (global.get $slots) (i32.shl (local.get $step) (i32.const 3)))
        (local.get $result))
      (i64.store (local.get $out) (local.get $p))
      (i64.store offset=8 (local.get $out) (local.get $result))
      (i64.store offset=16 (local.get $out) (call $memory_bytes))
      (local.set $out (i32.add (local.get $out) (i32.const 24)))
      (local.set $step (i32.add (local.get $step) (i32.const 1)))
      (local.set $at (i32.add (local.get $at) (i32.const 40)))
      (br_if $steps (i32.lt_u (local.get $at) (local.get $length))))
    ;; The script may have left anything behind: the answer begins with an empty kernel.
    (call $reset)
    (local.set $length (i32.sub (local.get $out) (global.get $results)))
    (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
    (local.set $at (i32.const 0))
    (loop $copy
      (call $store_u64
        (i64.add (local.get $block) (i64.extend_i32_u (local.get $at)))
        (i64.load (i32.add (global.get $results) (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $copy (i32.lt_u (local.get $at) (local.get $length))))
    (call $output_set (local.get $block) (i64.extend_i32_u (local.get $length)))))
