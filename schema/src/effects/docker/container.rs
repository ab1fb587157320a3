//! The life cycle of a container.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::docker::{
    ContainerRef, ImageRef, OutputLimit, TimeoutMillis, default_output_limit,
};
use crate::value::BoundedInt;

/// The container to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerSpawn {
    /// The image.
    pub image: ImageRef,
    /// The program's arguments, or the program when there is no entry point; the image's own when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The program; the image's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The container's name; Docker makes one up when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ContainerRef>,
    /// Environment variables, on top of the image's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Labels, on top of the role's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The user that runs the program: a name or an id, with a group after `:`; the image's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The working directory: an absolute path in the container; the image's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Bind mounts, volumes and in-memory file systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Ports reachable from the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortBinding>,
    /// The network: one that the role is granted, or one with its labels; none at all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The memory limit in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The processor limit in thousandths of a processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// The largest number of processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_processes: Option<u32>,
    /// Makes the container's own file system read-only.
    #[serde(default)]
    pub read_only: bool,
    /// Removes the container when it ends.
    #[serde(default)]
    pub auto_remove: bool,
    /// When to pull the image.
    #[serde(default)]
    pub pull: PullPolicy,
}

/// A mount in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// The kind of mount.
    pub kind: MountKind,
    /// The host's absolute path, within the role's allowed paths, or the volume's name; absent for `tmpfs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The absolute path in the container.
    pub target: String,
    /// True if the container may only read it.
    #[serde(default)]
    pub read_only: bool,
}

/// The kind of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MountKind {
    /// A folder or file of the host (bind mount).
    Bind,
    /// A named volume.
    Volume,
    /// An in-memory file system (`tmpfs`).
    Tmpfs,
}

/// A container's port, reachable from the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortBinding {
    /// The port in the container.
    pub container: u16,
    /// The port on the host's loopback address; any free one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<u16>,
    /// The protocol.
    #[serde(default)]
    pub protocol: PortProtocol,
}

/// A port's protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// When to pull an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    /// When the engine does not have it.
    #[default]
    Missing,
    /// Always.
    Always,
    /// Never: answer `not_found` when the engine does not have it.
    Never,
}

/// A container that has been started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerSpawned {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Docker's warnings.
    pub warnings: Vec<String>,
}

/// Names the container to send a signal to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerKill {
    /// The container.
    pub container: ContainerRef,
    /// The signal's name, such as `SIGTERM`; `SIGKILL` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// Names the container to stop; stopping a stopped one succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerStop {
    /// The container.
    pub container: ContainerRef,
    /// The time to wait before killing it, in milliseconds, rounded up to seconds.
    #[serde(default = "default_grace")]
    pub grace_millis: BoundedInt<0, 3_600_000>,
}

const fn default_grace() -> BoundedInt<0, 3_600_000> {
    BoundedInt::constant::<10_000>()
}

/// Names the container to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerRemove {
    /// The container.
    pub container: ContainerRef,
    /// Kills a running container first; otherwise the effect answers `conflict`.
    #[serde(default)]
    pub force: bool,
    /// Removes its anonymous volumes too.
    #[serde(default)]
    pub volumes: bool,
}

/// Names the container to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerWait {
    /// The container.
    pub container: ContainerRef,
    /// The time to wait, in milliseconds, before the answer is `timeout`; the
    /// call's own time limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<TimeoutMillis>,
}

/// The end of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerExit {
    /// Its exit code; 128 plus the signal's number when a signal ended it.
    pub exit_code: i32,
}

/// Selects the output to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerLogs {
    /// The container.
    pub container: ContainerRef,
    /// Only this many of the newest lines; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u32>,
    /// Only what was written since this moment, in milliseconds since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_unix_millis: Option<i64>,
    /// Begins each line with its time (RFC 3339).
    #[serde(default)]
    pub timestamps: bool,
    /// The most to keep of each output, in bytes; older output is cut off.
    #[serde(default = "default_output_limit")]
    pub max_output_bytes: OutputLimit,
}
