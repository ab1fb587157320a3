;; A plugin of exomonad in WebAssembly itself, as guest-sdk/PROTOCOL.md specifies it: one tool, `now`, which performs
;; the effect clock.now and returns the answer as the host gave it.
;;
;;   exomonad plugin call plugins/hand-written.wat --tool now
;;
;; For the plugin folder it has to be a binary: wat2wasm hand-written.wat -o clock.wasm
(module
  ;; The kernel: memory that guest and host share, by offset.
  (import "extism:host/env" "alloc" (func $alloc (param $length i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param $offset i64)))
  (import "extism:host/env" "length" (func $length (param $offset i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param $offset i64) (result i32)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param $offset i64) (param $value i32)))
  (import "extism:host/env" "output_set" (func $output_set (param $offset i64) (param $length i64)))
  ;; The effect. Its import is how the host knows that the plugin needs the capability clock.now.
  (import "extism:host/user" "clock_now" (func $clock_now (param $request i64) (result i64)))

  (memory (export "memory") 1)
  (data (i32.const 0) "{\"tools\":[{\"name\":\"now\",\"description\":\"Tells the time.\",\"inputSchema\":{\"type\":\"object\",\"additionalProperties\":false}}]}")
  (data (i32.const 128) "{\"name\":\"hand-written\",\"version\":\"0.1.0\"}")
  (data (i32.const 176) "{}")
  (data (i32.const 192) "{\"structuredContent\":")

  ;; The longest answer that is taken: what is left of the memory behind it.
  (global $room i64 (i64.const 61424))

  ;; Copies from the kernel to this memory. exomonad puts one memory.copy in the place of this loop.
  (func $read (export "exomonad_memory_read") (param $source i64) (param $destination i32) (param $length i32)
    (local $at i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $length)))
        (i32.store8
          (i32.add (local.get $destination) (local.get $at))
          (call $load_u8 (i64.add (local.get $source) (i64.extend_i32_u (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))

  ;; Copies from this memory to the kernel.
  (func $write (export "exomonad_memory_write") (param $destination i64) (param $source i32) (param $length i32)
    (local $at i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $length)))
        (call $store_u8
          (i64.add (local.get $destination) (i64.extend_i32_u (local.get $at)))
          (i32.load8_u (i32.add (local.get $source) (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next))))

  ;; A block of the kernel with these bytes.
  (func $hold (param $source i32) (param $length i32) (result i64)
    (local $block i64)
    (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
    (call $write (local.get $block) (local.get $source) (local.get $length))
    (local.get $block))

  ;; Sets the output of the call.
  (func $output (param $source i32) (param $length i32)
    (call $output_set (call $hold (local.get $source) (local.get $length)) (i64.extend_i32_u (local.get $length))))

  (func (export "handle_list_tools") (result i32)
    (call $output (i32.const 0) (i32.const 119))
    (i32.const 0))

  (func (export "describe") (result i32)
    (call $output (i32.const 128) (i32.const 41))
    (i32.const 0))

  ;; There is one tool, and the host calls no other: the input need not be read.
  (func (export "handle_mcp_call") (result i32)
    (local $request i64)
    (local $answer i64)
    (local $length i64)
    (local.set $request (call $hold (i32.const 176) (i32.const 2)))
    (local.set $answer (call $clock_now (local.get $request)))
    (call $free (local.get $request))
    (local.set $length (call $length (local.get $answer)))
    ;; A code other than 0 is a call that failed.
    (if (i64.gt_u (local.get $length) (global.get $room)) (then (return (i32.const 1))))
    ;; {"structuredContent": and the answer, and }: an object, as the contract wants it.
    (memory.copy (i32.const 4075) (i32.const 192) (i32.const 21))
    (call $read (local.get $answer) (i32.const 4096) (i32.wrap_i64 (local.get $length)))
    (call $free (local.get $answer))
    (i32.store8 (i32.add (i32.const 4096) (i32.wrap_i64 (local.get $length))) (i32.const 125))
    (call $output (i32.const 4075) (i32.add (i32.const 22) (i32.wrap_i64 (local.get $length))))
    (i32.const 0)))
