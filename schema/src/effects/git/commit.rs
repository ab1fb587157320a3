//! What goes into the next commit, and the commit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::GitChange;
use crate::effects::git::place::on_repository;
use crate::value::BoundedText;

on_repository! {
    /// Names the changes to stage: `paths`, or `all` of them.
    #[derive(Default)]
    #[serde(default)]
    pub struct GitStage {
        /// Files and folders, relative to the repository's root, taken literally.
        /// One that is gone is staged as deleted.
        pub paths: Vec<String>,
        /// Whether to stage every change, untracked files included, as `git add --all`.
        pub all: bool,
    }
}

/// What the next commit would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitStaged {
    /// Every staged change, by path, those staged before included.
    pub staged: Vec<GitChange>,
}

on_repository! {
    /// Describes the commit to make of what is staged.
    pub struct GitCreateCommit {
        /// The message; its first line is the summary.
        pub message: BoundedText<1, 65_536>,
        /// Files and folders to stage first, relative to the repository's root. What
        /// was staged before is committed with them.
        #[serde(default)]
        pub paths: Vec<String>,
        /// Whether to stage every change first, untracked files included.
        #[serde(default)]
        pub all: bool,
        /// Whether a commit that changes nothing is meant.
        #[serde(default)]
        pub allow_empty: bool,
    }
}
