//! The repository itself: branch, worktrees, remotes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::place::on_repository;
use crate::value::{BoundedText, WorkingDir};

on_repository! {
    /// Names the repository whose branch to tell.
    #[derive(Default)]
    pub struct GitGetBranch {}
}

/// What is checked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitBranch {
    /// What HEAD is.
    pub head: GitHead,
    /// The branch's short name, such as `main`; absent when HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit's full id; absent when the branch has no commit yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What HEAD is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitHead {
    /// A branch with commits.
    Branch,
    /// A branch without a commit yet.
    Unborn,
    /// A commit, on no branch.
    Detached,
}

on_repository! {
    /// Names the folder whose worktree to tell.
    #[derive(Default)]
    pub struct GitGetWorktree {}
}

/// A worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitWorktree {
    /// Its absolute path.
    pub path: String,
    /// Its name; absent for the main worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is the main worktree.
    pub is_main: bool,
    /// Why it is locked; absent when it is not, empty when locked without a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// The branch checked out in it; absent when detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

on_repository! {
    /// Names the repository and the remote.
    #[serde(default)]
    pub struct GitGetRemoteUrl {
        /// The remote's name.
        pub remote: BoundedText<1, 255>,
    }
}

impl Default for GitGetRemoteUrl {
    fn default() -> Self {
        Self {
            working_dir: WorkingDir::default(),
            container: None,
            remote: BoundedText::constant("origin"),
        }
    }
}

/// A remote's URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRemoteUrl {
    /// The URL, without user and password.
    pub url: String,
}

on_repository! {
    /// Names the repository to describe.
    #[derive(Default)]
    pub struct GitRepoInfo {}
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRepository {
    /// The absolute path of the `.git` folder shared by all worktrees.
    pub git_dir: String,
    /// The absolute path of the main worktree; absent when bare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_dir: Option<String>,
    /// Whether it has no working tree of its own.
    pub is_bare: bool,
    /// Whether it has no commit.
    pub is_empty: bool,
    /// Whether its history was cut off when it was cloned.
    pub is_shallow: bool,
    /// What is checked out.
    pub head: GitBranch,
    /// The branch that `origin/HEAD` points to, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_branch: Option<String>,
    /// Its remotes, by name.
    pub remotes: Vec<GitRemote>,
    /// Its worktrees, the main one first.
    pub worktrees: Vec<GitWorktree>,
    /// The paths of its submodules.
    pub submodules: Vec<String>,
}

/// A remote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRemote {
    /// Its name, such as `origin`.
    pub name: String,
    /// Its URL, without user and password.
    pub url: String,
}
