//! Opens the file.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::StoreError;
use super::{KvConfig, KvOpenError, migrations};

/// Checks the file, when there is one, and migrates its tables.
///
/// # Errors
/// When it needs an operator.
pub(super) fn inspect(config: &KvConfig) -> Result<(), KvOpenError> {
    let opened = open_existing(config).and_then(|connection| match connection {
        // The root pages of all tables are read by this.
        Some(connection) => Ok(connection
            .prepare("SELECT (SELECT role FROM entry LIMIT 1), (SELECT role FROM usage LIMIT 1)")?
            .query_row([], |_| Ok(()))?),
        None => Ok(()),
    });
    match opened {
        Ok(()) => Ok(()),
        Err(error) if error.needs_operator() => Err(KvOpenError::Unusable {
            file: config.file(),
            reason: error,
        }),
        Err(error) => {
            tracing::warn!(
                file = %config.file().display(),
                %error,
                "the key-value store cannot be opened yet; kv effects fail until it can be"
            );
            Ok(())
        }
    }
}

/// Opens the file; `None` when there is none yet.
///
/// # Errors
/// If it cannot be opened, or was written by a newer exomonad.
pub fn open_existing(config: &KvConfig) -> Result<Option<Connection>, StoreError> {
    let file = config.file();
    if file.try_exists().map_err(StoreError::Folder)? {
        open(config, &file, OpenFlags::empty()).map(Some)
    } else {
        Ok(None)
    }
}

/// Opens the file, and makes it and its folder where they are missing.
///
/// # Errors
/// If it cannot be opened or made, or was written by a newer exomonad.
pub fn open_or_create(config: &KvConfig) -> Result<Connection, StoreError> {
    DirBuilder::new()
        .recursive(true)
        // Roles' values are private to the host.
        .mode(0o700)
        .create(&config.dir)
        .map_err(StoreError::Folder)?;
    // SQLite would make it as the umask has it, and gives its log the mode of the file. If it cannot be made,
    // SQLite says so. One that is there is never opened but by SQLite: a process that closes any descriptor of a
    // file loses its locks on it, and the next program that reads the file would take itself for the last one and
    // remove the log.
    let _ = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(config.file());
    open(config, &config.file(), OpenFlags::SQLITE_OPEN_CREATE)
}

fn open(config: &KvConfig, file: &Path, more: OpenFlags) -> Result<Connection, StoreError> {
    keep_private(file);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(config.busy_timeout)?;
    enable_wal(&connection, config.busy_timeout)?;
    // Sync at every commit. NORMAL would be faster and could lose the last
    // answered writes in a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    // After a burst the log file shrinks to this again.
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    // The file's own schema is data, too: it calls no functions that do anything.
    connection.pragma_update(None, "trusted_schema", false)?;
    migrations::apply(&mut connection)?;
    Ok(connection)
}

/// Closes a file that an earlier version has made for others to read, with its log.
fn keep_private(file: &Path) {
    for end in ["", "-wal", "-shm"] {
        let mut path = file.as_os_str().to_owned();
        path.push(end);
        if let Ok(about) = fs::metadata(&path)
            && about.permissions().mode() & 0o077 != 0
        {
            // Whoever may write it may not own it: then it is as its owner wants it.
            let _ = fs::set_permissions(&path, Permissions::from_mode(0o600));
        }
    }
}

/// Sets the file to write-ahead logging: readers do not wait for the writer,
/// nor it for them.
///
/// A new file is changed to it once, and a process that tries while another
/// does it gets SQLITE_BUSY at once: SQLite does not wait there, since two that
/// both hold a read lock would wait for each other. None is held here, so trying
/// again succeeds.
fn enable_wal(connection: &Connection, patience: Duration) -> rusqlite::Result<()> {
    const PAUSE: Duration = Duration::from_millis(2);
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < patience =>
            {
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn every_connection_keeps_the_lock_that_tells_other_programs_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = KvConfig::in_dir(folder.path());
        let _first = open_or_create(&config).unwrap();
        let _second = open_or_create(&config).unwrap();
        drop(open_existing(&config).unwrap());
        let inode = fs::metadata(config.file()).unwrap().ino();
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let process = std::process::id().to_string();
        let mut lines = locks.lines().map(str::split_whitespace);
        let is_held = lines.any(|line| {
            let line: Vec<_> = line.collect();
            let of_file = line
                .get(5)
                .is_some_and(|file| file.ends_with(&format!(":{inode}")));
            of_file && line.get(4) == Some(&&*process)
        });
        assert!(is_held, "{locks}");
    }

    #[test]
    fn the_file_and_its_log_are_the_hosts_alone_also_where_they_were_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = KvConfig::in_dir(folder.path());
        let modes = || {
            let files = ["", "-wal", "-shm"].map(|end| {
                let path = format!("{}{end}", config.file().display());
                fs::metadata(path).unwrap().permissions().mode() & 0o777
            });
            files.to_vec()
        };
        let first = open_or_create(&config).unwrap();
        assert_eq!(modes(), [0o600; 3]);
        fs::set_permissions(config.file(), Permissions::from_mode(0o644)).unwrap();
        let _second = open_existing(&config).unwrap().unwrap();
        assert_eq!(modes(), [0o600; 3]);
        drop(first);
    }
}
