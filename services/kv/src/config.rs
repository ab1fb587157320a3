//! Location and quotas of the key-value store.

use std::path::PathBuf;
use std::time::Duration;

use super::KvOpenError;

/// The name of the file in the state folder. SQLite keeps two more beside it
/// while it is open, `-wal` and `-shm`; all three belong together.
pub const FILE_NAME: &str = "state.sqlite3";

/// Configuration of the key-value service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvConfig {
    /// The state folder. The first write creates it.
    pub dir: PathBuf,
    /// Longest JSON of one value, in bytes.
    pub max_value_bytes: u64,
    /// Number of keys one role may have.
    pub max_keys_per_role: u64,
    /// Bytes of keys and values one role may have.
    pub max_bytes_per_role: u64,
    /// Number of connections, and so threads, that work at once.
    pub max_connections: usize,
    /// Time to wait for another process that is writing to the file.
    pub busy_timeout: Duration,
}

impl Default for KvConfig {
    /// In the current folder.
    fn default() -> Self {
        Self::in_dir("")
    }
}

impl KvConfig {
    /// The defaults: 1 MiB a value; 10,000 keys and 64 MiB a role;
    /// 4 connections; 5 s for another process.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_value_bytes: 1 << 20,
            max_keys_per_role: 10_000,
            max_bytes_per_role: 64 << 20,
            max_connections: 4,
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.dir.join(FILE_NAME)
    }

    pub(super) fn check(&self) -> Result<(), KvOpenError> {
        let zero = [
            ("max_value_bytes", self.max_value_bytes == 0),
            ("max_keys_per_role", self.max_keys_per_role == 0),
            ("max_bytes_per_role", self.max_bytes_per_role == 0),
            ("max_connections", self.max_connections == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((name, _)) => Err(KvOpenError::Zero(name)),
            None => Ok(()),
        }
    }
}
