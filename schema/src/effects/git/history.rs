//! Commit history.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::location::repository_request;
use crate::value::{BoundedInt, BoundedText, WorkingDir};

repository_request! {
    /// Selects the commits to list.
    #[serde(default)]
    pub struct GitGetRecentCommits {
        /// The largest number of commits.
        pub limit: BoundedInt<1, 1000>,
        /// The start point: a branch, a tag, a commit, or anything `git rev-parse` takes.
        #[serde(rename = "ref")]
        pub reference: BoundedText<1, 1024>,
    }
}

impl Default for GitGetRecentCommits {
    fn default() -> Self {
        Self {
            working_dir: WorkingDir::default(),
            container: None,
            limit: BoundedInt::constant::<10>(),
            reference: BoundedText::constant("HEAD"),
        }
    }
}

/// A list of commits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitCommits {
    /// The commits, newest first; empty on a branch without a commit.
    pub commits: Vec<GitCommit>,
    /// True if there are older ones.
    pub has_more: bool,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitCommit {
    /// The full id.
    pub id: String,
    /// The message's first line.
    pub summary: String,
    /// The message after its first line; empty when there is none.
    pub body: String,
    /// Who wrote it.
    pub author: GitPerson,
    /// Who committed it.
    pub committer: GitPerson,
    /// The parents' full ids.
    pub parents: Vec<String>,
}

/// The author or committer of a commit, with the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitPerson {
    /// The name.
    pub name: String,
    /// The email address.
    pub email: String,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_millis: i64,
    /// The person's offset from UTC, in minutes.
    pub offset_minutes: i32,
}
