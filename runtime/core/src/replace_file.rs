//! [`replace`]: a file is replaced as a whole. A reader finds the old content or the new one, and a crash leaves either.
//!
//! The new content is written beside the file, in a part file that its writer holds a kernel lock on, and renamed into
//! place. No failure leaves a part file behind: on a full disk it would take the rest. What a killed writer left is
//! removed by the next one, which knows it by the lock that nobody holds.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The end of a part file's name.
const PART: &str = ".part";
/// Names that are tried for a part file.
const ATTEMPTS: usize = 100;

/// The readers and writers of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its owner alone.
    Private,
    /// Those who may use the file that is replaced; of a new one, those whom the process's umask lets.
    Kept,
}

/// Replaces a file, or makes it; its folder has to be there. A link is replaced, not followed. The content is on the
/// disk when this returns, and its name too where the file system can say so.
///
/// # Errors
/// If it cannot be written. The file is as it was then, unless only its folder could not be synced.
pub fn replace(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    remove_abandoned(folder, name);
    let (part, mut file) = make_part(folder, name, mode)?;
    let written = write(&mut file, content, path, mode).and_then(|()| fs::rename(&part, path));
    if let Err(error) = written {
        // If it cannot be removed either, the next writer tries again.
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems sync no folders, and some folders can be written and not read.
        Err(error) if cannot_sync(error.kind()) => Ok(()),
        synced => synced,
    }
}

fn cannot_sync(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(kind, InvalidInput | PermissionDenied | Unsupported)
}

fn write(file: &mut File, content: &[u8], path: &Path, mode: Mode) -> io::Result<()> {
    match mode {
        // Whatever the umask says.
        Mode::Private => file.set_permissions(Permissions::from_mode(0o600))?,
        Mode::Kept => {
            if let Ok(old) = path.metadata() {
                file.set_permissions(old.permissions())?;
            }
        }
    }
    file.write_all(content)?;
    file.sync_all()
}

/// A new part file, locked.
fn make_part(folder: &Path, name: &OsStr, mode: Mode) -> io::Result<(PathBuf, File)> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    for _ in 0..ATTEMPTS {
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let mut part = OsString::from(name);
        part.push(format!(".{}-{number}{PART}", std::process::id()));
        let part = folder.join(part);
        let mut open = OpenOptions::new();
        open.write(true).create_new(true);
        if mode == Mode::Private {
            open.mode(0o600);
        }
        let file = match open.open(&part) {
            // Of a process that had the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        // Between the two another writer may have taken it for abandoned. A file system without locks is fine: there
        // nobody finds one unlocked.
        let is_ours = !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
            && file.metadata().is_ok_and(|about| about.nlink() > 0);
        if is_ours {
            return Ok((part, file));
        }
    }
    Err(io::Error::other("no part file could be made beside it"))
}

/// Removes the part files of a file that nobody writes any more.
fn remove_abandoned(folder: &Path, name: &OsStr) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if !is_part_of(name, &entry.file_name())
            || !entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else {
            continue;
        };
        // The lock tells that its writer is gone; the links, that it is still the file of this name.
        if file.try_lock().is_ok() && file.metadata().is_ok_and(|about| about.nlink() > 0) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// True for `NAME.PID-NUMBER.part`.
fn is_part_of(name: &OsStr, part: &OsStr) -> bool {
    let rest = part
        .as_encoded_bytes()
        .strip_prefix(name.as_encoded_bytes());
    let rest = rest.and_then(|rest| rest.strip_prefix(b"."));
    let rest = rest.and_then(|rest| rest.strip_suffix(PART.as_bytes()));
    let Some(rest) = rest else {
        return false;
    };
    let mut numbers = rest.split(|byte| *byte == b'-');
    let is_number = |digits: Option<&[u8]>| {
        digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    };
    is_number(numbers.next()) && is_number(numbers.next()) && numbers.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_is_made_and_replaced_with_the_mode_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        replace(&path, b"one", Mode::Private).unwrap();
        assert_eq!(
            (fs::read(&path).unwrap().as_slice(), mode(&path)),
            (&b"one"[..], 0o600)
        );
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"two", Mode::Kept).unwrap();
        assert_eq!(
            (fs::read(&path).unwrap().as_slice(), mode(&path)),
            (&b"two"[..], 0o640)
        );
        replace(&path, b"three", Mode::Private).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(names(folder.path()), ["file.json"]);
    }

    #[test]
    fn a_failure_leaves_no_part_and_the_old_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"new", Mode::Private).is_err());
        assert_eq!(names(folder.path()), ["taken"]);
        assert!(path.is_dir());
    }

    #[test]
    fn parts_of_dead_writers_are_removed_and_those_of_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            "file.1-0.part",
            "file.x-0.part",
            "file.part",
            "other.1-0.part",
        ] {
            fs::write(at(name), "half").unwrap();
        }
        let writing = File::create(at("file.2-7.part")).unwrap();
        writing.lock().unwrap();
        replace(&at("file"), b"new", Mode::Private).unwrap();
        let left = [
            "file",
            "file.2-7.part",
            "file.part",
            "file.x-0.part",
            "other.1-0.part",
        ];
        assert_eq!(names(folder.path()), left);
        drop(writing);
        replace(&at("file"), b"newer", Mode::Private).unwrap();
        assert!(!at("file.2-7.part").exists());
    }

    #[test]
    fn writers_at_once_leave_the_content_of_one_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::thread::scope(|scope| {
            for nth in 0..8_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        replace(path, &[nth; 5000], Mode::Private).unwrap();
                    }
                });
            }
        });
        let content = fs::read(&path).unwrap();
        assert!(content.len() == 5000 && content.iter().all(|byte| *byte == content[0]));
        assert_eq!(names(folder.path()), ["file"]);
    }
}
