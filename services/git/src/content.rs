//! Files whose content git stores otherwise than it is in the working tree.
//!
//! `filter=` has git run a program and `working-tree-encoding=` has it convert text; libgit2 does
//! neither. Git LFS, the one filter in wide use, is done here as far as comparing goes: its
//! program would store a short text with the file's hash and size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};
use git2::{AttrCheckFlags, AttrValue, Blob, Oid, Repository};
use sha2::{Digest, Sha256};

use crate::blocking::Job;
use crate::effect_context::EffectContext;
use crate::small_file::path_from;

/// The largest text that stands for a file of Git LFS (its specification has 1024 bytes).
const MAX_POINTER: usize = 1024;

/// The conversion that git would make of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Conversion {
    /// Nothing that libgit2 does not do as well.
    None,
    /// Git LFS.
    Lfs,
    /// Another program.
    Filter,
    /// A conversion of text.
    Encoding,
}

/// The conversion of a path.
pub(super) fn conversion(
    context: &EffectContext,
    repository: &Repository,
    path: &[u8],
) -> Result<Conversion, EffectError> {
    let value = |name| {
        repository
            .get_attr_bytes(path_from(path), name, AttrCheckFlags::FILE_THEN_INDEX)
            .map(|value| match AttrValue::from_bytes(value) {
                AttrValue::String(text) => Some(text.as_bytes().to_vec()),
                AttrValue::Bytes(bytes) => Some(bytes.to_vec()),
                _ => None,
            })
            .map_err(|error| context.git(&error))
    };
    let is_utf8 =
        |name: &[u8]| name.eq_ignore_ascii_case(b"utf-8") || name.eq_ignore_ascii_case(b"utf8");
    if value("working-tree-encoding")?.is_some_and(|name| !is_utf8(&name)) {
        return Ok(Conversion::Encoding);
    }
    Ok(match value("filter")?.as_deref() {
        None => Conversion::None,
        Some(b"lfs") => Conversion::Lfs,
        Some(_) => Conversion::Filter,
    })
}

/// The error for text that git converts.
pub(super) fn has_encoding(context: &EffectContext, path: &[u8]) -> EffectError {
    context.error(
        ErrorCode::Unsupported,
        format_args!(
            "{:?} is kept in another encoding (`working-tree-encoding` in `.gitattributes`), which the \
             host does not convert; use git itself for it",
            String::from_utf8_lossy(path)
        ),
    )
}

/// Refuses text that git converts.
///
/// # Errors
/// `unsupported` for such a path.
pub(super) fn check_no_encoding(
    context: &EffectContext,
    repository: &Repository,
    path: &[u8],
) -> Result<(), EffectError> {
    match conversion(context, repository, path)? {
        Conversion::Encoding => Err(has_encoding(context, path)),
        _ => Ok(()),
    }
}

/// The text that Git LFS would store for a file; `None` when it cannot be read or is no plain file.
///
/// A file that already is such a text stands for itself, and an empty one is stored as it is.
pub(super) fn lfs_pointer(
    context: &EffectContext,
    job: &Job,
    file: &Path,
) -> Result<Option<Vec<u8>>, EffectError> {
    let is_file = file.symlink_metadata().is_ok_and(|found| found.is_file());
    let Some(mut opened) = is_file.then(|| File::open(file).ok()).flatten() else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    let mut size = 0_u64;
    let mut first = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        job.check(context)?;
        match opened.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let room = (MAX_POINTER + 1).saturating_sub(first.len()).min(count);
                first.extend_from_slice(&buffer[..room]);
                hash.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(None),
        }
    }
    if is_pointer(&first) || first.is_empty() {
        return Ok(Some(first));
    }
    let hash: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Some(
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{hash}\nsize {size}\n")
            .into_bytes(),
    ))
}

fn is_pointer(content: &[u8]) -> bool {
    content.len() <= MAX_POINTER
        && (content.starts_with(b"version https://git-lfs.github.com/spec/")
            || content.starts_with(b"version http://git-media.io/"))
}

/// The content of a blob that may be such a text; `None` for a larger one.
pub(super) fn small_blob<'r>(repository: &'r Repository, id: Oid) -> Option<Blob<'r>> {
    let (size, _) = repository.odb().ok()?.read_header(id).ok()?;
    (size <= MAX_POINTER)
        .then(|| repository.find_blob(id).ok())
        .flatten()
}
