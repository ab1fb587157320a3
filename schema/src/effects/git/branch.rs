//! Branches and tags: creating and checking out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::location::repository_request;
use crate::value::BoundedText;

repository_request! {
    /// Names the branch to create.
    pub struct GitCreateBranch {
        /// The new branch's short name, such as `topic/parser`.
        pub branch: BoundedText<1, 255>,
        /// The start point: a branch, a tag, a commit, or anything `git rev-parse`
        /// takes; HEAD when absent.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        pub reference: Option<BoundedText<1, 1024>>,
    }
}

/// A new branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitNewBranch {
    /// Its short name.
    pub branch: String,
    /// The full id of the commit it starts at.
    pub commit: String,
}

repository_request! {
    /// Names the branch to check out.
    pub struct GitSwitchBranch {
        /// The short name of a branch that exists.
        pub branch: BoundedText<1, 255>,
    }
}

repository_request! {
    /// Names the tag to create.
    pub struct GitCreateTag {
        /// The new tag's short name, such as `v1.2.0`.
        pub tag: BoundedText<1, 255>,
        /// The tagged object: a branch, a commit, or anything `git rev-parse` takes;
        /// HEAD when absent.
        #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
        pub reference: Option<BoundedText<1, 1024>>,
        /// The message of an annotated tag; without one the tag is lightweight.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub message: Option<BoundedText<1, 65_536>>,
    }
}

/// A new tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitTag {
    /// Its short name.
    pub tag: String,
    /// The full id of the tag object, or of the commit when there is no message.
    pub id: String,
    /// The full id of the tagged commit.
    pub commit: String,
}
