//! Worktrees, made and removed. `GitRepoInfo` lists them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{BoundedText, WorkingDir};

/// Describes the worktree to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitAddWorktree {
    /// A folder in the repository.
    #[serde(default)]
    pub working_dir: WorkingDir,
    /// The folder to make, absolute or relative to `workingDir`. It does not
    /// exist yet, and its parent does.
    pub path: BoundedText<1, 4096>,
    /// The short name of the branch to check out in it.
    pub branch: BoundedText<1, 255>,
    /// Whether to make that branch.
    #[serde(default)]
    pub create_branch: bool,
    /// Where a branch that is made begins; what is checked out in `workingDir` when absent.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<BoundedText<1, 1024>>,
}

/// Names the worktree to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitRemoveWorktree {
    /// A folder in the repository.
    #[serde(default)]
    pub working_dir: WorkingDir,
    /// The worktree's folder, absolute or relative to `workingDir`.
    pub path: BoundedText<1, 4096>,
    /// Whether to remove it with changes and untracked files that are in it.
    #[serde(default)]
    pub force: bool,
}
