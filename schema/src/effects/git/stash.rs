//! Changes put aside.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::place::on_repository;
use crate::value::{BoundedInt, BoundedText, WorkingDir};

on_repository! {
    /// Describes the changes to put aside.
    #[derive(Default)]
    #[serde(default)]
    pub struct GitStash {
        /// What to call them; the last commit when empty.
        pub message: BoundedText<0, 1024>,
        /// Whether to put untracked files aside too; ignored ones stay.
        pub include_untracked: bool,
    }
}

/// What was put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStashed {
    /// The full id of the stash's commit; absent when there was nothing to put aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

on_repository! {
    /// Names the stash to bring back.
    #[serde(default)]
    pub struct GitPopStash {
        /// Its place in the list, 0 for the newest.
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

/// What bringing a stash back did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitPoppedStash {
    /// The full id of its commit, from which it can still be had.
    pub commit: String,
    /// Files in which it met other changes, marked as a merge marks them. While
    /// there are any the stash stays in the list.
    pub conflicts: Vec<String>,
}

on_repository! {
    /// Names the repository whose stashes to list.
    #[derive(Default)]
    pub struct GitListStashes {}
}

/// Stashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStashes {
    /// The stashes, newest first: the first is number 0.
    pub stashes: Vec<GitStashEntry>,
}

/// A stash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStashEntry {
    /// The full id of its commit.
    pub commit: String,
    /// What it is called.
    pub message: String,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_millis: i64,
}
