//! Engines that are not there, say nothing, break off or come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use exomonad_core::DockerService;
use exomonad_core::values::TimeSpan;
use exomonad_docker::{Docker, DockerConfig};
use exomonad_schema::ErrorCode;
use exomonad_test_support::RefusingAddress;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::stage::{SOCKET, call_with, request, stage, stage_with};

fn service(host: &str) -> Docker {
    Docker::new(DockerConfig {
        host: host.to_owned(),
        time_limit: TimeSpan::secs(1),
        ..DockerConfig::default()
    })
    .unwrap()
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unavailable_and_the_setting_is_named() {
    let call = call_with(&["a=b"], &[]);
    let refusing = RefusingAddress::new();
    for host in [
        "unix:///no/such/docker.sock".to_owned(),
        format!("tcp://{}", refusing.address()),
    ] {
        let docker = service(&host);
        let error = docker.list(&call, request(json!({}))).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        assert!(error.message.contains(&host), "{error}");
        assert!(error.message.contains("`docker.host`"), "{error}");
    }
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let docker = service(&format!("tcp://{}", listener.local_addr().unwrap()));
    let call = call_with(&["a=b"], &[]);
    let began = Instant::now();
    let error = docker.list(&call, request(json!({}))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout, "{error}");
    assert!(error.message.contains("`docker.host`"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn something_that_is_no_engine_is_unavailable() {
    use tokio::io::AsyncWriteExt as _;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let docker = service(&format!("tcp://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        for answer in [
            "SSH-2.0-x\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n<ht>",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let call = call_with(&["a=b"], &[]);
    for _ in 0..2 {
        let error = docker.list(&call, request(json!({}))).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    }
}

#[tokio::test]
async fn certificates_that_are_not_there_are_missing_credentials() {
    let docker = Docker::new(DockerConfig {
        host: "https://127.0.0.1:1".to_owned(),
        tls_dir: Some("/no/such/folder".into()),
        ..DockerConfig::default()
    })
    .unwrap();
    let call = call_with(&["a=b"], &[]);
    let error = docker.list(&call, request(json!({}))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthenticated, "{error}");
    assert!(error.message.contains("`docker.tls_dir`"), "{error}");
}

/// A way to the engine over TCP that can be cut, and mended.
struct Bridge {
    host: String,
    is_up: Arc<AtomicBool>,
    cut: Arc<Notify>,
}

impl Bridge {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("tcp://{}", listener.local_addr().unwrap());
        let (is_up, cut) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
        let bridge = Self {
            host,
            is_up: is_up.clone(),
            cut: cut.clone(),
        };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if !is_up.load(Ordering::SeqCst) {
                    continue;
                }
                let cut = cut.clone();
                tokio::spawn(async move {
                    let mut engine = UnixStream::connect(SOCKET).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut engine) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        bridge
    }

    fn cut(&self) {
        self.is_up.store(false, Ordering::SeqCst);
        self.cut.notify_waiters();
    }

    fn mend(&self) {
        self.is_up.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_engine_that_breaks_off_is_unavailable_and_serves_again_when_it_is_back() {
    let bridge = Bridge::new().await;
    let config = DockerConfig {
        host: bridge.host.clone(),
        ..DockerConfig::default()
    };
    let Some(stage) = stage_with(config) else {
        return;
    };
    // Over TCP, as everything here.
    let id = stage.sleeper().await;
    let exec = stage.exec(&id, &["sh", "-c", "echo begun; sleep 1001"], json!({}));
    let (result, ()) = tokio::join!(exec, async {
        while stage.processes(&id).await.len() < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The output is on its way through the engine.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        bridge.cut();
    });
    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    let details = error.details.as_ref().unwrap().get();
    assert!(details.contains("begun"), "{details}");
    let error = stage.exec(&id, &["true"], json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    bridge.mend();
    let after = stage.exec(&id, &["echo", "back"], json!({})).await.unwrap();
    assert_eq!(after.output.stdout, "back\n");
    // And what nobody heard of any more was killed as soon as that could be.
    let began = Instant::now();
    while stage.processes(&id).await.len() > 1 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let call = stage.call();
    let wait = stage
        .docker
        .wait(&call, request(json!({ "container": id })));
    let (ended, ()) = tokio::join!(
        async { tokio::time::timeout(Duration::from_secs(30), wait).await },
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            bridge.cut();
        }
    );
    assert_eq!(ended.unwrap().unwrap_err().code, ErrorCode::Unavailable);
    bridge.mend();
    let folder = std::env::temp_dir();
    let mount = json!({ "mounts": [{"kind": "bind", "source": folder, "target": "/m"}] });
    let error = stage
        .spawn_as(&stage.call_on(&[folder]), mount)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    let list = stage.docker.list(&call, request(json!({}))).await.unwrap();
    assert_eq!(list.containers.len(), 1);
}

#[tokio::test]
async fn a_container_that_is_removed_while_a_command_runs_is_not_found() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let exec = stage.exec(&id, &["sh", "-c", "echo begun; sleep 1001"], json!({}));
    let (result, ()) = tokio::join!(exec, async {
        while stage.processes(&id).await.len() < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let remove = request(json!({ "container": id, "force": true }));
        stage.docker.remove(&stage.call(), remove).await.unwrap();
    });
    match result {
        Err(error) => {
            assert_eq!(error.code, ErrorCode::NotFound, "{error}");
            assert!(error.details.unwrap().get().contains("begun"));
        }
        // It may still be told how the command ended.
        Ok(result) => assert_eq!(result.exit_code, 137),
    }
}

#[tokio::test]
async fn effects_beyond_the_limit_wait_for_their_turn() {
    let config = DockerConfig {
        max_concurrent: 1,
        ..DockerConfig::default()
    };
    let Some(stage) = stage_with(config) else {
        return;
    };
    let id = stage.sleeper().await;
    let began = Instant::now();
    let (one, two) = tokio::join!(
        stage.exec(&id, &["sleep", "1"], json!({})),
        stage.exec(&id, &["sleep", "1"], json!({})),
    );
    assert!(one.is_ok() && two.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(2));
}
