//! Object stores that a repository borrows from: `objects/info/alternates`.
//!
//! git and libgit2 read this file differently: libgit2 also ends an entry at a carriage
//! return, takes one that does not begin with a dot relative to the process's
//! own working directory, and does not know git's quoting. Only what both read
//! the same is taken.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use exomonad_core::roots::{Location, Roots};
use exomonad_schema::{EffectError, ErrorCode};

use crate::effect_context::EffectContext;
use crate::small_file::{self, path_from};

/// Depth to which git follows alternates of alternates.
const MAX_DEPTH: usize = 5;

/// Number of object stores a repository may borrow from.
const MAX_STORES: usize = 64;

/// All object stores of a repository: its own, and those that it borrows from.
///
/// # Errors
/// `forbidden` when one lies outside, `unsupported` for an entry that would be read in two ways.
pub(super) fn stores(
    context: &EffectContext,
    roots: &Roots,
    objects: &Path,
) -> Result<Vec<PathBuf>, EffectError> {
    let mut found = vec![objects.to_owned()];
    let mut seen: HashSet<PathBuf> = objects.canonicalize().into_iter().collect();
    let mut level = vec![objects.to_owned()];
    for depth in 0.. {
        let mut next = Vec::new();
        for store in &level {
            for line in lines(context, store)? {
                let path = store.join(entry(context, &line)?);
                match roots.locate(&path) {
                    Location::Inside(store) if seen.insert(store.clone()) => next.push(store),
                    Location::Inside(_) | Location::Missing => {}
                    Location::Outside => {
                        return Err(context.forbidden(
                            "the repository borrows objects (`objects/info/alternates`) from a place that is",
                        ));
                    }
                }
            }
        }
        if next.is_empty() {
            break;
        }
        found.extend(next.iter().cloned());
        if depth == MAX_DEPTH || found.len() > MAX_STORES {
            return Err(context.damaged("its alternates are too many or too deep"));
        }
        level = next;
    }
    Ok(found)
}

/// The lines of a store's file that are neither empty nor a comment.
fn lines(context: &EffectContext, store: &Path) -> Result<Vec<Vec<u8>>, EffectError> {
    let file = store.join("info/alternates");
    // As libgit2 has it: what is there is read.
    if fs::metadata(&file).is_err() {
        return Ok(Vec::new());
    }
    let content = small_file::read_exactly(&file).ok_or_else(|| {
        odd(
            context,
            "it is no file that can be read, or larger than 64 KiB",
        )
    })?;
    // Also in a comment, which ends at a carriage return for libgit2.
    if content
        .iter()
        .any(|byte| byte.is_ascii_control() && *byte != b'\n')
    {
        return Err(odd(
            context,
            "it has a control character, such as a carriage return",
        ));
    }
    Ok(content
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .map(<[u8]>::to_vec)
        .collect())
}

/// An entry that git and libgit2 read the same.
fn entry<'l>(context: &EffectContext, line: &'l [u8]) -> Result<&'l Path, EffectError> {
    if line.starts_with(b"\"") {
        return Err(odd(context, "an entry is quoted"));
    }
    let path = path_from(line);
    if !path.is_absolute() && !line.starts_with(b".") {
        return Err(odd(
            context,
            "an entry is neither absolute nor begins with `./` or `../`",
        ));
    }
    // git resolves `..` in the text, the kernel after following links.
    let mut is_below = path.is_absolute();
    for part in path.components() {
        match part {
            Component::ParentDir if is_below => {
                return Err(odd(context, "an entry has `..` after another part"));
            }
            Component::Normal(_) => is_below = true,
            _ => {}
        }
    }
    Ok(path)
}

fn odd(context: &EffectContext, what: &str) -> EffectError {
    context.error(
        ErrorCode::Unsupported,
        format_args!(
            "the repository's `objects/info/alternates` is not read by the host: {what}; write each store's \
             absolute path on a line of its own"
        ),
    )
}

#[cfg(test)]
mod tests {
    use exomonad_schema::EffectKind;

    use super::*;

    #[test]
    fn only_entries_that_git_and_libgit2_read_the_same_are_taken() {
        let context = EffectContext::for_tests(EffectKind::GitStatus);
        for line in [
            "/srv/objects",
            "../../x",
            "./x",
            "/srv/a b",
            "/srv/é",
            "/a/.b",
        ] {
            assert!(entry(&context, line.as_bytes()).is_ok(), "{line:?}");
        }
        for line in [
            "\"/srv\"",
            "srv",
            "~/x",
            "/a/../b",
            "../x/../y",
            "./x/..",
            " /srv",
        ] {
            let error = entry(&context, line.as_bytes()).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unsupported, "{line:?}");
        }
    }
}
