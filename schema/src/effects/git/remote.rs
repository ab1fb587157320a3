//! Remotes: push and fetch, with the host's credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::location::repository_request;
use crate::value::{BoundedText, WorkingDir};

repository_request! {
    /// Selects the branch and tags to push, and the remote.
    #[serde(default)]
    pub struct GitPush {
        /// The remote's name.
        pub remote: BoundedText<1, 255>,
        /// The short name of a local branch; the current one when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub branch: Option<BoundedText<1, 255>>,
        /// The branch's short name on the remote; the local name when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub remote_branch: Option<BoundedText<1, 255>>,
        /// Tags to push too, by their short names.
        pub tags: Vec<BoundedText<1, 255>>,
        /// The full commit id that the remote's branch must still be at: the branch is
        /// then overwritten, even if the remote loses commits.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub force_with_lease: Option<BoundedText<40, 40>>,
        /// Makes the remote's branch the upstream of the local one.
        pub set_upstream: bool,
    }
}

impl Default for GitPush {
    fn default() -> Self {
        Self {
            working_dir: WorkingDir::default(),
            container: None,
            remote: BoundedText::constant("origin"),
            branch: None,
            remote_branch: None,
            tags: Vec::new(),
            force_with_lease: None,
            set_upstream: false,
        }
    }
}

/// The result of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitPushed {
    /// The remote's branch, then its tags in the order asked for.
    pub updates: Vec<GitRefUpdate>,
}

repository_request! {
    /// Selects the branches to fetch, and the remote.
    #[serde(default)]
    pub struct GitFetch {
        /// The remote's name.
        pub remote: BoundedText<1, 255>,
        /// The short names of the remote's branches to fetch; all when empty.
        pub branches: Vec<BoundedText<1, 255>>,
        /// Removes remote-tracking branches that the remote no longer has; only when all are fetched.
        pub prune: bool,
    }
}

impl Default for GitFetch {
    fn default() -> Self {
        Self {
            working_dir: WorkingDir::default(),
            container: None,
            remote: BoundedText::constant("origin"),
            branches: Vec::new(),
            prune: false,
        }
    }
}

/// The result of a fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitFetched {
    /// The remote-tracking branches and tags that changed, by name.
    pub updates: Vec<GitRefUpdate>,
}

/// An update of a branch or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRefUpdate {
    /// Its full name, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The kind of update.
    pub change: GitRefChange,
    /// The full id before; absent when the reference is new or was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The full id now; absent when the reference was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// The kind of update of a branch or a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitRefChange {
    /// It was created.
    Created,
    /// It was fast-forwarded.
    Updated,
    /// It moved to a commit that does not descend from the one before.
    Forced,
    /// It was deleted.
    Deleted,
    /// It was already up to date.
    UpToDate,
}
