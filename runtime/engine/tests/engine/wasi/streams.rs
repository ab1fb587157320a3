//! Standard output and standard error, which are the log, and how a guest exits.

use std::sync::{Arc, Mutex};

use exomonad_engine::{CallError, Limit, Limits, LogLevel};

use crate::recorder::{Recorder, call, call_within, load, with_abi};

/// A guest that writes the texts of `pieces` to a stream, one call each.
fn writing(stream: i32, pieces: &[&str], end: &str) -> String {
    let (mut data, mut calls, mut at) = (String::new(), String::new(), 1024);
    for piece in pieces {
        let bytes: String = piece.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        data += &format!(r#"(data (i32.const {at}) "{bytes}")"#);
        calls += &format!(
            "(i32.store (i32.const 0) (i32.const {at})) (i32.store (i32.const 4) (i32.const {}))
             (if (call $write (i32.const {stream}) (i32.const 0) (i32.const 1) (i32.const 16)) (then (unreachable)))",
            piece.len()
        );
        at += piece.len();
    }
    with_abi(&format!(r#"{data} (func (export "run") {calls} {end})"#)).replacen(
        "(module",
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
           (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#,
        1,
    )
}

async fn logged(wat: &str) -> Vec<(LogLevel, String)> {
    let plugin = load(wat).await;
    let host = Arc::new(Recorder::default());
    // How the call ended is another test's.
    let _ = plugin
        .call(host.clone(), Limits::default(), "run", b"")
        .await;
    let logs: &Mutex<_> = &host.logs;
    std::mem::take(&mut *logs.lock().unwrap())
}

#[tokio::test]
async fn output_streams_go_to_the_log_line_by_line() {
    let info = |text: &str| (LogLevel::Info, text.to_owned());
    let lines = logged(&writing(1, &["one\ntw", "o\n", "\n", "unfinished"], "")).await;
    assert_eq!(lines, [info("one"), info("two"), info("unfinished")]);
    assert_eq!(
        logged(&writing(2, &["warned\n"], "")).await,
        [(LogLevel::Warn, "warned".to_owned())]
    );
    for end in [
        "(unreachable)",
        "(call $exit (i32.const 0))",
        "(call $exit (i32.const 3))",
    ] {
        assert_eq!(
            logged(&writing(1, &["the last words"], end)).await,
            [info("the last words")],
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_flood_of_output_hits_the_log_limit() {
    let plugin = load(&writing(1, &["0123456789\n"; 40], "")).await;
    let limits = Limits {
        log_bytes: 100,
        ..Limits::default()
    };
    let ended = call_within(&plugin, limits, "run", b"").await;
    assert!(
        matches!(ended, Err(CallError::Limit(hit)) if hit.limit == Limit::LogBytes),
        "{ended:?}"
    );
}

#[tokio::test]
async fn an_exit_ends_the_call_with_its_code() {
    for code in [0, 1, 42, 255] {
        let end = format!(
            "(call $output_set (call $input_offset) (call $input_length)) (call $exit (i32.const {code})) (unreachable)"
        );
        let plugin = load(&writing(1, &[], &end)).await;
        let ended = call(&plugin, "run", b"before the exit").await;
        match code {
            0 => assert_eq!(ended.unwrap().bytes, b"before the exit"),
            _ => assert_eq!(ended.unwrap_err(), CallError::Exit(code)),
        }
    }
}

#[tokio::test]
async fn the_last_words_of_a_guest_that_dies_are_in_its_error() {
    let message = async |wat: &str| {
        call(&load(wat).await, "run", b"")
            .await
            .unwrap_err()
            .to_string()
    };
    // Standard error comes first, standard output is where TinyGo panics.
    for stream in [1, 2] {
        let died = message(&writing(
            stream,
            &["panic: no ", "such thing\n\ngoroutine 1"],
            "(unreachable)",
        ))
        .await;
        assert!(
            died.contains("unreachable")
                && died.ends_with("wrote: panic: no such thing\n\ngoroutine 1"),
            "{died}"
        );
    }
    let exited = message(&writing(
        2,
        &["fatal error\n"],
        "(call $exit (i32.const 2))",
    ))
    .await;
    assert_eq!(
        exited,
        "the guest exited with code 2; before that it wrote: fatal error"
    );
    // Bounded, and without what moves a cursor.
    let long = message(&writing(
        2,
        &[&"x".repeat(20_000), "\x1b[2Jend"],
        "(unreachable)",
    ))
    .await;
    assert!(
        long.len() < 3000 && long.ends_with("x\u{fffd}[2Jend"),
        "{long}"
    );
}
