//! What can be set about the git service.

use std::time::Duration;

/// Limits of the git service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitConfig {
    /// How many git effects run at once; the rest wait, holding no thread.
    pub max_concurrent: usize,
    /// How long one effect may work, not counting the wait for its turn. It is
    /// checked between the lines of a diff and between commits; libgit2 cannot
    /// be stopped while it compares trees and folders, as a status does.
    pub time_limit: Duration,
    /// How many changed files one answer may list.
    pub max_files: usize,
    /// A file larger than this is shown in a diff as binary, without its lines,
    /// and a diff with such a file shows renames as one file gone and one new.
    pub max_file_bytes: u64,
}

impl Default for GitConfig {
    /// 8 at once, 30 s, 20,000 files, 16 MiB a file.
    fn default() -> Self {
        Self {
            max_concurrent: 8,
            time_limit: Duration::from_secs(30),
            max_files: 20_000,
            max_file_bytes: 16 << 20,
        }
    }
}

impl GitConfig {
    pub(super) fn check(&self) -> Result<(), GitConfigError> {
        let zero = [
            ("max_concurrent", self.max_concurrent == 0),
            ("time_limit", self.time_limit.is_zero()),
            ("max_files", self.max_files == 0),
            ("max_file_bytes", self.max_file_bytes == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(GitConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}

/// Why the git service cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GitConfigError {
    /// A limit that would let nothing through.
    #[error("the git service's `{0}` is zero, which lets no effect through; set it to 1 or more")]
    Zero(&'static str),
    /// libgit2 refused a setting.
    #[error("libgit2 cannot be set up: {0}; this build of exomonad is broken")]
    Library(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let config = GitConfig {
            max_files: 0,
            ..GitConfig::default()
        };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("`max_files` is zero"), "{message}");
        assert!(GitConfig::default().check().is_ok());
    }
}
