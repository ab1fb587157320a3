//! Output of commands: JSON, tables, and guests' text.

use std::fmt::Arguments;
use std::io::{self, IsTerminal, StdoutLock, Write};
use std::sync::OnceLock;

use serde::Serialize;
use serde_json::Value;

use super::CommandError;

/// Prints a value as JSON: indented on a terminal, on one line in a pipe.
pub fn print_json(value: &(impl Serialize + ?Sized)) {
    let json = match std::io::stdout().is_terminal() {
        true => serde_json::to_string_pretty(value),
        false => serde_json::to_string(value),
    };
    match json {
        Ok(json) => print_line(&json),
        Err(error) => errln!("exomonad: the answer is not JSON: {error}"),
    }
}

/// Prints JSON that is there already as text: on a terminal indented, in a pipe as it is.
pub fn print_json_text(json: &[u8]) {
    match serde_json::from_slice::<Value>(json) {
        Ok(value) if std::io::stdout().is_terminal() => print_json(&value),
        _ => print_line(&String::from_utf8_lossy(json)),
    }
}

/// Prints the text of a guest. A terminal gets no control characters, which could change what is shown
/// elsewhere on it, and JSON that a tool answers is indented there.
pub fn print_text(text: &str) {
    if !std::io::stdout().is_terminal() {
        return print_line(text);
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => print_json(&value),
        _ => print_line(text),
    }
}

/// The text for a terminal: control characters but line ends and tabs, and those that change the direction
/// of what follows, are shown as U+FFFD.
pub fn without_controls(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Prints a line.
pub fn print_line(line: &str) {
    print_args(format_args!("{line}\n"));
}

/// Prints a text. A reader that is gone ends the output without a word, as other commands do it.
pub fn print_args(text: Arguments<'_>) {
    write(|out| match out.is_terminal() {
        // Names and messages may be a guest's.
        true => out.write_all(without_controls(&text.to_string()).as_bytes()),
        false => out.write_fmt(text),
    });
}

/// Prints text that this program has made, colours and movements of the cursor included.
pub fn print_made(text: &str) {
    write(|out| out.write_all(text.as_bytes()));
}

/// Prints bytes as they are; to a terminal without control characters, and with an end of line.
pub fn print_bytes(bytes: &[u8]) {
    write(|out| match out.is_terminal() {
        true => writeln!(out, "{}", without_controls(&String::from_utf8_lossy(bytes))),
        false => out.write_all(bytes),
    });
}

/// The first write to standard output that failed; nothing is written after it.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// True once nothing that is printed arrives any more.
pub fn is_over() -> bool {
    FAILED.get().is_some()
}

/// Notes whether printing has failed.
pub fn note(written: io::Result<()>) {
    if let Err(error) = written {
        let _ = FAILED.set(error);
    }
}

/// The end of a command that prints: all that it printed has arrived, or its reader wanted no more.
pub fn printed() -> Result<(), CommandError> {
    match FAILED.get() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::Unavailable(
            format!("standard output cannot be written: {error}"),
        )),
        _ => Ok(()),
    }
}

fn write(write: impl FnOnce(&mut StdoutLock<'_>) -> io::Result<()>) {
    if is_over() {
        return;
    }
    let mut out = io::stdout().lock();
    let written = write(&mut out);
    note(written.and_then(|()| out.flush()));
}

/// Prints rows in columns that are as wide as they need to be.
pub fn print_table(header: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        print_line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(&header.iter().map(ToString::to_string).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
}

#[cfg(test)]
mod tests {
    use super::without_controls;

    #[test]
    fn a_terminal_gets_nothing_that_moves_its_cursor_or_turns_its_text() {
        assert_eq!(
            without_controls("a\tb\n\u{1b}[2J\r\u{9b}1m\u{202e}é"),
            "a\tb\n\u{fffd}[2J\u{fffd}\u{fffd}1m\u{fffd}é"
        );
    }
}
