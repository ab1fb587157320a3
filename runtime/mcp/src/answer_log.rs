//! [`AnswerLog`]: what is said during a request, and its answer, for a client whose stream has broken off and that comes
//! back for the rest.
//!
//! The work on such a request does not end with its connection: it goes on for `mcp.resume`, and what it says is kept.
//! So that clients that leave hold little, what is kept for each, and for how many, is bounded; beyond the bounds a
//! client that leaves cancels its request at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exomonad_host::execution::Running;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::sleep;

use crate::message::Id;
use crate::rpc_error::RpcError;
use crate::streams::in_one_line;

/// Streams of one host that may have broken off.
pub const LEFT: usize = 256;
/// Bytes that are kept for one of them.
const LEFT_BYTES: usize = 256 << 10;
/// Messages that wait for a client, and as many that it may have lost.
const EVENTS: u64 = 64;

/// The messages of one request.
pub struct AnswerLog {
    /// Its number in the session.
    pub number: u64,
    /// The places for those whose client is gone.
    left: Arc<Semaphore>,
    events: watch::Sender<Events>,
}

/// The state of an [`AnswerLog`].
#[derive(Default)]
pub struct Events {
    /// The number of the last message.
    last: u64,
    /// The newest ones.
    kept: VecDeque<(u64, Bytes)>,
    /// The last one that a client was sent.
    sent: u64,
    /// The stream that gets them: the newest.
    pub stream: u64,
    client: Client,
    /// True if there will be no more.
    pub is_complete: bool,
}

/// The client's whereabouts.
#[derive(Default)]
enum Client {
    #[default]
    Reads,
    /// It may come back.
    Left { _place: OwnedSemaphorePermit },
    /// It is not waited for.
    Gone,
}

impl Events {
    /// The first message after this one.
    pub fn after(&self, seen: u64) -> Option<&(u64, Bytes)> {
        self.kept.iter().find(|(nth, _)| *nth > seen)
    }

    fn add(&mut self, message: Bytes) {
        self.last += 1;
        self.kept.push_back((self.last, message));
        // What was sent may be lost with the connection: the newest of it is kept, too.
        while self.kept.len() as u64 > 2 * EVENTS
            || (self.bytes() > LEFT_BYTES
                && self.kept.front().is_some_and(|(nth, _)| *nth <= self.sent))
        {
            self.kept.pop_front();
        }
        self.is_still_kept();
    }

    fn bytes(&self) -> usize {
        self.kept.iter().map(|(_, message)| message.len()).sum()
    }

    /// A client that has left is not waited for if that takes too much.
    fn is_still_kept(&mut self) {
        if matches!(self.client, Client::Left { .. }) && self.bytes() > LEFT_BYTES {
            self.client = Client::Gone;
        }
    }

    fn has_room(&self) -> bool {
        self.last - self.sent < EVENTS
    }
}

impl AnswerLog {
    /// The log of a request whose client reads.
    pub fn new(number: u64, left: Arc<Semaphore>) -> Self {
        Self {
            number,
            left,
            events: watch::Sender::default(),
        }
    }

    /// Opens a stream after this message; it takes the place of the one before. Gives its number, and what it has to
    /// say; `None` if what comes next is not kept any more.
    pub fn open(&self, seen: u64) -> Option<(u64, watch::Receiver<Events>)> {
        let mut number = None;
        self.events.send_if_modified(|events| {
            let is_next_kept = events
                .kept
                .front()
                .map_or(seen == events.last, |(first, _)| seen + 1 >= *first);
            if seen > events.last || !is_next_kept || matches!(events.client, Client::Gone) {
                return false;
            }
            events.stream += 1;
            events.client = Client::Reads;
            number = Some(events.stream);
            true
        });
        Some((number?, self.events.subscribe()))
    }

    /// Notes that the client was sent this message.
    pub fn sent(&self, nth: u64) {
        self.events
            .send_modify(|events| events.sent = events.sent.max(nth));
    }

    /// Notes that a stream is closed. `has_all` is true if it was sent to its end.
    pub fn closed(&self, stream: u64, has_all: bool) {
        let place = self.left.clone().try_acquire_owned();
        self.events.send_if_modified(|events| {
            if events.stream != stream {
                return false;
            }
            events.client = match place {
                Ok(place) if !has_all => Client::Left { _place: place },
                _ => Client::Gone,
            };
            events.is_still_kept();
            true
        });
    }

    /// Ready when the client is gone, or has not come back for so long.
    async fn is_gone(&self, resume: Duration) {
        let mut events = self.events.subscribe();
        loop {
            let has_left = match events.borrow_and_update().client {
                Client::Reads => false,
                Client::Left { .. } => true,
                Client::Gone => return,
            };
            tokio::select! {
                // Its sender is here.
                _ = events.changed() => {}
                () = sleep(resume), if has_left => return,
            }
        }
    }

    async fn has_room(&self) {
        let mut events = self.events.subscribe();
        // Its sender is here.
        let _ = events.wait_for(Events::has_room).await;
    }

    /// Takes what is said, and the answer at its end, until the client has it all or is gone. Dropping what is taken
    /// from cancels the work.
    pub async fn take<T: Send + 'static>(
        self: Arc<Self>,
        id: Id,
        mut said: mpsc::Receiver<Bytes>,
        mut work: Running<T>,
        last: fn(T) -> Vec<u8>,
        resume: Duration,
    ) {
        let taken = async {
            let outcome = loop {
                self.has_room().await;
                tokio::select! {
                    biased;
                    Some(message) = said.recv() => self.add(message),
                    outcome = work.ended() => break outcome,
                }
            };
            // Something may have been said between the two looks.
            while let Ok(message) = said.try_recv() {
                self.add(message);
            }
            let answer = match outcome {
                Ok(answer) => last(answer),
                Err(error) => RpcError::from(error).answering(id).to_json(),
            };
            self.events.send_modify(|events| {
                events.add(in_one_line(answer).into());
                events.is_complete = true;
            });
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = taken => {}
            () = self.is_gone(resume) => {}
        }
    }

    /// Adds a message.
    pub fn add(&self, message: Bytes) {
        self.events.send_modify(|events| events.add(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(places: usize) -> AnswerLog {
        AnswerLog::new(1, Arc::new(Semaphore::new(places)))
    }

    fn message(bytes: usize) -> Bytes {
        vec![b'x'; bytes].into()
    }

    #[test]
    fn a_client_that_comes_back_gets_what_it_has_not_seen() {
        let log = log(1);
        let (first, _) = log.open(0).unwrap();
        for _ in 0..3 {
            log.add(message(10));
        }
        log.sent(2);
        log.closed(first, false);
        let (second, events) = log.open(1).unwrap();
        assert_eq!(events.borrow().after(1).unwrap().0, 2);
        assert_eq!(events.borrow().after(3), None);
        // The stream that it has left behind ends later, and changes nothing.
        log.closed(first, false);
        assert_eq!(events.borrow().stream, second);
        assert!(log.open(4).is_none(), "a message that was never sent");
    }

    #[tokio::test]
    async fn what_is_kept_for_clients_that_have_left_is_bounded() {
        let (places, minute) = (Arc::new(Semaphore::new(1)), Duration::from_secs(60));
        let one = AnswerLog::new(1, places.clone());
        let other = AnswerLog::new(2, places);
        let (first, _) = one.open(0).unwrap();
        one.closed(first, false);
        let (second, _) = other.open(0).unwrap();
        other.closed(second, false);
        other.is_gone(minute).await;
        assert!(other.open(0).is_none());
        // The one that has the place loses it by saying too much.
        one.add(message(LEFT_BYTES + 1));
        one.is_gone(minute).await;
        // One that has read to the end is not waited for, either.
        let log = log(1);
        let (first, _) = log.open(0).unwrap();
        log.closed(first, true);
        log.is_gone(minute).await;
    }

    #[test]
    fn what_was_sent_makes_room_for_what_is_new() {
        let log = log(1);
        let (_, events) = log.open(0).unwrap();
        for nth in 1..=500 {
            log.add(message(10_000));
            log.sent(nth);
        }
        assert!(events.borrow().bytes() <= LEFT_BYTES + 10_000);
        assert!(log.open(1).is_none(), "it is not kept any more");
    }
}
