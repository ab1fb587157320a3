//! A patch, collected up to a size limit, its lines counted to the end.

use exomonad_schema::effects::git::{ChangeKind, DiffFile, GitDiffReport};
use git2::{DiffLine, DiffLineType};

/// Collects a diff file by file and line by line.
pub(super) struct PatchReport {
    files: Vec<DiffFile>,
    text: BoundedLines,
    /// The two lines with the names, which git prints before the first hunk only.
    names: String,
    /// True for a submodule that has changes and is at the commit that it was at.
    is_dirty_submodule: bool,
}

impl PatchReport {
    /// An empty patch.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            files: Vec::new(),
            text: BoundedLines::new(max_bytes),
            names: String::new(),
            is_dirty_submodule: false,
        }
    }

    /// Begins a file.
    ///
    /// A file that became a link, or the other way round, is printed as git does:
    /// all of it goes, then all of the other comes. It is one file even so. A submodule that only
    /// `is_dirty_submodule` has no ids to tell, and git counts no lines for it.
    pub(super) fn begin(&mut self, file: DiffFile, is_dirty_submodule: bool) {
        self.is_dirty_submodule = is_dirty_submodule;
        match self.files.last_mut() {
            Some(last)
                if last.change == ChangeKind::Deleted
                    && file.change == ChangeKind::Added
                    && last.path == file.path
                    && last.path_bytes == file.path_bytes =>
            {
                last.change = ChangeKind::TypeChanged;
            }
            _ => self.files.push(file),
        }
    }

    /// Adds a line.
    pub(super) fn take(&mut self, line: &DiffLine<'_>) {
        let Some(file) = self.files.last_mut() else {
            return;
        };
        match line.origin_value() {
            DiffLineType::FileHeader => {
                let header = String::from_utf8_lossy(line.content()).into_owned();
                let at = header.find("\n--- ").map_or(header.len(), |at| at + 1);
                let (head, lines) = header.split_at(at);
                let head = head.split_inclusive('\n');
                let head: String = head
                    .filter(|line| !(self.is_dirty_submodule && line.starts_with("index ")))
                    .collect();
                self.text.push("", head.as_bytes());
                self.names = names(lines);
                return;
            }
            DiffLineType::HunkHeader => {
                let names = std::mem::take(&mut self.names);
                self.text.push("", names.as_bytes());
            }
            _ => {}
        }
        let prefix = match line.origin_value() {
            DiffLineType::Addition => {
                file.additions += u64::from(!self.is_dirty_submodule);
                "+"
            }
            DiffLineType::Deletion => {
                file.deletions += u64::from(!self.is_dirty_submodule);
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

    /// The report.
    pub(super) fn finish(mut self) -> GitDiffReport {
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        GitDiffReport {
            patch: self.text.text,
            truncated: self.text.is_cut,
            additions: self.files.iter().map(|file| file.additions).sum(),
            deletions: self.files.iter().map(|file| file.deletions).sum(),
            files: self.files,
        }
    }
}

/// The lines `--- a/NAME` and `+++ b/NAME` as git has them: a name with a blank in it ends with a tab.
fn names(lines: &str) -> String {
    lines
        .split_inclusive('\n')
        .map(|line| match line.strip_suffix('\n') {
            Some(line) if line.get(4..).is_some_and(|name| name.contains(' ')) => {
                format!("{line}\t\n")
            }
            _ => line.to_owned(),
        })
        .collect()
}

/// Whole lines of text up to a size limit.
pub(super) struct BoundedLines {
    pub(super) text: String,
    max_bytes: usize,
    pub(super) is_cut: bool,
}

impl BoundedLines {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            max_bytes,
            is_cut: false,
        }
    }

    /// Adds lines, of which the first has a prefix.
    pub(super) fn push(&mut self, prefix: &str, content: &[u8]) {
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
