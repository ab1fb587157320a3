//! Signals, stopping, removing, waiting.

use exomonad_core::DockerService;
use exomonad_schema::ErrorCode;
use serde_json::json;

use crate::stage::{request, stage};

#[tokio::test]
async fn a_container_is_waited_for_until_it_ends_with_its_code() {
    let Some(stage) = stage() else { return };
    let call = stage.call();
    let brief = stage
        .spawn(json!({ "command": ["sh", "-c", "sleep 1; exit 5"] }))
        .await
        .unwrap();
    let wait = || request(json!({ "container": brief.id, "timeoutMillis": 60_000 }));
    assert_eq!(stage.docker.wait(&call, wait()).await.unwrap().exit_code, 5);
    // One that has ended already, too.
    assert_eq!(stage.docker.wait(&call, wait()).await.unwrap().exit_code, 5);
    let well = stage.spawn(json!({ "command": ["true"] })).await.unwrap();
    let exit = stage
        .docker
        .wait(&call, request(json!({ "container": well.name })))
        .await
        .unwrap();
    assert_eq!(exit.exit_code, 0);

    let id = stage.sleeper().await;
    let error = stage
        .docker
        .wait(
            &call,
            request(json!({ "container": id, "timeoutMillis": 300 })),
        )
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.contains("300ms"), "{error}");
}

#[tokio::test]
async fn a_signal_reaches_a_container_that_runs_and_no_other() {
    let Some(stage) = stage() else { return };
    let call = stage.call();
    let script = "trap 'exit 42' USR1; while :; do sleep 0.1; done";
    let id = stage
        .spawn(json!({ "command": ["sh", "-c", script] }))
        .await
        .unwrap()
        .id;
    // The trap is set when the first sleep runs.
    while stage.processes(&id).await.len() < 2 {}
    for bad in ["", "SIG TERM", "SIGTERM&x=y", "NOSUCH"] {
        let kill = request(json!({ "container": id, "signal": bad }));
        let error = stage.docker.kill(&call, kill).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
    }
    let kill = request(json!({ "container": id, "signal": "SIGUSR1" }));
    stage.docker.kill(&call, kill).await.unwrap();
    let wait = request(json!({ "container": id, "timeoutMillis": 60_000 }));
    assert_eq!(stage.docker.wait(&call, wait).await.unwrap().exit_code, 42);
    let again = stage
        .docker
        .kill(&call, request(json!({ "container": id })))
        .await
        .unwrap_err();
    assert_eq!(again.code, ErrorCode::Conflict, "{again}");

    let id = stage.sleeper().await;
    stage
        .docker
        .kill(&call, request(json!({ "container": id })))
        .await
        .unwrap();
    let wait = request(json!({ "container": id, "timeoutMillis": 60_000 }));
    assert_eq!(stage.docker.wait(&call, wait).await.unwrap().exit_code, 137);
}

#[tokio::test]
async fn stopping_is_a_request_then_a_kill_and_may_be_repeated() {
    let Some(stage) = stage() else { return };
    let call = stage.call();
    // `sleep` as the first process of a container is deaf to SIGTERM.
    let id = stage.sleeper().await;
    let stop = || request(json!({ "container": id, "graceMillis": 1 }));
    stage.docker.stop(&call, stop()).await.unwrap();
    let wait = request(json!({ "container": id }));
    assert_eq!(stage.docker.wait(&call, wait).await.unwrap().exit_code, 137);
    stage.docker.stop(&call, stop()).await.unwrap();
}

#[tokio::test]
async fn a_container_that_runs_is_removed_only_by_force() {
    let Some(stage) = stage() else { return };
    let call = stage.call();
    let id = stage.sleeper().await;
    let remove = |force: bool| request(json!({ "container": id, "force": force, "volumes": true }));
    let error = stage.docker.remove(&call, remove(false)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    stage.docker.remove(&call, remove(true)).await.unwrap();
    let error = stage.docker.remove(&call, remove(true)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
}

#[tokio::test]
async fn a_container_that_removes_itself_is_gone_when_it_ends() {
    let Some(stage) = stage() else { return };
    let id = stage
        .spawn(json!({ "command": ["sh", "-c", "sleep 2; exit 4"], "autoRemove": true }))
        .await
        .unwrap()
        .id;
    let call = stage.call();
    let wait = request(json!({ "container": id, "timeoutMillis": 60_000 }));
    assert_eq!(stage.docker.wait(&call, wait).await.unwrap().exit_code, 4);
    for _ in 0..100 {
        if stage.bare.inspect_container(&id, None).await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("it is still there");
}
