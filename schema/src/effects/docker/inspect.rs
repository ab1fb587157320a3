//! Containers, described and listed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::docker::{ContainerRef, Mount, PortBinding};
use crate::value::BoundedInt;

/// Names the container to describe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerInspect {
    /// The container.
    pub container: ContainerRef,
}

/// A container. Its environment is left out: it may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerContainer {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image, as it was named.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its state.
    pub state: ContainerState,
    /// Its exit code, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// True if the kernel killed it because it ran out of memory.
    pub is_oom_killed: bool,
    /// The status of its health check; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Ports reachable from the host.
    pub ports: Vec<PortBinding>,
    /// Its address in each of its networks, by network; empty while it is not running.
    pub addresses: BTreeMap<String, String>,
    /// When it was created (RFC 3339).
    pub created_at: String,
    /// When it last started (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it last ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

/// The state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Created, not started.
    Created,
    /// Running.
    Running,
    /// Paused.
    Paused,
    /// Restarting.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// In a state from which it can neither be stopped nor removed.
    Dead,
}

/// Selects the containers to list; those without the role's labels are never listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DockerList {
    /// Includes containers that are not running.
    pub all: bool,
    /// Only those that carry every one of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Only those whose name contains this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The largest number of containers, newest first.
    pub limit: BoundedInt<1, 1000>,
}

impl Default for DockerList {
    fn default() -> Self {
        Self {
            all: false,
            labels: BTreeMap::new(),
            name: None,
            limit: BoundedInt::constant::<100>(),
        }
    }
}

/// Containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerContainers {
    /// The containers, newest first.
    pub containers: Vec<ContainerSummary>,
}

/// A container in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSummary {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image, as it was named.
    pub image: String,
    /// Its state.
    pub state: ContainerState,
    /// Its state in words, such as `Up 2 hours (healthy)`.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was created, in milliseconds since 1970-01-01T00:00:00Z.
    pub created_unix_millis: i64,
}
