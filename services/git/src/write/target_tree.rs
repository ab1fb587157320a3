//! Checks of a tree before it is checked out.
//!
//! libgit2 reads `.gitattributes` in the working tree while it writes files there: one that is a link
//! would have it read, or wait for, whatever the link leads to. And what these files say decides
//! whether it can write the others as git does.

use exomonad_schema::{EffectError, ErrorCode};
use git2::{FileMode, Oid, Repository, Tree};

use super::RepoWriter;
use crate::authorize::ignore_file;
use crate::{content, small_file};

/// The largest file that is looked into, which is the largest that git and libgit2 read.
const MAX_BYTES: usize = 100 << 20;

/// Checks what a checkout would change from `old` to `new`; true if files that git converts may be among
/// it, which without an `old` only [`check_paths`] can say, once they are written.
///
/// # Errors
/// `unsupported` when it would write a `.gitattributes` or `.gitignore` that is a link or that libgit2 cannot
/// read, or files that git converts.
pub(super) fn check(
    writer: &RepoWriter<'_>,
    repository: &Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
) -> Result<bool, EffectError> {
    writer.repo.check_ignore_patterns()?;
    let diff = repository
        .diff_tree_to_tree(old, Some(new), None)
        .map_err(|error| writer.git_error(&error))?;
    let mut may_convert = mentions_encoding(
        &small_file::read_exactly(&writer.repo.common_dir().join("info/attributes"))
            .unwrap_or_default(),
    );
    for delta in diff.deltas() {
        writer.job.check(writer.context())?;
        let file = delta.new_file();
        let path = file.path_bytes().unwrap_or_default();
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let is_attributes = name == b".gitattributes";
        if !is_attributes && name != b".gitignore" {
            continue;
        }
        if file.mode() == FileMode::Link {
            return Err(writer.context().error(
                ErrorCode::Unsupported,
                format_args!(
                    "{:?} is a link there, which git does not follow and the host does not check out",
                    String::from_utf8_lossy(path)
                ),
            ));
        }
        if is_attributes {
            may_convert |= is_blob_with(repository, file.id(), mentions_encoding);
        } else if is_blob_with(repository, file.id(), ignore_file::is_unreadable) {
            return Err(ignore_file::unreadable(
                writer.context(),
                String::from_utf8_lossy(path),
            ));
        }
    }
    if may_convert && old.is_some() {
        return Err(writer.context().error(
            ErrorCode::Unsupported,
            "files are kept in another encoding there (`working-tree-encoding` in `.gitattributes`), \
             which the host does not convert; use git itself",
        ));
    }
    Ok(may_convert)
}

/// Checks that no file of a change is one that git converts, by the attributes in the working tree.
pub(super) fn check_paths(
    writer: &RepoWriter<'_>,
    repository: &Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
) -> Result<(), EffectError> {
    let diff = repository
        .diff_tree_to_tree(old, Some(new), None)
        .map_err(|error| writer.git_error(&error))?;
    for delta in diff.deltas() {
        writer.job.check(writer.context())?;
        let path = delta.new_file().path_bytes().unwrap_or_default();
        content::check_no_encoding(writer.context(), repository, path)?;
    }
    Ok(())
}

/// True for a blob of no more than [`MAX_BYTES`] in which something is found.
fn is_blob_with(repository: &Repository, id: Oid, find: fn(&[u8]) -> bool) -> bool {
    let size = repository.odb().and_then(|odb| odb.read_header(id));
    size.is_ok_and(|(size, _)| size <= MAX_BYTES)
        && repository
            .find_blob(id)
            .is_ok_and(|blob| find(blob.content()))
}

fn mentions_encoding(attributes: &[u8]) -> bool {
    const NAME: &[u8] = b"working-tree-encoding";
    attributes.windows(NAME.len()).any(|part| part == NAME)
}
