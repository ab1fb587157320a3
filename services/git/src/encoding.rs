//! Text of commits that is not UTF-8: git notes the encoding (`i18n.commitEncoding`), and converts when it shows it.
//!
//! Those of Western Europe are converted; in others, bytes that are not UTF-8 become U+FFFD.

/// The characters of windows-1252 from 0x80 on.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Decodes text in an encoding that a commit names; UTF-8 where it names none.
pub(super) fn decode(bytes: &[u8], encoding: Option<&[u8]>) -> String {
    let name = encoding.map(|name| {
        let mut name = name.to_ascii_lowercase();
        name.retain(|byte| !matches!(byte, b'-' | b'_'));
        name
    });
    let special: fn(u8) -> Option<char> = match name.as_deref() {
        Some(b"iso88591" | b"latin1" | b"l1") => |_| None,
        Some(b"iso885915" | b"latin9") => |byte| {
            Some(match byte {
                0xa4 => '€',
                0xa6 => 'Š',
                0xa8 => 'š',
                0xb4 => 'Ž',
                0xb8 => 'ž',
                0xbc => 'Œ',
                0xbd => 'œ',
                0xbe => 'Ÿ',
                _ => return None,
            })
        },
        Some(b"windows1252" | b"cp1252") => |byte| {
            let at = usize::from(byte).checked_sub(0x80)?;
            WINDOWS_1252.get(at).copied()
        },
        _ => return String::from_utf8_lossy(bytes).into_owned(),
    };
    bytes
        .iter()
        .map(|byte| special(*byte).unwrap_or(char::from(*byte)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_by_the_name_of_its_encoding() {
        for (encoding, text) in [
            (None, "\u{fffd}\u{fffd}é"),
            (Some("KOI8-R"), "\u{fffd}\u{fffd}é"),
            (Some("ISO-8859-1"), "¤\u{80}Ã©"),
            (Some("latin1"), "¤\u{80}Ã©"),
            (Some("iso8859-15"), "€\u{80}Ã©"),
            (Some("Windows-1252"), "¤€Ã©"),
        ] {
            let bytes = b"\xa4\x80\xc3\xa9";
            assert_eq!(
                decode(bytes, encoding.map(str::as_bytes)),
                text,
                "{encoding:?}"
            );
        }
    }
}
