//! The bounds of a role, for all services.

use exomonad_core::bounds::BoundsMap;
use exomonad_core::{PathBounds, RepoBounds};
use exomonad_docker::DockerBounds;
use exomonad_http::HttpBounds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The bounds of a role, as keys of its table in the configuration. Each part belongs to the service that
/// names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RoleBounds {
    /// The folders of the host.
    #[serde(flatten)]
    pub files: PathBounds,
    /// The repositories on GitHub.
    #[serde(flatten)]
    pub github: RepoBounds,
    /// The hosts of HTTP requests.
    #[serde(flatten)]
    pub http: HttpBounds,
    /// The containers and networks.
    #[serde(flatten)]
    pub docker: DockerBounds,
}

impl RoleBounds {
    /// The bounds, for a call's context.
    pub fn to_map(&self) -> BoundsMap {
        BoundsMap::default()
            .with(self.files.clone())
            .with(self.github.clone())
            .with(self.http.clone())
            .with(self.docker.clone())
    }
}
