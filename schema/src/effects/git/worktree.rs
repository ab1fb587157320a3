//! Worktrees: adding and removing. `GitRepoInfo` lists them.

use crate::effects::git::location::repository_request;
use crate::value::BoundedText;

repository_request! {
    /// Describes the worktree to add.
    pub struct GitAddWorktree {
        /// The new folder, absolute or relative to `workingDir`. It must not exist
        /// yet, and its parent must.
        pub path: BoundedText<1, 4096>,
        /// The short name of the branch to check out in it.
        pub branch: BoundedText<1, 255>,
        /// Creates that branch.
        #[serde(default)]
        pub create_branch: bool,
        /// The start point of a new branch; the HEAD of `workingDir` when absent.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        pub reference: Option<BoundedText<1, 1024>>,
    }
}

repository_request! {
    /// Names the worktree to remove.
    pub struct GitRemoveWorktree {
        /// The worktree's folder, absolute or relative to `workingDir`.
        pub path: BoundedText<1, 4096>,
        /// Removes it even with changes and untracked files.
        #[serde(default)]
        pub force: bool,
    }
}
