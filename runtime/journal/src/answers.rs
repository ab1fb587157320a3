//! [`Answers`]: a record that answers a guest in the host's place.
//!
//! A guest asks one thing at a time, so effects have one order: each is held against the next one of the record,
//! by the hash of effect and request. The first that differs ends it, since nobody knows what would have been
//! answered. Everything else has an order of its own kind, so that a new version of a plugin may read the clock
//! before the log level where the old one did it after:
//!
//! - **clocks and randomness** give what they gave, in their order. The same plugin asks as often as it did;
//!   one that asks more often gets the last time again, or bytes made of the call's id, and a note says so;
//! - **configuration and log level** give what they gave for the key;
//! - **lines of the log** answer nothing that a guest could decide on. They are compared, and the first that
//!   differs is told, but the guest goes on.
//!
//! A call that waited for something outside is *resumed* ([`Answers::resuming`]): its guest runs again on the record
//! of what it did before, and where that ends it goes on ([`Reply::Live`]).

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use exomonad_schema::CallId;
use exomonad_schema::effects::log::LogLevel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codec::hash_http;
use crate::hash::RequestHash;
use crate::record::{CallRecord, Event, HttpAnswer, OK, Payload};

/// The effects whose answers tell a guest nothing.
const LOG_EFFECTS: [&str; 2] = ["log.write", "log.emit_event"];

/// The answer of such an effect that the record does not have.
const LOGGED: &[u8] = br#"{"kind":"Success","payload":{}}"#;

/// A question of a guest, asked now or recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The effect's capability, or `http_request` for Extism's function.
    pub effect: String,
    /// The request; of an HTTP request its method, address and body.
    pub request: Payload,
}

/// The first difference between a call and its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Difference {
    /// The guest asks for something else.
    #[serde(rename_all = "camelCase")]
    Effect {
        /// Which of its effects it is, from 1.
        nth: usize,
        /// The recorded question; absent if the record has no more.
        recorded: Option<Asked>,
        /// The guest's question; absent if it ended.
        asked: Option<Asked>,
    },
    /// The guest logs something else.
    #[serde(rename_all = "camelCase")]
    Log {
        /// Which of its lines it is, from 1.
        nth: usize,
        /// The recorded line.
        recorded: Option<String>,
        /// The guest's line.
        logged: Option<String>,
    },
    /// The guest ends in another way.
    #[serde(rename_all = "camelCase")]
    Answer {
        /// The recorded outcome: `ok`, `tool_error` or a code.
        recorded_outcome: String,
        /// The recorded answer, or the message of its failure.
        recorded: Payload,
        /// The outcome now.
        outcome: String,
        /// The answer now, or the message of its failure.
        answer: Payload,
    },
}

/// The kind of difference, without what was asked for or answered: calls that differ alike have one text.
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect {
                recorded: Some(recorded),
                asked: Some(asked),
                ..
            } if recorded.effect == asked.effect => {
                write!(
                    formatter,
                    "asks for `{}` with another request",
                    asked.effect
                )
            }
            Self::Effect {
                recorded: Some(recorded),
                asked: Some(asked),
                ..
            } => write!(
                formatter,
                "asks for `{}` where the recorded call asked for `{}`",
                asked.effect, recorded.effect
            ),
            Self::Effect {
                recorded: None,
                asked: Some(asked),
                ..
            } => write!(
                formatter,
                "asks for `{}` where the recorded call was done",
                asked.effect
            ),
            Self::Effect { recorded, .. } => {
                let left = recorded.as_ref().map_or("", |left| &left.effect);
                write!(
                    formatter,
                    "is done where the recorded call asked for `{left}`"
                )
            }
            Self::Log { .. } => formatter.write_str("logs something else"),
            Self::Answer {
                recorded_outcome,
                outcome,
                ..
            } if recorded_outcome == outcome => formatter.write_str(match outcome.as_str() {
                OK => "answers something else",
                _ => "fails with another message",
            }),
            Self::Answer {
                recorded_outcome,
                outcome,
                ..
            } => write!(
                formatter,
                "ends with `{outcome}` where the recorded call ended with `{recorded_outcome}`"
            ),
        }
    }
}

/// The reply to what a guest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// The recorded answer.
    Answer(T),
    /// The record of a resumed call ends before this: it is performed.
    Live,
    /// There is none: the guest is to be stopped.
    Stop,
}

/// A request of Extism's `http_request`.
#[derive(Clone, Copy, Debug)]
pub struct HttpRequestRef<'a> {
    /// The method.
    pub method: &'a str,
    /// The address.
    pub url: &'a str,
    /// The header fields.
    pub headers: &'a BTreeMap<String, String>,
    /// The body.
    pub body: &'a [u8],
}

/// A record that answers. Of one call: a guest that runs again takes a new one.
#[derive(Debug)]
pub struct Answers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    id: String,
    effects: VecDeque<Recorded>,
    asked: usize,
    lines: VecDeque<Line>,
    logged: usize,
    /// The last recorded answer to each effect that logs: a role may not be granted it.
    log_answers: BTreeMap<String, Vec<u8>>,
    now: Times<i64>,
    monotonic: Times<u64>,
    random: VecDeque<Vec<u8>>,
    made_up: u64,
    no_random: Option<String>,
    config: BTreeMap<String, Option<String>>,
    level: Option<Option<LogLevel>>,
    is_complete: bool,
    /// True if the call goes on where its record ends.
    goes_on: bool,
    sleeps: usize,
    /// The first difference that ends the guest.
    difference: Option<Difference>,
    /// The first line that differs.
    line: Option<Difference>,
    is_stopped: bool,
    notes: Vec<String>,
}

/// An effect of the record.
#[derive(Debug)]
struct Recorded {
    hash: RequestHash,
    asked: Asked,
    answer: RecordedAnswer,
}

#[derive(Debug)]
enum RecordedAnswer {
    Effect(Option<Payload>),
    Http(Option<HttpAnswer>),
}

/// A line of the log, by Extism's functions or by an effect.
#[derive(Debug)]
struct Line {
    text: String,
    /// The answer that the effect had.
    answer: Option<Vec<u8>>,
}

/// The time that a clock gave.
#[derive(Debug)]
struct Times<T> {
    recorded: VecDeque<T>,
    last: Option<T>,
}

impl<T> Default for Times<T> {
    fn default() -> Self {
        Self {
            recorded: VecDeque::new(),
            last: None,
        }
    }
}

impl<T: Copy + Default> Times<T> {
    /// The next time; an error if it is not a recorded one.
    fn next(&mut self) -> Result<T, T> {
        match self.recorded.pop_front() {
            Some(time) => {
                self.last = Some(time);
                Ok(time)
            }
            None => Err(self.last.unwrap_or_default()),
        }
    }
}

impl Answers {
    /// Answers from this record.
    pub fn of(record: &CallRecord) -> Self {
        let mut state = State {
            id: record.call.id.to_string(),
            is_complete: record.call.complete,
            ..State::default()
        };
        for event in &record.events {
            state.take(event);
        }
        Self(Mutex::new(state))
    }

    /// Answers a guest that goes on where these events end. An effect that was not answered is asked for again.
    pub fn resuming(call: &CallId, events: &[Event]) -> Self {
        let mut state = State {
            id: call.to_string(),
            is_complete: true,
            goes_on: true,
            ..State::default()
        };
        let is_answered = |event: &&Event| match event {
            Event::Effect(effect) => effect.answer.is_some(),
            Event::Http(exchange) => exchange.answer.is_some(),
            _ => true,
        };
        for event in events.iter().filter(is_answered) {
            state.take(event);
        }
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers an effect.
    pub fn effect(&self, effect: &str, request: &[u8]) -> Reply<Vec<u8>> {
        let mut state = self.state();
        if LOG_EFFECTS.contains(&effect) {
            return state.log_effect(effect, request);
        }
        let asked = Asked {
            effect: effect.to_owned(),
            request: request.into(),
        };
        if state.is_live() {
            return Reply::Live;
        }
        match state.next(RequestHash::of(effect, request), asked) {
            Some(RecordedAnswer::Effect(Some(answer))) => Reply::Answer(answer.0),
            // The recorded call ended here: its guest never saw an answer.
            _ => state.stop(),
        }
    }

    /// Answers Extism's `http_request`.
    pub fn http(&self, request: HttpRequestRef<'_>) -> Reply<HttpAnswer> {
        let HttpRequestRef {
            method,
            url,
            headers,
            body,
        } = request;
        let mut state = self.state();
        if state.is_live() {
            return Reply::Live;
        }
        match state.next(
            hash_http(method, url, headers, body),
            http_asked(method, url, body),
        ) {
            Some(RecordedAnswer::Http(Some(answer))) => Reply::Answer(answer),
            _ => state.stop(),
        }
    }

    /// Takes a line of the log.
    pub fn log(&self, level: LogLevel, message: &str) {
        self.state().line(&line(level, message));
    }

    /// The least level that is logged; `otherwise` if the record does not say.
    pub fn log_level(&self, otherwise: Option<LogLevel>) -> Option<LogLevel> {
        let mut state = self.state();
        let recorded = state.level;
        recorded.unwrap_or_else(|| {
            state.note("it asks for the log level, which the recorded call did not");
            otherwise
        })
    }

    /// A value of the configuration; `otherwise` gives it if the record does not.
    pub fn config(&self, key: &str, otherwise: impl FnOnce() -> Option<String>) -> Option<String> {
        let mut state = self.state();
        match state.config.get(key) {
            Some(value) => value.clone(),
            None => {
                state.note(&format!(
                    "it reads `{key}` of the configuration, which the recorded call did not: today's value is taken"
                ));
                otherwise()
            }
        }
    }

    /// The wall clock, in nanoseconds since 1970.
    pub fn now(&self) -> i64 {
        let mut state = self.state();
        let time = state.now.next();
        state.time(time)
    }

    /// The monotonic clock, in nanoseconds.
    pub fn monotonic(&self) -> u64 {
        let mut state = self.state();
        let time = state.monotonic.next();
        state.time(time)
    }

    /// Fills `bytes` with the recorded randomness.
    ///
    /// # Errors
    /// The reason why the recorded call got none.
    pub fn random(&self, bytes: &mut [u8]) -> Result<(), String> {
        let mut state = self.state();
        match state.random.pop_front() {
            Some(recorded) if recorded.len() == bytes.len() => {
                bytes.copy_from_slice(&recorded);
                Ok(())
            }
            _ => match state.no_random.clone() {
                Some(reason) => Err(reason),
                None => {
                    state.note("it asks for other randomness than the recorded call: made-up bytes are given");
                    state.make_up(bytes);
                    Ok(())
                }
            },
        }
    }

    /// The recorded level of a resumed call; `None` if it did not ask for it before.
    pub fn resumed_log_level(&self) -> Option<Option<LogLevel>> {
        self.state().level
    }

    /// The recorded value of a resumed call; `None` if it did not read the key before.
    pub fn resumed_config(&self, key: &str) -> Option<Option<String>> {
        self.state().config.get(key).cloned()
    }

    /// The recorded time of a resumed call; `None` where its record ends.
    pub fn resumed_now(&self) -> Option<i64> {
        self.state().now.next().ok()
    }

    /// The recorded time of a resumed call, or else the last one, which the clock has to be beyond.
    ///
    /// # Errors
    /// The last recorded time, where the record ends.
    pub fn resumed_monotonic(&self) -> Result<u64, u64> {
        self.state().monotonic.next()
    }

    /// Fills `bytes` with the recorded randomness of a resumed call; `None` where its record ends.
    pub fn resumed_random(&self, bytes: &mut [u8]) -> Option<Result<(), String>> {
        let mut state = self.state();
        let Some(recorded) = state.random.pop_front() else {
            return state.no_random.take().map(Err);
        };
        Some(match recorded.len() == bytes.len() {
            true => {
                bytes.copy_from_slice(&recorded);
                Ok(())
            }
            false => Err("the guest asks for other randomness than before".to_owned()),
        })
    }

    /// True if a pause of a resumed call is over already.
    pub fn resumed_sleep(&self) -> bool {
        let mut state = self.state();
        let is_over = state.sleeps > 0;
        state.sleeps = state.sleeps.saturating_sub(1);
        is_over
    }

    /// True if a line of a resumed call is in the log already.
    pub fn resumed_log(&self, level: LogLevel, message: &str) -> bool {
        let mut state = self.state();
        if state.lines.is_empty() {
            return false;
        }
        state.line(&line(level, message));
        true
    }

    /// True if the guest is to be stopped: it asked for something else, or has come to where its record ends.
    pub fn is_stopped(&self) -> bool {
        self.state().is_stopped
    }

    /// Says that the guest has ended by itself: whatever the record has left is a difference.
    pub fn end(&self) {
        let mut state = self.state();
        if state.is_stopped || state.difference.is_some() {
            return;
        }
        if let Some(left) = state.effects.pop_front() {
            let nth = state.asked + 1;
            state.difference = Some(Difference::Effect {
                nth,
                recorded: Some(left.asked),
                asked: None,
            });
        } else if let (Some(recorded), None) = (state.lines.pop_front(), &state.line) {
            let nth = state.logged + 1;
            state.line = Some(Difference::Log {
                nth,
                recorded: Some(recorded.text),
                logged: None,
            });
        }
    }

    /// The first difference that changed what the guest saw, or else the first line of its log that differs.
    pub fn difference(&self) -> Option<Difference> {
        let state = self.state();
        state.difference.clone().or_else(|| state.line.clone())
    }

    /// True if the guest asked for something else than its record has.
    pub fn has_diverged(&self) -> bool {
        self.state().difference.is_some()
    }

    /// The reasons why this is not exactly what would have happened.
    pub fn notes(&self) -> Vec<String> {
        self.state().notes.clone()
    }
}

impl State {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Effect(effect) if LOG_EFFECTS.contains(&effect.effect.as_str()) => {
                let answer = effect.answer.as_ref().map(|answer| answer.0.clone());
                if let Some(answer) = &answer {
                    self.log_answers
                        .insert(effect.effect.clone(), answer.clone());
                }
                self.lines.push_back(Line {
                    text: effect_line(&effect.effect, &effect.request.0),
                    answer,
                });
            }
            Event::Effect(effect) => self.effects.push_back(Recorded {
                hash: effect.hash.clone(),
                asked: Asked {
                    effect: effect.effect.clone(),
                    request: effect.request.clone(),
                },
                answer: RecordedAnswer::Effect(effect.answer.clone()),
            }),
            Event::Http(exchange) => self.effects.push_back(Recorded {
                hash: exchange.hash.clone(),
                asked: http_asked(&exchange.method, &exchange.url, &exchange.body.0),
                answer: RecordedAnswer::Http(exchange.answer.clone()),
            }),
            Event::Log { level, message } => self.lines.push_back(Line {
                text: line(*level, message),
                answer: None,
            }),
            Event::LogLevel { level } => self.level = Some(*level),
            Event::Config { key, value } => {
                self.config.insert(key.clone(), value.clone());
            }
            Event::Now { unix_nanos } => self.now.recorded.push_back(*unix_nanos),
            Event::Monotonic { nanos } => self.monotonic.recorded.push_back(*nanos),
            Event::Random { bytes } => self.random.push_back(bytes.0.clone()),
            Event::NoRandom { reason } => self.no_random = Some(reason.clone()),
            // It takes no time.
            Event::Sleep { .. } => self.sleeps += 1,
        }
    }

    /// True if a resumed guest has come to where its record ends.
    fn is_live(&self) -> bool {
        self.goes_on && !self.is_stopped && self.effects.is_empty()
    }

    /// The answer to what is asked for, if the record has it next.
    fn next(&mut self, hash: RequestHash, asked: Asked) -> Option<RecordedAnswer> {
        if self.is_stopped {
            return None;
        }
        self.asked += 1;
        match self.effects.pop_front() {
            Some(recorded) if recorded.hash == hash => Some(recorded.answer),
            // Of a record that was cut nobody knows what comes next.
            None if !self.is_complete => None,
            recorded => {
                self.difference = Some(Difference::Effect {
                    nth: self.asked,
                    recorded: recorded.map(|recorded| recorded.asked),
                    asked: Some(asked),
                });
                None
            }
        }
    }

    fn stop<T>(&mut self) -> Reply<T> {
        self.is_stopped = true;
        Reply::Stop
    }

    fn log_effect(&mut self, effect: &str, request: &[u8]) -> Reply<Vec<u8>> {
        if self.goes_on && self.lines.is_empty() {
            return Reply::Live;
        }
        match self.line(&effect_line(effect, request)) {
            Some(Some(answer)) => Reply::Answer(answer),
            // The recorded call ended here.
            Some(None) => self.stop(),
            None => {
                let known = self.log_answers.get(effect).cloned();
                Reply::Answer(known.unwrap_or_else(|| LOGGED.to_vec()))
            }
        }
    }

    /// Takes a line; gives the recorded answer if it is the recorded line.
    fn line(&mut self, logged: &str) -> Option<Option<Vec<u8>>> {
        if self.is_stopped {
            return None;
        }
        self.logged += 1;
        let recorded = match self.lines.pop_front() {
            Some(recorded) if recorded.text == logged => return Some(recorded.answer),
            None if !self.is_complete => return None,
            recorded => recorded,
        };
        if self.line.is_none() {
            self.line = Some(Difference::Log {
                nth: self.logged,
                recorded: recorded.map(|recorded| recorded.text),
                logged: Some(logged.to_owned()),
            });
        }
        None
    }

    fn time<T>(&mut self, time: Result<T, T>) -> T {
        time.unwrap_or_else(|last| {
            self.note(
                "it reads a clock more often than the recorded call: the last time is given again",
            );
            last
        })
    }

    /// Bytes that are the same in each run.
    fn make_up(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let mut hasher = Sha256::new();
            hasher.update(self.id.as_bytes());
            hasher.update(self.made_up.to_le_bytes());
            self.made_up += 1;
            let block = hasher.finalize();
            for (byte, made_up) in chunk.iter_mut().zip(block) {
                *byte = made_up;
            }
        }
    }

    fn note(&mut self, note: &str) {
        if !self.is_stopped && !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }
}

fn http_asked(method: &str, url: &str, body: &[u8]) -> Asked {
    let mut request = format!("{method} {url}").into_bytes();
    if !body.is_empty() {
        request.push(b' ');
        request.extend_from_slice(body);
    }
    Asked {
        effect: crate::codec::HTTP_REQUEST.to_owned(),
        request: Payload(request),
    }
}

fn line(level: LogLevel, message: &str) -> String {
    let level = match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    format!("{level} {message}")
}

fn effect_line(effect: &str, request: &[u8]) -> String {
    format!("{effect} {}", String::from_utf8_lossy(request))
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
