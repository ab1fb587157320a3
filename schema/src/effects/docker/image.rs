//! Images.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::docker::ImageRef;

/// Names the image to look for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerImagePresent {
    /// The image.
    pub image: ImageRef,
}

/// The presence of an image on the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerImage {
    /// True if the engine has the image.
    pub present: bool,
    /// Its id, if present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its size in bytes, if present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// Names the image to pull.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerPull {
    /// The image.
    pub image: ImageRef,
    /// The platform, such as `linux/arm64`; the engine's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// An image that has been pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerPulled {
    /// Its id.
    pub id: String,
    /// Its digest in the registry, when the registry gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}
