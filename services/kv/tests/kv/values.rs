//! Values, keys and pages of keys.

use std::time::Duration;

use exomonad_kv::KvConfig;
use exomonad_schema::ErrorCode;
use tempfile::tempdir;

use crate::store::Store;

#[tokio::test]
async fn a_value_comes_back_as_it_was_written_until_it_is_replaced_or_deleted() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path());
    let untouched = r#"{ "z": 1e400, "a": [ 1.10 ], "é": "\u0000" }"#;
    store.set("key", untouched).await.unwrap();
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some(untouched));
    store.set("key", "null").await.unwrap();
    assert_eq!(store.get("key").await.unwrap().as_deref(), Some("null"));
    assert!(store.delete("key").await.unwrap());
    assert!(!store.delete("key").await.unwrap());
    assert_eq!(store.get("key").await.unwrap(), None);
}

#[tokio::test]
async fn values_outlive_the_service() {
    let dir = tempdir().unwrap();
    Store::open(dir.path()).set("key", "1").await.unwrap();
    assert_eq!(
        Store::open(dir.path()).get("key").await.unwrap().as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn reading_makes_neither_folder_nor_file() {
    let dir = tempdir().unwrap();
    let state = dir.path().join("not/yet");
    let store = Store::open(&state);
    assert_eq!(store.get("key").await.unwrap(), None);
    assert_eq!(store.keys("").await, [""; 0]);
    assert!(!dir.path().join("not").exists());
    store.set("key", "1").await.unwrap();
    assert!(state.join("state.sqlite3").is_file());
}

#[tokio::test]
async fn keys_are_any_text() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path());
    let long = "é".repeat(1024);
    let keys = [
        "a",
        "A",
        "a ",
        "a\0",
        "a\0b",
        "'; DROP TABLE entry; --",
        "%",
        "_",
        "日本",
        &long,
    ];
    for key in keys {
        store
            .set(key, &format!("{key:?}.len()").len().to_string())
            .await
            .unwrap();
    }
    for key in keys {
        let expected = format!("{key:?}.len()").len().to_string();
        assert_eq!(store.get(key).await.unwrap(), Some(expected), "{key:?}");
    }
    assert_eq!(store.keys("").await.len(), keys.len());
}

#[tokio::test]
async fn keys_are_listed_in_byte_order_within_a_prefix() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path());
    let mut keys = [
        "b",
        "a",
        "a/2",
        "a/10",
        "a/",
        "a0",
        "a/é",
        "a/\u{10ffff}",
        "a\0",
        "Z",
        "é",
        "%",
    ];
    for key in keys {
        store.set(key, "1").await.unwrap();
    }
    keys.sort_unstable();
    assert_eq!(store.keys("").await, keys);
    assert_eq!(
        store.keys("a/").await,
        ["a/", "a/10", "a/2", "a/é", "a/\u{10ffff}"]
    );
    assert_eq!(store.keys("%").await, ["%"]);
    assert_eq!(store.keys("none").await, [""; 0]);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path());
    let keys: Vec<_> = (0..7).map(|number| format!("k{number}")).collect();
    for key in &keys {
        store.set(key, "1").await.unwrap();
    }
    let first = store.page("k", None, 3).await;
    assert_eq!(
        (first.keys.as_slice(), first.next.as_deref()),
        (&keys[0..3], Some("k2"))
    );
    // A key deleted between two pages does not lose the place.
    store.delete("k2").await.unwrap();
    let second = store.page("k", first.next.as_deref(), 3).await;
    assert_eq!(
        (second.keys.as_slice(), second.next.as_deref()),
        (&keys[3..6], Some("k5"))
    );
    let last = store.page("k", second.next.as_deref(), 3).await;
    assert_eq!((last.keys.as_slice(), last.next), (&keys[6..7], None));
    // A page that is just full is the last when nothing follows.
    assert_eq!(store.page("k", None, 6).await.next, None);
    // What comes after a key before the prefix is all of the prefix.
    assert_eq!(store.page("k", Some("a"), 100).await.keys.len(), 6);
    assert_eq!(store.page("k", Some("z"), 100).await.keys, [""; 0]);
}

#[tokio::test]
async fn each_limit_is_reported_with_its_value_and_name_and_nothing_is_written() {
    let dir = tempdir().unwrap();
    let store = Store::with(KvConfig {
        max_value_bytes: 10,
        max_keys_per_role: 2,
        max_bytes_per_role: 15,
        ..KvConfig::in_dir(dir.path())
    });
    let check = async |key: &str, value: &str, name: &str, limit: &str| {
        let error = store.set(key, value).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::LimitExceeded, "{error}");
        assert!(
            error.message.contains(name) && error.message.contains(limit),
            "{error}"
        );
        assert_eq!(store.get(key).await.unwrap(), None);
    };
    check("a", "\"123456789\"", "`max_value_bytes`", "10").await;
    store.set("a", "\"12345678\"").await.unwrap();
    check("b", "1234567890", "`max_bytes_per_role`", "15").await;
    store.set("b", "1").await.unwrap();
    check("c", "1", "`max_keys_per_role`", "2").await;
    // Replacing and deleting make room again.
    store.set("a", "1").await.unwrap();
    store.delete("b").await.unwrap();
    store.set("c", "\"12345678\"").await.unwrap();
    // Another role has room of its own.
    store.of_role("dev").set("a", "\"12345678\"").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_lose_nothing_and_reads_go_on_meanwhile() {
    let dir = tempdir().unwrap();
    let store = std::sync::Arc::new(Store::open(dir.path()));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = store.clone();
        tasks.spawn(async move {
            let key = format!("k{number}");
            store.set(&key, &number.to_string()).await.unwrap();
            assert_eq!(store.get(&key).await.unwrap(), Some(number.to_string()));
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(store.keys("k").await.len(), 200);
    assert!(crate::store::usage_adds_up(dir.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_leaves_the_store_usable() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path());
    for number in 0..50 {
        let key = format!("k{number}");
        let write = store.set(&key, "1");
        let _ = tokio::time::timeout(Duration::from_micros(number * 20), write).await;
    }
    store.set("last", "1").await.unwrap();
    assert_eq!(store.get("last").await.unwrap().as_deref(), Some("1"));
    assert!(crate::store::usage_adds_up(dir.path()));
}
