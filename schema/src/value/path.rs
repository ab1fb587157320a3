//! The working directory of a git effect.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The folder an effect works in: absolute, or relative to the role's first
/// allowed path. The service refuses one that leads outside the allowed paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WorkingDir(#[schemars(length(max = 4096))] pub String);

impl WorkingDir {
    /// The path, not yet checked against the role's bounds.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

/// `.`, the role's first allowed path.
impl Default for WorkingDir {
    fn default() -> Self {
        Self(".".to_owned())
    }
}
