//! Stashes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::location::repository_request;
use crate::value::{BoundedInt, BoundedText, WorkingDir};

repository_request! {
    /// Describes the stash to create.
    #[derive(Default)]
    #[serde(default)]
    pub struct GitStash {
        /// The stash's message; made from the last commit when empty.
        pub message: BoundedText<0, 1024>,
        /// Includes untracked files; ignored ones stay.
        pub include_untracked: bool,
    }
}

/// The new stash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStashed {
    /// The full id of the stash's commit; absent when there was nothing to stash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

repository_request! {
    /// Names the stash to pop.
    #[serde(default)]
    pub struct GitPopStash {
        /// Its position in the list, 0 for the newest.
        pub index: BoundedInt<0, 100_000>,
    }
}

impl Default for GitPopStash {
    fn default() -> Self {
        Self {
            working_dir: WorkingDir::default(),
            container: None,
            index: BoundedInt::constant::<0>(),
        }
    }
}

/// The result of popping a stash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitPoppedStash {
    /// The full id of its commit, which keeps the changes.
    pub commit: String,
    /// Files with conflicts, with merge markers. If there are any, the stash stays
    /// in the list.
    pub conflicts: Vec<String>,
}

repository_request! {
    /// Names the repository whose stashes to list.
    #[derive(Default)]
    pub struct GitListStashes {}
}

/// A list of stashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStashes {
    /// The stashes, newest first: the first has the index 0.
    pub stashes: Vec<GitStashEntry>,
}

/// A stash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStashEntry {
    /// The full id of its commit.
    pub commit: String,
    /// Its message.
    pub message: String,
    /// When it was created, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_millis: i64,
}
