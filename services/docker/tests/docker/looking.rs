//! Logs, descriptions, lists, images.

use exomonad_core::DockerService;
use exomonad_schema::ErrorCode;
use exomonad_schema::effects::docker::ContainerState;
use serde_json::{Value, json};

use crate::stage::{IMAGE, Stage, request, stage};

async fn logs(
    stage: &Stage,
    id: &str,
    more: Value,
) -> exomonad_schema::effects::docker::DockerOutput {
    let mut json = json!({ "container": id });
    for (key, value) in more.as_object().unwrap() {
        json[key] = value.clone();
    }
    stage
        .docker
        .logs(&stage.call(), request(json))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_log_is_read_from_its_end_and_from_a_moment_on() {
    let Some(stage) = stage() else { return };
    let script = "echo one; echo bad >&2; echo two; sleep 1.2; echo three";
    let id = stage
        .spawn(json!({ "command": ["sh", "-c", script] }))
        .await
        .unwrap()
        .id;
    let wait = request(json!({ "container": id, "timeoutMillis": 60_000 }));
    stage.docker.wait(&stage.call(), wait).await.unwrap();

    let all = logs(&stage, &id, json!({})).await;
    assert_eq!(all.stdout, "one\ntwo\nthree\n");
    assert_eq!(all.stderr, "bad\n");
    assert!(!all.truncated);
    assert_eq!(
        logs(&stage, &id, json!({ "tail": 1 })).await.stdout,
        "three\n"
    );
    let cut = logs(&stage, &id, json!({ "maxOutputBytes": 6 })).await;
    assert_eq!((&*cut.stdout, cut.truncated), ("three\n", true));

    let timed = logs(&stage, &id, json!({ "timestamps": true })).await;
    let times: Vec<jiff::Timestamp> = timed
        .stdout
        .lines()
        .map(|line| line.split_once(' ').unwrap().0.parse().unwrap())
        .collect();
    assert_eq!(times.len(), 3);
    // To the millisecond, though the client only knows seconds.
    for (line, expected) in [(1, "two\nthree\n"), (2, "three\n")] {
        let since = times[line].as_millisecond();
        let found = logs(&stage, &id, json!({ "sinceUnixMillis": since })).await;
        assert!(found.stdout.ends_with(expected), "{found:?}");
    }
    let later = times[2].as_millisecond() + 1;
    assert_eq!(
        logs(&stage, &id, json!({ "sinceUnixMillis": later }))
            .await
            .stdout,
        ""
    );
}

#[tokio::test]
async fn a_description_has_everything_but_the_environment() {
    let Some(stage) = stage() else { return };
    let name = format!("{}-described", stage.own);
    let id = stage
        .spawn(json!({
            "name": name,
            "env": {"SECRET": "do-not-show"},
            "labels": {"more": "x"},
            "mounts": [{"kind": "tmpfs", "target": "/scratch"}],
            "ports": [{"container": 80}],
            "network": "bridge",
        }))
        .await
        .unwrap()
        .id;
    let inspect = || request(json!({ "container": name }));
    let found = stage
        .docker
        .inspect(&stage.call(), inspect())
        .await
        .unwrap();
    assert_eq!((&found.id, &found.name), (&id, &name));
    assert_eq!(found.image, IMAGE);
    assert!(found.image_id.starts_with("sha256:"));
    assert_eq!(found.command, ["sleep", "3600"]);
    assert_eq!(found.state, ContainerState::Running);
    assert_eq!(found.labels["more"], "x");
    assert_eq!(found.labels["exomonad-test"], stage.own);
    assert_eq!(found.mounts.len(), 1);
    assert_eq!(found.ports[0].container, 80);
    assert!(found.ports[0].host.is_some());
    assert!(
        found.addresses["bridge"]
            .parse::<std::net::IpAddr>()
            .is_ok()
    );
    assert!(found.started_at.is_some() && found.finished_at.is_none());
    assert_eq!(found.exit_code, None);
    let text = serde_json::to_string(&found).unwrap();
    assert!(!text.contains("do-not-show"), "{text}");

    stage.bare.kill_container(&id, None).await.unwrap();
    let wait = request(json!({ "container": id }));
    stage.docker.wait(&stage.call(), wait).await.unwrap();
    let ended = stage
        .docker
        .inspect(&stage.call(), inspect())
        .await
        .unwrap();
    assert_eq!(ended.state, ContainerState::Exited);
    assert_eq!(ended.exit_code, Some(137));
    assert!(ended.finished_at.is_some() && !ended.is_oom_killed);
}

#[tokio::test]
async fn a_list_has_the_role_s_containers_and_no_others() {
    let Some(stage) = stage() else { return };
    let first = stage
        .spawn(json!({ "labels": {"kind": "a"}, "name": format!("{}-first", stage.own) }))
        .await
        .unwrap()
        .id;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let second = stage
        .spawn(json!({ "labels": {"kind": "b"} }))
        .await
        .unwrap()
        .id;
    stage.bare.kill_container(&first, None).await.unwrap();
    let ids = async |request_json: Value| -> Vec<String> {
        let listed = stage
            .docker
            .list(&stage.call(), request(request_json))
            .await;
        let containers = listed.unwrap().containers;
        containers.into_iter().map(|found| found.id).collect()
    };
    let wait = request(json!({ "container": first }));
    stage.docker.wait(&stage.call(), wait).await.unwrap();
    let only = |id: &String| vec![id.clone()];
    assert_eq!(ids(json!({})).await, only(&second));
    assert_eq!(
        ids(json!({ "all": true })).await,
        [second.clone(), first.clone()]
    );
    assert_eq!(ids(json!({ "all": true, "limit": 1 })).await, only(&second));
    assert_eq!(
        ids(json!({ "all": true, "labels": {"kind": "a"} })).await,
        only(&first)
    );
    assert_eq!(
        ids(json!({ "all": true, "name": "-first" })).await,
        only(&first)
    );
    // Not a pattern.
    assert!(ids(json!({ "all": true, "name": ".*" })).await.is_empty());

    let foreign = stage.foreign();
    let stranger = stage.docker.list(&foreign, request(json!({ "all": true })));
    assert!(stranger.await.unwrap().containers.is_empty());
    let labels = json!({ "all": true, "labels": {"exomonad-test": stage.own} });
    let sneaky = crate::stage::call_with(&["exomonad-test=another"], &[]);
    let listed = stage.docker.list(&sneaky, request(labels)).await.unwrap();
    assert!(listed.containers.is_empty());
}

#[tokio::test]
async fn an_image_is_there_or_not_and_one_that_cannot_be_pulled_is_an_error() {
    let Some(stage) = stage() else { return };
    let call = stage.call();
    let present = stage
        .docker
        .image_present(&call, request(json!({ "image": IMAGE })))
        .await
        .unwrap();
    assert!(present.present && present.id.is_some());
    assert!(present.size_bytes.unwrap() > 10 << 20);
    let absent = stage
        .docker
        .image_present(
            &call,
            request(json!({ "image": "exomonad.invalid/none:1" })),
        )
        .await
        .unwrap();
    assert_eq!((absent.present, absent.id), (false, None));
    for bad in ["../containers/json", "a b", "a?b"] {
        let look = request(json!({ "image": bad }));
        let error = stage.docker.image_present(&call, look).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput, "{bad}");
    }
    // No registry of that name: the engine says so.
    let pull = request(json!({ "image": "exomonad.invalid/none:1" }));
    let error = stage.docker.pull(&call, pull).await.unwrap_err();
    assert!(
        matches!(error.code, ErrorCode::Unavailable | ErrorCode::NotFound),
        "{error}"
    );
}
