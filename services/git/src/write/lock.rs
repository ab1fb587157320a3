//! A lock file that is held: see [`lock_session`](super::lock_session).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use exomonad_schema::{EffectError, ErrorCode};

use super::lock_session::{LockSession, identity};
use crate::effect_context::EffectContext;

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock<'s> {
    session: &'s LockSession,
    target: PathBuf,
    path: PathBuf,
}

impl<'s> Lock<'s> {
    pub(super) fn new(session: &'s LockSession, target: &Path, path: PathBuf) -> Self {
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

    /// Replaces the locked file by `content`, a file in the session's folder. The
    /// lock stays until it is dropped.
    ///
    /// # Errors
    /// When it cannot be renamed, or somebody has removed the lock.
    pub(super) fn replace_by(
        &self,
        context: &EffectContext,
        content: &Path,
    ) -> Result<(), EffectError> {
        self.finish(context, |target| fs::rename(content, target))
    }

    /// Writes these bytes to the locked file, and releases the lock.
    ///
    /// # Errors
    /// As for [`Self::replace_by`].
    pub(super) fn write(self, context: &EffectContext, bytes: &[u8]) -> Result<(), EffectError> {
        let content = self.session.folder().join("content");
        self.finish(context, |target| {
            let mut file = File::create(&content)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&content, target)
        })
    }

    /// Removes the locked file, and releases the lock.
    ///
    /// # Errors
    /// As for [`Self::replace_by`].
    pub(super) fn remove(self, context: &EffectContext) -> Result<(), EffectError> {
        self.finish(context, |target| match fs::remove_file(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    fn finish(
        &self,
        context: &EffectContext,
        change: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), EffectError> {
        if !self.is_held() {
            return Err(context.error(
                ErrorCode::Conflict,
                format_args!(
                    "somebody removed the lock {:?} while it was held; nothing was written",
                    self.path.file_name().unwrap_or_default()
                ),
            ));
        }
        change(&self.target).map_err(|error| {
            context.error(
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
            // A lock that cannot be removed now is stale when this process ends.
            let _ = fs::remove_file(&self.path);
        }
    }
}
