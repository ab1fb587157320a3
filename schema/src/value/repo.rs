//! A GitHub repository's name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A GitHub repository as `owner/name`.
///
/// Limited to the characters that GitHub allows, so that it can be part of a URL's path unescaped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RepoName(String);

pattern_schema!(
    RepoName,
    r"^[A-Za-z0-9_-]{1,64}/[A-Za-z0-9._-]{0,99}[A-Za-z0-9_-]$"
);

/// A text that is not a repository name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a repository: write `owner/name`")]
pub struct RepoNameError(String);

impl RepoName {
    /// `owner/name`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user or organisation.
    pub fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The repository's own name.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl FromStr for RepoName {
    type Err = RepoNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for RepoName {
    type Error = RepoNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let valid = text.split_once('/').is_some_and(|(owner, name)| {
            (1..=64).contains(&owner.len())
                && (1..=100).contains(&name.len())
                && owner.bytes().all(word)
                && name.bytes().all(|byte| word(byte) || byte == b'.')
                // `.` and `..` would change a URL's path; GitHub takes no name that
                // ends in a dot.
                && !name.ends_with('.')
        });
        if valid {
            Ok(Self(text))
        } else {
            Err(RepoNameError(text))
        }
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_an_owner_and_a_name_and_no_parent_folders() {
        let repo: RepoName = "rust-lang/rust.vim".parse().unwrap();
        assert_eq!((repo.owner(), repo.name()), ("rust-lang", "rust.vim"));
        for bad in [
            "", "a", "a/", "/b", "a/b/c", "a/..", "a/.", "a b/c", "a/b?c", "é/b",
        ] {
            assert!(bad.parse::<RepoName>().is_err(), "{bad}");
        }
    }
}
