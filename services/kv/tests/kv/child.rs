//! The work of other processes, and how a test starts them.
//!
//! Each is a test only in form: without [`DIR`] it has nothing to do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use exomonad_schema::ErrorCode;
use exomonad_test_support::end_with_parent;

use crate::store::Store;

/// The folder a child works in.
const DIR: &str = "EXOMONAD_KV_TEST_DIR";

/// A child's name in its keys.
const NAME: &str = "EXOMONAD_KV_TEST_NAME";

/// This program, to be run for one function of this module.
pub fn command(function: &str, dir: &Path, name: &str) -> Command {
    shell("exec \"$0\" \"$@\"", function, dir, name)
}

/// The same, run by a shell that may set limits first.
pub fn shell(script: &str, function: &str, dir: &Path, name: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("child::{function}"), "--nocapture"])
        .env(DIR, dir)
        .env(NAME, name)
        .stdout(Stdio::piped());
    command
}

/// Starts a child.
pub fn start(mut command: Command) -> Child {
    end_with_parent(&mut command).spawn().unwrap()
}

fn task() -> Option<(PathBuf, String)> {
    Some((std::env::var_os(DIR)?.into(), std::env::var(NAME).ok()?))
}

/// Says something that the parent waits for.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said {text}").unwrap();
    out.flush().unwrap();
}

/// The message in a line of a child's output; `None` for a line of the test harness.
pub fn said(line: &str) -> Option<&str> {
    line.split_once("said ").map(|(_, text)| text)
}

/// Writes without end, and says each key once it has been answered.
#[tokio::test]
async fn write_until_killed() {
    let Some((dir, name)) = task() else { return };
    let store = Store::open(&dir);
    for number in 0_u64.. {
        let key = format!("{name}/{number}");
        let value = format!("\"{number} {}\"", "x".repeat(2000));
        store.set(&key, &value).await.unwrap();
        say(&number.to_string());
    }
}

/// Writes and deletes some keys of its own, and one that all children write.
#[tokio::test]
async fn write_beside_others() {
    let Some((dir, name)) = task() else { return };
    let store = Store::open(&dir);
    for number in 0..100 {
        store.set(&format!("{name}/{number}"), "1").await.unwrap();
        store.set("shared", &format!("{name:?}")).await.unwrap();
        if number % 2 == 0 {
            assert!(store.delete(&format!("{name}/{number}")).await.unwrap());
        }
    }
}

/// Writes one key, first of all or beside others who do.
#[tokio::test]
async fn write_once() {
    let Some((dir, name)) = task() else { return };
    Store::open(&dir).set(&name, "1").await.unwrap();
}

/// Fills a disk, and says how many values found room.
#[tokio::test]
async fn write_until_the_disk_is_full() {
    let Some((dir, _)) = task() else { return };
    let store = Store::open(&dir);
    let value = format!("\"{}\"", "x".repeat(60_000));
    let mut written = 0;
    let mut failures = 0;
    // The first failure closes the connection, and SQLite then moves its log
    // into the file, which can make room once more.
    while failures < 3 {
        let key = format!("k{written}");
        match store.set(&key, &value).await {
            Ok(()) => {
                written += 1;
                failures = 0;
            }
            Err(error) => {
                failures += 1;
                assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
                assert!(error.message.contains("space"), "{error}");
                // What failed is not there by half.
                assert_eq!(store.get(&key).await.unwrap(), None);
            }
        }
    }
    assert_eq!(store.get("k0").await.unwrap().as_deref(), Some(&*value));
    say(&written.to_string());
}
