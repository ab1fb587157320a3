//! Clearing up after writers that died: see [`session`](super::session).

use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::path::{Component, Path};

use super::session::{MARK, identity};
use crate::git::small_file;

/// Clears up after sessions whose process has died.
pub(super) fn clear(common_dir: &Path, sessions: &Path) {
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
                remove_lock(&common_dir.join(name));
            }
        }
        if remove_lock(&folder.join("owner")) {
            tracing::info!(folder = %common_dir.display(), "cleared up after a git write whose process had died");
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

/// Removes a lock that is ours and whose holder has died; tells whether it is gone.
pub(super) fn remove_lock(path: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else {
        return true;
    };
    if !found.is_file() || found.len() != MARK.len() as u64 {
        return false;
    }
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let mut content = Vec::new();
    let read = (&mut file)
        .take(MARK.len() as u64 + 1)
        .read_to_end(&mut content);
    if read.is_err() || content != MARK {
        return false;
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return false,
    }
    // While the kernel lock is ours nobody else takes this file for dead, so
    // the name still stands for it when it is removed.
    let is_same = matches!(
        (file.metadata(), fs::symlink_metadata(path)),
        (Ok(opened), Ok(found)) if identity(&opened) == identity(&found)
    );
    is_same && fs::remove_file(path).is_ok()
}
