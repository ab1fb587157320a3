//! Recognition of files that are given as a module but contain something else.

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

/// The characters of the longest of them.
const LONGEST_TEXT: usize = 24;

/// A description of content that is neither a WebAssembly binary nor WebAssembly text. It quotes nothing:
/// the file may be another than its author thinks, and its content nobody's business.
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
        return Some("it is binary data of an unknown kind".to_owned());
    };
    // WebAssembly text: an expression or a comment.
    if text.starts_with('(') || text.starts_with(";;") {
        return None;
    }
    let start: String = text.chars().take(LONGEST_TEXT).collect();
    let start = start.to_ascii_lowercase();
    let kind = TEXT
        .iter()
        .find(|(start_of, _)| start.starts_with(start_of));
    Some(match kind {
        Some((_, kind)) => format!("it is {kind}"),
        None if text.is_empty() => "it is blank text".to_owned(),
        None => "it is text, and not WebAssembly's".to_owned(),
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
                b"ghp_16C7e42F292c6912E7",
                "it is text, and not WebAssembly's",
            ),
            (b"\n \n", "it is blank text"),
            (
                b"\xff\xfe\x00\x01\x02",
                "it is binary data of an unknown kind",
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
