//! Calls into plugins: what goes in, what comes out, and how a call fails.

use std::sync::Arc;
use std::time::Duration;

use exomonad_engine::{CallError, Limit, Limits, LogLevel};

use crate::recorder::{Recorder, call, call_within, load, with_abi};

const ECHO: &str = r#"
  (func (export "echo") (result i32)
    (call $output_set (call $input_offset) (call $input_length))
    (i32.const 0))"#;

#[tokio::test]
async fn a_call_answers_with_the_guests_output() {
    let plugin = load(&with_abi(ECHO)).await;
    for size in [0, 1, 7, 8, 9, 200, 65_536, 4 << 20] {
        let input: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        assert_eq!(
            call(&plugin, "echo", &input).await.unwrap().bytes,
            input,
            "{size} bytes"
        );
    }
}

#[tokio::test]
async fn every_call_gets_a_sandbox_that_knows_nothing_of_the_last() {
    let plugin = load(&with_abi(
        r#"
  (data (i32.const 0) "secret")
  (global $calls (mut i32) (i32.const 0))
  (func (export "count") (result i32)
    (local $b i64)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.store (i32.const 4096) (i32.add (i32.load (i32.const 4096)) (i32.const 1)))
    (local.set $b (call $alloc (i64.const 100)))
    ;; The content of a new block, before and after something is stored in it.
    (call $store_u8 (local.get $b) (i32.add (call $load_u8 (local.get $b)) (i32.load (i32.const 4096))))
    (call $output_set (local.get $b) (i64.const 1))
    (i32.sub (global.get $calls) (i32.const 1)))"#,
    ))
    .await;
    for _ in 0..200 {
        assert_eq!(call(&plugin, "count", b"input").await.unwrap().bytes, [1]);
    }
}

#[tokio::test]
async fn effects_go_out_and_their_answers_come_back() {
    let plugin = load(&with_abi(
        r#"(data (i32.const 0) "abc")
  (func (export "run") (result i32)
    (call $answer (call $reverse (call $block (i32.const 0) (i32.const 3)))) (i32.const 0))"#,
    ))
    .await;
    let output = call(&plugin, "run", b"").await.unwrap();
    assert_eq!(output.bytes, b"cba");
    assert_eq!(output.usage.effects, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_hold_no_thread() {
    let plugin = load(&with_abi(
        r#"(data (i32.const 0) "300")
  (func (export "run") (result i32)
    (call $answer (call $sleep (call $block (i32.const 0) (i32.const 3)))) (i32.const 0))"#,
    ))
    .await;
    // Time stands still until all that this one thread could do is done: the calls wait together or
    // one after the other, and the clock tells which.
    let begin = tokio::time::Instant::now();
    let calls = (0..50).map(|_| call(&plugin, "run", b""));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap().bytes, b"slept");
    }
    assert!(begin.elapsed() < Duration::from_millis(600));
}

#[tokio::test]
async fn a_call_that_is_dropped_cancels_the_effect_it_waits_for() {
    let plugin = load(&with_abi(
        r#"(data (i32.const 0) "60000")
  (func (export "run") (result i32)
    (call $answer (call $sleep (call $block (i32.const 0) (i32.const 5)))) (i32.const 0))"#,
    ))
    .await;
    let host = Arc::new(Recorder::default());
    let cancelled = host.cancelled.clone();
    {
        let call = plugin.call(host, Limits::default(), "run", b"");
        assert!(
            tokio::time::timeout(Duration::from_millis(50), call)
                .await
                .is_err()
        );
    }
    assert!(cancelled.load(std::sync::atomic::Ordering::SeqCst));
}

#[tokio::test]
async fn configuration_variables_logs_and_http_go_through_the_host() {
    let plugin = load(&with_abi(
        r#"
  (data (i32.const 0) "greeting")
  (data (i32.const 16) "{\"url\":\"https://allowed.test/x\",\"method\":\"POST\",\"headers\":{\"a\":\"b\"}}")
  (data (i32.const 200) "{\"url\":\"https://other.test/\"}")
  (func (export "config") (result i32)
    (call $answer (call $config_get (call $block (i32.const 0) (i32.const 8)))) (i32.const 0))
  (func (export "missing") (result i32)
    (call $config_get (call $block (i32.const 0) (i32.const 3))) (drop)
    (i32.wrap_i64 (call $config_get (call $block (i32.const 0) (i32.const 3)))))
  (func (export "vars") (result i32)
    (if (i64.ne (call $var_get (call $block (i32.const 0) (i32.const 1))) (i64.const 0)) (then (unreachable)))
    (call $var_set (call $block (i32.const 0) (i32.const 1)) (call $block (i32.const 0) (i32.const 8)))
    (call $answer (call $var_get (call $block (i32.const 0) (i32.const 1))))
    (call $var_set (call $block (i32.const 0) (i32.const 1)) (i64.const 0))
    (i32.wrap_i64 (call $var_get (call $block (i32.const 0) (i32.const 1)))))
  (func (export "log") (result i32)
    (call $log_info (call $block (i32.const 0) (i32.const 8)))
    (call $log_error (call $block (i32.const 1) (i32.const 7)))
    (i32.sub (call $get_log_level) (i32.const 1)))
  (func (export "http") (result i32)
    (call $answer (call $http_request (call $block (i32.const 16) (i32.const 68)) (call $block (i32.const 0) (i32.const 5))))
    (i32.sub (call $http_status_code) (i32.const 418)))
  (func (export "http_headers") (result i32)
    (drop (call $http_request (call $block (i32.const 16) (i32.const 68)) (i64.const 0)))
    (call $answer (call $http_headers))
    (i32.const 0))
  (func (export "http_denied") (result i32)
    (drop (call $http_request (call $block (i32.const 200) (i32.const 29)) (i64.const 0)))
    (i32.const 0))"#,
    ))
    .await;
    let host = Arc::new(Recorder::default());
    let run = async |export: &str| {
        plugin
            .call(host.clone(), Limits::default(), export, b"")
            .await
    };
    assert_eq!(run("config").await.unwrap().bytes, b"hello");
    assert_eq!(run("missing").await.unwrap().bytes, b"");
    assert_eq!(run("vars").await.unwrap().bytes, b"greeting");
    run("log").await.unwrap();
    assert_eq!(
        *host.logs.lock().unwrap(),
        [
            (LogLevel::Info, "greeting".to_owned()),
            (LogLevel::Error, "reeting".to_owned())
        ]
    );
    assert_eq!(run("http").await.unwrap().bytes, b"body:greet");
    assert_eq!(
        run("http_headers").await.unwrap().bytes,
        br#"{"x-pot":"tea"}"#
    );
    let denied = run("http_denied").await.unwrap_err();
    assert!(
        denied
            .to_string()
            .contains("https://other.test/ is not allowed"),
        "{denied}"
    );
    assert_eq!(
        host.requests.lock().unwrap()[0].method.as_deref(),
        Some("POST")
    );
}

#[tokio::test]
async fn failures_say_what_failed() {
    let plugin = load(&with_abi(
        r#"
  (data (i32.const 0) "it broke")
  (func (export "code") (result i32) (i32.const 7))
  (func (export "code64") (result i64) (i64.const -3))
  (func (export "message") (result i32)
    (call $error_set (call $block (i32.const 0) (i32.const 8))) (i32.const 2))
  (func (export "quiet_message") (call $error_set (call $block (i32.const 0) (i32.const 8))))
  (func (export "trap") (unreachable))
  (func (export "divide") (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
  (func (export "with_parameter") (param i32))
  (func (export "two_results") (result i32 i32) (i32.const 0) (i32.const 0))
  (func (export "forged") (call $log_info (i64.const 12345)))
  (func (export "forged_high") (drop (call $reverse (i64.const 0xffff_ffff_ffff_fff0))))"#,
    ))
    .await;
    let fails = async |export: &str| call(&plugin, export, b"").await.unwrap_err();
    let guest = |message: &str, code| CallError::Guest {
        message: message.to_owned(),
        code,
    };
    assert_eq!(
        fails("code").await,
        guest("Returned non-zero exit code: 7", 7)
    );
    assert_eq!(
        fails("code64").await,
        guest("Returned non-zero exit code: -3", -3)
    );
    assert_eq!(fails("message").await, guest("it broke", 2));
    assert_eq!(fails("quiet_message").await, guest("it broke", 0));
    let trap = fails("trap").await;
    assert!(
        trap.to_string().contains("`unreachable`") && trap.to_string().contains("(in trap"),
        "{trap}"
    );
    assert_eq!(trap.return_code(), 134);
    assert!(fails("divide").await.to_string().contains("divide by zero"));
    for export in ["with_parameter", "two_results"] {
        assert!(
            matches!(fails(export).await, CallError::Signature { .. }),
            "{export}"
        );
    }
    assert!(
        matches!(fails("absent").await, CallError::UnknownExport { exports, .. } if exports.len() == 8)
    );
    assert!(
        fails("forged")
            .await
            .to_string()
            .contains("invalid handle offset: 12345")
    );
    assert!(
        fails("forged_high")
            .await
            .to_string()
            .contains("invalid handle offset")
    );
}

#[tokio::test]
async fn each_limit_ends_the_call_and_names_itself() {
    let plugin = load(&with_abi(&format!(
        r#"{ECHO}
  (table 1 funcref)
  (data (i32.const 0) "0 and a log message of some bytes")
  (func (export "spin") (loop $l (br $l)))
  (func (export "nap") (loop $l (drop (call $sleep (call $block (i32.const 0) (i32.const 1)))) (br $l)))
  (func (export "eat") (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable))
  (func (export "hoard") (loop $l (br_if $l (i64.ne (call $alloc (i64.const 100000)) (i64.const 0)))) (unreachable))
  (func (export "tables")
    (loop $l (br_if $l (i32.ne (table.grow (ref.null func) (i32.const 1000)) (i32.const -1)))) (unreachable))
  (func $recurse (export "recurse") (result i32) (i32.add (call $recurse) (i32.const 1)))
  (func (export "flood") (loop $l (call $log_info (call $block (i32.const 0) (i32.const 30))) (br $l)))
  (func (export "keep")
    (local $n i32)
    (loop $l
      (i32.store
        (i32.const 0)
        (i32.or
          (i32.and (local.get $n) (i32.const 0x7f))
          (i32.and (i32.shl (local.get $n) (i32.const 1)) (i32.const 0x7f00))))
      (call $var_set (call $block (i32.const 0) (i32.const 4)) (call $block (i32.const 0) (i32.const 3000)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $l)))"#
    )))
    .await;
    let limits = Limits {
        wall_time: Duration::from_millis(200),
        input: 1000,
        output: 900,
        effects: 3,
        ..Limits::default()
    };
    let hit = async |export: &str, size: usize| match call_within(
        &plugin,
        limits,
        export,
        &vec![0; size],
    )
    .await
    {
        Err(CallError::Limit(hit)) => hit,
        other => panic!("{export}: {other:?}"),
    };
    for (export, size, limit) in [
        ("spin", 0, Limit::WallTime),
        ("nap", 0, Limit::Effects),
        ("eat", 0, Limit::Memory),
        ("hoard", 0, Limit::Memory),
        ("tables", 0, Limit::TableElements),
        ("recurse", 0, Limit::Stack),
        ("flood", 0, Limit::LogBytes),
        ("keep", 0, Limit::Vars),
        ("echo", 1001, Limit::Input),
        ("echo", 950, Limit::Output),
    ] {
        let hit = hit(export, size).await;
        assert_eq!(hit.limit, limit, "{export}");
        assert!(hit.value > 0, "{export}");
        assert!(
            hit.to_string()
                .contains(&format!("`limits.{}`", limit.key())),
            "{hit}"
        );
        // The next call is as good as ever.
        assert_eq!(
            call_within(&plugin, limits, "echo", b"still here")
                .await
                .unwrap()
                .bytes,
            b"still here"
        );
    }
}

#[tokio::test]
async fn host_functions_have_their_own_stack_however_deep_the_guest_is() {
    // Calls the host at every depth until the stack ends: the host never runs out of it first.
    let plugin = load(&with_abi(&format!(
        r#"{ECHO}
  (func $deep (export "deep") (result i32)
    (drop (call $reverse (call $block (i32.const 0) (i32.const 64))))
    (call $log_info (call $block (i32.const 0) (i32.const 8)))
    (call $var_set (call $block (i32.const 0) (i32.const 4)) (call $block (i32.const 0) (i32.const 8)))
    (i32.add (call $deep) (i32.const 1)))"#
    )))
    .await;
    let limits = Limits {
        effects: u64::MAX,
        log_bytes: u64::MAX,
        wall_time: Duration::from_secs(60),
        ..Limits::default()
    };
    let ended = call_within(&plugin, limits, "deep", b"").await;
    let Err(CallError::Limit(hit)) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(hit.limit, Limit::Stack);
}

#[tokio::test]
async fn a_spinning_guest_does_not_starve_its_neighbours() {
    let plugin = load(&with_abi(&format!(
        r#"{ECHO} (func (export "spin") (loop $l (br $l)))"#
    )))
    .await;
    let limits = Limits {
        wall_time: Duration::from_secs(5),
        ..Limits::default()
    };
    let spinning = tokio::spawn({
        let plugin = plugin.clone();
        async move { call_within(&plugin, limits, "spin", b"").await }
    });
    tokio::task::yield_now().await;
    // The runtime of this test has one thread, which the spinning guest has to share.
    for _ in 0..20 {
        call(&plugin, "echo", b"hi").await.unwrap();
    }
    assert!(!spinning.is_finished());
    spinning.abort();
}

#[tokio::test]
async fn a_kept_sandbox_keeps_its_state_and_a_trapped_one_is_unusable() {
    let wat = with_abi(
        r#"
  (data (i32.const 0) "n")
  (global $calls (mut i32) (i32.const 0))
  (func (export "count") (result i32)
    (local $old i64) (local $new i64)
    (local.set $old (call $var_get (call $block (i32.const 0) (i32.const 1))))
    (local.set $new (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $new) (i32.add (call $load_u8 (local.get $old)) (i32.const 1)))
    (call $output_set (local.get $new) (i64.const 1))
    (call $var_set (call $block (i32.const 0) (i32.const 1)) (local.get $new))
    (i32.const 0))
  (func (export "fail") (result i32) (i32.const 1))
  (func (export "trap") (unreachable))
  (func (export "message_and_trap")
    (call $error_set (call $block (i32.const 0) (i32.const 1))) (unreachable))
  (func (export "exit") (call $exit (i32.const 0)) (unreachable))"#,
    );
    let exit = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    let plugin = load(&wat.replacen("(module", exit, 1)).await;
    let host = || Arc::new(Recorder::default());
    let mut sandbox = plugin.sandbox(host(), Limits::default()).await.unwrap();
    for expected in 1..=3 {
        let output = sandbox
            .call(host(), Limits::default(), "count", b"")
            .await
            .unwrap();
        assert_eq!(output.bytes, [expected]);
    }
    sandbox
        .call(host(), Limits::default(), "fail", b"")
        .await
        .unwrap_err();
    assert!(sandbox.is_usable());
    // A message before the abort does not make the call succeed.
    for (export, answers) in [("trap", false), ("message_and_trap", false), ("exit", true)] {
        let mut sandbox = plugin.sandbox(host(), Limits::default()).await.unwrap();
        let ended = sandbox.call(host(), Limits::default(), export, b"").await;
        assert_eq!(ended.is_ok(), answers, "{export}: {ended:?}");
        assert!(!sandbox.is_usable(), "{export}");
    }
}

#[tokio::test]
async fn a_guest_that_reaches_its_own_maximum_hit_no_limit_of_ours() {
    let plugin = load(
        r#"(module (memory 1 2) (func (export "run")
          (drop (memory.grow (i32.const 1)))
          (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))))"#,
    )
    .await;
    let ended = call(&plugin, "run", b"").await;
    assert!(matches!(ended, Err(CallError::Trap { .. })), "{ended:?}");
}
