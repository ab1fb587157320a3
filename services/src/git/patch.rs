//! A patch as it is printed: kept as far as there is room, counted to its end.

use exomonad_schema::effects::git::{DiffFile, GitDiffReport};
use git2::{DiffDelta, DiffLine, DiffLineType};

use super::diff::FileKey;

/// Takes a diff line by line, one file's content in memory at a time.
pub(super) struct Patch {
    files: Vec<(FileKey, Option<DiffFile>)>,
    /// The file being printed; they come in the order of the list.
    current: usize,
    text: BoundedLines,
}

impl Patch {
    /// An empty patch of these files; one that is `None` is left out of it.
    pub(super) fn new(files: Vec<(FileKey, Option<DiffFile>)>, max_bytes: usize) -> Self {
        Self {
            files,
            current: 0,
            text: BoundedLines::new(max_bytes),
        }
    }

    /// Takes what is printed next.
    pub(super) fn take(&mut self, delta: &DiffDelta<'_>, line: &DiffLine<'_>) {
        let ahead = self.files[self.current..]
            .iter()
            .position(|(listed, _)| listed.is_of(delta));
        self.current += ahead.unwrap_or(0);
        let Some((_, Some(file))) = self.files.get_mut(self.current) else {
            return;
        };
        let prefix = match line.origin_value() {
            DiffLineType::Addition => {
                file.additions += 1;
                "+"
            }
            DiffLineType::Deletion => {
                file.deletions += 1;
                "-"
            }
            DiffLineType::Context => " ",
            DiffLineType::Binary => {
                file.is_binary = true;
                ""
            }
            _ => "",
        };
        self.text.push(prefix, line.content());
    }

    /// The whole of it.
    pub(super) fn finish(self) -> GitDiffReport {
        let mut files: Vec<_> = self
            .files
            .into_iter()
            .filter_map(|(_, file)| file)
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        GitDiffReport {
            patch: self.text.text,
            truncated: self.text.is_cut,
            additions: files.iter().map(|file| file.additions).sum(),
            deletions: files.iter().map(|file| file.deletions).sum(),
            files,
        }
    }
}

/// Whole lines of text, as many as fit.
struct BoundedLines {
    text: String,
    max_bytes: usize,
    is_cut: bool,
}

impl BoundedLines {
    fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            max_bytes,
            is_cut: false,
        }
    }

    /// Adds lines, of which the first has a prefix.
    fn push(&mut self, prefix: &str, content: &[u8]) {
        let mut prefix = prefix;
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            if self.is_cut {
                return;
            }
            // No UTF-8 sequence holds a newline, so line by line is as good as at once.
            let line = String::from_utf8_lossy(line);
            if self.text.len() + prefix.len() + line.len() > self.max_bytes {
                self.is_cut = true;
                return;
            }
            self.text.push_str(prefix);
            self.text.push_str(&line);
            prefix = "";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_the_end_of_the_last_line_that_fits_and_stays_cut() {
        let mut lines = BoundedLines::new(9);
        lines.push("+", "é\n".as_bytes());
        lines.push("", b"b\xff\n");
        assert_eq!(lines.text, "+é\nb\u{fffd}\n");
        assert!(!lines.is_cut);
        lines.push("+", b"long\n");
        lines.push("", b"");
        lines.push("", b"\n");
        assert!(lines.is_cut);
        assert_eq!(lines.text, "+é\nb\u{fffd}\n");
    }

    #[test]
    fn no_room_at_all_gives_an_empty_text() {
        let mut lines = BoundedLines::new(0);
        lines.push("", b"diff\n");
        assert_eq!((lines.text.as_str(), lines.is_cut), ("", true));
    }
}
