//! Where something was written: byte ranges become lines, columns and excerpts.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Place {
    /// In the file.
    File(FilePlace),
    /// In an environment variable.
    Variable {
        /// The variable's name.
        variable: &'static str,
    },
    /// Nowhere: it is a default, or it concerns the configuration as a whole.
    Nowhere {},
}

/// A place in the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilePlace {
    /// The file, as it was named or found.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text, to point at.
    #[serde(skip)]
    pub excerpt: Excerpt,
}

/// A line of the file, made safe to print, and the part of it that is meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Excerpt {
    /// The line; a long one is cut to what surrounds the part that is meant.
    pub text: String,
    /// Where that part begins, in characters from 0.
    pub start: usize,
    /// How many characters it has; at least 1.
    pub width: usize,
}

impl Excerpt {
    /// Hides what follows the part that is meant.
    pub(crate) fn hide_rest(&mut self) {
        let shown: String = self.text.chars().take(self.start + self.width).collect();
        if shown.len() < self.text.len() {
            self.text = shown + " …";
        }
    }

    /// Hides the part that is meant, and what follows it.
    pub(crate) fn hide(&mut self) {
        self.text = self
            .text
            .chars()
            .take(self.start)
            .chain("***".chars())
            .collect();
        self.width = 3;
    }
}

/// How many characters of a line are shown.
const EXCERPT: usize = 120;
/// How many of them stand before the part that is meant, if the line is cut.
const BEFORE: usize = 40;

/// The text of a file, to look up places in.
pub(crate) struct SourceText<'a> {
    pub path: &'a Path,
    text: &'a str,
    /// Where each line begins, in bytes.
    line_starts: Vec<usize>,
}

impl<'a> SourceText<'a> {
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        Self {
            path,
            text,
            line_starts: std::iter::once(0).chain(after_newlines).collect(),
        }
    }

    /// The line, from 1, that holds the byte.
    pub fn line_of(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte)
    }

    /// The text of the line, from 1, without its end.
    pub fn line(&self, number: usize) -> &'a str {
        let start = number
            .checked_sub(1)
            .and_then(|index| self.line_starts.get(index));
        let rest = start.map_or("", |start| &self.text[*start..]);
        rest.lines().next().unwrap_or_default()
    }

    /// The place of a byte range; one that leaves the text or splits a character is moved inside.
    pub fn place(&self, range: &Range<usize>) -> FilePlace {
        let start = floor_char(self.text, range.start);
        let end = floor_char(self.text, range.end).max(start);
        let line = self.line_of(start);
        let text = self.line(line);
        let line_start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let column = self.text[line_start..start].chars().count();
        let line_end = (line_start + text.len()).max(start);
        let width = self.text[start..end.min(line_end)]
            .trim_end()
            .chars()
            .count();
        FilePlace {
            file: self.path.to_owned(),
            line,
            column: column + 1,
            excerpt: excerpt(text.trim_end(), column, width.max(1)),
        }
    }
}

fn floor_char(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte.min(text.len()))
}

fn excerpt(line: &str, start: usize, width: usize) -> Excerpt {
    let skipped = if line.chars().count() > EXCERPT {
        start.saturating_sub(BEFORE)
    } else {
        0
    };
    // Nothing from the file may steer the terminal, and a tab has one column here.
    let printable = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let text: String = without_credentials(line)
        .chars()
        .skip(skipped)
        .take(EXCERPT)
        .map(printable)
        .collect();
    let start = start - skipped;
    Excerpt {
        width: width.min(EXCERPT.saturating_sub(start).max(1)),
        start,
        text,
    }
}

/// Hides the user and the password of every address in the line, character by character: what stands
/// behind them keeps its column.
fn without_credentials(line: &str) -> String {
    let mut parts = line.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shown.push_str("://");
        let end = part
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\''))
            .unwrap_or(part.len());
        let credentials = part[..end].rfind('@').unwrap_or(0);
        shown.extend(part[..credentials].chars().map(|_| '*'));
        shown.push_str(&part[credentials..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(text: &str, range: Range<usize>) -> FilePlace {
        SourceText::new(Path::new("f"), text).place(&range)
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let found = place("x = 1\nä = 2\n", 11..12);
        assert_eq!((found.line, found.column), (2, 5));
        assert_eq!(found.excerpt.text, "ä = 2");
    }

    #[test]
    fn a_range_over_several_lines_points_at_its_first() {
        let found = place("a = [\n1,\n]\n", 4..10);
        assert_eq!((found.excerpt.start, found.excerpt.width), (4, 1));
    }

    #[test]
    fn an_endless_line_is_cut_around_what_is_meant() {
        let line = format!("{}HERE{}", "x".repeat(5_000), "y".repeat(5_000));
        let found = place(&line, 5_000..5_004);
        assert_eq!(found.column, 5_001);
        assert_eq!(found.excerpt.text.chars().count(), EXCERPT);
        assert_eq!(
            &found.excerpt.text[found.excerpt.start..][..found.excerpt.width],
            "HERE"
        );
    }

    #[test]
    fn an_escape_sequence_in_the_file_does_not_reach_the_terminal() {
        assert!(
            !place("a = \u{1b}[31m", 4..5)
                .excerpt
                .text
                .contains('\u{1b}')
        );
    }

    #[test]
    fn who_writes_a_password_into_an_address_does_not_find_it_in_a_log() {
        let found = place("at = 'http://ä:pass@host/p@th' # see https://x@y", 5..30);
        assert_eq!(
            found.excerpt.text,
            "at = 'http://******@host/p@th' # see https://*@y"
        );
    }

    proptest! {
        #[test]
        fn any_range_in_any_text_has_a_place(text: String, start: u16, end: u16) {
            let found = place(&text, usize::from(start)..usize::from(end));
            prop_assert!(found.line >= 1 && found.column >= 1 && found.excerpt.width >= 1);
        }
    }
}
