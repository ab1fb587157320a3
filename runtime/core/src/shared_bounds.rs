//! Bounds that several services share: folders of the host and GitHub repositories.

use std::path::{Path, PathBuf};

use exomonad_schema::value::RepoName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::no_bounds;
use crate::policy::{Ruling, Verdict};
use crate::roots::{Location, Roots};
use crate::values::RepoPattern;

/// The folders of a role, for git's effects and Docker's mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PathBounds {
    /// The folders that file and git effects may reach, with everything in them.
    #[schemars(extend("items" = { "type": "string", "format": "path" }))]
    pub paths: Vec<PathBuf>,
}

/// The GitHub repositories of a role, for GitHub's effects and for git's pushes and fetches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RepoBounds {
    /// The GitHub repositories that GitHub effects may reach: `owner/name`, `owner/*`.
    pub repos: Vec<RepoPattern>,
}

no_bounds!(PathBounds, RepoBounds);

impl PathBounds {
    /// The role's list that decides.
    pub const KEY: &str = "paths";

    const EMPTY: Ruling = Ruling::Empty("name the folders, such as [\".\"]");

    /// The folders, as they are on the disk now.
    pub fn roots(&self) -> Roots {
        Roots::new(&self.paths)
    }

    /// Follows a path on the disk; a relative one is taken from the first folder. `None` when the role has
    /// no folder.
    pub fn locate(&self, path: &Path) -> Option<Location> {
        let first = self.paths.first()?;
        Some(self.roots().locate(&first.join(path)))
    }

    /// Decides about a path; without one, about all.
    pub fn decide(&self, path: Option<&str>) -> Verdict {
        match path {
            Some(path) => self.decide_as(path, Path::new(path)),
            None if self.paths.is_empty() => Verdict::new(Self::KEY, None, Self::EMPTY),
            None => Verdict::new(Self::KEY, None, Ruling::AtCall("the folder".to_owned())),
        }
    }

    /// Decides about a path that the guest wrote as `subject`.
    pub fn decide_as(&self, subject: &str, path: &Path) -> Verdict {
        let ruling = match self.locate(path) {
            None => Self::EMPTY,
            Some(Location::Inside(_)) => Ruling::Within,
            Some(Location::Missing) => Ruling::AtCall("whether it exists then".to_owned()),
            Some(Location::Outside) => Ruling::Outside,
        };
        Verdict::new(Self::KEY, Some(subject), ruling)
    }
}

impl RepoBounds {
    /// The role's list that decides.
    pub const KEY: &str = "repos";

    /// Decides about a repository; without one, about all.
    pub fn decide(&self, repo: Option<&RepoName>) -> Verdict {
        let repo = repo.map(ToString::to_string);
        let ruling = match &repo {
            _ if self.repos.is_empty() => {
                Ruling::Empty("name the repositories, such as [\"owner/name\"]")
            }
            None => Ruling::AtCall("the repository".to_owned()),
            Some(repo) => Ruling::of(self.repos.iter().any(|pattern| pattern.matches(repo))),
        };
        Verdict::new(Self::KEY, repo.as_deref(), ruling)
    }
}
