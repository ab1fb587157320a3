//! Commands that time out or are cancelled: nothing of them is left in the container.

use std::fs;
use std::time::Duration;

use exomonad_schema::ErrorCode;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::stage::{Stage, stage};

/// Leaves children in every way there is: in the background, deaf to signals, in a session of its
/// own, without its environment.
const FAMILY: &str = "sleep 1001 & setsid sleep 1002 & env -i sleep 1003 & env -i setsid sleep 1004 & \
                      (trap '' TERM INT HUP; sleep 1005) & echo begun; echo warned >&2; wait";

async fn is_alone(stage: &Stage, id: &str) {
    let began = Instant::now();
    loop {
        let processes = stage.processes(id).await;
        if processes.len() == 1 {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "still there: {processes:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_all_its_children() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    for user in ["root", "1000"] {
        let error = stage
            .exec(
                &id,
                &["sh", "-c", FAMILY],
                json!({ "timeoutMillis": 5000, "user": user }),
            )
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Timeout, "{error}");
        assert!(error.message.contains("was killed"), "{error}");
        let details: serde_json::Value =
            serde_json::from_str(error.details.as_ref().unwrap().get()).unwrap();
        assert_eq!(details["output"]["stdout"], "begun\n");
        assert_eq!(details["output"]["stderr"], "warned\n");
        assert_eq!(
            stage.processes(&id).await.len(),
            1,
            "not dead when answered"
        );
    }
    let after = stage.exec(&id, &["true"], json!({})).await.unwrap();
    assert_eq!(after.exit_code, 0);
}

#[tokio::test]
async fn a_command_whose_call_is_cancelled_is_killed_with_all_its_children() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    tokio::select! {
        result = stage.exec(&id, &["sh", "-c", FAMILY], json!({})) => panic!("{result:?}"),
        () = has_begun(&stage, &id) => {}
    }
    is_alone(&stage, &id).await;
}

#[tokio::test]
async fn a_command_that_is_cancelled_while_it_begins_is_killed_too() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    for millis in [1, 5, 20, 60, 120, 200] {
        let slow = stage.exec(&id, &["sleep", "1001"], json!({}));
        let _ = tokio::time::timeout(Duration::from_millis(millis), slow).await;
    }
    // Long enough for a start that was on its way.
    sleep(Duration::from_secs(3)).await;
    is_alone(&stage, &id).await;
}

#[tokio::test]
async fn a_command_that_drops_its_environment_is_killed_on_the_host() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let error = stage
        .exec(
            &id,
            &["env", "-i", "sleep", "1001"],
            json!({ "timeoutMillis": 3000 }),
        )
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.contains("was killed"), "{error}");
    is_alone(&stage, &id).await;
}

#[tokio::test]
async fn a_command_in_a_container_without_a_shell_is_killed_on_the_host() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    stage
        .exec(&id, &["rm", "/bin/sh", "/bin/dash", "/bin/bash"], json!({}))
        .await
        .unwrap();
    let error = stage
        .exec(&id, &["sleep", "1001"], json!({ "timeoutMillis": 3000 }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.contains("was killed"), "{error}");
    is_alone(&stage, &id).await;
}

#[tokio::test]
async fn a_command_that_has_used_up_the_processes_is_killed() {
    let Some(stage) = stage() else { return };
    let id = stage.spawn(json!({ "maxProcesses": 24 })).await.unwrap().id;
    let error = stage
        .exec(
            &id,
            &["sh", "-c", "while :; do sleep 1001 & done 2>/dev/null"],
            json!({ "timeoutMillis": 4000 }),
        )
        .await;
    // A shell that cannot fork gives up by itself, and leaves its children behind: those are the
    // container's own from then on, as those of any command that ends.
    if let Err(error) = error {
        assert_eq!(error.code, ErrorCode::Timeout, "{error}");
        is_alone(&stage, &id).await;
    }
}

#[tokio::test]
async fn only_the_command_that_is_cancelled_is_killed() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let other = stage.exec(&id, &["sh", "-c", "sleep 8; echo done"], json!({}));
    let slow = stage.exec(&id, &["sleep", "1001"], json!({ "timeoutMillis": 2000 }));
    let (other, slow) = tokio::join!(other, slow);
    assert_eq!(slow.unwrap_err().code, ErrorCode::Timeout);
    assert_eq!(other.unwrap().output.stdout, "done\n");
}

#[tokio::test]
async fn two_hundred_commands_at_once_hold_no_thread_each() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let began = Instant::now();
    let all = join_all(
        (0..200).map(|_| stage.exec(&id, &["sleep", "60"], json!({ "timeoutMillis": 300_000 }))),
    );
    let watch = async {
        loop {
            let sleeping = stage.processes(&id).await.len();
            if sleeping >= 201 {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(240), "{sleeping}");
            sleep(Duration::from_millis(500)).await;
        }
        let threads = fs::read_dir("/proc/self/task").unwrap().count();
        eprintln!(
            "200 execs at once after {:?}, {threads} threads",
            began.elapsed()
        );
        // Ends them all. The engine may need longer than it says it does.
        let _ = stage.bare.kill_container(&id, None).await;
        threads
    };
    let (threads, results) = tokio::join!(watch, all);
    // Other tests run at the same time and have threads of their own.
    assert!(threads < 100, "{threads} threads");
    for result in results {
        assert_eq!(result.unwrap().exit_code, 137);
    }
}

async fn has_begun(stage: &Stage, id: &str) {
    while stage.processes(id).await.len() < 6 {
        sleep(Duration::from_millis(100)).await;
    }
}
