//! Docker: containers, images, and commands in containers.
//!
//! A container is named by its id, a unique prefix of it, or its name. Only
//! containers with all of the role's labels can be named; any other is
//! `not_found`. Every container that is spawned gets these labels.

mod container;
mod exec;
mod image;
mod inspect;

pub use container::{
    DockerExit, DockerKill, DockerLogs, DockerRemove, DockerSpawn, DockerSpawned, DockerStop,
    DockerWait, Mount, MountKind, PortBinding, PortProtocol, PullPolicy,
};
pub use exec::{DockerExec, DockerExecResult, DockerOutput};
pub use image::{DockerImage, DockerImagePresent, DockerPull, DockerPulled};
pub use inspect::{
    ContainerState, ContainerSummary, DockerContainer, DockerContainers, DockerInspect, DockerList,
};

use crate::value::{BoundedInt, BoundedText};

/// A container's id, a unique prefix of it, or its name.
pub type ContainerRef = BoundedText<1, 255>;

/// An image, such as `debian:bookworm-slim`.
pub type ImageRef = BoundedText<1, 512>;

/// The most to keep of each output stream, in bytes.
pub type OutputLimit = BoundedInt<0, 16_777_216>;

/// A time limit in milliseconds; at most a day.
pub type TimeoutMillis = BoundedInt<1, 86_400_000>;

const fn default_output_limit() -> OutputLimit {
    OutputLimit::constant::<1_048_576>()
}
