//! The journal of calls: what a guest was given, what it asked for and was answered, and what it gave.
//!
//! A guest is a function of its input and of the answers it gets. A record with all of these lets a person see
//! what a call did, and lets the host run the guest again without performing anything.
//!
//! | module | subject |
//! |---|---|
//! | [`record`] | [`CallRecord`]: one call, as programs and people see it |
//! | [`recording`] | [`Recording`]: the events of a call while it runs, in bounded memory |
//! | [`codec`] | events and records as bytes |
//! | [`hash`] | hashes of requests, by which an answer is found again |
//! | [`answers`] | [`Answers`]: a record that answers a guest in the host's place |
//! | [`segment`] | files of records: frames, checksums, and what to do about damage |
//! | [`writer`] | [`Journal`]: the queue, the thread that writes, the bounds on size and age |
//! | [`reader`] | [`Reader`]: lists and finds records while others write |
//!
//! **What is kept.** A record holds what passed between guest and host, so it holds secrets only as the guest
//! knows them: `{{secret:NAME}}`. Files are the user's own (0600).
//!
//! **What a failure costs.** A call never waits for the journal: a record goes into a queue, and is dropped and
//! counted if that is full or the disk takes nothing. Nothing is synced: a killed host loses what was queued
//! for some milliseconds, a power cut the end of the newest file. Every frame has checksums, so that what is
//! damaged is skipped and named.
//!
//! It knows no plugin, no service and no engine.

pub mod answers;
pub mod codec;
pub mod hash;
pub mod reader;
pub mod record;
pub mod recording;
pub mod segment;
pub mod writer;

pub use answers::{Answers, Asked, Difference, HttpRequestRef, Reply};
pub use hash::{RequestHash, digest};
pub use reader::{Page, Query, Reader};
pub use record::{CallKind, CallRecord, CallSummary, Event, HttpAnswer, HttpExchange, Payload};
pub use recording::Recording;
pub use writer::{Bounds, EndedCall, Journal};
