//! Files and folders that cannot be used.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use exomonad_kv::{Kv, KvConfig};
use exomonad_schema::{EffectError, ErrorCode};
use tempfile::tempdir;

use crate::child;
use crate::store::{Store, integrity, usage_adds_up};

fn open_error(dir: &Path) -> String {
    Kv::open(KvConfig::in_dir(dir)).unwrap_err().to_string()
}

fn assert_unavailable(error: &EffectError, dir: &Path) {
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    // The guest has no business with the host's folders.
    assert!(!error.message.contains(dir.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_that_loses_nothing_and_passes_when_there_is_room() {
    let dir = tempdir().unwrap();
    // No file may grow beyond 500 KiB; the signal that would end the child is ignored.
    let limited = "trap '' XFSZ; ulimit -f $((500 * 1024 / BLOCK)); exec \"$0\" \"$@\"";
    // The unit of `ulimit -f` is 512 bytes in dash, 1024 in bash.
    let script = format!("BLOCK=512; [ -n \"$BASH_VERSION\" ] && BLOCK=1024; {limited}");
    let command = child::shell(&script, "write_until_the_disk_is_full", dir.path(), "x");
    let output = child::start(command).wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let written: usize = text.lines().find_map(child::said).unwrap().parse().unwrap();
    assert!(written > 0);

    assert_eq!(integrity(dir.path()), "ok");
    assert!(usage_adds_up(dir.path()));
    let store = Store::open(dir.path());
    assert_eq!(store.keys("k").await.len(), written);
    store.set("room", "1").await.unwrap();
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_unavailable_until_it_can() {
    let dir = tempdir().unwrap();
    let blocker = dir.path().join("blocker");
    fs::write(&blocker, "a file where a folder should be").unwrap();
    let state = blocker.join("state");
    let store = Store::open(&state);
    assert_unavailable(&store.set("key", "1").await.unwrap_err(), dir.path());
    assert_unavailable(&store.get("key").await.unwrap_err(), dir.path());
    fs::remove_file(&blocker).unwrap();
    store.set("key", "1").await.unwrap();
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_when_the_host_starts() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("state.sqlite3");
    fs::write(
        &file,
        "not a database at all, but long enough to have a header\n".repeat(99),
    )
    .unwrap();
    let message = open_error(dir.path());
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    assert!(message.contains("not a database"), "{message}");
    assert!(message.contains("move it"), "{message}");
}

#[tokio::test]
async fn a_file_by_a_newer_exomonad_is_refused_and_left_as_it_is() {
    let dir = tempdir().unwrap();
    Store::open(dir.path()).set("key", "1").await.unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("state.sqlite3")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let message = open_error(dir.path());
    assert!(message.contains("version 99"), "{message}");
    assert!(message.contains("update exomonad"), "{message}");
    let value: String = connection
        .query_row("SELECT value FROM entry", [], |row| row.get(0))
        .unwrap();
    assert_eq!(value, "1");
}

#[tokio::test]
async fn a_file_whose_pages_are_overwritten_is_an_error_and_never_a_wrong_value() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path());
    for number in 0..200 {
        let value = format!("\"{}\"", "x".repeat(500));
        store.set(&format!("k{number}"), &value).await.unwrap();
    }
    drop(store);
    let path = dir.path().join("state.sqlite3");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let length = fs::metadata(&path).unwrap().len();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xA5; usize::try_from(length).unwrap() - 4096])
        .unwrap();
    drop(file);

    let message = open_error(dir.path());
    assert!(message.contains("malformed"), "{message}");
    assert!(message.contains("restore it from a backup"), "{message}");
    assert_eq!(fs::metadata(&path).unwrap().len(), length);
}

#[tokio::test]
async fn a_file_that_breaks_while_the_host_runs_is_unavailable_and_works_again_once_replaced() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path());
    store.set("key", "1").await.unwrap();
    let path = dir.path().join("state.sqlite3");
    let wal = dir.path().join("state.sqlite3-wal");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let good = fs::read(&path).unwrap();
    fs::write(&path, vec![0xA5; good.len()]).unwrap();
    fs::write(&wal, "").unwrap();
    let mut failed = 0;
    for _ in 0..4 {
        // A page may still be in a connection's cache; a new connection has none.
        if let Err(error) = store.set("key", "2").await {
            assert_unavailable(&error, dir.path());
            failed += 1;
        }
    }
    assert!(failed > 0);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(dir.path().join(format!("state.sqlite3{suffix}")));
    }
    fs::write(&path, &good).unwrap();
    store.set("key", "3").await.unwrap();
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some("3"));
}
