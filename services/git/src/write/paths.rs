//! Paths a guest names in a working tree.

use std::path::{Component, Path};

use exomonad_schema::EffectError;

use super::RepoWriter;
use crate::effect_context::EffectContext;

/// A path relative to the working tree's root, without `.` and a `/` at its end.
/// Empty for the root itself.
///
/// # Errors
/// `invalid_input` when it is none, `forbidden` when a link on its way would
/// lead elsewhere.
pub(super) fn in_work_dir(writer: &RepoWriter<'_>, path: &str) -> Result<String, EffectError> {
    let plain = plain(writer.context(), path)?;
    let mut on_the_way = writer.repo.work_dir()?.to_owned();
    let parts: Vec<_> = plain.split('/').collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        on_the_way.push(part);
        if on_the_way.is_symlink() {
            return Err(through_a_link(writer.context(), path));
        }
    }
    Ok(plain)
}

/// The error for a path that leads through a link.
pub(crate) fn through_a_link(context: &EffectContext, path: &str) -> EffectError {
    context.forbidden(format_args!(
        "{path:?} leads through a link, which may lead"
    ))
}

/// As [`in_work_dir`], by the text alone.
pub(crate) fn plain(context: &EffectContext, path: &str) -> Result<String, EffectError> {
    let refuse = |what: &str| {
        EffectError::invalid_input(format!(
            "{}: the path {path:?} {what}; give it relative to the repository's root",
            context.kind()
        ))
    };
    if path.is_empty() || path.contains('\0') {
        return Err(refuse("is no path"));
    }
    let mut parts = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::ParentDir => return Err(refuse("leads upwards")),
            Component::RootDir | Component::Prefix(_) => return Err(refuse("is absolute")),
        }
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        return Err(refuse("leads into a git folder"));
    }
    Ok(parts.join("/"))
}
