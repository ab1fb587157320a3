//! Repositories and labels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::github::{Page, PageSize, default_page_size, first_page};
use crate::value::RepoName;

/// Names the repository to describe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubGetRepo {
    /// The repository, `owner/name`.
    pub repo: RepoName,
}

/// A repository on GitHub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubRepo {
    /// `owner/name`.
    pub full_name: String,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The default branch.
    pub default_branch: String,
    /// True for a private repository.
    pub is_private: bool,
    /// True for a fork.
    pub is_fork: bool,
    /// True for an archived repository, which is read-only.
    pub is_archived: bool,
    /// Its web page.
    pub url: String,
    /// Its URL for `git clone` over HTTPS.
    pub clone_url: String,
}

/// Names the repository whose labels to list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitHubListLabels {
    /// The repository, `owner/name`.
    pub repo: RepoName,
    /// The page number, from 1.
    #[serde(default = "first_page")]
    pub page: Page,
    /// Entries per page.
    #[serde(default = "default_page_size")]
    pub per_page: PageSize,
}

/// A page of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubLabels {
    /// The labels.
    pub labels: Vec<GitHubLabel>,
    /// The next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page: Option<u32>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitHubLabel {
    /// Its name.
    pub name: String,
    /// Its colour, six hexadecimal digits without `#`.
    pub color: String,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
