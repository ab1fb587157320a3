//! Diffs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::ChangeKind;
use crate::effects::git::location::repository_request;
use crate::value::{Base64, BoundedInt, BoundedText, WorkingDir};

repository_request! {
    /// Selects the two sides to compare.
    #[serde(default)]
    pub struct GitDiff {
        /// The two sides of the diff.
        pub target: DiffTarget,
        /// Only these paths and those below them, relative to the repository's
        /// root, taken literally; all when empty.
        pub paths: Vec<String>,
        /// Lines of context around a change.
        pub context_lines: BoundedInt<0, 1000>,
        /// The largest patch in bytes; a longer one is cut off at a line's end.
        pub max_bytes: BoundedInt<0, 16_777_216>,
    }
}

impl Default for GitDiff {
    fn default() -> Self {
        Self {
            working_dir: WorkingDir::default(),
            container: None,
            target: DiffTarget::Unstaged,
            paths: Vec::new(),
            context_lines: BoundedInt::constant::<3>(),
            max_bytes: BoundedInt::constant::<1_048_576>(),
        }
    }
}

/// The two sides of a diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "payload", deny_unknown_fields)]
pub enum DiffTarget {
    /// The working tree with the index: `git diff`.
    Unstaged,
    /// The index with HEAD: `git diff --staged`.
    Staged,
    /// The working tree with HEAD: `git diff HEAD`.
    WorkingTree,
    /// The working tree with a commit: `git diff REF`.
    Against(DiffAgainst),
    /// A commit with another: `git diff FROM TO`, or `FROM...TO` with `mergeBase`.
    Between(DiffBetween),
}

/// The commit the working tree is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiffAgainst {
    /// A branch, a tag, a commit, or anything `git rev-parse` takes.
    #[serde(rename = "ref")]
    pub reference: BoundedText<1, 1024>,
}

/// The commits that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiffBetween {
    /// The older side.
    pub from: BoundedText<1, 1024>,
    /// The newer side.
    pub to: BoundedText<1, 1024>,
    /// Compares `to` with the merge base of both, as a pull request does.
    #[serde(default)]
    pub merge_base: bool,
}

/// A diff.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitDiffReport {
    /// The unified diff; bytes that are not UTF-8 are replaced by U+FFFD.
    pub patch: String,
    /// True if the patch was cut off at `maxBytes`; `files` is complete even so.
    pub truncated: bool,
    /// The files that differ, by path.
    pub files: Vec<DiffFile>,
    /// Lines added in all files.
    pub additions: u64,
    /// Lines removed in all files.
    pub deletions: u64,
}

/// A file in a diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiffFile {
    /// Its path, relative to the repository's root.
    pub path: String,
    /// The path's bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<Base64>,
    /// The path it was renamed or copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_path: Option<String>,
    /// The kind of change.
    pub change: ChangeKind,
    /// True for a binary file, which has no lines.
    pub is_binary: bool,
    /// Lines added.
    pub additions: u64,
    /// Lines removed.
    pub deletions: u64,
}
