//! Errors of the key-value service.

use std::io;
use std::path::PathBuf;

use exomonad_schema::{EffectError, EffectKind, ErrorCode};
use rusqlite::ErrorCode as SqliteCode;

/// An error in setting the key-value service up.
#[derive(Debug, thiserror::Error)]
pub enum KvOpenError {
    /// A limit that would let nothing through.
    #[error(
        "the key-value service's `{0}` is zero, which lets nothing be kept; set it to 1 or more"
    )]
    Zero(&'static str),
    /// The file cannot be used, and starting with a new one would lose its data.
    #[error(
        "the key-value store {file} cannot be used: {reason}; restore it from a backup, or move it \
         and its `-wal` and `-shm` files away to begin with an empty one (exomonad deletes nothing)",
        file = file.display()
    )]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Its cause.
        reason: StoreError,
    },
}

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite could not do it.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The folder is not there and cannot be made, or cannot be looked into.
    #[error("its folder cannot be used: {0}")]
    Folder(io::Error),
    /// Written by a newer exomonad.
    #[error("it has version {found} and this exomonad knows up to {known}: update exomonad")]
    TooNew {
        /// The file's version.
        found: usize,
        /// The newest version this host knows.
        known: usize,
    },
    /// The value under a key is not JSON: not written by exomonad.
    #[error("the value under {key:?} of role {role} is not JSON")]
    NotJson {
        /// The role.
        role: String,
        /// The key.
        key: String,
    },
    /// A role's quota would be exceeded.
    #[error(
        "{what} would be {would_be}, and the limit is {limit} (`{name}` of the host's key-value store)"
    )]
    Quota {
        /// The quantity.
        what: &'static str,
        /// Its amount after the write.
        would_be: u64,
        /// The limit.
        limit: u64,
        /// The limit's name.
        name: &'static str,
    },
}

impl StoreError {
    /// True if the host is at fault, rather than the request.
    pub fn is_host_fault(&self) -> bool {
        !matches!(self, Self::Quota { .. })
    }

    /// True if it stays wrong until someone does something about the file.
    pub(super) fn needs_operator(&self) -> bool {
        match self {
            Self::TooNew { .. } | Self::NotJson { .. } => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(SqliteCode::DatabaseCorrupt | SqliteCode::NotADatabase)
            ),
            Self::Folder(_) | Self::Quota { .. } => false,
        }
    }

    /// The guest's error: without the host's paths, which the log has.
    pub fn into_effect_error(self, kind: EffectKind) -> EffectError {
        if let Self::Quota { .. } = self {
            return EffectError::new(
                ErrorCode::LimitExceeded,
                format!("{kind}: {self}; delete keys or store less"),
            );
        }
        let what = match &self {
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(SqliteCode::DiskFull) => "its disk is full; free some space",
                Some(SqliteCode::ReadOnly | SqliteCode::PermissionDenied) => {
                    "its file is read-only; let the host write to the state folder"
                }
                Some(SqliteCode::CannotOpen) => {
                    "its file cannot be opened; check the state folder's permissions"
                }
                Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => {
                    "another process keeps it locked; try again"
                }
                Some(SqliteCode::DatabaseCorrupt | SqliteCode::NotADatabase) => {
                    "its file is damaged; restore it from a backup or move it away"
                }
                Some(SqliteCode::SystemIoFailure) => {
                    "its disk does not take or give data; check for space and faults"
                }
                _ => {
                    return EffectError::internal(format!(
                        "{kind}: the host's key-value store failed; its log says more"
                    ));
                }
            },
            Self::Folder(_) => "the state folder cannot be made or read; check its permissions",
            Self::TooNew { .. } => "its file was written by a newer exomonad; update this one",
            Self::NotJson { .. } => "its file is damaged: a value is not JSON; write the key anew",
            Self::Quota { .. } => "a limit is reached",
        };
        EffectError::new(
            ErrorCode::Unavailable,
            format!(
                "{kind}: the host's key-value store cannot be used: {what} (the host's log names the file)"
            ),
        )
    }
}
