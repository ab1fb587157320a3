//! Looking at containers.

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
    /// How it is.
    pub state: ContainerState,
    /// Its exit code, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Whether the kernel killed it for want of memory.
    pub is_oom_killed: bool,
    /// How its health check finds it; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What of outside is seen inside.
    pub mounts: Vec<Mount>,
    /// Ports reachable from the host.
    pub ports: Vec<PortBinding>,
    /// Its address in each of its networks, by network; empty while it is not running.
    pub addresses: BTreeMap<String, String>,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When it last began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When it last ended (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

/// How a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Made, not begun.
    Created,
    /// Running.
    Running,
    /// Held still.
    Paused,
    /// Beginning anew.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Could neither be stopped nor removed.
    Dead,
}

/// Names the containers to list; those that do not carry the role's labels never are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DockerList {
    /// Whether to list those that do not run, too.
    pub all: bool,
    /// Only those that carry every one of these labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Only those whose name contains this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many at most, newest first.
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
    /// How it is.
    pub state: ContainerState,
    /// How it is, in words, such as `Up 2 hours (healthy)`.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub created_unix_millis: i64,
}
