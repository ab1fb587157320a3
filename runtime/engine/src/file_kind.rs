//! Recognition of files that are given as a module but contain something else.

use std::fmt::Write;

/// First bytes of well-known file formats.
const MAGIC: &[(&[u8], &str)] = &[
    (b"\x7fELF", "an ELF executable or library"),
    (b"\x1f\x8b", "gzip data; decompress it first"),
    (b"\x28\xb5\x2f\xfd", "zstd data; decompress it first"),
    (b"\xfd7zXZ\0", "xz data; decompress it first"),
    (b"BZh", "bzip2 data; decompress it first"),
    (b"PK\x03\x04", "a zip archive"),
    (b"!<arch>\n", "a static library"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O executable or library"),
    (b"MZ", "a Windows executable or library"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
];

/// First characters of well-known text formats, in lower case.
const TEXT: &[(&str, &str)] = &[
    ("<!doctype html", "an HTML document"),
    ("<html", "an HTML document"),
    ("<?xml", "an XML document"),
    (
        "version https://git-lfs",
        "a Git LFS pointer; run `git lfs pull`",
    ),
];

/// The characters of a text that an error message quotes.
const QUOTED_CHARS: usize = 24;
/// The bytes of other data that an error message quotes.
const QUOTED_BYTES: usize = 4;

/// A description of content that is neither a WebAssembly binary nor WebAssembly text.
pub(crate) fn not_webassembly(content: &[u8]) -> Option<String> {
    if content.is_empty() {
        return Some("the file is empty".to_owned());
    }
    if b"\0asm".starts_with(&content[..content.len().min(4)]) {
        return None;
    }
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| content.starts_with(magic)) {
        return Some(format!("it is {kind}"));
    }
    let Some(text) = std::str::from_utf8(content)
        .ok()
        .map(|text| text.trim_start_matches('\u{feff}').trim_start())
        .filter(|text| !text.contains('\0'))
    else {
        let mut bytes = String::new();
        for byte in content.iter().take(QUOTED_BYTES) {
            // Writing to a `String` cannot fail.
            let _ = write!(bytes, " {byte:02x}");
        }
        return Some(format!("it begins with the bytes{bytes}"));
    };
    // WebAssembly text: an expression or a comment.
    if text.starts_with('(') || text.starts_with(";;") {
        return None;
    }
    let start: String = text.chars().take(QUOTED_CHARS).collect();
    if let Some((_, kind)) = TEXT
        .iter()
        .find(|(start_of, _)| start.to_ascii_lowercase().starts_with(start_of))
    {
        return Some(format!("it is {kind}"));
    }
    let line = start.lines().next().unwrap_or_default();
    Some(match line.is_empty() {
        true => "it is blank text".to_owned(),
        false => format!("it is text that begins with `{}`", line.escape_debug()),
    })
}

#[cfg(test)]
mod tests {
    use super::not_webassembly;

    #[test]
    fn other_files_are_described() {
        for (content, description) in [
            (b"".as_slice(), "the file is empty"),
            (b"\x7fELF\x02\x01\x01", "it is an ELF executable or library"),
            (b"\x1f\x8b\x08\0", "it is gzip data; decompress it first"),
            (b"\n<!DOCTYPE html><html>", "it is an HTML document"),
            (b"<HTML>", "it is an HTML document"),
            (
                b"version https://git-lfs.github.com/spec/v1\n",
                "it is a Git LFS pointer; run `git lfs pull`",
            ),
            (
                b"# exomonad\n\nA host",
                "it is text that begins with `# exomonad`",
            ),
            (b"\n \n", "it is blank text"),
            (
                b"\xff\xfe\x00\x01\x02",
                "it begins with the bytes ff fe 00 01",
            ),
        ] {
            assert_eq!(not_webassembly(content).as_deref(), Some(description));
        }
    }

    #[test]
    fn complete_and_truncated_webassembly_is_not_described() {
        for content in [
            b"\0as".as_slice(),
            b"\0asm\x01\0\0\0",
            b"\0asm",
            b"(module)",
            b"  \n;; a comment\n(module)",
            b"(; a comment ;) (module)",
            b"(syntax error",
            "\u{feff}(module)".as_bytes(),
        ] {
            assert_eq!(not_webassembly(content), None);
        }
    }
}
