//! Every effect on a container of others, and on one that does not exist: the same answer.

use exomonad_core::{CallContext, DockerService};
use exomonad_schema::{EffectError, EffectKind, ErrorCode, Service};
use serde_json::json;

use crate::stage::{Stage, call_with, request, stage};

/// The outcome of each effect that names a container.
async fn on(
    stage: &Stage,
    call: &CallContext,
    container: &str,
) -> Vec<(EffectKind, Result<(), EffectError>)> {
    let docker = &stage.docker;
    let name = || json!({ "container": container });
    let exec = json!({ "container": container, "command": ["true"] });
    vec![
        (
            EffectKind::DockerExec,
            docker.exec(call, request(exec)).await.map(drop),
        ),
        (
            EffectKind::DockerKill,
            docker.kill(call, request(name())).await.map(drop),
        ),
        (
            EffectKind::DockerStop,
            docker.stop(call, request(name())).await.map(drop),
        ),
        (
            EffectKind::DockerRemove,
            docker.remove(call, request(name())).await.map(drop),
        ),
        (
            EffectKind::DockerWait,
            docker.wait(call, request(name())).await.map(drop),
        ),
        (
            EffectKind::DockerLogs,
            docker.logs(call, request(name())).await.map(drop),
        ),
        (
            EffectKind::DockerInspect,
            docker.inspect(call, request(name())).await.map(drop),
        ),
    ]
}

/// The effects that name no container.
const OTHERS: [EffectKind; 4] = [
    EffectKind::DockerSpawn,
    EffectKind::DockerList,
    EffectKind::DockerImagePresent,
    EffectKind::DockerPull,
];

#[tokio::test]
async fn a_container_of_others_is_answered_as_one_that_does_not_exist() {
    let Some(stage) = stage() else { return };
    let name = format!("{}-target", stage.own);
    let id = stage.spawn(json!({ "name": name })).await.unwrap().id;
    let absent = format!("{}-absent", stage.own);
    let foreign = stage.foreign();
    let unknown = on(&stage, &foreign, &absent).await;
    assert_eq!(
        unknown.len() + OTHERS.len(),
        EffectKind::ALL
            .iter()
            .filter(|kind| kind.service() == Service::Docker)
            .count(),
        "an effect is missing in the table above"
    );
    for named in [&*name, &*id, &id[..12]] {
        let known = on(&stage, &foreign, named).await;
        for ((kind, known), (_, unknown)) in known.into_iter().zip(&unknown) {
            let (known, unknown) = (known.unwrap_err(), unknown.clone().unwrap_err());
            assert_eq!(known.code, ErrorCode::NotFound, "{kind}");
            assert_eq!(
                known.message.replace(named, "x"),
                unknown.message.replace(&absent, "x"),
                "the difference tells that it exists"
            );
        }
    }
    let runs = stage.bare.inspect_container(&id, None).await.unwrap();
    assert_eq!(
        runs.state.unwrap().running,
        Some(true),
        "something reached it"
    );
    // The same value of another label, another value of the same, and a beginning of it.
    for label in [
        format!("other={}", stage.own),
        "exomonad-test=".to_owned(),
        format!("exomonad-test={}", &stage.own[..10]),
    ] {
        let call = call_with(&[&label], &[]);
        let inspect = stage
            .docker
            .inspect(&call, request(json!({ "container": id })));
        assert_eq!(
            inspect.await.unwrap_err().code,
            ErrorCode::NotFound,
            "{label}"
        );
    }
    let any_value = call_with(&["exomonad-test"], &[]);
    let inspect = stage
        .docker
        .inspect(&any_value, request(json!({ "container": id })));
    assert!(inspect.await.is_ok());
}

#[tokio::test]
async fn a_role_without_labels_reaches_nothing_and_the_error_says_so() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let call = call_with(&[], &[]);
    for (kind, answer) in on(&stage, &call, &id).await {
        let error = answer.unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden, "{kind}");
        assert!(error.message.contains("role.tl.labels"), "{error}");
    }
    let error = stage.spawn_as(&call, json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    let error = stage
        .docker
        .list(&call, request(json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
}

#[tokio::test]
async fn a_name_leads_to_a_container_and_nowhere_else() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    for name in [
        format!("../containers/{id}"),
        format!("{id}/json?x="),
        format!("{id}#"),
        format!("/{id}"),
        "..".to_owned(),
        "%2e%2e".to_owned(),
    ] {
        for (kind, answer) in on(&stage, &stage.call(), &name).await {
            assert_eq!(
                answer.unwrap_err().code,
                ErrorCode::InvalidInput,
                "{kind} {name}"
            );
        }
    }
}
