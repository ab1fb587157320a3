//! Remotes: push and fetch, with the host's credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::git::place::on_repository;
use crate::value::{BoundedText, WorkingDir};

on_repository! {
    /// Names what to push and where.
    #[serde(default)]
    pub struct GitPush {
        /// The remote's name.
        pub remote: BoundedText<1, 255>,
        /// The short name of a local branch; the one checked out when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub branch: Option<BoundedText<1, 255>>,
        /// The branch's short name on the remote; the same as here when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub remote_branch: Option<BoundedText<1, 255>>,
        /// Tags to push as well, by their short names.
        pub tags: Vec<BoundedText<1, 255>>,
        /// The full id of the commit the remote's branch is at: when it still is,
        /// the branch is overwritten even where commits of the remote are lost.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub force_with_lease: Option<BoundedText<40, 40>>,
        /// Whether the local branch follows the remote's from now on.
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

/// What a push did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitPushed {
    /// The remote's branch, then its tags in the order asked for.
    pub updates: Vec<GitRefUpdate>,
}

on_repository! {
    /// Names what to fetch and from where.
    #[serde(default)]
    pub struct GitFetch {
        /// The remote's name.
        pub remote: BoundedText<1, 255>,
        /// The short names of the remote's branches to fetch; all when empty.
        pub branches: Vec<BoundedText<1, 255>>,
        /// Whether to forget branches that the remote no longer has; only when all are fetched.
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

/// What a fetch brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitFetched {
    /// The remote-tracking branches and tags that changed here, by name.
    pub updates: Vec<GitRefUpdate>,
}

/// What happened to a branch or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitRefUpdate {
    /// Its full name, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What happened to it.
    pub change: GitRefChange,
    /// The full id it had before; absent when it is new or was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The full id it has now; absent when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What happened to a branch or a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GitRefChange {
    /// It is new.
    Created,
    /// It moved forward.
    Updated,
    /// It moved to a commit that does not follow the one before.
    Forced,
    /// It is gone.
    Deleted,
    /// It was there already.
    UpToDate,
}
