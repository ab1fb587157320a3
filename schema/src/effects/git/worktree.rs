//! Worktrees, made and removed. `GitRepoInfo` lists them.

use crate::effects::git::place::on_repository;
use crate::value::BoundedText;

on_repository! {
    /// Describes the worktree to make.
    pub struct GitAddWorktree {
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
}

on_repository! {
    /// Names the worktree to remove.
    pub struct GitRemoveWorktree {
        /// The worktree's folder, absolute or relative to `workingDir`.
        pub path: BoundedText<1, 4096>,
        /// Whether to remove it with changes and untracked files that are in it.
        #[serde(default)]
        pub force: bool,
    }
}
