//! A lock file while it is held: see [`session`](super::session).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use exomonad_schema::{EffectError, ErrorCode};

use super::session::{Session, identity};
use crate::git::task::Task;

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock<'s> {
    session: &'s Session,
    target: PathBuf,
    path: PathBuf,
}

impl<'s> Lock<'s> {
    pub(super) fn new(session: &'s Session, target: &Path, path: PathBuf) -> Self {
        Self {
            session,
            target: target.to_owned(),
            path,
        }
    }

    /// The file that is locked.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Puts `content`, a file in the session's folder, in the place of the
    /// locked file. The lock stays until it is dropped.
    ///
    /// # Errors
    /// When it cannot be renamed, or somebody has taken the lock away.
    pub(super) fn replace_by(&self, task: &Task, content: &Path) -> Result<(), EffectError> {
        self.finish(task, |target| fs::rename(content, target))
    }

    /// Replaces the locked file by one with these bytes, and gives the lock back.
    ///
    /// # Errors
    /// As for [`Self::replace_by`].
    pub(super) fn write(self, task: &Task, bytes: &[u8]) -> Result<(), EffectError> {
        let content = self.session.folder().join("content");
        self.finish(task, |target| {
            let mut file = File::create(&content)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&content, target)
        })
    }

    /// Removes the locked file, and gives the lock back.
    ///
    /// # Errors
    /// As for [`Self::replace_by`].
    pub(super) fn remove(self, task: &Task) -> Result<(), EffectError> {
        self.finish(task, |target| match fs::remove_file(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    fn finish(
        &self,
        task: &Task,
        change: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), EffectError> {
        if !self.is_held() {
            return Err(task.error(
                ErrorCode::Conflict,
                format_args!(
                    "somebody removed the lock {:?} while it was held; nothing was written",
                    self.path.file_name().unwrap_or_default()
                ),
            ));
        }
        change(&self.target).map_err(|error| {
            task.error(
                ErrorCode::Unavailable,
                format_args!(
                    "{:?} in the git folder cannot be written: {error}; check that the disk has room",
                    self.target.file_name().unwrap_or_default()
                ),
            )
        })
    }

    fn is_held(&self) -> bool {
        fs::symlink_metadata(&self.path)
            .is_ok_and(|found| identity(&found) == self.session.identity)
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if self.is_held() {
            // What cannot be removed now is dead when this process is.
            let _ = fs::remove_file(&self.path);
        }
    }
}
