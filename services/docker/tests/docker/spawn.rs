//! Permissions of spawned containers.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bollard::models::NetworkCreateRequest;
use exomonad_core::values::ByteSize;
use exomonad_docker::DockerConfig;
use exomonad_schema::ErrorCode;
use serde_json::{Value, json};

use crate::stage::{SOCKET, Stage, call_with, stage, stage_with};

#[tokio::test]
async fn limits_and_confinement_are_really_set() {
    let ceilings = DockerConfig {
        max_memory: ByteSize::mib(256),
        max_cpu_millis: 1500,
        max_processes: 100,
        ..DockerConfig::default()
    };
    let Some(stage) = stage_with(ceilings) else {
        return;
    };
    let plain = stage.spawn(json!({})).await.unwrap().id;
    let asked = json!({
        "memoryBytes": 64 << 20, "cpuMillis": 250, "maxProcesses": 20, "readOnly": true,
        "autoRemove": true, "ports": [{"container": 80, "protocol": "udp"}],
        "network": "bridge",
    });
    let asked = stage.spawn(asked).await.unwrap().id;
    for (id, memory, quota, processes) in [
        (plain.clone(), 256 << 20, 150_000, 100),
        (asked.clone(), 64 << 20, 25_000, 20),
    ] {
        let found = stage.bare.inspect_container(&id, None).await.unwrap();
        let host = found.host_config.unwrap();
        assert_eq!(host.memory, Some(memory));
        assert_eq!(
            (host.cpu_period, host.cpu_quota),
            (Some(100_000), Some(quota))
        );
        assert_eq!(host.pids_limit, Some(processes));
        assert_eq!(host.privileged, Some(false));
        assert_eq!(host.cap_add.unwrap_or_default(), Vec::<String>::new());
        assert!(
            host.cap_drop
                .unwrap()
                .iter()
                .any(|dropped| dropped.contains("MKNOD"))
        );
        assert!(
            host.security_opt
                .unwrap()
                .contains(&"no-new-privileges:true".to_owned())
        );
        assert_eq!(host.pid_mode.unwrap_or_default(), "");
        assert_eq!(host.ipc_mode.unwrap_or_default(), "private");
        assert_eq!(
            found.config.unwrap().labels.unwrap()["exomonad-test"],
            stage.own
        );
    }
    let found = stage.bare.inspect_container(&asked, None).await.unwrap();
    let host = found.host_config.unwrap();
    assert_eq!(
        (host.readonly_rootfs, host.auto_remove),
        (Some(true), Some(true))
    );
    let ports = found.network_settings.unwrap().ports.unwrap();
    let bound = ports["80/udp"].as_ref().unwrap();
    assert!(
        bound
            .iter()
            .all(|port| port.host_ip.as_deref() == Some("127.0.0.1"))
    );
    // Inside, they are what the kernel holds to.
    let status = stage
        .exec(
            &asked,
            &["grep", "NoNewPrivs", "/proc/self/status"],
            json!({}),
        )
        .await
        .unwrap();
    assert_eq!(status.output.stdout, "NoNewPrivs:\t1\n");
    let write = stage
        .exec(&asked, &["touch", "/x"], json!({}))
        .await
        .unwrap();
    assert_ne!(write.exit_code, 0);
    let device = ["mknod", "/tmp/device", "c", "1", "3"];
    let device = stage.exec(&plain, &device, json!({})).await.unwrap();
    assert_ne!(device.exit_code, 0, "{device:?}");

    for more in [
        json!({ "memoryBytes": 1u64 << 40 }),
        json!({ "cpuMillis": 1501 }),
    ] {
        let error = stage.spawn(more).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::LimitExceeded, "{error}");
    }
}

#[tokio::test]
async fn a_container_is_made_as_it_is_asked_for() {
    let Some(stage) = stage() else { return };
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().canonicalize().unwrap();
    fs::write(folder.join("given"), "from outside\n").unwrap();
    let volume = format!("{}-volume", stage.own);
    let script = "cat /in/given; echo $A; id -u; pwd; touch /in/x || echo ro; echo kept >/data/y; \
                  touch /mem/z && echo ok";
    let made = stage
        .spawn_as(
            &stage.call_on(std::slice::from_ref(&folder)),
            json!({
                "entrypoint": ["sh", "-c"], "command": [script], "env": {"A": "b"},
                "user": "0", "workdir": "/var", "network": "none",
                "mounts": [
                    {"kind": "bind", "source": folder, "target": "/in", "readOnly": true},
                    {"kind": "volume", "source": volume, "target": "/data"},
                    {"kind": "tmpfs", "target": "/mem"},
                ],
            }),
        )
        .await
        .unwrap();
    let wait = crate::stage::request(json!({ "container": made.id, "timeoutMillis": 60_000 }));
    exomonad_core::DockerService::wait(&stage.docker, &stage.call(), wait)
        .await
        .unwrap();
    let logs = crate::stage::request(json!({ "container": made.id }));
    let logs = exomonad_core::DockerService::logs(&stage.docker, &stage.call(), logs)
        .await
        .unwrap();
    assert_eq!(
        logs.stdout, "from outside\nb\n0\n/var\nro\nok\n",
        "{logs:?}"
    );
    // The volume is the role's own, and is seen by the next one.
    let mount = json!([{"kind": "volume", "source": volume, "target": "/data"}]);
    let next = stage.spawn(json!({ "mounts": mount })).await.unwrap().id;
    let kept = stage
        .exec(&next, &["cat", "/data/y"], json!({}))
        .await
        .unwrap();
    assert_eq!(kept.output.stdout, "kept\n");
    let stranger = call_with(&["exomonad-test=another"], &[]);
    let error = stage
        .spawn_as(&stranger, json!({ "mounts": mount }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
}

async fn refused(stage: &Stage, paths: &[PathBuf], more: Value) -> ErrorCode {
    let call = stage.call_on(paths);
    stage.spawn_as(&call, more).await.unwrap_err().code
}

#[tokio::test]
async fn folders_outside_and_the_engine_s_socket_are_refused_however_they_are_named() {
    let Some(stage) = stage() else { return };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("root");
    fs::create_dir_all(root.join("in")).unwrap();
    symlink("/etc", root.join("etc")).unwrap();
    symlink("/", root.join("all")).unwrap();
    symlink(SOCKET, root.join("door")).unwrap();
    symlink("/var/run", root.join("run")).unwrap();
    let bind =
        |source: &str| json!({ "mounts": [{"kind": "bind", "source": source, "target": "/m"}] });
    let paths = [root.clone()];
    for source in [
        "etc",
        "all",
        "door",
        "run",
        "..",
        "in/../../..",
        "all/etc/passwd",
        "../root/etc",
    ] {
        let source = root.join(source);
        let code = refused(&stage, &paths, bind(source.to_str().unwrap())).await;
        assert_eq!(code, ErrorCode::Forbidden, "{source:?}");
    }
    // Even where the folder around it is allowed.
    for (path, source) in [
        ("/", SOCKET),
        ("/run", "/run"),
        ("/", "/"),
        ("/", "/var/run/docker.sock"),
    ] {
        let code = refused(&stage, &[PathBuf::from(path)], bind(source)).await;
        assert_eq!(code, ErrorCode::Forbidden, "{source} with {path}");
    }
    let gone = root.join("gone");
    let code = refused(&stage, &paths, bind(gone.to_str().unwrap())).await;
    assert_eq!(code, ErrorCode::NotFound);
    // Granted by its name.
    let call = stage.call_on(&[PathBuf::from(SOCKET)]);
    stage.spawn_as(&call, bind(SOCKET)).await.unwrap();
}

#[tokio::test]
async fn a_network_is_none_granted_by_name_or_the_role_s_own() {
    let Some(stage) = stage() else { return };
    let networks = |id: String| {
        let bare = stage.bare.clone();
        async move {
            let found = bare.inspect_container(&id, None).await.unwrap();
            let networks = found.network_settings.unwrap().networks.unwrap();
            networks.into_keys().collect::<Vec<_>>()
        }
    };
    assert_eq!(networks(stage.sleeper().await).await, ["none"]);
    for name in ["bridge", "default"] {
        let id = stage.spawn(json!({ "network": name })).await.unwrap().id;
        assert_eq!(networks(id).await, ["bridge"]);
    }
    let mut without = stage.call();
    let bounds = exomonad_docker::DockerBounds {
        networks: Vec::new(),
        ..without
            .bounds
            .get::<exomonad_docker::DockerBounds>()
            .clone()
    };
    without.bounds = std::sync::Arc::new((*without.bounds).clone().with(bounds));
    for name in ["bridge", "default", "host"] {
        let error = stage
            .spawn_as(&without, json!({ "network": name }))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
        assert!(error.message.contains("`role.tl.networks`"), "{error}");
    }
    let error = stage
        .spawn(json!({ "ports": [{"container": 80}] }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
    let other = stage.sleeper().await;
    for (network, code) in [
        ("host".to_owned(), ErrorCode::Forbidden),
        (format!("container:{other}"), ErrorCode::Forbidden),
        ("ns:/proc/1/ns/net".to_owned(), ErrorCode::Forbidden),
        ("no-such-network".to_owned(), ErrorCode::NotFound),
        ("../x".to_owned(), ErrorCode::InvalidInput),
    ] {
        let error = stage
            .spawn(json!({ "network": network }))
            .await
            .unwrap_err();
        assert_eq!(error.code, code, "{error}");
    }
    // The host's network by its id is no way around.
    let host = stage.bare.inspect_network("host", None).await.unwrap();
    let error = stage
        .spawn(json!({ "network": host.id }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");

    let labels = [("exomonad-test".to_owned(), stage.own.clone())];
    let network = NetworkCreateRequest {
        name: stage.own.clone(),
        labels: Some(labels.into()),
        ..NetworkCreateRequest::default()
    };
    stage.bare.create_network(network).await.unwrap();
    let id = stage
        .spawn(json!({ "network": stage.own }))
        .await
        .unwrap()
        .id;
    assert_eq!(networks(id).await, [stage.own.as_str()]);
    let stranger = call_with(&["exomonad-test=another"], &[]);
    let error = stage
        .spawn_as(&stranger, json!({ "network": stage.own }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
}

#[tokio::test]
async fn who_may_write_to_a_folder_of_the_host_is_its_owner_and_not_root() {
    let Some(stage) = stage() else { return };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let folders = ["own", "other"].map(|name| root.join(name));
    for (folder, owner) in folders.iter().zip([4321, 4322]) {
        fs::create_dir(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(owner), Some(owner)).unwrap();
    }
    let call = stage.call_on(std::slice::from_ref(&root));
    let mounted = |folders: &[&PathBuf]| {
        let mounts = folders.iter().enumerate().map(
            |(index, folder)| json!({"kind": "bind", "source": folder, "target": format!("/m{index}")}),
        );
        json!({ "mounts": mounts.collect::<Vec<_>>() })
    };
    let with_user = |user: &str| {
        let mut request = mounted(&[&folders[0]]);
        request["user"] = json!(user);
        request
    };
    let id = stage
        .spawn_as(&call, mounted(&[&folders[0]]))
        .await
        .unwrap()
        .id;
    let write = ["sh", "-c", "id -u; echo kept >/m0/file; chmod u+s /m0/file"];
    let wrote = stage.exec(&id, &write, json!({})).await.unwrap();
    assert_eq!(wrote.output.stdout, "4321\n", "{wrote:?}");
    let left = fs::metadata(folders[0].join("file")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&left), 4321);
    // Without a group it would be in root's.
    for user in ["root", "0", "0:0", "4322", "4321", "4321:0"] {
        let error = stage
            .exec(&id, &["id"], json!({ "user": user }))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden, "{user}: {error}");
        let error = stage.spawn_as(&call, with_user(user)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden, "{user}: {error}");
    }
    stage.spawn_as(&call, with_user("4321:4321")).await.unwrap();
    for folders in [vec![&root], vec![&folders[0], &folders[1]]] {
        let code = refused(&stage, std::slice::from_ref(&root), mounted(&folders)).await;
        assert_eq!(code, ErrorCode::Forbidden, "{folders:?}");
    }
}

#[tokio::test]
async fn a_request_cannot_give_away_the_role_s_labels() {
    let Some(stage) = stage() else { return };
    let error = stage
        .spawn(json!({ "labels": {"exomonad-test": "another"} }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden, "{error}");
    let call = call_with(&[&stage.label(), "team"], &[]);
    for (labels, value) in [(json!({}), ""), (json!({"team": "web"}), "web")] {
        let made = stage
            .spawn_as(&call, json!({ "labels": labels }))
            .await
            .unwrap();
        let found = stage.bare.inspect_container(&made.id, None).await.unwrap();
        assert_eq!(found.config.unwrap().labels.unwrap()["team"], value);
    }
}

#[tokio::test]
async fn what_does_not_start_is_not_left_behind() {
    let Some(stage) = stage() else { return };
    let error = stage
        .spawn(json!({ "command": ["/no/such/program"] }))
        .await
        .unwrap_err();
    assert!(
        matches!(error.code, ErrorCode::InvalidInput | ErrorCode::NotFound),
        "{error}"
    );
    let name = format!("{}-twice", stage.own);
    stage.spawn(json!({ "name": name })).await.unwrap();
    let error = stage.spawn(json!({ "name": name })).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    for missing in [
        json!({ "image": "exomonad.invalid/none:1" }),
        json!({ "image": "exomonad.invalid/none:1", "pull": "missing" }),
    ] {
        let error = stage.spawn(missing).await.unwrap_err();
        assert!(
            matches!(error.code, ErrorCode::NotFound | ErrorCode::Unavailable),
            "{error}"
        );
    }
    // A call that is cancelled on the way.
    let mut expected = vec![name.clone()];
    for millis in [1, 30, 100, 300] {
        let spawn = stage.spawn(json!({}));
        let limit = std::time::Duration::from_millis(millis);
        // One that is quicker than its cancellation was not cancelled.
        if let Ok(made) = tokio::time::timeout(limit, spawn).await {
            expected.push(made.unwrap().name);
        }
    }
    expected.sort();
    let left = || async {
        let all = crate::stage::request(json!({ "all": true }));
        let listed = exomonad_core::DockerService::list(&stage.docker, &stage.call(), all).await;
        let names = listed
            .unwrap()
            .containers
            .into_iter()
            .map(|found| found.name);
        let mut names = names.collect::<Vec<_>>();
        names.sort();
        names
    };
    // What was on its way through the engine takes a moment to come and go.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    for _ in 0..200 {
        if left().await == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("left behind: {:?}", left().await);
}
