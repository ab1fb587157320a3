//! Isolation of calls: nothing of one is there for the next. Whole memories are searched.

use std::sync::Arc;

use exomonad_engine::{Engine, EngineConfig, Limits, LoadOptions, Manifest, Plugin};

use crate::recorder::{EFFECTS, Recorder, with_abi};

/// Fills all memory it can get, its own and the kernel's, and its globals and table, with a pattern.
const FILLER: &str = r#"
  (table 1000 funcref) (elem declare func $answer)
  (global $a (mut i64) (i64.const 0))
  (func (export "fill") (local $at i32) (local $block i64) (local $end i64)
    (global.set $a (i64.const 0x5ec2e75ec2e75ec2))
    (table.fill (i32.const 0) (ref.func $answer) (i32.const 1000))
    (drop (memory.grow (i32.const 47)))
    (loop $own
      (i64.store (local.get $at) (i64.const 0x5ec2e75ec2e75ec2))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $own (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
    (local.set $block (call $alloc (i64.const 3000000)))
    (local.set $end (call $memory_bytes))
    (local.set $block (i64.const 160))
    (loop $kernels
      (call $store_u64 (local.get $block) (i64.const 0x5ec2e75ec2e75ec2))
      (local.set $block (i64.add (local.get $block) (i64.const 8)))
      (br_if $kernels (i64.lt_u (local.get $block) (local.get $end)))))"#;

/// Grows as far as the filler did and answers with how many bytes are not 0 that it did not put there.
const SCANNER: &str = r#"
  (table 1000 funcref)
  (func (export "scan") (local $at i32) (local $found i64) (local $block i64) (local $end i64)
    (drop (memory.grow (i32.const 47)))
    (loop $own
      (local.set $found
        (i64.add (local.get $found) (i64.extend_i32_u (i64.ne (i64.load (local.get $at)) (i64.const 0)))))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $own (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
    (local.set $block (call $alloc (i64.const 3000000)))
    (local.set $end (call $memory_bytes))
    (loop $kernels
      (local.set $found
        (i64.add (local.get $found) (i64.extend_i32_u (i64.ne (call $load_u64 (local.get $block)) (i64.const 0)))))
      (local.set $block (i64.add (local.get $block) (i64.const 8)))
      (br_if $kernels (i64.lt_u (local.get $block) (i64.sub (local.get $end) (i64.const 8)))))
    (local.set $at (i32.const 0))
    (loop $table
      (local.set $found
        (i64.add
          (local.get $found)
          (i64.extend_i32_u (i32.eqz (ref.is_null (table.get (local.get $at)))))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $table (i32.lt_u (local.get $at) (i32.const 1000))))
    (i64.store (i32.const 0) (local.get $found))
    (call $output_set (call $block (i32.const 0) (i32.const 8)) (i64.const 8)))"#;

async fn load_into(engine: &Engine, body: &str) -> Plugin {
    let options = LoadOptions {
        effects: EFFECTS,
        ..LoadOptions::default()
    };
    engine
        .load(&Manifest::of_module(with_abi(body).into_bytes()), &options)
        .await
        .unwrap()
}

async fn run(plugin: &Plugin, export: &str, input: &[u8]) -> Vec<u8> {
    let host = Arc::new(Recorder::default());
    plugin
        .call(host, Limits::default(), export, input)
        .await
        .unwrap()
        .bytes
}

#[tokio::test]
async fn a_fresh_sandbox_holds_nothing_of_the_one_before_it_in_its_slot() {
    for keep_resident in [0, 4 << 10, 64 << 10, 1 << 20, 16 << 20] {
        // Few slots, so that each is used again and again, by both plugins.
        let engine = Engine::new(EngineConfig {
            sandboxes: 2,
            keep_resident,
            ..EngineConfig::default()
        })
        .unwrap();
        let filler = load_into(&engine, FILLER).await;
        let scanner = load_into(&engine, SCANNER).await;
        for _ in 0..10 {
            run(&filler, "fill", &[0xc2; 5000]).await;
            assert_eq!(
                run(&scanner, "scan", b"").await,
                0u64.to_le_bytes(),
                "{keep_resident} bytes kept resident"
            );
        }
    }
}

#[tokio::test]
async fn a_call_that_was_cut_off_leaves_no_more_behind() {
    let engine = Engine::new(EngineConfig {
        sandboxes: 2,
        ..EngineConfig::default()
    })
    .unwrap();
    let trapping = format!(
        "{FILLER} {}",
        r#"(func (export "fail") (call $fill) (unreachable))
        (func (export "spin") (call $fill) (loop $l (br $l)))
        (func (export "wait") (call $fill) (i32.store (i32.const 0) (i32.const 0x3030_3039))
          (drop (call $sleep (call $block (i32.const 0) (i32.const 4)))))"#
    )
    .replace(r#"(func (export "fill")"#, r#"(func $fill (export "fill")"#)
    // The kernel's bookkeeping stays whole, or the effect could not be asked for.
    .replace("(local.set $block (i64.const 160))", "");
    let filler = load_into(&engine, &trapping).await;
    let scanner = load_into(&engine, SCANNER).await;
    let limits = Limits {
        wall_time: std::time::Duration::from_millis(300),
        ..Limits::default()
    };
    for export in ["fail", "spin", "wait"] {
        for _ in 0..2 {
            filler
                .call(Arc::new(Recorder::default()), limits, export, b"")
                .await
                .unwrap_err();
            assert_eq!(
                run(&scanner, "scan", b"").await,
                0u64.to_le_bytes(),
                "after `{export}`"
            );
        }
    }
}

#[tokio::test]
async fn data_and_snapshots_of_one_plugin_are_not_anothers() {
    let engine = Engine::new(EngineConfig {
        sandboxes: 2,
        ..EngineConfig::default()
    })
    .unwrap();
    let initialised = format!(
        r#"{FILLER} (data (i32.const 5000) "a secret in the module") (func (export "_initialize") (call $fill))"#
    )
    .replace(r#"(func (export "fill")"#, r#"(func $fill (export "fill")"#)
    .replace("(local.set $block (i64.const 160))", "");
    let filler = load_into(&engine, &initialised).await;
    let scanner = load_into(&engine, SCANNER).await;
    for _ in 0..5 {
        run(&filler, "fill", b"").await;
        assert_eq!(run(&scanner, "scan", b"").await, 0u64.to_le_bytes());
    }
}

#[tokio::test]
async fn a_kept_sandbox_forgets_the_payloads_of_the_call_before() {
    let engine = Engine::new(EngineConfig {
        sandboxes: 2,
        ..EngineConfig::default()
    })
    .unwrap();
    let plugin = load_into(
        &engine,
        r#"(func (export "leave") (call $output_set (call $input_offset) (call $input_length)))
        (func (export "look") (local $at i64) (local $found i64)
          (local.set $at (i64.add (call $input_offset) (i64.const 8)))
          (loop $next
            (local.set $found
              (i64.add (local.get $found) (i64.extend_i32_u (i32.ne (call $load_u8 (local.get $at)) (i32.const 0)))))
            (local.set $at (i64.add (local.get $at) (i64.const 1)))
            (br_if $next (i64.lt_u (local.get $at) (call $memory_bytes))))
          (i64.store (i32.const 0) (local.get $found))
          (call $output_set (call $block (i32.const 0) (i32.const 8)) (i64.const 8)))"#,
    )
    .await;
    let host = || Arc::new(Recorder::default());
    let mut sandbox = plugin.sandbox(host(), Limits::default()).await.unwrap();
    for _ in 0..3 {
        sandbox
            .call(host(), Limits::default(), "leave", &[0xaa; 40_000])
            .await
            .unwrap();
        let found = sandbox
            .call(host(), Limits::default(), "look", b"8 bytes.")
            .await
            .unwrap()
            .bytes;
        assert_eq!(found, 0u64.to_le_bytes());
    }
}
