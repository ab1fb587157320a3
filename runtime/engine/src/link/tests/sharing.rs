//! Items that modules share and items that they keep apart: functions, memories, tables, globals, tags,
//! segments, types.

use super::{NOTE, linked, run};

#[test]
fn modules_may_import_from_each_other_in_a_circle() {
    let even = r#"(module (import "odd" "odd" (func $odd (param i32) (result i32)))
        (func (export "even") (param i32) (result i32)
          (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1)) (else (call $odd (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let odd = r#"(module (import "even" "even" (func $even (param i32) (result i32)))
        (func (export "odd") (param i32) (result i32)
          (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0)) (else (call $even (i32.sub (local.get 0) (i32.const 1)))))))"#;
    let main = r#"(module (import "even" "even" (func $even (param i32) (result i32)))
        (func (export "ten") (result i32) (call $even (i32.const 10)))
        (func (export "seven") (result i32) (call $even (i32.const 7))))"#;
    assert_eq!(
        run(
            &linked(&[("even", even), ("odd", odd), ("main", main)]),
            &["ten", "seven"]
        )
        .returned,
        [1, 0]
    );
}

#[test]
fn a_module_can_reexport_its_imports() {
    let base = r#"(module (func (export "f") (result i64) (i64.const 5)) (global (export "g") (mut i64) (i64.const 6))
        (memory (export "m") 1) (data (i32.const 8) "\07"))"#;
    let middle = r#"(module (import "base" "f" (func $f (result i64))) (import "base" "g" (global $g (mut i64)))
        (import "base" "m" (memory 1)) (import "extism:host/user" "note" (func $n (param i64) (result i64)))
        (export "f2" (func $f)) (export "g2" (global $g)) (export "m2" (memory 0)) (export "note2" (func $n)))"#;
    let main = r#"(module (import "middle" "f2" (func $f (result i64))) (import "middle" "g2" (global $g (mut i64)))
        (import "middle" "m2" (memory 1)) (import "middle" "note2" (func $note (param i64) (result i64)))
        (export "f" (func $f))
        (func (export "sum") (result i64) (drop (call $note (i64.const 9)))
          (i64.add (call $f) (i64.add (global.get $g) (i64.load8_u (i32.const 8))))))"#;
    let ran = run(
        &linked(&[("middle", middle), ("base", base), ("main", main)]),
        &["f", "sum"],
    );
    assert_eq!(ran.returned, [5, 18]);
    assert_eq!(ran.noted, [9]);
}

#[test]
fn a_function_that_a_library_only_exports_can_be_referred_to() {
    let library = r#"(module (type $r (func (result i64)))
        (func $f (export "f") (result i64) (i64.const 5))
        (func (export "through") (result i64) (call_ref $r (ref.func $f))))"#;
    let main = r#"(module (import "lib" "through" (func $through (result i64)))
        (elem $own func $g) (table 2 funcref) (func $g (result i64) (i64.const 2))
        (func (export "both") (result i64)
          (table.init $own (i32.const 0) (i32.const 0) (i32.const 1))
          (i64.add (call $through) (call_indirect (result i64) (i32.const 0)))))"#;
    let wasm = linked(&[("lib", library), ("main", main)]);
    assert_eq!(run(&wasm, &["both"]).returned, [7]);
}

#[test]
fn functions_named_like_bulk_copies_are_unchanged_with_a_64_bit_memory() {
    let main = r#"(module (memory i64 1)
        (func (export "exomonad_memory_read") (param i64 i32 i32) (i64.store8 (i64.const 0) (i64.const 7)))
        (func (export "sum") (result i64)
          (call 0 (i64.const 0) (i32.const 0) (i32.const 0)) (i64.load8_u (i64.const 0))))"#;
    assert_eq!(run(&linked(&[("main", main)]), &["sum"]).returned, [7]);
}

#[test]
fn active_passive_and_declared_segments_stay_with_their_modules() {
    let module = |letter: &str, function: u32| {
        format!(
            r#"(module (memory 1) (table $t 4 funcref) (type $r (func (result i64)))
            (data $active (i32.const 0) "{letter}") (data $passive "{letter}{letter}")
            (func $f (result i64) (i64.const {function})) (elem $lazy func $f $f) (elem (i32.const 0) $f)
            (elem declare func $d) (func $d (result i64) (i64.const {function}))
            (func (export "sum") (result i64)
              (memory.init $passive (i32.const 1) (i32.const 0) (i32.const 2)) (data.drop $passive)
              (table.init $t $lazy (i32.const 1) (i32.const 0) (i32.const 2)) (elem.drop $lazy)
              (i64.add
                (i64.add (call_indirect $t (type $r) (i32.const 0)) (call_indirect $t (type $r) (i32.const 2)))
                (i64.add
                  (call_ref $r (ref.func $d))
                  (i64.extend_i32_u (i32.load (i32.const 0)))))))"#
        )
    };
    let main = module("a", 1).replacen(
        "(module",
        r#"(module (import "lib" "sum" (func $sum (result i64))) (export "of_lib" (func $sum))"#,
        1,
    );
    let ran = run(
        &linked(&[("lib", &module("b", 1000)), ("main", &main)]),
        &["sum", "of_lib"],
    );
    assert_eq!(ran.returned, [3 + 0x61_6161, 3000 + 0x62_6262]);
}

#[test]
fn a_module_initializes_the_memory_and_table_of_another() {
    let library = r#"(module (memory (export "m") 1) (table (export "t") 4 funcref) (global (export "at") i32 (i32.const 2))
        (type $r (func (result i64)))
        (func (export "see") (result i64)
          (i64.add (i64.load8_u (i32.const 2)) (call_indirect (type $r) (i32.const 2)))))"#;
    let main = r#"(module (import "lib" "m" (memory 1)) (import "lib" "t" (table 4 funcref))
        (import "lib" "at" (global $at i32)) (import "lib" "see" (func $see (result i64)))
        (data (global.get $at) "\05") (elem (global.get $at) $f) (func $f (result i64) (i64.const 100))
        (export "see" (func $see)))"#;
    assert_eq!(
        run(&linked(&[("lib", library), ("main", main)]), &["see"]).returned,
        [105]
    );
}

#[test]
fn globals_can_be_initialized_by_exports_of_other_modules() {
    let library = r#"(module (global (export "g") i64 (i64.const 40)))"#;
    let main = r#"(module (import "lib" "g" (global $g i64))
        (global $next i64 (i64.add (global.get $g) (i64.const 2)))
        (func (export "f") (result i64) (global.get $next)))"#;
    assert_eq!(
        run(&linked(&[("lib", library), ("main", main)]), &["f"]).returned,
        [42]
    );
    // Even if the manifest names the library after a module that needs it.
    let middle =
        r#"(module (import "lib" "g" (global $g i64)) (global (export "h") i64 (global.get $g)))"#;
    let main = r#"(module (import "middle" "h" (global $h i64)) (func (export "f") (result i64) (global.get $h)))"#;
    assert_eq!(
        run(
            &linked(&[("middle", middle), ("lib", library), ("main", main)]),
            &["f"]
        )
        .returned,
        [40]
    );
}

#[test]
fn exceptions_cross_modules_by_a_shared_tag() {
    let library = r#"(module (tag $e (export "e") (param i64)) (tag $other (param i64))
        (func (export "throw") (throw $e (i64.const 7))))"#;
    let main = r#"(module (tag $own (param i64)) (import "lib" "e" (tag $e (param i64))) (import "lib" "throw" (func $throw))
        (func (export "catch") (result i64)
          (block $mine (result i64)
            (block $own_caught (result i64)
              (try_table (catch $own $own_caught) (catch $e $mine) (call $throw))
              (i64.const -1))
            (drop) (i64.const -2))))"#;
    let main = main.replacen("(tag $own (param i64)) ", "", 1).replacen(
        "(func (export",
        "(tag $own (param i64)) (func (export",
        1,
    );
    assert_eq!(
        run(&linked(&[("lib", library), ("main", &main)]), &["catch"]).returned,
        [7]
    );
}

#[test]
fn finished_proposals_survive_the_merge() {
    let body = [
        // Several results, and blocks with parameters.
        r#"(func $two (result i64 i64) (i64.const 1) (i64.const 2))
           (func (export "f") (result i64) (call $two) (block (param i64 i64) (result i64) (i64.add)))"#,
        // A 64-bit memory and table.
        r#"(memory $m i64 1) (table $t i64 2 funcref) (elem (table $t) (i64.const 1) func $f)
           (func $f (result i64) (i64.const 3))
           (func (export "f") (result i64)
             (i64.store $m (i64.const 8) (call_indirect $t (result i64) (i64.const 1))) (i64.load $m (i64.const 8)))"#,
        // Structs, arrays, recursive types, casts.
        r#"(rec (type $list (sub (struct (field $head i64) (field $tail (ref null $list))))) (type $bytes (array (mut i8))))
           (type $longer (sub $list (struct (field $head i64) (field $tail (ref null $list)) (field i32))))
           (func (export "f") (result i64) (local $l (ref null $list))
             (local.set $l (struct.new $longer (i64.const 2) (struct.new $list (i64.const 1) (ref.null $list)) (i32.const 0)))
             (i64.add
               (struct.get $list $head (ref.cast (ref $longer) (local.get $l)))
               (i64.extend_i32_u (array.get_u $bytes (array.new_fixed $bytes 1 (i32.const 1)) (i32.const 0)))))"#,
        // Tail calls through typed references.
        r#"(type $r (func (result i64))) (func $g (result i64) (i64.const 3)) (elem declare func $g)
           (func (export "f") (result i64) (return_call_ref $r (ref.func $g)))"#,
        // Vectors, saturating conversions, sign extension, extended constants.
        r#"(global $g i64 (i64.mul (i64.const 3) (i64.const 1))) (func (export "f") (result i64)
           (i64.and (global.get $g) (i64x2.extract_lane 0 (i64x2.splat (i64.const 3)))))"#,
        // Several memories.
        r#"(memory $a 1) (memory $b 1) (data $a (i32.const 0) "\01") (data (memory $b) (i32.const 0) "\02")
           (func (export "f") (result i64) (memory.copy $a $b (i32.const 1) (i32.const 0) (i32.const 1))
             (i64.add (i64.load8_u $a (i32.const 0)) (i64.load8_u $a (i32.const 1))))"#
            .replace("(data $a", "(data (memory $a)")
            .leak(),
    ];
    for body in body {
        let main = format!(
            r#"(module (import "lib" "f" (func $lib (result i64))) (export "of_lib" (func $lib)) {body})"#
        );
        let wasm = linked(&[("lib", &format!("(module {body})")), ("main", &main)]);
        assert_eq!(run(&wasm, &["f", "of_lib"]).returned, [3, 3], "{body}");
    }
}

#[test]
fn the_kernel_serves_every_module() {
    let using = |imports: &str, rest: &str| {
        format!(
            r#"(module {imports} {NOTE} (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
            (import "extism:host/env" "length" (func $length (param i64) (result i64))) {rest})"#
        )
    };
    let library = using(
        "",
        r#"(func (export "make") (result i64) (call $alloc (i64.const 33)))"#,
    );
    let main = using(
        r#"(import "lib" "make" (func $make (result i64)))"#,
        r#"(func (export "f") (result i64) (call $length (call $make)))"#,
    );
    assert_eq!(
        run(&linked(&[("lib", &library), ("main", &main)]), &["f"]).returned,
        [33]
    );
}
