//! Two hosts on one file.

use tempfile::tempdir;

use crate::child;
use crate::store::{Store, integrity, usage_adds_up};

#[tokio::test]
async fn two_processes_writing_at_once_lose_nothing() {
    let dir = tempdir().unwrap();
    let names = ["one", "two", "three"];
    let children =
        names.map(|name| child::start(child::command("write_beside_others", dir.path(), name)));
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(integrity(dir.path()), "ok");
    assert!(usage_adds_up(dir.path()));
    let store = Store::open(dir.path());
    for name in names {
        assert_eq!(store.keys(&format!("{name}/")).await.len(), 50);
    }
    let last = store.get("shared").await.unwrap().unwrap();
    assert!(names.contains(&last.trim_matches('"')), "{last}");
}

/// The moment in which a file is made is the narrow one.
#[tokio::test]
async fn processes_that_make_the_file_at_once_all_get_to_write() {
    for _ in 0..20 {
        let dir = tempdir().unwrap();
        let children = ["one", "two", "three", "four"]
            .map(|name| child::start(child::command("write_once", dir.path(), name)));
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        assert_eq!(Store::open(dir.path()).keys("").await.len(), 4);
    }
}

#[tokio::test]
async fn a_write_waits_for_another_process_only_so_long() {
    let dir = tempdir().unwrap();
    let store = Store::with(exomonad_kv::KvConfig {
        busy_timeout: std::time::Duration::from_millis(50),
        ..exomonad_kv::KvConfig::in_dir(dir.path())
    });
    store.set("key", "1").await.unwrap();
    let other = rusqlite::Connection::open(dir.path().join("state.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.set("key", "2").await.unwrap_err();
    assert_eq!(error.code, exomonad_schema::ErrorCode::Unavailable);
    assert!(error.message.contains("another process"), "{error}");
    // Reading does not wait at all.
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some("1"));
    other.execute_batch("ROLLBACK").unwrap();
    store.set("key", "2").await.unwrap();
}
