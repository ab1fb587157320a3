//! The terminal: its size, colours, and text that is redrawn in place.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use super::show::{self, without_controls};

/// Columns where no terminal says how many it has.
const COLUMNS: usize = 100;
/// Rows where no terminal says how many it has.
const ROWS: usize = 24;

/// A colour of the terminal's own palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Failures.
    Red,
    /// For things that are well.
    Green,
    /// For things that want to be looked at.
    Yellow,
    /// For things that run.
    Blue,
    /// For things that are less important.
    Dim,
    /// Headings.
    Bold,
}

impl Colour {
    fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
        }
    }
}

/// The abilities of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// True if it is one.
    pub is_terminal: bool,
    /// True if it shows colours.
    pub has_colours: bool,
    /// Columns of a line.
    pub columns: usize,
    /// Lines that are seen at once.
    pub rows: usize,
}

impl Terminal {
    /// Standard output.
    pub fn of_stdout() -> Self {
        let is_terminal = io::stdout().is_terminal();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let (columns, rows) = match size() {
            Some(size) if is_terminal => size,
            _ => (COLUMNS, ROWS),
        };
        Self {
            is_terminal,
            has_colours: is_terminal && !is_dumb && !is_set("NO_COLOR"),
            columns,
            rows,
        }
    }
}

/// Columns and rows of the terminal on standard output.
#[expect(unsafe_code, reason = "an ioctl that no crate here asks for safely")]
fn size() -> Option<(usize, usize)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes one `winsize` to the pointer, which is that of a live one.
    let asked = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (asked == 0 && size.ws_col > 0 && size.ws_row > 0)
        .then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Lines of text with colours. What is put in loses its control characters, so that names and messages of guests
/// change nothing but their own place.
#[derive(Debug)]
pub struct Lines {
    text: String,
    has_colours: bool,
}

impl Lines {
    /// No lines yet.
    pub fn new(terminal: Terminal) -> Self {
        Self {
            text: String::new(),
            has_colours: terminal.has_colours,
        }
    }

    /// Appends text of one line.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.text.push_str(&one_line(text));
        self
    }

    /// Appends text of one line in a colour.
    pub fn coloured(&mut self, colour: Colour, text: &str) -> &mut Self {
        match self.has_colours {
            true => {
                let text = one_line(text);
                let _ = write!(self.text, "\u{1b}[{}m{text}\u{1b}[0m", colour.code());
                self
            }
            false => self.text(text),
        }
    }

    /// Ends the line.
    pub fn end(&mut self) {
        let trimmed = self.text.trim_end_matches(' ').len();
        self.text.truncate(trimmed);
        self.text.push('\n');
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Prints them.
    pub fn print(&self) {
        show::print_made(&self.text);
    }
}

/// Text without line ends and control characters.
pub fn one_line(text: &str) -> String {
    without_controls(text).replace(['\n', '\t'], " ")
}

/// Text of at most so many characters: the end of one that is longer is an ellipsis.
pub fn cut(text: &str, width: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    match width {
        0 => String::new(),
        _ => format!("{kept}…"),
    }
}

/// A block of lines at the end of the terminal that is drawn anew each time.
#[derive(Debug, Default)]
pub struct Block {
    drawn: usize,
}

impl Block {
    /// Draws these lines in the place of those before. None may be longer than the terminal is wide.
    pub fn draw(&mut self, lines: &Lines) {
        let mut out = String::new();
        if self.drawn > 0 {
            // To the first of the old lines, and away with all of them.
            let _ = write!(out, "\u{1b}[{}A\r\u{1b}[J", self.drawn);
        }
        out.push_str(lines.as_str());
        self.drawn = lines.as_str().matches('\n').count();
        show::print_made(&out);
    }
}

/// Writes to standard error where that is a terminal, and else nothing: news that no script wants.
pub fn tell(text: &str) {
    let mut error = io::stderr();
    if error.is_terminal() {
        let _ = writeln!(error, "{}", without_controls(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Terminal = Terminal {
        is_terminal: false,
        has_colours: false,
        columns: COLUMNS,
        rows: ROWS,
    };

    #[test]
    fn colours_are_there_for_a_terminal_alone_and_text_cannot_bring_its_own() {
        let mut plain = Lines::new(PIPE);
        plain.coloured(Colour::Red, "a\u{1b}[2Jb\nc").end();
        assert_eq!(plain.as_str(), "a\u{fffd}[2Jb c\n");
        let mut coloured = Lines::new(Terminal {
            has_colours: true,
            ..PIPE
        });
        coloured.coloured(Colour::Red, "a\u{1b}[2Jb").end();
        assert_eq!(coloured.as_str(), "\u{1b}[31ma\u{fffd}[2Jb\u{1b}[0m\n");
    }

    #[test]
    fn long_text_is_cut_by_characters() {
        assert_eq!(cut("höher", 5), "höher");
        assert_eq!(cut("höheres", 5), "höhe…");
        assert_eq!(cut("a", 0), "");
    }
}
