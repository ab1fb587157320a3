//! Start-ups that are paid once: what a snapshot holds, and when there is none.

use std::sync::Arc;

use exomonad_engine::{
    CallError, Host, HostFuture, Limits, LoadOptions, LogLevel, Manifest, Plugin, SnapshotPolicy,
    SnapshotStatus,
};

use crate::recorder::{EFFECTS, Recorder, call, engine, try_load, with_abi};

/// A start-up of some fifty milliseconds that counts its runs, and fills memory and globals.
const EXPENSIVE: &str = r#"
  (global $runs (mut i64) (i64.const 0))
  (global $float (mut f64) (f64.const 0))
  (global $small (mut i32) (i32.const 1))
  (data (i32.const 512) "first")
  (func (export "_initialize") (local $i i64) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 7)) (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $next (i64.lt_u (local.get $i) (i64.const 50000000))))
    (global.set $runs (i64.add (global.get $runs) (i64.const 1)))
    (global.set $float (f64.const 1.5)) (global.set $small (i32.const 33))
    (i64.store (i32.const 1024) (local.get $sum))
    (i64.store (i32.const 2048) (i64.const 0x72656b72616d)) ;; "marker"
    (drop (memory.grow (i32.const 3)))
    (i64.store (i32.const 200000) (i64.const 4)))
  (func (export "runs") (result i32)
    (call $say (global.get $runs))
    (global.set $runs (i64.add (global.get $runs) (i64.const 100)))
    (call $say (i64.load (i32.const 2048))) (call $say (i64.load (i32.const 200000)))
    (i64.store (i32.const 2048) (i64.const 0))
    (call $say (i64.extend_i32_u (memory.size))) (call $say (i64.trunc_f64_s (f64.mul (global.get $float) (f64.const 2))))
    (call $say (i64.extend_i32_u (global.get $small)))
    (call $say (i64.extend_i32_u (i32.ne (i64.eqz (i64.load (i32.const 1024))) (i32.const 1))))
    (call $output_set (call $block (i32.const 4096) (i32.const 56)) (i64.const 56))
    (i32.const 0))
  (global $said (mut i32) (i32.const 4096))
  (func $say (param i64)
    (i64.store (global.get $said) (local.get 0))
    (global.set $said (i32.add (global.get $said) (i32.const 8))))"#;

async fn runs(plugin: &Plugin) -> Vec<i64> {
    let output = call(plugin, "runs", b"some input").await.unwrap();
    output
        .bytes
        .chunks_exact(8)
        .map(|word| i64::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

#[tokio::test]
async fn an_initialised_module_is_kept_and_each_call_begins_after_it() {
    let plugin = try_load(&with_abi(EXPENSIVE)).await.unwrap();
    assert_eq!(*plugin.snapshot(), SnapshotStatus::Taken);
    for _ in 0..50 {
        // Each call sees one run of the start-up, and nothing of the calls before it.
        assert_eq!(runs(&plugin).await, [1, 0x7265_6b72_616d, 4, 4, 3, 33, 1]);
    }
}

#[tokio::test]
async fn without_snapshots_each_sandbox_starts_up_itself() {
    let options = LoadOptions {
        effects: EFFECTS,
        snapshot: SnapshotPolicy::Never,
        ..LoadOptions::default()
    };
    let manifest = Manifest::of_module(with_abi(EXPENSIVE).into_bytes());
    let plugin = engine().load(&manifest, &options).await.unwrap();
    assert_eq!(*plugin.snapshot(), SnapshotStatus::Off);
    for _ in 0..2 {
        assert_eq!(runs(&plugin).await, [1, 0x7265_6b72_616d, 4, 4, 3, 33, 1]);
    }
}

/// Start-ups that are not the same each time, or not the guest's alone.
#[tokio::test]
async fn start_ups_that_reach_outside_run_in_each_sandbox_and_the_reason_is_given() {
    let random = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    for (what, import, start, word) in [
        (
            "randomness",
            random,
            "(drop (call $random (i32.const 600) (i32.const 8)))",
            "random",
        ),
        (
            "an effect",
            "",
            "(drop (call $reverse (call $block (i32.const 0) (i32.const 4))))",
            "effects",
        ),
        (
            "HTTP",
            "",
            "(drop (call $http_request (call $block (i32.const 0) (i32.const 4)) (i64.const 0)))",
            "effects",
        ),
        (
            "a trap without input",
            "",
            "(if (i64.eqz (call $input_length)) (then (nop)))  (unreachable)",
            "unreachable",
        ),
    ] {
        let body = format!(
            r#"(data (i32.const 0) "text") (global $runs (mut i32) (i32.const 0))
            (func (export "_initialize") {start} (global.set $runs (i32.add (global.get $runs) (i32.const 1))))
            (func (export "run") (result i32) (i32.sub (global.get $runs) (i32.const 1)))"#
        );
        let plugin =
            try_load(&with_abi(&body).replacen("(module", &format!("(module {import}"), 1))
                .await
                .unwrap();
        let SnapshotStatus::Refused(reason) = plugin.snapshot() else {
            panic!("{what}: {:?}", plugin.snapshot())
        };
        assert!(reason.contains(word), "{what}: {reason}");
        let ended = call(&plugin, "run", b"").await;
        match what {
            "randomness" | "an effect" => drop(ended.unwrap()),
            // The host of this test refuses the request, and nothing helps a start-up that traps.
            _ => assert!(
                matches!(
                    ended,
                    Err(CallError::Trap { .. } | CallError::Refused { .. })
                ),
                "{what}: {ended:?}"
            ),
        }
    }
}

#[tokio::test]
async fn randomness_differs_between_sandboxes_that_start_up_with_it() {
    let body = r#"
      (func (export "_initialize") (drop (call $random (i32.const 600) (i32.const 16))))
      (func (export "run") (call $output_set (call $block (i32.const 600) (i32.const 16)) (i64.const 16)))"#;
    let import = r#"(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let plugin = try_load(&with_abi(body).replacen("(module", import, 1))
        .await
        .unwrap();
    let first = call(&plugin, "run", b"").await.unwrap().bytes;
    let second = call(&plugin, "run", b"").await.unwrap().bytes;
    assert_ne!(first, second);
}

/// Draws while it is initialised, and again in `exomonad_reseed`.
const SEEDED: &str = r#"
  (func (export "_initialize") (drop (call $random (i32.const 600) (i32.const 16))))
  (func (export "RESEED") (drop (call $random (i32.const 608) (i32.const 8))))
  (func (export "run") (call $output_set (call $block (i32.const 600) (i32.const 16)) (i64.const 16)))"#;

async fn seeded(reseed: &str, policy: SnapshotPolicy) -> Plugin {
    let import = r#"(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let module = with_abi(&SEEDED.replace("RESEED", reseed)).replacen("(module", import, 1);
    let options = LoadOptions {
        effects: EFFECTS,
        snapshot: policy,
        ..LoadOptions::default()
    };
    engine()
        .load(&Manifest::of_module(module.into_bytes()), &options)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_plugin_that_renews_what_it_drew_begins_with_a_snapshot_and_differs_in_each_sandbox() {
    let plugin = seeded("exomonad_reseed", SnapshotPolicy::WhenSafe).await;
    assert_eq!(*plugin.snapshot(), SnapshotStatus::Taken);
    assert!(!plugin.has("exomonad_reseed"));
    let first = call(&plugin, "run", b"").await.unwrap().bytes;
    let second = call(&plugin, "run", b"").await.unwrap().bytes;
    // What is not renewed is the snapshot's.
    assert_eq!(first[..8], second[..8]);
    assert_ne!(first[8..], second[8..]);
}

#[tokio::test]
async fn the_operator_may_accept_that_sandboxes_share_randomness() {
    let plugin = seeded("other", SnapshotPolicy::WhenSafe).await;
    assert!(
        matches!(plugin.snapshot(), SnapshotStatus::Refused(reason) if reason.contains("randomness"))
    );
    let plugin = seeded("other", SnapshotPolicy::Always).await;
    assert!(
        matches!(plugin.snapshot(), SnapshotStatus::Accepted(reason) if reason.contains("randomness"))
    );
    let first = call(&plugin, "run", b"").await.unwrap().bytes;
    assert_eq!(first, call(&plugin, "run", b"").await.unwrap().bytes);
}

/// A host with secrets, which must not be asked while a snapshot is taken.
struct Telling;

impl Host for Telling {
    fn effect(&self, _: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        Box::pin(std::future::ready(request))
    }

    fn config(&self, _: &str) -> Option<String> {
        Some("told".to_owned())
    }

    fn log_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Trace)
    }
}

#[tokio::test]
async fn a_start_up_that_reads_its_configuration_gets_that_of_its_call() {
    let body = r#"(data (i32.const 0) "key") (global $value (mut i32) (i32.const -1))
      (func (export "_initialize")
        (global.set $value (i32.wrap_i64 (call $length (call $config_get (call $block (i32.const 0) (i32.const 3)))))))
      (func (export "run") (result i32) (global.get $value))"#;
    let plugin = try_load(&with_abi(body)).await.unwrap();
    let answered = plugin
        .call(Arc::new(Telling), Limits::default(), "run", b"")
        .await;
    assert!(
        matches!(answered, Err(CallError::Guest { code: 4, .. })),
        "the start-up must see what its own host tells, not what was there when a snapshot was taken: {answered:?}"
    );
}

#[tokio::test]
async fn clocks_variables_and_blocks_of_a_start_up_are_there_in_each_call() {
    let body = r#"(data (i32.const 0) "key") (global $block (mut i64) (i64.const 0))
      (func (export "_initialize")
        (call $var_set (call $block (i32.const 0) (i32.const 3)) (call $block (i32.const 0) (i32.const 2)))
        (global.set $block (call $block (i32.const 0) (i32.const 3))))
      (func (export "var") (result i32)
        (i32.wrap_i64 (call $length (call $var_get (call $block (i32.const 0) (i32.const 3))))))"#;
    let plugin = try_load(&with_abi(body)).await.unwrap();
    let answered = plugin
        .call(Arc::new(Recorder::default()), Limits::default(), "var", b"")
        .await;
    assert!(
        matches!(answered, Err(CallError::Guest { code: 2, .. })),
        "{:?}: {answered:?}",
        plugin.snapshot()
    );
}

#[tokio::test]
async fn a_guest_without_a_start_up_needs_no_snapshot() {
    let plugin = try_load(&with_abi(r#"(func (export "run"))"#))
        .await
        .unwrap();
    assert_eq!(*plugin.snapshot(), SnapshotStatus::NotNeeded);
}

/// JavaScript and C seed their random numbers from the time of day.
#[tokio::test]
async fn a_start_up_that_reads_the_time_of_day_runs_in_each_sandbox() {
    let clock = |number: u32| {
        with_abi(&format!(
            r#"(func (export "_initialize")
              (if (call $clock (i32.const {number}) (i64.const 1) (i32.const 64)) (then (unreachable))))
            (func (export "run") (call $answer (call $block (i32.const 64) (i32.const 8))))"#
        ))
        .replacen(
            "(module",
            r#"(module (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))"#,
            1,
        )
    };
    let seeded = try_load(&clock(0)).await.unwrap();
    assert!(
        matches!(seeded.snapshot(), SnapshotStatus::Refused(reason) if reason.contains("time of day")),
        "{:?}",
        seeded.snapshot()
    );
    let first = call(&seeded, "run", b"").await.unwrap().bytes;
    assert_ne!(call(&seeded, "run", b"").await.unwrap().bytes, first);
    // Language runtimes measure from their start.
    assert_eq!(
        *try_load(&clock(1)).await.unwrap().snapshot(),
        SnapshotStatus::Taken
    );
}
