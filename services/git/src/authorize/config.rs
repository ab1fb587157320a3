//! Files that a repository's configuration has libgit2 read: `include.path`,
//! `includeIf.….path`, `core.excludesFile`, `core.attributesFile`.
//!
//! Includes are followed as soon as a configuration is opened, so they are looked for
//! here first, by a reader that is stricter than git's: a file in which the word does
//! not occur includes nothing, and one in which it does has to be plain.

use std::fs;
use std::path::{Path, PathBuf};

use exomonad_core::roots::{Location, Roots};
use exomonad_schema::{EffectError, ErrorCode};
use git2::Config;

use super::walk::is_blocking;
use crate::effect_context::EffectContext;
use crate::small_file::path_from;

/// Depth of includes in includes; libgit2 goes as far.
const MAX_DEPTH: usize = 10;

/// Number of files that one configuration may include.
const MAX_INCLUDED: usize = 64;

/// The largest configuration file.
const MAX_BYTES: u64 = 16 << 20;

/// Checks a configuration file and all it includes, whether a condition holds or not.
///
/// # Errors
/// `unsupported` when it includes a file outside or one that is no file, or cannot be judged.
pub(super) fn check_file(
    context: &EffectContext,
    roots: &Roots,
    file: &Path,
) -> Result<(), EffectError> {
    let mut level = vec![file.to_owned()];
    let mut count = 0;
    for _ in 0..=MAX_DEPTH {
        let mut next = Vec::new();
        for file in &level {
            for path in included(context, file)? {
                count += 1;
                if count > MAX_INCLUDED {
                    return Err(odd(context, "it includes too many files"));
                }
                next.extend(locate(
                    context,
                    roots,
                    "include.path",
                    &resolve(file, &path),
                )?);
            }
        }
        if next.is_empty() {
            return Ok(());
        }
        level = next;
    }
    Err(odd(context, "its includes go in circles or too deep"))
}

/// Checks the files that a repository's configuration names.
///
/// # Errors
/// `unsupported` when one is outside, or no file.
pub(crate) fn check_named(
    context: &EffectContext,
    roots: &Roots,
    config: &Config,
) -> Result<(), EffectError> {
    for key in ["core.excludesFile", "core.attributesFile"] {
        let Ok(value) = config.get_entry(key) else {
            continue;
        };
        let value = value.value_bytes();
        if value.is_empty() {
            continue;
        }
        let path = expand(value);
        if path.is_relative() {
            return Err(context.error(
                ErrorCode::Unsupported,
                format_args!(
                    "the repository's configuration names a relative path (`{key}`), which the host does not \
                     read; make it absolute"
                ),
            ));
        }
        locate(context, roots, key, &path)?;
    }
    Ok(())
}

/// Checks a file that a configuration names; `None` when it is not there.
fn locate(
    context: &EffectContext,
    roots: &Roots,
    key: &str,
    path: &Path,
) -> Result<Option<PathBuf>, EffectError> {
    match roots.locate(path) {
        Location::Inside(path) => match path.metadata() {
            Ok(found) if is_blocking(found.file_type()) => Err(context.error(
                ErrorCode::Unsupported,
                format_args!(
                    "the repository's configuration names a pipe or a device (`{key}`); remove that"
                ),
            )),
            _ => Ok(Some(path)),
        },
        Location::Missing => Ok(None),
        Location::Outside => Err(EffectError {
            code: ErrorCode::Unsupported,
            ..context.forbidden(format_args!(
                "the repository's configuration names a file (`{key}`) that is"
            ))
        }),
    }
}

fn resolve(file: &Path, path: &[u8]) -> PathBuf {
    match path.strip_prefix(b"~/") {
        Some(rest) => home().join(path_from(rest)),
        None => file
            .parent()
            .unwrap_or(Path::new("/"))
            .join(path_from(path)),
    }
}

/// A path of a configuration.
pub(crate) fn expand(path: &[u8]) -> PathBuf {
    match path.strip_prefix(b"~/") {
        Some(rest) => home().join(path_from(rest)),
        None => path_from(path).to_owned(),
    }
}

/// The folder that libgit2 takes for `~`.
fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}

/// The paths that a configuration file includes.
fn included(context: &EffectContext, file: &Path) -> Result<Vec<Vec<u8>>, EffectError> {
    let Ok(found) = fs::metadata(file) else {
        return Ok(Vec::new());
    };
    if !found.is_file() {
        return Ok(Vec::new());
    }
    if found.len() > MAX_BYTES {
        return Err(odd(context, "it is larger than 16 MiB"));
    }
    let Ok(content) = fs::read(file) else {
        return Ok(Vec::new());
    };
    paths_of(&content).map_err(|what| odd(context, what))
}

fn odd(context: &EffectContext, what: &str) -> EffectError {
    context.error(
        ErrorCode::Unsupported,
        format_args!(
            "the repository's configuration is not read by the host: {what}; `git config --list` there shows it"
        ),
    )
}

/// The values of `path` in sections whose name begins with `include`.
fn paths_of(content: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    const WORD: &[u8] = b"include";
    if !content
        .windows(WORD.len())
        .any(|part| part.eq_ignore_ascii_case(WORD))
    {
        return Ok(Vec::new());
    }
    let is_odd = |byte: &u8| byte.is_ascii_control() && !b"\t\r\n".contains(byte);
    if content.iter().any(is_odd) {
        return Err("it has an `include` and a control character");
    }
    let content = content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content);
    let mut paths = Vec::new();
    let mut is_include = false;
    for line in content.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.ends_with(b"\\") {
            return Err("it has an `include` and a line that goes on in the next one");
        }
        let mut entry = line;
        while entry.starts_with(b"[") {
            let (name, rest) =
                header(entry).ok_or("it has an `include` and a section that is not plain")?;
            is_include = name
                .get(..WORD.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(WORD));
            entry = rest.trim_ascii();
        }
        if is_include && !entry.is_empty() && !entry.starts_with(b"#") && !entry.starts_with(b";") {
            paths.extend(path_in(entry).ok_or("its `include.path` is not plain text")?);
        }
    }
    Ok(paths)
}

/// A section's name, and what stands behind its bracket.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_prefix(b"[")?;
    let end = line
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-' && *byte != b'.')?;
    let (name, rest) = line.split_at(end);
    if let Some(rest) = rest.strip_prefix(b"]") {
        return Some((name, rest));
    }
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let mut is_escaped = false;
    let end = rest.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })?;
    Some((name, rest[end..].strip_prefix(b"\"]")?))
}

/// The value of a `path`; `Some(None)` for another key.
fn path_in(entry: &[u8]) -> Option<Option<Vec<u8>>> {
    let end = entry
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')
        .unwrap_or(entry.len());
    let (key, value) = entry.split_at(end);
    let is_path = key.eq_ignore_ascii_case(b"path");
    let value = value.trim_ascii();
    let Some(value) = value.strip_prefix(b"=") else {
        // A key without a value is true, and includes nothing.
        return value.is_empty().then_some(None);
    };
    if !is_path {
        return Some(None);
    }
    let value = value.trim_ascii();
    let value = match value.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\"")?,
        None => value,
    };
    let is_plain = !value
        .iter()
        .any(|byte| byte.is_ascii_control() || b"\"\\#;".contains(byte));
    is_plain.then(|| Some(value.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(content: &str) -> Option<Vec<String>> {
        let paths = paths_of(content.as_bytes()).ok()?;
        let text = |path: Vec<u8>| String::from_utf8(path).unwrap();
        Some(paths.into_iter().map(text).collect())
    }

    #[test]
    fn includes_are_found_however_they_are_written() {
        for content in [
            "[include]\n\tpath = /a\n",
            "[INCLUDE] PATH=/a",
            "[core] [include] path=/a",
            "\u{feff}[include]\r\n path = \"/a\"\r\n",
            "[core]\n[includeIf \"gitdir:~/\\\"x]\\\\\"]\n  path=/a\n[core]\n path = /b",
            "[branch \"include\"]\n path = /b\n[include] # why\n;\n other\n path = /a",
        ] {
            assert_eq!(paths(content), Some(vec!["/a".to_owned()]), "{content:?}");
        }
        assert_eq!(
            paths("[branch \"include\"]\n\tmerge = \"a\\\"b\"\n"),
            Some(vec![])
        );
        assert_eq!(paths("[x]\n y = a \\\n b\n"), Some(vec![]));
    }

    #[test]
    fn what_could_hide_an_include_is_refused() {
        for content in [
            "[include]\n x = a \\\n[core]\n path = /a\n",
            "[include]\n path = /a\\\n",
            "[include]\n path = \"/a\" \"b\"",
            "[include]\n path = /a#b",
            "[include]\n path = \\\"/a",
            "[include \"x\n]\n path = /a",
            "[include}\n path = /a",
            "[include]\n path = /a\0b",
            "\u{b}[include]\n path = /a",
            "[include]\n path ? /a",
        ] {
            assert_eq!(paths(content), None, "{content:?}");
        }
    }
}
