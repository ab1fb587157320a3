//! Output of commands and logs, kept up to a limit.

use bollard::container::LogOutput;
use exomonad_schema::effects::docker::DockerOutput;
use exomonad_schema::value::Base64;

/// The end of an output that is kept when it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// The beginning, as of a command.
    Beginning,
    /// The end, as of a log.
    End,
}

/// Standard output and standard error, each up to a limit.
#[derive(Debug)]
pub(super) struct Output {
    stdout: BoundedStream,
    stderr: BoundedStream,
}

/// One stream, up to a limit.
#[derive(Debug)]
struct BoundedStream {
    keep: Keep,
    limit: usize,
    bytes: Vec<u8>,
    is_truncated: bool,
}

impl Output {
    /// Keeps up to `limit` bytes of each stream.
    pub(super) fn new(keep: Keep, limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let kept = || BoundedStream {
            keep,
            limit,
            bytes: Vec::new(),
            is_truncated: false,
        };
        Self {
            stdout: kept(),
            stderr: kept(),
        }
    }

    /// Appends output. A terminal has one stream, which counts as standard output.
    pub(super) fn push(&mut self, written: &LogOutput) {
        match written {
            LogOutput::StdErr { message } => self.stderr.push(message),
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                self.stdout.push(message);
            }
            LogOutput::StdIn { .. } => {}
        }
    }

    /// Notes that output is or may be missing.
    pub(super) fn mark_truncated(&mut self) {
        self.stdout.is_truncated = true;
    }

    /// Standard output, standard error, and whether either was truncated.
    pub(super) fn into_bytes(self) -> (Vec<u8>, Vec<u8>, bool) {
        let is_truncated = self.stdout.is_truncated || self.stderr.is_truncated;
        (self.stdout.bytes, self.stderr.bytes, is_truncated)
    }

    pub(super) fn finish(self) -> DockerOutput {
        let (stdout, stdout_bytes, stdout_is_truncated) = self.stdout.text();
        let (stderr, stderr_bytes, stderr_is_truncated) = self.stderr.text();
        DockerOutput {
            stdout,
            stdout_bytes,
            stderr,
            stderr_bytes,
            truncated: stdout_is_truncated || stderr_is_truncated,
        }
    }
}

impl BoundedStream {
    fn push(&mut self, bytes: &[u8]) {
        match self.keep {
            Keep::Beginning => {
                let room = self.limit - self.bytes.len();
                self.is_truncated |= bytes.len() > room;
                self.bytes
                    .extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
            Keep::End => {
                self.bytes.extend_from_slice(bytes);
                // Not at every push: moving the rest to the front costs its length.
                if self.bytes.len() / 2 > self.limit {
                    self.cut_beginning();
                }
            }
        }
    }

    fn cut_beginning(&mut self) {
        if let Some(excess) = self.bytes.len().checked_sub(self.limit)
            && excess > 0
        {
            self.bytes.drain(..excess);
            self.is_truncated = true;
        }
    }

    /// The stream as text, as bytes when it is none, and whether it was truncated.
    fn text(mut self) -> (String, Option<Base64>, bool) {
        if self.keep == Keep::End {
            self.cut_beginning();
        }
        if self.is_truncated {
            self.drop_half_a_character();
        }
        let (text, bytes) = Base64::lossy_text(&self.bytes);
        (text, bytes, self.is_truncated)
    }

    /// Drops half a character at the cut, so that the rest is text.
    fn drop_half_a_character(&mut self) {
        match self.keep {
            Keep::Beginning => {
                if let Err(error) = std::str::from_utf8(&self.bytes)
                    && error.error_len().is_none()
                {
                    self.bytes.truncate(error.valid_up_to());
                }
            }
            Keep::End => {
                let is_inside = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
                let half = self.bytes.iter().take(3).take_while(is_inside).count();
                if std::str::from_utf8(&self.bytes[half..]).is_ok() {
                    self.bytes.drain(..half);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(keep: Keep, limit: u64, pieces: &[&[u8]]) -> DockerOutput {
        let mut output = Output::new(keep, limit);
        for piece in pieces {
            output.push(&LogOutput::StdOut {
                message: piece.to_vec().into(),
            });
        }
        output.finish()
    }

    #[test]
    fn a_command_s_output_keeps_its_beginning_and_a_log_its_end() {
        let pieces: [&[u8]; 3] = [b"abc", b"def", b"ghi"];
        let beginning = kept(Keep::Beginning, 4, &pieces);
        assert_eq!((&*beginning.stdout, beginning.truncated), ("abcd", true));
        let end = kept(Keep::End, 4, &pieces);
        assert_eq!((&*end.stdout, end.truncated), ("fghi", true));
        for keep in [Keep::Beginning, Keep::End] {
            let all = kept(keep, 9, &pieces);
            assert_eq!((&*all.stdout, all.truncated), ("abcdefghi", false));
            let none = kept(keep, 0, &pieces);
            assert_eq!((&*none.stdout, none.truncated), ("", true));
            assert!(!kept(keep, 0, &[]).truncated);
        }
    }

    #[test]
    fn a_character_cut_in_half_does_not_make_a_text_binary() {
        let euros = "€€€".as_bytes();
        let beginning = kept(Keep::Beginning, 7, &[euros]);
        assert_eq!((&*beginning.stdout, beginning.stdout_bytes), ("€€", None));
        let end = kept(Keep::End, 7, &[euros]);
        assert_eq!((&*end.stdout, end.stdout_bytes), ("€€", None));
        let binary = kept(Keep::Beginning, 9, &[b"\xff\xfe"]);
        assert_eq!(binary.stdout_bytes, Some(Base64(b"\xff\xfe".to_vec())));
    }

    #[test]
    fn a_terminal_s_one_stream_is_standard_output() {
        let mut output = Output::new(Keep::Beginning, 9);
        output.push(&LogOutput::Console {
            message: "on".into(),
        });
        output.push(&LogOutput::StdErr {
            message: "err".into(),
        });
        let output = output.finish();
        assert_eq!((&*output.stdout, &*output.stderr), ("on", "err"));
    }
}
