//! Many writers, other programs' locks, and hosts that are killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exomonad_core::GitService;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::git::*;

use crate::area::*;
use crate::target::host_only;
use crate::write::{assert_sound, commit_all, new_branch, writer};

const REPOSITORY: &str = "EXOMONAD_TEST_REPOSITORY";

#[tokio::test(flavor = "multi_thread")]
async fn twenty_writers_take_turns_and_no_change_is_lost() {
    let area = Area::with_repository();
    let service = Arc::new(writer());
    let writers: Vec<_> = (0..20)
        .map(|number| {
            let (service, call) = (service.clone(), area.call());
            let name = format!("by-{number:02}");
            fs::write(area.root.join(&name), "x\n").unwrap();
            tokio::spawn(async move {
                let request = GitCreateCommit {
                    all: false,
                    paths: vec![name.clone()],
                    ..commit_all(&name)
                };
                service.commit(&call, request).await.unwrap();
                service
                    .create_branch(&call, new_branch(&name))
                    .await
                    .unwrap();
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(git(&area.root, ["rev-list", "--count", "main"]), "21");
    assert_eq!(
        git(&area.root, ["ls-tree", "--name-only", "main"])
            .lines()
            .count(),
        21
    );
    assert_eq!(
        git(&area.root, ["branch", "--list", "by-*"])
            .lines()
            .count(),
        20
    );
    // Each commit holds one file more than the one before.
    let changed = git(&area.root, ["log", "--format=", "--name-status", "main"]);
    assert!(
        changed.lines().all(|line| line.starts_with("A\t")),
        "{changed}"
    );
    assert_sound(&area.root);
}

#[tokio::test(flavor = "multi_thread")]
async fn git_and_the_service_write_side_by_side_and_no_change_is_lost() {
    let area = Area::with_repository();
    let root = area.root.clone();
    for side in ["git", "ours"] {
        for number in 0..15 {
            fs::write(root.join(format!("{side}-{number}")), "x\n").unwrap();
        }
    }
    let theirs = tokio::task::spawn_blocking(move || {
        for number in 0..15 {
            let name = format!("git-{number}");
            while !try_git(&root, ["add", "--", &name]).status.success() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
    let service = writer();
    for number in 0..15 {
        let request = GitStage {
            paths: vec![format!("ours-{number}")],
            ..GitStage::default()
        };
        service.stage(&area.call(), request).await.unwrap();
    }
    theirs.await.unwrap();
    assert_eq!(git(&area.root, ["ls-files"]).lines().count(), 31);
    assert_sound(&area.root);
}

#[tokio::test]
async fn a_lock_of_another_program_is_waited_for_and_never_removed() {
    let area = Area::with_repository();
    let lock = area.root.join(".git/index.lock");
    fs::write(&lock, "").unwrap();
    fs::write(area.root.join("new"), "x").unwrap();
    let error = writer()
        .commit(&area.call(), commit_all("x"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(
        error.message.contains("index.lock") && error.message.contains("try again"),
        "{error}"
    );
    assert!(lock.exists());
    let branch = area.root.join(".git/refs/heads/x.lock");
    fs::write(&branch, "").unwrap();
    let error = writer()
        .create_branch(&area.call(), new_branch("x"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    fs::remove_file(&branch).unwrap();

    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        fs::remove_file(lock).unwrap();
    });
    writer()
        .commit(&area.call(), commit_all("x"))
        .await
        .unwrap();
    other.join().unwrap();
    assert_sound(&area.root);
}

/// Not a test by itself: what [`a_killed_writer_leaves_nothing_in_the_way`] runs and kills.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn writes_until_it_is_killed() {
    let Some(root) = std::env::var_os(REPOSITORY) else {
        return;
    };
    let root = Path::new(&root);
    let call = call_within(&[root]);
    let service = writer();
    for round in 0.. {
        fs::write(root.join("file"), format!("{round}\n")).unwrap();
        fs::write(root.join(format!("new-{round}")), "x\n").unwrap();
        service.commit(&call, commit_all("Again")).await.unwrap();
        let name = format!("b-{}-{round}", std::process::id());
        service
            .create_branch(&call, new_branch(&name))
            .await
            .unwrap();
    }
}

fn start_writer(root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "writers::writes_until_it_is_killed"])
        .env(REPOSITORY, root)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

host_only! {
"a git in a container outlives the host and ends by itself",
#[tokio::test]
async fn a_killed_writer_leaves_nothing_in_the_way() {
    let area = Area::with_repository();
    let root = &area.root;
    for number in 0..200 {
        fs::write(root.join(format!("old-{number}")), "x\n").unwrap();
    }
    let service = writer();
    service
        .commit(&area.call(), commit_all("Many"))
        .await
        .unwrap();
    let locks = ["index.lock", "HEAD.lock", "refs/heads/main.lock"]
        .map(|lock| root.join(".git").join(lock));
    let mut killed_with_lock = 0;
    for round in 0..6 {
        let mut child = start_writer(root);
        let started = Instant::now();
        let before = git(root, ["rev-parse", "main"]);
        // Lets it work for a moment, then waits for the lock of this round.
        let lock = &locks[round % locks.len()];
        while git(root, ["rev-parse", "main"]) == before || !lock.exists() {
            if started.elapsed() > Duration::from_millis(1500) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed_with_lock += usize::from(locks.iter().any(|lock| lock.exists()));

        git(root, ["fsck", "--strict", "--no-dangling"]);
        fs::write(root.join("after"), format!("{round}\n")).unwrap();
        let made = service
            .commit(&area.call(), commit_all("After"))
            .await
            .unwrap();
        assert_eq!(git(root, ["rev-parse", "main"]), made.id);
        assert_eq!(git(root, ["status", "--short"]), "");
        assert_sound(root);
    }
    assert!(
        killed_with_lock > 0,
        "it was never killed in the middle of a write"
    );
}
}
