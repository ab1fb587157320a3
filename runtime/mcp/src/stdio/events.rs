//! Server-sent events, put together from what comes in.

use bytes::{Bytes, BytesMut};

use super::ANSWER;

/// Server-sent events, as they come in.
#[derive(Default)]
pub struct Events {
    received: BytesMut,
    id: Option<Bytes>,
    data: BytesMut,
}

/// An event.
pub struct Event {
    /// Its id, if it has one.
    pub id: Option<Bytes>,
    /// Its data; empty if it has none.
    pub data: Bytes,
}

impl Events {
    /// Takes up what has come in.
    ///
    /// # Errors
    /// If an event is too long.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.received.extend_from_slice(bytes);
        match self.received.len() + self.data.len() > ANSWER {
            true => Err("an event of the stream is too long".to_owned()),
            false => Ok(()),
        }
    }

    /// The next event that is complete.
    pub fn next(&mut self) -> Option<Event> {
        while let Some(end) = memchr::memchr(b'\n', &self.received) {
            let line = self.received.split_to(end + 1).freeze();
            let line = line.slice(..line.trim_ascii_end().len());
            let value = |field: &[u8]| {
                let value = line.strip_prefix(field)?;
                Some(line.slice_ref(value.strip_prefix(b" ").unwrap_or(value)))
            };
            if line.is_empty() {
                let event = Event {
                    id: self.id.take(),
                    data: self.data.split().freeze(),
                };
                if event.id.is_some() || !event.data.is_empty() {
                    return Some(event);
                }
            } else if let Some(data) = value(b"data:") {
                self.data.extend_from_slice(&data);
            } else if let Some(id) = value(b"id:") {
                self.id = Some(id);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_wherever_they_are_cut() {
        let stream = b": comment\n\nid: 0\ndata:\n\nevent: message\r\nid: 7\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\ndata: x\n\n";
        for size in 1..stream.len() {
            let (mut events, mut seen) = (Events::default(), Vec::new());
            for chunk in stream.chunks(size) {
                events.add(chunk).unwrap();
                while let Some(event) = events.next() {
                    seen.push((event.id.map(|id| id.to_vec()), event.data.to_vec()));
                }
            }
            let expected: [(Option<Vec<u8>>, Vec<u8>); 3] = [
                (Some(b"0".to_vec()), Vec::new()),
                (Some(b"7".to_vec()), br#"{"a":1}"#.to_vec()),
                (None, b"x".to_vec()),
            ];
            assert_eq!(seen, expected, "in pieces of {size}");
        }
    }
}
