//! Git's one-line files: `.git` files, `commondir`, `gitdir`, `locked`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A path is at most 4 KiB, an alternates file a few of them; more is no file of git's.
const MAX_BYTES: u64 = 64 << 10;

/// A small file's content without the white space at its end; `None` when it is
/// not there, cannot be read or is too large.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    let mut content = read_exactly(path)?;
    content.truncate(content.trim_ascii_end().len());
    Some(content)
}

/// A small file's content as it is.
pub(super) fn read_exactly(path: &Path) -> Option<Vec<u8>> {
    // Opening a pipe could wait for ever.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut content = Vec::new();
    File::open(path)
        .ok()?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut content)
        .ok()?;
    (content.len() as u64 <= MAX_BYTES).then_some(content)
}

/// The one line of a small file, which git and libgit2 read the same: without white
/// space around it or control characters in it, but for its end.
pub(super) fn read_line(path: &Path) -> Option<Vec<u8>> {
    let mut content = read_exactly(path)?;
    content.truncate(content.trim_ascii_end().len());
    let is_plain = !content.is_empty()
        && !content.starts_with(b" ")
        && !content.iter().any(u8::is_ascii_control);
    is_plain.then_some(content)
}

/// The path a small file holds; a relative one is taken from `base`.
pub(super) fn read_path(path: &Path, base: &Path) -> Option<PathBuf> {
    let content = read(path)?;
    (!content.is_empty()).then(|| base.join(path_from(&content)))
}

/// Bytes as a path.
pub(super) fn path_from(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
