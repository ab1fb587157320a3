//! Repositories: the current branch, worktrees, remotes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::location::repository_request;
use crate::value::{BoundedText, RepoName, WorkingDir};

repository_request! {
    /// Names the repository whose current branch to report.
    #[derive(Default)]
    pub struct GitGetBranch {}
}

/// The current branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitBranch {
    /// The kind of HEAD.
    pub head: GitHead,
    /// The branch's short name, such as `main`; absent when HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit's full id; absent when the branch has no commit yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The kind of HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitHead {
    /// On a branch with commits.
    Branch,
    /// On a branch without a commit yet.
    Unborn,
    /// On a commit, not on a branch.
    Detached,
}

repository_request! {
    /// Names the folder whose worktree to report.
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
    /// True for the main worktree.
    pub is_main: bool,
    /// The reason why it is locked; absent when it is not, empty when locked without a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<String>,
    /// The branch checked out in it; absent when HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

repository_request! {
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
    /// The repository that it leads to, `owner/name`, if that is on the GitHub server of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_repo: Option<RepoName>,
}

repository_request! {
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
    /// The absolute path of the main worktree; absent for a bare repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_dir: Option<String>,
    /// True for a repository without a working tree of its own.
    pub is_bare: bool,
    /// True for a repository without commits.
    pub is_empty: bool,
    /// True for a shallow clone, whose history is cut off.
    pub is_shallow: bool,
    /// The current branch.
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
