//! Opens files that a configuration names. Only regular ones: reading a pipe may wait for ever, and a device ends
//! never.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a regular file to read it. Links are followed.
///
/// # Errors
/// If it cannot be opened, or is a folder, a pipe, a device or a socket.
pub fn open(path: &Path) -> io::Result<File> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !found.is_file() {
        let message = "it is no regular file, and pipes and devices are not read";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    File::open(path)
}
