//! Removes the locks of writers that died: see [`lock_session`](super::lock_session).

use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::path::{Component, Path};

use super::lock_session::{LOCK_CONTENT, identity};
use crate::small_file;

/// Removes sessions whose process has died, with their locks.
pub(super) fn clean_up(common_dir: &Path, sessions: &Path) {
    for session in fs::read_dir(sessions).into_iter().flatten().flatten() {
        let is_session = session.file_type().is_ok_and(|kind| kind.is_dir())
            && session
                .file_name()
                .as_encoded_bytes()
                .starts_with(b"session-");
        if !is_session {
            continue;
        }
        let folder = session.path();
        for name in small_file::read(&folder.join("locks"))
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
        {
            let name = small_file::path_from(name);
            let is_plain = name
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if is_plain && name.extension().is_some_and(|suffix| suffix == "lock") {
                remove_if_stale(&common_dir.join(name));
            }
        }
        if remove_if_stale(&folder.join("owner")) {
            tracing::info!(folder = %common_dir.display(), "cleared up after a git write whose process had died");
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

/// Removes a lock that is ours and whose process has died; true if it is gone.
pub(super) fn remove_if_stale(path: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else {
        return true;
    };
    if !found.is_file() || found.len() != LOCK_CONTENT.len() as u64 {
        return false;
    }
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let mut content = Vec::new();
    let read = (&mut file)
        .take(LOCK_CONTENT.len() as u64 + 1)
        .read_to_end(&mut content);
    if read.is_err() || content != LOCK_CONTENT {
        return false;
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return false,
    }
    // While the kernel lock is ours nobody else takes this file for stale, so
    // the name still refers to it when it is removed.
    let is_same = matches!(
        (file.metadata(), fs::symlink_metadata(path)),
        (Ok(opened), Ok(found)) if identity(&opened) == identity(&found)
    );
    is_same && fs::remove_file(path).is_ok()
}
