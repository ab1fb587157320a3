//! Roles do not see each other.

use tempfile::tempdir;

use crate::store::Store;

#[tokio::test]
async fn two_roles_have_the_same_key_apart() {
    let dir = tempdir().unwrap();
    let tl = Store::open(dir.path());
    let dev = tl.of_role("dev");
    tl.set("key", "\"of tl\"").await.unwrap();
    assert_eq!(dev.get("key").await.unwrap(), None);
    assert_eq!(dev.keys("").await, [""; 0]);
    assert!(!dev.delete("key").await.unwrap());

    dev.set("key", "\"of dev\"").await.unwrap();
    assert_eq!(tl.get("key").await.unwrap().as_deref(), Some("\"of tl\""));
    dev.delete("key").await.unwrap();
    assert_eq!(tl.get("key").await.unwrap().as_deref(), Some("\"of tl\""));
}

#[tokio::test]
async fn a_role_whose_name_begins_like_anothers_is_another() {
    let dir = tempdir().unwrap();
    let tl = Store::open(dir.path());
    tl.of_role("tl-2").set("key", "2").await.unwrap();
    tl.set("-2key", "1").await.unwrap();
    assert_eq!(tl.keys("").await, ["-2key"]);
}
