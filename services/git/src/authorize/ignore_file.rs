//! Files of ignore patterns that libgit2 cannot read.
//!
//! Its parser (`git_attr_fnmatch__parse`, 1.9.7) makes no step at a vertical tab or a form feed where a
//! pattern may begin: it never ends, its thread cannot be stopped, and elsewhere in a line it drops what
//! follows. To git both are characters like any other.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};

use crate::effect_context::EffectContext;

/// The largest such file.
const MAX_BYTES: u64 = 16 << 20;

/// True if libgit2 would not end on these patterns, or not read them as git does.
pub(crate) fn is_unreadable(patterns: &[u8]) -> bool {
    patterns.iter().any(|byte| matches!(byte, 0x0b | 0x0c))
}

/// Checks a file of ignore patterns, which is not there or no pipe or device.
///
/// # Errors
/// `unsupported` for one that libgit2 cannot read.
pub(super) fn check(context: &EffectContext, path: &Path) -> Result<(), EffectError> {
    let mut patterns = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut patterns));
    // libgit2 takes one that cannot be read for one that is not there.
    if read.is_err() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default();
    if patterns.len() as u64 > MAX_BYTES {
        return Err(context.error(
            ErrorCode::Unsupported,
            format_args!(
                "the ignore patterns in {name:?} are larger than 16 MiB; shorten that file"
            ),
        ));
    }
    if is_unreadable(&patterns) {
        return Err(unreadable(context, name.to_string_lossy()));
    }
    Ok(())
}

pub(crate) fn unreadable(context: &EffectContext, name: impl std::fmt::Debug) -> EffectError {
    context.error(
        ErrorCode::Unsupported,
        format_args!(
            "there is a vertical tab or a form feed in the ignore patterns of {name:?}, which libgit2 cannot \
             read; remove it, or use git itself"
        ),
    )
}
