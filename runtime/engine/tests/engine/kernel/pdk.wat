;; Performs a script of what PDKs do with blocks and host functions, and answers with the result of each step.
;;
;; The input is the script: records of four u64, (operation, a, b, number). `a` and `b` are the results of the
;; steps with these numbers. The output is a u64 for each step.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "extism:host/env" "log_info" (func $log_info (param i64)))
  (import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64)))
  (import "extism:host/user" "reverse" (func $reverse (param i64) (result i64)))
  (memory 16)
  (data (i32.const 0) "{\22url\22:\22https://answers.test/\22}")
  ;; The results by step.
  (global $results i32 (i32.const 65536))

  (func $result_of (param $step i64) (result i64)
    (i64.load (i32.add (global.get $results) (i32.shl (i32.wrap_i64 (local.get $step)) (i32.const 3)))))

  (func $filled (param $length i64) (param $byte i64) (result i64)
    (local $block i64) (local $i i64)
    (local.set $block (call $alloc (local.get $length)))
    (loop $next
      (if (i64.lt_u (local.get $i) (local.get $length))
        (then
          (call $store_u8 (i64.add (local.get $block) (local.get $i)) (i32.wrap_i64 (local.get $byte)))
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (br $next))))
    (local.get $block))

  (func $request (result i64)
    (local $block i64) (local $i i32)
    (local.set $block (call $alloc (i64.const 31)))
    (loop $next
      (call $store_u8
        (i64.add (local.get $block) (i64.extend_i32_u (local.get $i))) (i32.load8_u (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 31))))
    (local.get $block))

  (func $perform (param $operation i64) (param $a i64) (param $b i64) (param $number i64) (result i64)
    (local $p i64)
    (if (i64.eqz (local.get $operation)) (then (return (call $filled (local.get $number) (local.get $b)))))
    (if (i64.eq (local.get $operation) (i64.const 1)) (then (return (call $request))))
    (local.set $p (call $result_of (local.get $a)))
    (if (i64.eq (local.get $operation) (i64.const 2)) (then (call $free (local.get $p)) (return (i64.const 0))))
    (if (i64.eq (local.get $operation) (i64.const 3)) (then (return (call $config_get (local.get $p)))))
    (if (i64.eq (local.get $operation) (i64.const 4)) (then (return (call $var_get (local.get $p)))))
    (if (i64.eq (local.get $operation) (i64.const 5))
      (then (call $var_set (local.get $p) (call $result_of (local.get $b))) (return (i64.const 0))))
    (if (i64.eq (local.get $operation) (i64.const 6)) (then (call $log_info (local.get $p)) (return (i64.const 0))))
    (if (i64.eq (local.get $operation) (i64.const 7))
      (then (return (call $http_request (local.get $p) (call $result_of (local.get $b))))))
    (if (i64.eq (local.get $operation) (i64.const 8)) (then (return (call $reverse (local.get $p)))))
    (if (i64.eq (local.get $operation) (i64.const 9)) (then (return (call $length (local.get $p)))))
    (i64.extend_i32_u (call $load_u8 (i64.add (local.get $p) (local.get $number)))))

  (func (export "run") (local $at i64) (local $step i32) (local $out i64) (local $last i32)
    (local.set $last (i32.wrap_i64 (i64.shr_u (call $input_length) (i64.const 5))))
    (loop $steps
      (i64.store
        (i32.add (global.get $results) (i32.shl (local.get $step) (i32.const 3)))
        (call $perform
          (call $input_load_u64 (local.get $at))
          (call $input_load_u64 (i64.add (local.get $at) (i64.const 8)))
          (call $input_load_u64 (i64.add (local.get $at) (i64.const 16)))
          (call $input_load_u64 (i64.add (local.get $at) (i64.const 24)))))
      (local.set $at (i64.add (local.get $at) (i64.const 32)))
      (local.set $step (i32.add (local.get $step) (i32.const 1)))
      (br_if $steps (i32.lt_u (local.get $step) (local.get $last))))
    (local.set $out (call $alloc (i64.extend_i32_u (i32.shl (local.get $last) (i32.const 3)))))
    (local.set $step (i32.const 0))
    (loop $copy
      (call $store_u64
        (i64.add (local.get $out) (i64.extend_i32_u (i32.shl (local.get $step) (i32.const 3))))
        (call $result_of (i64.extend_i32_u (local.get $step))))
      (local.set $step (i32.add (local.get $step) (i32.const 1)))
      (br_if $copy (i32.lt_u (local.get $step) (local.get $last))))
    (call $output_set (local.get $out) (i64.extend_i32_u (i32.shl (local.get $last) (i32.const 3))))))
