//! Types that several tools share.

use exomonad_guest::prelude::*;

/// A commit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Commit {
    /// The full id.
    pub id: String,
    /// The message's first line.
    pub summary: String,
    /// Its author.
    pub author: String,
    /// When it was committed, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_millis: i64,
}

impl From<GitCommit> for Commit {
    fn from(commit: GitCommit) -> Self {
        Self {
            id: commit.id,
            summary: commit.summary,
            author: commit.author.name,
            unix_millis: commit.committer.unix_millis,
        }
    }
}

/// A changed file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangedFile {
    /// Its path, relative to the repository's root.
    pub path: String,
    /// The path it was renamed or copied from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// The kind of change, such as `modified`.
    pub change: String,
}

impl From<GitChange> for ChangedFile {
    fn from(change: GitChange) -> Self {
        Self {
            path: change.path,
            old_path: change.old_path,
            change: change.change.name().to_owned(),
        }
    }
}

/// Changed files for a tool's result.
pub fn changed_files(changes: Vec<GitChange>) -> Vec<ChangedFile> {
    changes.into_iter().map(ChangedFile::from).collect()
}
