//! Merging.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{Body, Title};
use crate::value::RepoName;

/// Names the pull request to merge, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubMergePr {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The pull request's number.
    pub number: u64,
    /// How its commits become part of the branch.
    #[serde(default)]
    pub method: MergeMethod,
    /// The merge commit's title; GitHub's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_title: Option<Title>,
    /// The merge commit's text; GitHub's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_message: Option<Body>,
    /// Merge only if this is still the newest commit; answers `conflict` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_head_sha: Option<String>,
}

/// How commits become part of a branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeMethod {
    /// By a merge commit.
    #[default]
    Merge,
    /// As one commit.
    Squash,
    /// One after the other.
    Rebase,
}

/// A merge that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubMerge {
    /// The commit it was merged as.
    pub sha: String,
    /// What GitHub says about it.
    pub message: String,
}
