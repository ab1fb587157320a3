//! Files of records: frames, checksums, and what to do about damage.
//!
//! ```text
//! file  = "exomonad journal 1\n" frame…
//! frame = magic(4) head-length(4) body-length(4) head-checksum(4) body-checksum(4) head body
//! ```
//!
//! Numbers are little-endian, checksums CRC-32; that of the head covers the lengths, too. The head is the summary of a
//! call, so that a list reads no bodies. Where bytes are no frame, the next one is looked for behind them.

use std::fmt;

use crate::codec::{self, Body};
use crate::record::{CallRecord, CallSummary};

/// The first line of every file.
pub const FILE_HEAD: &[u8] = b"exomonad journal 1\n";

/// The end of the name of every file.
pub const EXTENSION: &str = "journal";

/// The first bytes of every frame. None of them is UTF-8 where it stands, so that no text of a record has them.
const MAGIC: [u8; 4] = [0xf5, b'x', 0xf5, b'j'];

const FRAME_HEAD: usize = 20;

/// Bytes of a summary; the writer cuts names that would make it longer.
const LARGEST_HEAD: usize = 16 << 10;
/// Places behind damage that are tried for the next record: a file that is all made up is soon given up.
const MOST_TRIES: usize = 1000;

/// Appends a frame.
pub fn write_frame(summary: &CallSummary, body: &Body<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    // A summary is texts and numbers: it always has JSON.
    if serde_json::to_writer(&mut *out, summary).is_err() {
        out.truncate(start);
        return;
    }
    let head_end = out.len();
    body.write(out);
    let (head, body) = (head_end - start - FRAME_HEAD, out.len() - head_end);
    let (Ok(head), Ok(body)) = (u32::try_from(head), u32::try_from(body)) else {
        out.truncate(start);
        return;
    };
    let frame = &mut out[start..];
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..8].copy_from_slice(&head.to_le_bytes());
    frame[8..12].copy_from_slice(&body.to_le_bytes());
    let head_end = FRAME_HEAD + head as usize;
    let of_head = head_checksum(frame, head_end);
    let of_body = crc32fast::hash(&frame[head_end..]);
    frame[12..16].copy_from_slice(&of_head.to_le_bytes());
    frame[16..20].copy_from_slice(&of_body.to_le_bytes());
}

/// Bytes of the frame that begins here; all of them if it is none, which only [`write_frame`] makes.
pub fn frame_length(frames: &[u8]) -> usize {
    let word = |at: usize| {
        let bytes: Option<[u8; 4]> = frames
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(usize::MAX, |bytes| u32::from_le_bytes(bytes) as usize)
    };
    let length = FRAME_HEAD.saturating_add(word(4)).saturating_add(word(8));
    length.min(frames.len())
}

/// The checksum of the lengths, the body's checksum left out, and the summary.
fn head_checksum(frame: &[u8], head_end: usize) -> u32 {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&frame[4..12]);
    checksum.update(&frame[FRAME_HEAD..head_end]);
    checksum.finalize()
}

/// One call in a file.
pub struct Frame<'a> {
    /// Where it begins in the file.
    pub offset: usize,
    /// Its bytes there.
    pub length: usize,
    /// Its summary.
    pub summary: CallSummary,
    body: &'a [u8],
    checksum: u32,
}

impl Frame<'_> {
    /// The whole record.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn record(&self) -> Result<CallRecord, Damage> {
        let damaged = |reason| Damage {
            offset: self.offset,
            bytes: self.body.len(),
            reason,
        };
        if crc32fast::hash(self.body) != self.checksum {
            return Err(damaged("the checksum of a record is wrong"));
        }
        codec::read_record(self.summary.clone(), self.body).map_err(|error| damaged(error.0))
    }
}

/// Bytes of a file that are no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin.
    pub offset: usize,
    /// How many they are.
    pub bytes: usize,
    /// The fault.
    pub reason: &'static str,
}

/// The reason of bytes at the end of a file that may still become a record: the file may be in use.
pub const TORN: &str = "the file ends within a record";

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            bytes,
            reason,
        } = self;
        write!(formatter, "{bytes} bytes at {offset} are skipped: {reason}")
    }
}

/// Reads a file's content from its beginning: frames, and the damage between them.
pub fn read(content: &[u8]) -> Frames<'_> {
    Frames {
        content,
        at: match content.starts_with(FILE_HEAD) {
            true => Ok(FILE_HEAD.len()),
            false => Err(()),
        },
    }
}

/// The frame that these bytes of a file are, which begin at `offset` there.
///
/// # Errors
/// If they are none: the file has been changed since.
pub fn read_frame(bytes: &[u8], offset: usize) -> Result<Frame<'_>, Damage> {
    match frame(bytes, 0) {
        Ok((frame, _)) => Ok(Frame { offset, ..frame }),
        Err(reason) => Err(Damage {
            offset,
            bytes: bytes.len(),
            reason,
        }),
    }
}

/// See [`read`].
pub struct Frames<'a> {
    content: &'a [u8],
    /// The next byte to read; an error if this is no file of ours.
    at: Result<usize, ()>,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let Ok(at) = self.at else {
            self.at = Ok(self.content.len());
            // A host that was killed right after it made the file.
            let is_new = FILE_HEAD.starts_with(self.content);
            return (!is_new).then_some(Err(Damage {
                offset: 0,
                bytes: self.content.len(),
                reason: "it is no journal of this version",
            }));
        };
        if at >= self.content.len() {
            return None;
        }
        match frame(self.content, at) {
            Ok((frame, end)) => {
                self.at = Ok(end);
                Some(Ok(frame))
            }
            Err(reason) => {
                let next = (at + 1..self.content.len())
                    .filter(|next| self.content[*next..].starts_with(&MAGIC))
                    .take(MOST_TRIES)
                    .find(|next| frame(self.content, *next).is_ok());
                let end = next.unwrap_or(self.content.len());
                self.at = Ok(end);
                Some(Err(Damage {
                    offset: at,
                    bytes: end - at,
                    // A torn record has nothing behind it.
                    reason: match (next, reason) {
                        (Some(_), TORN) => "the length of a record is wrong",
                        _ => reason,
                    },
                }))
            }
        }
    }
}

fn frame(content: &[u8], at: usize) -> Result<(Frame<'_>, usize), &'static str> {
    let rest = content.get(at..).unwrap_or_default();
    if !rest.starts_with(&MAGIC) {
        return Err(match MAGIC.starts_with(rest) {
            true => TORN,
            false => "they are no record",
        });
    }
    let word = |place: usize| {
        let bytes: Option<[u8; 4]> = rest
            .get(place..place + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).ok_or(TORN)
    };
    let (head, body, of_head, checksum) = (word(4)?, word(8)?, word(12)?, word(16)?);
    let head_end = FRAME_HEAD + head as usize;
    if head as usize > LARGEST_HEAD {
        return Err("the length of a record is wrong");
    }
    let Some(json) = rest.get(FRAME_HEAD..head_end) else {
        return Err(TORN);
    };
    if head_checksum(rest, head_end) != of_head {
        return Err("the checksum of a record's head is wrong");
    }
    let end = head_end + body as usize;
    let body = rest.get(head_end..end).ok_or(TORN)?;
    let summary = serde_json::from_slice(json).map_err(|_| "the head of a record is not known")?;
    let frame = Frame {
        offset: at,
        length: end,
        summary,
        body,
        checksum,
    };
    Ok((frame, at + end))
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
