//! Merging.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{Body, Title};
use crate::value::RepoName;

/// Names the pull request to merge, and the method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubMergePr {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
    /// The merge method.
    #[serde(default)]
    pub method: MergeMethod,
    /// The merge commit's title; GitHub's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_title: Option<Title>,
    /// The merge commit's text; GitHub's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_message: Option<Body>,
    /// Merges only if this is still the newest commit; answers `conflict` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_head_sha: Option<String>,
}

/// The method of merging.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// With a merge commit.
    #[default]
    Merge,
    /// Squashed into one commit.
    Squash,
    /// Rebased, each commit by itself.
    Rebase,
}

/// The result of a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubMerge {
    /// The resulting commit.
    pub sha: String,
    /// GitHub's message about it.
    pub message: String,
}
