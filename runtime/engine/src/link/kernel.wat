;; The Extism kernel: the memory that a plugin and its host exchange bytes through.
;;
;; It answers every import that Extism 1.30's own kernel answers, with the same results for the same
;; arguments (the conformance suite in `benches/` runs both), and differs inside: allocation, release
;; and validation take constant time, and all of its state lies in the first bytes of its memory, so
;; that the host reads and writes it as a plain byte slice (`kernel.rs` mirrors this layout) instead of
;; calling in. The linker merges this module with the plugin, so that a guest's load of eight bytes is a
;; call inside one module, which the compiler inlines.
;;
;; Layout, little-endian u32 each:
;;    0  end of the heap (0 stands for HEAP_BASE: a memory of zeros is a valid, empty kernel)
;;    4  input offset      8  input length
;;   12  output offset    16  output length
;;   20  error offset
;;   24  blocks that the host has consumed: bytes of all, with headers     28 the first     32 the last
;;   40  heads of 28 lists of free blocks, one for each floor(log2(capacity)) from 4 on
;;  160  HEAP_BASE: blocks from here on
;; A block is a header of 16 bytes and its data:
;;   -16 tag: the data's offset, xor LIVE, FREE or CONSUMED   -12 capacity   -8 used
;;    -4 the next block in the list of free or of consumed ones
;; The host consumes the arguments of functions that own them (`config_get`, `http_request`, …). PDKs free
;; such a block once more, some of them late, and nothing else may lie there then: so a consumed block has
;; the length 0 and ignores `free`, and is used again only when there are too many of them or the memory
;; cannot grow.
;; The tag makes `length` of anything that is not a block 0 without a walk over all blocks. A guest can
;; forge one inside its own data; it then fools nobody but itself, since the host checks every range it
;; reads against the memory's bounds.
(module
  ;; Counted in bytes, not in pages of 64 KiB, and one page of the host to begin with: what most calls
  ;; need, and what the pool wipes with a plain memset. Also, `memory.size` is the length as it is.
  (memory (export "memory") 4096 (pagesize 1))

  ;; True if `len` bytes at `p` lie in the heap part of the memory.
  (func $in_heap (param $p i64) (param $len i64) (result i32)
    (local $bytes i64)
    (local.set $bytes (i64.extend_i32_u (memory.size)))
    (i32.and
      (i32.and
        (i64.ge_u (local.get $p) (i64.const 160))
        (i64.lt_u (local.get $p) (local.get $bytes)))
      (i64.le_u (local.get $len) (i64.sub (local.get $bytes) (local.get $p)))))

  ;; True if `p` is the data of a block with this kind of tag.
  (func $is_block (param $p i64) (param $kind i32) (result i32)
    (if (result i32)
      (i32.and
        (i64.ge_u (local.get $p) (i64.const 176))
        (i64.le_u (local.get $p) (i64.extend_i32_u (memory.size))))
      (then
        (i32.eq
          (i32.load (i32.sub (i32.wrap_i64 (local.get $p)) (i32.const 16)))
          (i32.xor (i32.wrap_i64 (local.get $p)) (local.get $kind))))
      (else (i32.const 0))))

  (func $heap_end (result i32)
    (local $end i32)
    (select
      (local.tee $end (i32.load (i32.const 0)))
      (i32.const 160)
      (local.get $end)))

  ;; The address of the list that a free block of this capacity, at least 16, hangs in.
  (func $free_list (param $capacity i32) (result i32)
    (i32.add
      (i32.const 24)
      (i32.shl (i32.sub (i32.const 31) (i32.clz (local.get $capacity))) (i32.const 2))))

  ;; Takes the first block of a list if it holds `size` bytes; 0 if it doesn't.
  (func $take (param $list i32) (param $size i32) (result i32)
    (local $block i32)
    (local.set $block (i32.load (local.get $list)))
    (if (i32.eqz (local.get $block)) (then (return (i32.const 0))))
    (if (i32.lt_u (i32.load (i32.sub (local.get $block) (i32.const 12))) (local.get $size))
      (then (return (i32.const 0))))
    (i32.store (local.get $list) (i32.load (i32.sub (local.get $block) (i32.const 4))))
    (local.get $block))

  (func $alloc (export "alloc") (param $n i64) (result i64)
    (local $size i32) (local $list i32) (local $block i32) (local $end i64) (local $bytes i64)
    (if (i64.eqz (local.get $n)) (then (return (i64.const 0))))
    (if (i64.gt_u (local.get $n) (i64.const 0xFFFF0000)) (then (return (i64.const 0))))
    (local.set $size
      (i32.and (i32.add (i32.wrap_i64 (local.get $n)) (i32.const 15)) (i32.const -16)))
    ;; A block of the same size class may be too small; any of the next class fits.
    (local.set $list (call $free_list (local.get $size)))
    (local.set $block (call $take (local.get $list) (local.get $size)))
    (if (i32.and (i32.eqz (local.get $block)) (i32.lt_u (local.get $list) (i32.const 148)))
      (then
        (local.set $block
          (call $take (i32.add (local.get $list) (i32.const 4)) (local.get $size)))))
    (if (i32.eqz (local.get $block))
      (then
        (local.set $block (i32.add (call $heap_end) (i32.const 16)))
        (local.set $end
          (i64.add (i64.extend_i32_u (local.get $block)) (i64.extend_i32_u (local.get $size))))
        (local.set $bytes (i64.extend_i32_u (memory.size)))
        (if (i64.gt_u (local.get $end) (local.get $bytes))
          (then
            (if (i64.gt_u (local.get $end) (i64.const 0xFFFF0000)) (then (return (i64.const 0))))
            ;; To the next 64 KiB, so that many small blocks make few growths.
            (local.set $bytes
              (i64.sub
                (i64.and (i64.add (local.get $end) (i64.const 0xFFFF)) (i64.const -0x10000))
                (local.get $bytes)))
            (if (i32.eq (memory.grow (i32.wrap_i64 (local.get $bytes))) (i32.const -1))
              (then
                (if (i32.eqz (i32.load (i32.const 28))) (then (return (i64.const 0))))
                (call $release_consumed)
                (return (call $alloc (local.get $n)))))))
        (i32.store (i32.const 0) (i32.wrap_i64 (local.get $end)))
        (i32.store (i32.sub (local.get $block) (i32.const 12)) (local.get $size))))
    (i32.store
      (i32.sub (local.get $block) (i32.const 16))
      (i32.xor (local.get $block) (i32.const 0x4556494c)))
    (i32.store (i32.sub (local.get $block) (i32.const 8)) (i32.wrap_i64 (local.get $n)))
    (i64.extend_i32_u (local.get $block)))

  ;; Frees all consumed blocks. A list that the guest forged ends at the first block that is none.
  (func $release_consumed
    (local $block i32) (local $next i32)
    (local.set $block (i32.load (i32.const 28)))
    (i32.store (i32.const 24) (i32.const 0))
    (i32.store (i32.const 28) (i32.const 0))
    (i32.store (i32.const 32) (i32.const 0))
    (block $done
      (loop $each
        (br_if $done
          (i32.eqz (call $is_block (i64.extend_i32_u (local.get $block)) (i32.const 0x534e4f43))))
        (local.set $next (i32.load (i32.sub (local.get $block) (i32.const 4))))
        (i32.store
          (i32.sub (local.get $block) (i32.const 16))
          (i32.xor (local.get $block) (i32.const 0x4556494c)))
        (call $free (i64.extend_i32_u (local.get $block)))
        (local.set $block (local.get $next))
        (br $each))))

  (func $free (export "free") (param $p i64)
    (local $block i32) (local $capacity i32) (local $list i32)
    (if (i32.eqz (call $is_block (local.get $p) (i32.const 0x4556494c))) (then (return)))
    (local.set $block (i32.wrap_i64 (local.get $p)))
    (local.set $capacity (i32.load (i32.sub (local.get $block) (i32.const 12))))
    (if (i32.eq (local.get $block) (i32.load (i32.const 4)))
      (then
        (i32.store (i32.const 4) (i32.const 0))
        (i32.store (i32.const 8) (i32.const 0))))
    ;; The last block gives its bytes back to the heap; others wait in a list.
    (if (i32.eq (i32.add (local.get $block) (local.get $capacity)) (call $heap_end))
      (then
        (i32.store (i32.sub (local.get $block) (i32.const 16)) (i32.const 0))
        (i32.store (i32.const 0) (i32.sub (local.get $block) (i32.const 16)))
        (return)))
    ;; No block is so small; this one's header is forged.
    (if (i32.lt_u (local.get $capacity) (i32.const 16)) (then (return)))
    (local.set $list (call $free_list (local.get $capacity)))
    (i32.store
      (i32.sub (local.get $block) (i32.const 16))
      (i32.xor (local.get $block) (i32.const 0x45455246)))
    (i32.store (i32.sub (local.get $block) (i32.const 4)) (i32.load (local.get $list)))
    (i32.store (local.get $list) (local.get $block)))

  (func $length (export "length") (param $p i64) (result i64)
    (if (result i64) (call $is_block (local.get $p) (i32.const 0x4556494c))
      (then (i64.load32_u (i32.sub (i32.wrap_i64 (local.get $p)) (i32.const 8))))
      (else (i64.const 0))))

  ;; Extism's variant skips the validation to be fast; here the checked one is as fast.
  (export "length_unsafe" (func $length))

  ;; One comparison for both bounds: what is below HEAP_BASE wraps around to a large number.
  (func (export "load_u8") (param $p i64) (result i32)
    (if (result i32)
      (i64.le_u
        (i64.sub (local.get $p) (i64.const 160))
        (i64.sub (i64.extend_i32_u (memory.size)) (i64.const 161)))
      (then (i32.load8_u (i32.wrap_i64 (local.get $p))))
      (else (i32.const 0))))

  (func (export "load_u64") (param $p i64) (result i64)
    (if (result i64)
      (i64.le_u
        (i64.sub (local.get $p) (i64.const 160))
        (i64.sub (i64.extend_i32_u (memory.size)) (i64.const 168)))
      (then (i64.load (i32.wrap_i64 (local.get $p))))
      (else (i64.const 0))))

  (func (export "store_u8") (param $p i64) (param $byte i32)
    (if
      (i64.le_u
        (i64.sub (local.get $p) (i64.const 160))
        (i64.sub (i64.extend_i32_u (memory.size)) (i64.const 161)))
      (then (i32.store8 (i32.wrap_i64 (local.get $p)) (local.get $byte)))))

  (func (export "store_u64") (param $p i64) (param $word i64)
    (if
      (i64.le_u
        (i64.sub (local.get $p) (i64.const 160))
        (i64.sub (i64.extend_i32_u (memory.size)) (i64.const 168)))
      (then (i64.store (i32.wrap_i64 (local.get $p)) (local.get $word)))))

  (func (export "input_load_u8") (param $i i64) (result i32)
    (if (result i32) (i64.lt_u (local.get $i) (i64.load32_u (i32.const 8)))
      (then
        (i32.load8_u (i32.add (i32.load (i32.const 4)) (i32.wrap_i64 (local.get $i)))))
      (else (i32.const 0))))

  (func (export "input_load_u64") (param $i i64) (result i64)
    (local $length i64)
    (local.set $length (i64.load32_u (i32.const 8)))
    (if (result i64)
      (i32.and
        (i64.ge_u (local.get $length) (i64.const 8))
        (i64.le_u (local.get $i) (i64.sub (local.get $length) (i64.const 8))))
      (then (i64.load (i32.add (i32.load (i32.const 4)) (i32.wrap_i64 (local.get $i)))))
      (else (i64.const 0))))

  (func (export "input_set") (param $p i64) (param $len i64)
    (if (call $in_heap (local.get $p) (local.get $len))
      (then
        (i32.store (i32.const 4) (i32.wrap_i64 (local.get $p)))
        (i32.store (i32.const 8) (i32.wrap_i64 (local.get $len))))))

  (func (export "output_set") (param $p i64) (param $len i64)
    (if (call $in_heap (local.get $p) (local.get $len))
      (then
        (i32.store (i32.const 12) (i32.wrap_i64 (local.get $p)))
        (i32.store (i32.const 16) (i32.wrap_i64 (local.get $len))))))

  (func (export "input_offset") (result i64) (i64.load32_u (i32.const 4)))
  (func (export "input_length") (result i64) (i64.load32_u (i32.const 8)))
  (func (export "output_offset") (result i64) (i64.load32_u (i32.const 12)))
  (func (export "output_length") (result i64) (i64.load32_u (i32.const 16)))

  (func (export "error_set") (param $p i64)
    (if (i32.or (i64.eqz (local.get $p)) (call $in_heap (local.get $p) (i64.const 0)))
      (then (i32.store (i32.const 20) (i32.wrap_i64 (local.get $p))))))
  (func (export "error_get") (result i64) (i64.load32_u (i32.const 20)))

  ;; Everything back to the state of an empty kernel, the bytes too.
  (func (export "reset")
    (memory.fill (i32.const 0) (i32.const 0) (call $heap_end)))

  (func (export "memory_bytes") (result i64)
    (i64.extend_i32_u (memory.size)))
)
