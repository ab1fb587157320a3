//! Git's lock files, taken in a way that tells afterwards whose they were.
//!
//! Git guards a file by creating `<file>.lock` beside it. When its maker dies,
//! the lock stays, and nobody can say whether it is still meant. Here every
//! lock of one write is a hard link to one file, the session's `owner`, on which
//! the host holds a kernel lock (`flock`). The kernel lets go when the process
//! dies, however it dies and in whatever container it ran. So a lock is
//!
//! - **ours** when it holds our text, from its first moment on, since a link
//!   appears with its content;
//! - **dead** when the kernel lock on it can be had.
//!
//! Only a lock that is both is ever removed. A session writes down which locks
//! it is about to take, so that the next write to the repository can clear all
//! that a killed one left, not only what is in its own way.
//!
//! New content never goes into the lock: it is written in the session's folder
//! and renamed into place while the lock is held. A host killed between two
//! steps leaves the old content or the new.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use exomonad_schema::{EffectError, ErrorCode};

use super::dead;
use crate::git::job::Job;
use crate::git::task::Task;

/// The content of every lock of ours.
pub(super) const MARK: &[u8] = b"exomonad holds this lock while its process lives\n";

/// How long to wait for a lock of another program.
const PATIENCE: Duration = Duration::from_millis(1500);

/// How long until the next look at it.
const PAUSE: Duration = Duration::from_millis(20);

/// The folder, in the git folder that all worktrees share, that holds the sessions.
const FOLDER: &str = "exomonad";

/// One write to one repository, for as long as it holds locks.
#[derive(Debug)]
pub(in crate::git) struct Session {
    common_dir: PathBuf,
    folder: PathBuf,
    /// Holds the kernel lock; never read.
    _owner: File,
    identity: (u64, u64),
    patience: Duration,
}

impl Session {
    /// Begins a write, after clearing up what killed ones left.
    ///
    /// # Errors
    /// `unavailable` when the git folder cannot be written.
    pub(super) fn begin(task: &Task, common_dir: &Path) -> Result<Self, EffectError> {
        let fail = |error: io::Error| {
            task.error(
                ErrorCode::Unavailable,
                format_args!("the git folder cannot be written: {error}; check who owns it and that the disk has room"),
            )
        };
        let sessions = common_dir.join(FOLDER);
        if sessions.is_symlink() {
            return Err(task.forbidden("a link in the git folder leads"));
        }
        fs::create_dir_all(&sessions).map_err(fail)?;
        dead::clear(common_dir, &sessions);
        let name = getrandom::u64().map_err(|error| {
            EffectError::internal(format!("{}: no randomness: {error}", task.kind()))
        })?;
        let folder = sessions.join(format!("session-{name:016x}"));
        fs::create_dir(&folder).map_err(fail)?;
        let begun = (|| {
            let mut owner = File::create_new(folder.join("owner"))?;
            owner.lock()?;
            owner.write_all(MARK)?;
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
                // What is left behind is an empty folder, harmless to all.
                let _ = fs::remove_dir_all(&folder);
                Err(fail(error))
            }
        }
    }

    /// A folder for files that will be renamed into place. It is removed at the end.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes the lock of `target`, a file in the common git folder, waiting a
    /// little while another program has it.
    ///
    /// # Errors
    /// `unavailable` when the other one keeps it.
    pub(super) fn lock(
        &self,
        task: &Task,
        job: &Job,
        target: &Path,
    ) -> Result<Lock<'_>, EffectError> {
        let path = with_suffix(target);
        let name = path
            .strip_prefix(&self.common_dir)
            .unwrap_or(&path)
            .to_owned();
        let fail = |error: io::Error| {
            task.error(
                ErrorCode::Unavailable,
                format_args!("{name:?} in the git folder cannot be locked: {error}"),
            )
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        self.write_down(&name).map_err(fail)?;
        let started = Instant::now();
        loop {
            match fs::hard_link(self.folder.join("owner"), &path) {
                Ok(()) => {
                    return Ok(Lock {
                        session: self,
                        target: target.to_owned(),
                        path,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(fail(error)),
            }
            job.check(task)?;
            if !dead::remove_lock(&path) {
                if started.elapsed() > self.patience {
                    return Err(task.error(
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

    fn write_down(&self, lock: &Path) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let mut list = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.folder.join("locks"))?;
        list.write_all(&[lock.as_os_str().as_bytes(), b"\n"].concat())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What cannot be removed now the next session will find dead.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock<'s> {
    session: &'s Session,
    target: PathBuf,
    path: PathBuf,
}

impl Lock<'_> {
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
        let content = self.session.folder.join("content");
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
mod tests {
    use exomonad_schema::EffectKind;

    use super::*;

    fn task() -> Task {
        Task::for_tests(EffectKind::GitCreateCommit)
    }

    fn session(common_dir: &Path) -> Session {
        let mut session = Session::begin(&task(), common_dir).unwrap();
        session.patience = Duration::from_millis(50);
        session
    }

    #[test]
    fn a_lock_is_there_while_it_is_held_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("index");
        let session = session(dir.path());
        let job = Job::for_tests();
        let lock = session.lock(&task(), &job, &index).unwrap();
        assert!(dir.path().join("index.lock").is_file());
        lock.write(&task(), b"new").unwrap();
        assert_eq!(fs::read(&index).unwrap(), b"new");
        drop(session);
        let left: Vec<_> = fs::read_dir(dir.path().join(FOLDER)).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!dir.path().join("index.lock").exists());
    }

    #[test]
    fn a_lock_of_somebody_else_stays_whatever_its_age_or_text() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        for content in [&b""[..], b"DIRC", &[b'x'; MARK.len()]] {
            let lock = dir.path().join("index.lock");
            fs::write(&lock, content).unwrap();
            let error = session
                .lock(&task(), &Job::for_tests(), &dir.path().join("index"))
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::Unavailable);
            assert!(error.message.contains("index.lock"), "{error}");
            assert_eq!(fs::read(&lock).unwrap(), content);
        }
    }

    #[test]
    fn a_lock_of_ours_stays_while_its_holder_lives_and_goes_when_it_is_dead() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("HEAD");
        let job = Job::for_tests();
        let live = session(dir.path());
        let held = live.lock(&task(), &job, &target).unwrap();
        let second = session(dir.path());
        let error = second.lock(&task(), &job, &target).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);

        // What a killed process leaves: the files, and no kernel lock.
        std::mem::forget(held);
        fs::rename(&live.folder, dir.path().join("kept")).unwrap();
        drop(live);
        fs::rename(
            dir.path().join("kept"),
            dir.path().join("exomonad/session-0"),
        )
        .unwrap();
        assert!(dir.path().join("HEAD.lock").exists());
        drop(session(dir.path()));
        assert!(!dir.path().join("HEAD.lock").exists());
        assert!(!dir.path().join("exomonad/session-0").exists());
        assert!(second.lock(&task(), &job, &target).is_ok());
    }

    #[test]
    fn a_lock_that_was_taken_away_is_noticed_and_its_successor_stays() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path());
        let target = dir.path().join("index");
        let lock = session.lock(&task(), &Job::for_tests(), &target).unwrap();
        fs::remove_file(dir.path().join("index.lock")).unwrap();
        fs::write(dir.path().join("index.lock"), "another's").unwrap();
        let error = lock.write(&task(), b"new").unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        assert!(!target.exists());
        assert!(dir.path().join("index.lock").exists());
    }
}
