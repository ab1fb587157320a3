//! Escapes text of a guest's so that it stays on one line.
//!
//! A newline in a message would forge a log line, an escape sequence would
//! repaint the terminal, a bidirectional override would show a line in another
//! order than it is stored. All become visible escapes.

use std::fmt::{self, Display, Write};

/// Escapes unprintable characters: `\n`, `\u{1b}`.
///
/// A backslash stays as it is: doubling it would make Windows paths and regular
/// expressions unreadable, and an escape the guest wrote itself does no harm.
pub(super) fn text(text: &str) -> impl Display {
    OneLine {
        text,
        write_unprintable: |character, out| write!(out, "{}", character.escape_default()),
    }
}

/// Escapes JSON text so that it stays JSON: white space between values becomes a blank,
/// unprintable characters in strings become JSON's own escapes.
pub(super) fn json(json: &str) -> impl Display {
    OneLine {
        text: json,
        write_unprintable: |character, out| {
            // In valid JSON these three stand between values only.
            if matches!(character, '\n' | '\r' | '\t') {
                return out.write_char(' ');
            }
            let mut units = [0; 2];
            character
                .encode_utf16(&mut units)
                .iter()
                .try_for_each(|unit| write!(out, "\\u{unit:04x}"))
        },
    }
}

struct OneLine<'a> {
    text: &'a str,
    write_unprintable: fn(char, &mut fmt::Formatter<'_>) -> fmt::Result,
}

impl Display for OneLine<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.text;
        while let Some(at) = rest.find(is_unprintable) {
            let (printable, from) = rest.split_at(at);
            out.write_str(printable)?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                (self.write_unprintable)(character, out)?;
            }
            rest = characters.as_str();
        }
        out.write_str(rest)
    }
}

fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Line and paragraph separators, and what changes the direction of text.
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}'
                | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_forge_lines_or_control_terminals_are_escaped() {
        for (raw, shown) in [
            ("ok\nERROR all is lost", "ok\\nERROR all is lost"),
            ("\r\x1b[2Jgone\x07", "\\r\\u{1b}[2Jgone\\u{7}"),
            ("a\u{2028}b\u{85}c", "a\\u{2028}b\\u{85}c"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("naïve 日本語 C:\\dir", "naïve 日本語 C:\\dir"),
        ] {
            assert_eq!(text(raw).to_string(), shown);
        }
    }

    #[test]
    fn json_on_one_line_still_means_the_same() {
        let raw = "{\n\t\"a\": \"x\u{85}\u{202e}\u{7f}y\",\r\n \"b\": 1e400 }";
        let shown = json(raw).to_string();
        assert_eq!(shown, r#"{  "a": "x\u0085\u202e\u007fy",   "b": 1e400 }"#);
    }
}
