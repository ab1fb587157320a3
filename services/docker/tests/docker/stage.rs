//! One engine for all tests, and for each test its own labels, by which what it leaves is removed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use exomonad_core::{BoundsMap, CallContext, DockerService, PathBounds};
use exomonad_docker::{Docker, DockerBounds, DockerConfig};
use exomonad_schema::effects::docker::{DockerExec, DockerExecResult, DockerSpawn, DockerSpawned};
use exomonad_schema::{CallId, EffectError};
use exomonad_test_support::{installed_by, required_or_skip};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub const IMAGE: &str = "debian:bookworm-slim";
pub const SOCKET: &str = "/var/run/docker.sock";
const LABEL: &str = "exomonad-test";

/// A test's place on the engine.
pub struct Stage {
    /// The service under test.
    pub docker: Docker,
    /// The engine itself.
    pub bare: bollard::Docker,
    /// The value of this test's label: random, and a beginning for names.
    pub own: String,
}

/// A stage, or `None` where there is no engine.
pub fn stage() -> Option<Stage> {
    stage_with(DockerConfig::default())
}

/// A stage with settings.
pub fn stage_with(config: DockerConfig) -> Option<Stage> {
    required_or_skip("a Docker engine", installed_by("docker-engine"))?;
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    Some(Stage {
        docker: Docker::new(config).unwrap(),
        bare: bare(),
        own: format!("exomonad-{:016x}", u64::from_ne_bytes(bytes)),
    })
}

fn bare() -> bollard::Docker {
    bollard::Docker::connect_with_unix(SOCKET, 120, bollard::API_DEFAULT_VERSION).unwrap()
}

/// A request as a guest sends it.
pub fn request<R: DeserializeOwned>(json: Value) -> R {
    serde_json::from_value(json).unwrap()
}

/// A call that reaches what carries `labels`, `paths` on the host, and Docker's default network.
pub fn call_with(labels: &[&str], paths: &[PathBuf]) -> CallContext {
    CallContext {
        bounds: Arc::new(
            BoundsMap::default()
                .with(PathBounds {
                    paths: paths.to_vec(),
                })
                .with(DockerBounds {
                    labels: labels.iter().map(|label| label.parse().unwrap()).collect(),
                    networks: vec!["bridge".to_owned()],
                }),
        ),
        ..CallContext::new("tl".parse().unwrap(), CallId::from(7))
    }
}

impl Stage {
    /// This test's label.
    pub fn label(&self) -> String {
        format!("{LABEL}={}", self.own)
    }

    /// A call of a role that reaches this test's containers.
    pub fn call(&self) -> CallContext {
        call_with(&[&self.label()], &[])
    }

    /// A call that may also mount `paths`.
    pub fn call_on(&self, paths: &[PathBuf]) -> CallContext {
        call_with(&[&self.label()], paths)
    }

    /// A call of a role that reaches other containers.
    pub fn foreign(&self) -> CallContext {
        call_with(&[&self.label(), "exomonad-test-other"], &[])
    }

    /// Starts a container; `more` is added to the request.
    pub async fn spawn(&self, more: Value) -> Result<DockerSpawned, EffectError> {
        self.spawn_as(&self.call(), more).await
    }

    /// Starts a container in a call of its own.
    pub async fn spawn_as(
        &self,
        call: &CallContext,
        more: Value,
    ) -> Result<DockerSpawned, EffectError> {
        let mut json = json!({ "image": IMAGE, "command": ["sleep", "3600"], "pull": "never" });
        for (key, value) in more.as_object().unwrap() {
            json[key] = value.clone();
        }
        self.docker.spawn(call, request::<DockerSpawn>(json)).await
    }

    /// The id of a container that sleeps.
    pub async fn sleeper(&self) -> String {
        self.spawn(json!({})).await.unwrap().id
    }

    /// Runs a command in a container; `more` is added to the request.
    pub async fn exec(
        &self,
        container: &str,
        command: &[&str],
        more: Value,
    ) -> Result<DockerExecResult, EffectError> {
        let mut json = json!({ "container": container, "command": command });
        for (key, value) in more.as_object().unwrap() {
            json[key] = value.clone();
        }
        let call = self.call();
        self.docker.exec(&call, request::<DockerExec>(json)).await
    }

    /// The command lines of the processes in a container, as the engine sees them.
    pub async fn processes(&self, container: &str) -> Vec<String> {
        let top = self.bare.top_processes(container, None).await.unwrap();
        let titles = top.titles.unwrap();
        let command = titles.iter().position(|title| title == "CMD").unwrap();
        let row = |row: Vec<String>| row[command].clone();
        top.processes.unwrap().into_iter().map(row).collect()
    }
}

/// Removes what the test has made, also when it fails.
impl Drop for Stage {
    fn drop(&mut self) {
        let label = self.label();
        // A runtime cannot be entered from within another.
        let removed = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(remove_all(&label));
        });
        let _ = removed.join();
    }
}

async fn remove_all(label: &str) {
    let engine = bare();
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    for container in engine.list_containers(Some(options)).await.unwrap() {
        let id = container.id.unwrap();
        // The engine may be too busy to see at once that it has ended.
        for _ in 0..5 {
            let options = RemoveContainerOptionsBuilder::new()
                .force(true)
                .v(true)
                .build();
            if engine.remove_container(&id, Some(options)).await.is_ok() {
                break;
            }
        }
    }
    let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
    for volume in engine
        .list_volumes(Some(options))
        .await
        .unwrap()
        .volumes
        .unwrap_or_default()
    {
        let _ = engine
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await;
    }
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    for network in engine.list_networks(Some(options)).await.unwrap() {
        let _ = engine.remove_network(&network.id.unwrap()).await;
    }
}
