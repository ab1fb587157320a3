//! Status: changed files and the distance from upstream.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::GitBranch;
use crate::effects::git::location::repository_request;
use crate::value::Base64;

repository_request! {
    /// Names the repository whose changed files to list.
    #[derive(Default)]
    pub struct GitGetDirtyFiles {}
}

/// Files that differ from HEAD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitDirtyFiles {
    /// The files, by path, each once.
    pub files: Vec<GitChange>,
}

repository_request! {
    /// Names the repository whose status to report.
    #[derive(Default)]
    pub struct GitStatus {}
}

/// A repository's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStatusReport {
    /// The current branch.
    pub head: GitBranch,
    /// The branch's upstream; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<GitUpstream>,
    /// Staged changes.
    pub staged: Vec<GitChange>,
    /// Unstaged changes of tracked files.
    pub unstaged: Vec<GitChange>,
    /// Untracked files.
    pub untracked: Vec<GitChange>,
    /// Files with merge conflicts.
    pub conflicted: Vec<GitChange>,
    /// True if all four lists are empty.
    pub is_clean: bool,
}

/// The upstream of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitUpstream {
    /// Its short name, such as `origin/main`.
    pub name: String,
    /// Commits that upstream lacks; absent when upstream no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u32>,
    /// Commits that only upstream has; absent when upstream no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<u32>,
}

/// A changed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitChange {
    /// Its path, relative to the repository's root.
    pub path: String,
    /// The path's bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Base64>,
    /// The path it was renamed or copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// The old path's bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_path_bytes: Option<Base64>,
    /// The kind of change.
    pub change: ChangeKind,
}

impl GitChange {
    /// A change of the file with this path, which need not be UTF-8.
    pub fn new(path: &[u8], change: ChangeKind) -> Self {
        let (path, path_bytes) = Base64::lossy_text(path);
        Self {
            path,
            path_bytes,
            old_path: None,
            old_path_bytes: None,
            change,
        }
    }

    /// The same change with the path it was renamed or copied from.
    #[must_use]
    pub fn from_path(mut self, old_path: &[u8]) -> Self {
        let (path, path_bytes) = Base64::lossy_text(old_path);
        self.old_path = Some(path);
        self.old_path_bytes = path_bytes;
        self
    }
}

/// The kind of change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was added.
    Added,
    /// Its content changed.
    Modified,
    /// It was deleted.
    Deleted,
    /// It was renamed.
    Renamed,
    /// It was copied.
    Copied,
    /// Its type changed, such as from a file to a link.
    TypeChanged,
    /// It is untracked.
    Untracked,
    /// It has merge conflicts.
    Conflicted,
}
