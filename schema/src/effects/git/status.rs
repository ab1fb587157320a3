//! What has changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::GitBranch;
use crate::effects::git::place::on_repository;
use crate::value::Base64;

on_repository! {
    /// Names the repository whose changed files to list.
    #[derive(Default)]
    pub struct GitGetDirtyFiles {}
}

/// Files that differ from HEAD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitDirtyFiles {
    /// The files, by path; each once.
    pub files: Vec<GitChange>,
}

on_repository! {
    /// Names the repository whose status to give.
    #[derive(Default)]
    pub struct GitStatus {}
}

/// A repository's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStatusReport {
    /// What is checked out.
    pub head: GitBranch,
    /// The branch it follows; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<GitUpstream>,
    /// What the next commit would change.
    pub staged: Vec<GitChange>,
    /// What has changed since it was staged.
    pub unstaged: Vec<GitChange>,
    /// Files git does not know.
    pub untracked: Vec<GitChange>,
    /// Files a merge could not decide.
    pub conflicted: Vec<GitChange>,
    /// Whether all four lists are empty.
    pub is_clean: bool,
}

/// The branch another one follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitUpstream {
    /// Its short name, such as `origin/main`.
    pub name: String,
    /// Commits here that are not there; absent when upstream is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<u32>,
    /// Commits there that are not here; absent when upstream is gone.
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
    /// What happened to it.
    pub change: ChangeKind,
}

impl GitChange {
    /// A change of the file with this path, whatever its bytes.
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

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content has changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It has another path.
    Renamed,
    /// It is a copy.
    Copied,
    /// It became something else: a file a link, a link a submodule.
    TypeChanged,
    /// Git does not know it.
    Untracked,
    /// A merge could not decide.
    Conflicted,
}
