//! WASI preview 1 as a guest finds it: clocks, randomness and a log; no files, no environment, no network.

mod sleep;
mod streams;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exomonad_engine::{Host, HostFuture, Limits, Plugin};

use crate::recorder::{Recorder, load, with_abi};

const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;
const FAULT: i32 = 21;
const INVALID: i32 = 28;
const SEEK: i32 = 70;

/// A guest that makes one WASI call and returns its error number; the words at 64 are its output.
fn asking(name: &str, signature: &str, arguments: &str) -> String {
    let import = format!(
        r#"(module (import "wasi_snapshot_preview1" "{name}" (func $ask {signature} (result i32)))"#
    );
    let run = format!(
        r#"(data (i32.const 256) "text\nmore")
        (data (i32.const 128) "\00\01\00\00\09\00\00\00") (data (i32.const 136) "\ff\ff\ff\ff\08\00\00\00")
        (func (export "run")
          (i64.store (i32.const 64) (i64.const -1)) (i64.store (i32.const 72) (i64.const -1))
          (i32.store (i32.const 60) (call $ask {arguments}))
          (call $output_set (call $block (i32.const 60) (i32.const 20)) (i64.const 20)))"#
    );
    with_abi(&run).replacen("(module", &import, 1)
}

/// The output of such a guest: the error number, and two words at 64.
async fn ask(name: &str, parameters: &str, arguments: &str) -> (i32, u64, u64) {
    let plugin = load(&asking(name, parameters, arguments)).await;
    answer(&plugin, Arc::new(Recorder::default())).await
}

async fn answer(plugin: &Plugin, host: Arc<dyn Host>) -> (i32, u64, u64) {
    let bytes = plugin
        .call(host, Limits::default(), "run", b"")
        .await
        .unwrap()
        .bytes;
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    (
        i32::from_le_bytes(bytes[..4].try_into().unwrap()),
        word(4),
        word(12),
    )
}

const TWO: &str = "(param i32 i32)";

#[tokio::test]
async fn there_are_no_arguments_and_no_environment() {
    for name in ["args_sizes_get", "environ_sizes_get"] {
        let (errno, first, _) = ask(name, TWO, "(i32.const 64) (i32.const 68)").await;
        assert_eq!((errno, first), (SUCCESS, 0), "{name}");
    }
    for name in ["args_get", "environ_get"] {
        let (errno, first, _) = ask(name, TWO, "(i32.const 64) (i32.const 68)").await;
        assert_eq!((errno, first), (SUCCESS, u64::MAX), "{name} writes nothing");
    }
}

/// A host whose clocks stand still and whose randomness is known.
struct Standing;

impl Host for Standing {
    fn effect(&self, _: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        Box::pin(std::future::ready(request))
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(42)
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), String> {
        bytes.fill(7);
        Ok(())
    }
}

#[tokio::test]
async fn clocks_and_randomness_are_the_hosts() {
    let clock = |number: u32| {
        let arguments = format!("(i32.const {number}) (i64.const 0) (i32.const 64)");
        async move {
            let plugin = load(&asking("clock_time_get", "(param i32 i64 i32)", &arguments)).await;
            answer(&plugin, Arc::new(Standing)).await
        }
    };
    assert_eq!(clock(0).await.1, 1_234_567_890_123);
    assert_eq!(clock(1).await.1, 42);
    assert_eq!(clock(2).await.0, INVALID);
    assert_eq!(clock(99).await.0, INVALID);
    let plugin = load(&asking("random_get", TWO, "(i32.const 64) (i32.const 8)")).await;
    assert_eq!(
        answer(&plugin, Arc::new(Standing)).await,
        (SUCCESS, 0x0707_0707_0707_0707, u64::MAX)
    );
    let (errno, resolution, _) = ask("clock_res_get", TWO, "(i32.const 1) (i32.const 64)").await;
    assert!(errno == SUCCESS && resolution > 0);
}

/// A host whose monotonic clock begins now, as that of a workflow's run does.
struct Beginning;

impl Host for Beginning {
    fn effect(&self, _: usize, request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        Box::pin(std::future::ready(request))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Go's runtime ends where it is.
#[tokio::test]
async fn the_monotonic_clock_is_never_0() {
    let arguments = "(i32.const 1) (i64.const 0) (i32.const 64)";
    let plugin = load(&asking("clock_time_get", "(param i32 i64 i32)", arguments)).await;
    assert_eq!(answer(&plugin, Arc::new(Beginning)).await.1, 1);
}

#[tokio::test]
async fn random_bytes_differ_from_call_to_call() {
    let plugin = load(&asking("random_get", TWO, "(i32.const 64) (i32.const 8)")).await;
    let mut seen = BTreeSet::new();
    for _ in 0..20 {
        seen.insert(answer(&plugin, Arc::new(Recorder::default())).await.1);
    }
    assert_eq!(seen.len(), 20);
}

#[tokio::test]
async fn pointers_outside_the_memory_are_faults() {
    for (name, parameters, arguments) in [
        ("args_sizes_get", TWO, "(i32.const -4) (i32.const 64)"),
        ("environ_sizes_get", TWO, "(i32.const 64) (i32.const 65533)"),
        (
            "clock_time_get",
            "(param i32 i64 i32)",
            "(i32.const 0) (i64.const 0) (i32.const 65529)",
        ),
        ("clock_res_get", TWO, "(i32.const 0) (i32.const -1)"),
        ("random_get", TWO, "(i32.const 65535) (i32.const 2)"),
        ("random_get", TWO, "(i32.const -1) (i32.const 1)"),
        ("fd_fdstat_get", TWO, "(i32.const 1) (i32.const 65520)"),
        ("fd_filestat_get", TWO, "(i32.const 1) (i32.const 65520)"),
        (
            "fd_write",
            "(param i32 i32 i32 i32)",
            "(i32.const 1) (i32.const 65532) (i32.const 1) (i32.const 64)",
        ),
        (
            "fd_write",
            "(param i32 i32 i32 i32)",
            "(i32.const 1) (i32.const -8) (i32.const 2) (i32.const 64)",
        ),
        (
            "fd_write",
            "(param i32 i32 i32 i32)",
            "(i32.const 1) (i32.const 136) (i32.const 1) (i32.const 64)",
        ),
        (
            "fd_write",
            "(param i32 i32 i32 i32)",
            "(i32.const 1) (i32.const 128) (i32.const 1) (i32.const -2)",
        ),
        (
            "fd_read",
            "(param i32 i32 i32 i32)",
            "(i32.const 0) (i32.const 128) (i32.const 1) (i32.const -2)",
        ),
        (
            "poll_oneoff",
            "(param i32 i32 i32 i32)",
            "(i32.const 65500) (i32.const 64) (i32.const 1) (i32.const 60)",
        ),
        (
            "poll_oneoff",
            "(param i32 i32 i32 i32)",
            "(i32.const 512) (i32.const -8) (i32.const 1) (i32.const 60)",
        ),
    ] {
        let (errno, ..) = ask(name, parameters, arguments).await;
        assert_eq!(errno, FAULT, "{name} {arguments}");
    }
}

#[tokio::test]
async fn counts_without_measure_are_invalid() {
    for (name, parameters, arguments) in [
        ("random_get", TWO, "(i32.const 0) (i32.const -1)"),
        (
            "fd_write",
            "(param i32 i32 i32 i32)",
            "(i32.const 1) (i32.const 128) (i32.const -1) (i32.const 64)",
        ),
        (
            "poll_oneoff",
            "(param i32 i32 i32 i32)",
            "(i32.const 0) (i32.const 64) (i32.const -1) (i32.const 60)",
        ),
        (
            "poll_oneoff",
            "(param i32 i32 i32 i32)",
            "(i32.const 0) (i32.const 64) (i32.const 0) (i32.const 60)",
        ),
    ] {
        let (errno, ..) = ask(name, parameters, arguments).await;
        assert_eq!(errno, INVALID, "{name} {arguments}");
    }
}

#[tokio::test]
async fn there_are_no_files_directories_or_sockets() {
    let nine = "(param i32 i32 i32 i32 i32 i64 i64 i32 i32)";
    let zeros = "(i32.const 3) (i32.const 0) (i32.const 256) (i32.const 4) (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 64)";
    let four = "(i32.const 3) (i32.const 128) (i32.const 1) (i32.const 64)";
    for (name, parameters, arguments) in [
        ("path_open", nine, zeros),
        ("fd_prestat_get", TWO, "(i32.const 3) (i32.const 64)"),
        (
            "fd_prestat_dir_name",
            "(param i32 i32 i32)",
            "(i32.const 3) (i32.const 64) (i32.const 8)",
        ),
        (
            "path_unlink_file",
            "(param i32 i32 i32)",
            "(i32.const 3) (i32.const 256) (i32.const 4)",
        ),
        (
            "path_create_directory",
            "(param i32 i32 i32)",
            "(i32.const 3) (i32.const 256) (i32.const 4)",
        ),
        ("fd_read", "(param i32 i32 i32 i32)", four),
        ("fd_write", "(param i32 i32 i32 i32)", four),
        (
            "fd_write",
            "(param i32 i32 i32 i32)",
            "(i32.const 0) (i32.const 128) (i32.const 1) (i32.const 64)",
        ),
        (
            "fd_readdir",
            "(param i32 i32 i32 i64 i32)",
            "(i32.const 3) (i32.const 0) (i32.const 9) (i64.const 0) (i32.const 64)",
        ),
        ("fd_close", "(param i32)", "(i32.const 3)"),
        ("fd_fdstat_get", TWO, "(i32.const 3) (i32.const 64)"),
        ("fd_filestat_get", TWO, "(i32.const -1) (i32.const 64)"),
        (
            "sock_send",
            "(param i32 i32 i32 i32 i32)",
            "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64)",
        ),
        (
            "sock_accept",
            "(param i32 i32 i32)",
            "(i32.const 3) (i32.const 0) (i32.const 64)",
        ),
    ] {
        let (errno, ..) = ask(name, parameters, arguments).await;
        assert_eq!(errno, BAD_DESCRIPTOR, "{name}");
    }
}

#[tokio::test]
async fn the_standard_streams_are_there_and_input_is_at_its_end() {
    let (errno, stat, _) = ask("fd_fdstat_get", TWO, "(i32.const 1) (i32.const 64)").await;
    assert_eq!((errno, stat & 0xff), (SUCCESS, 2), "a character device");
    let (errno, read, _) = ask(
        "fd_read",
        "(param i32 i32 i32 i32)",
        "(i32.const 0) (i32.const 128) (i32.const 1) (i32.const 64)",
    )
    .await;
    assert_eq!((errno, read as u32), (SUCCESS, 0));
    let (errno, ..) = ask(
        "fd_seek",
        "(param i32 i64 i32 i32)",
        "(i32.const 1) (i64.const 0) (i32.const 0) (i32.const 64)",
    )
    .await;
    assert_eq!(errno, SEEK);
}

/// A write of many vectors that all name the same line ends, which are nothing to log.
#[tokio::test]
async fn empty_lines_count_as_log_volume_before_they_are_looked_at() {
    let plugin = crate::recorder::load(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "run")
    (local $n i32)
    (memory.fill (i32.const 65536) (i32.const 10) (i32.const 1048576))
    (loop $next
      (i32.store (i32.mul (local.get $n) (i32.const 8)) (i32.const 65536))
      (i32.store offset=4 (i32.mul (local.get $n) (i32.const 8)) (i32.const 1048576))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 1024))))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1024) (i32.const 60000)))))"#,
    )
    .await;
    let ended = crate::recorder::call(&plugin, "run", b"").await;
    assert!(
        matches!(ended, Err(exomonad_engine::CallError::Limit(hit)) if hit.limit == exomonad_engine::Limit::LogBytes),
        "{ended:?}"
    );
}
