//! Staging and committing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::GitChange;
use crate::effects::git::location::repository_request;
use crate::value::BoundedText;

repository_request! {
    /// Names the changes to stage: `paths`, or `all` of them.
    #[derive(Default)]
    #[serde(default)]
    pub struct GitStage {
        /// Files and folders, relative to the repository's root, taken literally.
        /// One that no longer exists is staged as deleted.
        pub paths: Vec<String>,
        /// Stages every change, untracked files included, as `git add --all`.
        pub all: bool,
    }
}

/// The staged changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStaged {
    /// Every staged change by path, including changes staged earlier.
    pub staged: Vec<GitChange>,
}

repository_request! {
    /// Describes the commit to create from the staged changes.
    pub struct GitCreateCommit {
        /// The message; its first line is the summary.
        pub message: BoundedText<1, 65_536>,
        /// Files and folders to stage first, relative to the repository's root. Changes
        /// staged earlier are committed with them.
        #[serde(default)]
        pub paths: Vec<String>,
        /// Stages every change first, untracked files included.
        #[serde(default)]
        pub all: bool,
        /// Allows a commit without changes.
        #[serde(default)]
        pub allow_empty: bool,
    }
}
