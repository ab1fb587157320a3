//! Standard input and output, by threads of their own: neither can be waited for otherwise.

use std::io::{self, BufRead, Read, Write};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Lines that wait to be read, and to be written.
const LINES: usize = 16;

/// A line of the input.
pub enum Line {
    /// Its bytes, without the end of the line.
    Bytes(Bytes),
    /// It is longer than a message may be.
    TooLong,
}

/// Starts to read lines of standard input, each of at most so many bytes. It ends when the input does.
pub fn read_lines(longest: u64) -> mpsc::Receiver<Line> {
    let (send, lines) = mpsc::channel(LINES);
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        while let Ok(Some(line)) = read_line(&mut input, longest) {
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Starts to write to standard output. It ends when nothing more is sent, or when nobody reads.
pub fn write_lines() -> (mpsc::Sender<Bytes>, JoinHandle<()>) {
    let (send, mut lines) = mpsc::channel::<Bytes>(LINES);
    let writer = thread::spawn(move || {
        let mut output = io::stdout().lock();
        while let Some(line) = lines.blocking_recv() {
            if output
                .write_all(&line)
                .and_then(|()| output.flush())
                .is_err()
            {
                return;
            }
        }
    });
    (send, writer)
}

fn read_line(input: &mut impl BufRead, longest: u64) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(longest.saturating_add(1))
        .read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(Some(Line::Bytes(line.into())));
    }
    if line.len() as u64 <= longest {
        // The last one may lack its end.
        return Ok((!line.is_empty()).then(|| Line::Bytes(line.into())));
    }
    drop(line);
    input.skip_until(b'\n')?;
    Ok(Some(Line::TooLong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_up_to_their_bound() {
        let mut input = &b"{}\n\n12345678\n1234567890\nabc\nlast"[..];
        let mut read = Vec::new();
        while let Some(line) = read_line(&mut input, 8).unwrap() {
            read.push(match line {
                Line::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(read, ["{}", "", "12345678", "too long", "abc", "last"]);
    }
}
