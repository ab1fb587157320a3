//! Git's lock files, taken so that stale ones can be recognized.
//!
//! Git guards a file by creating `<file>.lock` beside it. When its owner dies, the lock stays, and
//! looks like one that is held. Here every lock of one write is a hard link to one file, the
//! session's `owner`, on which the host holds a kernel lock (`flock`). The kernel lets go when the
//! process dies, also in another container. So a lock is
//!
//! - **ours** when it holds our text, from its first moment on, since a link
//!   appears with its content;
//! - **stale** when the kernel lock on it can be taken.
//!
//! Only a lock that is both is ever removed. A session records the locks that
//! it is about to take, so that the next write to the repository can remove all
//! that a killed one left, not only those it needs itself.
//!
//! New content never goes into the lock: it is written in the session's folder
//! and renamed into place while the lock is held. A host killed between two
//! steps leaves the old content or the new.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exomonad_schema::{EffectError, ErrorCode};

pub(super) use super::lock::Lock;
use super::stale_locks;
use crate::blocking::Job;
use crate::effect_context::EffectContext;

/// The content of every lock file of ours.
pub(super) const LOCK_CONTENT: &[u8] = b"exomonad holds this lock while its process lives\n";

/// Time to wait for a lock of another program.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// The folder, in the git folder that all worktrees share, that holds the sessions.
const FOLDER: &str = "exomonad";

/// One write to one repository, for as long as it holds locks.
#[derive(Debug)]
pub(crate) struct LockSession {
    common_dir: PathBuf,
    folder: PathBuf,
    /// Holds the kernel lock; never read.
    _owner: File,
    pub(super) identity: (u64, u64),
    patience: Duration,
}

impl LockSession {
    /// Begins a write, after removing what killed ones left.
    ///
    /// # Errors
    /// `unavailable` when the git folder cannot be written.
    pub(super) fn begin(context: &EffectContext, common_dir: &Path) -> Result<Self, EffectError> {
        let fail = |error: io::Error| {
            context.error(
                ErrorCode::Unavailable,
                format_args!("the git folder cannot be written: {error}; check who owns it and that the disk has room"),
            )
        };
        let sessions = common_dir.join(FOLDER);
        if sessions.is_symlink() {
            return Err(context.forbidden("a link in the git folder leads"));
        }
        fs::create_dir_all(&sessions).map_err(fail)?;
        // Another host must not take a session for stale that is only being created.
        let _sessions_lock = lock_sessions(context, &sessions)?;
        stale_locks::clean_up(common_dir, &sessions);
        let name = getrandom::u64().map_err(|error| {
            EffectError::internal(format!("{}: no randomness: {error}", context.kind()))
        })?;
        let folder = sessions.join(format!("session-{name:016x}"));
        fs::create_dir(&folder).map_err(fail)?;
        let begun = (|| {
            let mut owner = File::create_new(folder.join("owner"))?;
            owner.lock()?;
            owner.write_all(LOCK_CONTENT)?;
            let identity = identity(&owner.metadata()?);
            Ok((owner, identity))
        })();
        match begun {
            Ok((owner, identity)) => Ok(Self {
                common_dir: common_dir.to_owned(),
                folder,
                _owner: owner,
                identity,
                patience: PATIENCE,
            }),
            Err(error) => {
                // An empty folder that is left behind is harmless.
                let _ = fs::remove_dir_all(&folder);
                Err(fail(error))
            }
        }
    }

    /// A folder for files that will be renamed into place. It is removed at the end.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the lock of `target`, a file in the common git folder; waits a
    /// moment while another program has it.
    ///
    /// # Errors
    /// `unavailable` when the other one keeps it.
    pub(super) fn lock(
        &self,
        context: &EffectContext,
        job: &Job,
        target: &Path,
    ) -> Result<Lock<'_>, EffectError> {
        let path = with_suffix(target);
        let name = path
            .strip_prefix(&self.common_dir)
            .unwrap_or(&path)
            .to_owned();
        let fail = |error: io::Error| {
            context.error(
                ErrorCode::Unavailable,
                format_args!("{name:?} in the git folder cannot be locked: {error}"),
            )
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        self.record_lock(&name).map_err(fail)?;
        let started = Instant::now();
        loop {
            match fs::hard_link(self.folder.join("owner"), &path) {
                Ok(()) => {
                    return Ok(Lock::new(self, target, path));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail(error)),
            }
            job.check(context)?;
            if !stale_locks::remove_if_stale(&path) {
                if started.elapsed() > self.patience {
                    return Err(context.error(
                        ErrorCode::Unavailable,
                        format_args!(
                            "another program has the repository locked ({name:?} in the git folder); \
                             try again, and remove that file if no git program is running"
                        ),
                    ));
                }
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn record_lock(&self, lock: &Path) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let mut list = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.join("locks"))?;
        list.write_all(&[lock.as_os_str().as_bytes(), b"\n"].concat())
    }
}

impl Drop for LockSession {
    fn drop(&mut self) {
        // The next session will find stale what cannot be removed now.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Locks the sessions' folder against other hosts, until the file is dropped.
fn lock_sessions(context: &EffectContext, sessions: &Path) -> Result<File, EffectError> {
    let started = Instant::now();
    let fail = |what: &dyn std::fmt::Display| {
        context.error(
            ErrorCode::Unavailable,
            format_args!("{FOLDER:?} in the git folder cannot be locked: {what}; try again"),
        )
    };
    let folder = File::open(sessions).map_err(|error| fail(&error))?;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(fail(&error)),
        }
    }
}

/// Device and inode: the same for all links to one file, and only for them.
pub(super) fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn with_suffix(target: &Path) -> PathBuf {
    let mut path = target.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

#[cfg(test)]
mod tests;
