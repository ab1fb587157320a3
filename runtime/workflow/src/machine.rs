//! [`Machine`]: the state machine of one run. It turns a history into answers, and knows no database, no engine
//! and no clock.
//!
//! Two sides meet here. The *driver* puts in what comes: answers of steps, timers, signals, a request to cancel
//! ([`arrive`](Machine::arrive)). The *guest* asks ([`ask`](Machine::ask)) and waits ([`poll`](Machine::poll)).
//! What comes has a position in the history, and of several things that a guest could take the one with the
//! lowest position is taken. So a guest that runs again, over the same history, takes the same turns.
//!
//! ```text
//! position   0        1        2          3         4
//!            Done 0   Asked 1  Signaled   Done 1    Fired 2
//! ```
//!
//! A guest is run again by [`rewind`](Machine::rewind): the history stays, what has been taken starts anew.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use exomonad_journal::RequestHash;
use sha2::{Digest, Sha256};

use crate::event::{Event, EventBody, Request};

/// The name under which timers are asked for.
pub const TIMER: &str = "workflow.sleep";

/// Steps after which a run should continue as a new one.
pub const MANY_STEPS: u64 = 10_000;
/// Bytes of history after which a run should continue as a new one.
pub const MANY_BYTES: u64 = 8 << 20;

/// The state machine of one run.
#[derive(Debug)]
pub struct Machine {
    history: History,
    turn: Turn,
}

/// The arrivals, by what they answer.
#[derive(Debug, Default)]
struct History {
    next_position: u64,
    bytes: u64,
    begun_at: i64,
    /// By step, what was asked for.
    asked: HashMap<u64, Asked>,
    /// By step or timer, when it was done.
    done: HashMap<u64, Done>,
    /// Failed attempts at steps that are not done.
    attempts: HashMap<u64, Attempt>,
    /// By position.
    signals: BTreeMap<u64, Signal>,
    cancels: BTreeMap<u64, i64>,
    patches: HashSet<String>,
    /// Steps that some earlier turn has asked for: below it the guest only repeats itself.
    asked_before: u64,
    /// Positions of events that are being written and not known yet.
    reserved: BTreeSet<u64>,
}

/// The part of the history that the guest has taken since it began to run.
#[derive(Debug, Default)]
struct Turn {
    next_seq: u64,
    /// The time of the latest thing that it took.
    now: i64,
    taken_signals: HashSet<u64>,
    taken_cancels: HashSet<u64>,
    /// Steps whose answers it will never get.
    cancelled: HashSet<u64>,
    /// Answers about patches stay the same for one turn.
    patches: HashMap<String, bool>,
    random_blocks: u64,
    random_rest: Vec<u8>,
    /// Bytes of the answers and signals that it took.
    bytes: u64,
}

#[derive(Debug)]
struct Asked {
    effect: String,
    hash: Option<RequestHash>,
}

#[derive(Debug)]
struct Done {
    position: u64,
    at: i64,
    /// `None` for a timer.
    answer: Option<Vec<u8>>,
}

/// A failed attempt at a step that is to be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The number of attempts so far.
    pub attempts: u32,
    /// When the next one begins, in milliseconds since 1970.
    pub next_at: i64,
    /// True if the next one has begun.
    pub has_begun: bool,
}

#[derive(Debug)]
struct Signal {
    name: String,
    payload: Vec<u8>,
    at: i64,
}

/// A guest that asks for something else than its history has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "step {seq} of its history is {recorded}, and the plugin asked for {asked}: its code has changed, or depends on something that is not an effect"
)]
pub struct MismatchError {
    /// The step.
    pub seq: u64,
    /// The step in the history.
    pub recorded: String,
    /// The guest's request, or that it ended.
    pub asked: String,
}

/// A step that a guest has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub seq: u64,
    /// True if the history has it already, as asked for or as done.
    pub is_known: bool,
}

/// The things that a guest waits for.
#[derive(Clone, Debug, Default)]
pub struct Wait {
    /// Steps, timers and children.
    pub handles: Vec<u64>,
    /// True if all of these have to be done.
    pub all: bool,
    /// Names of signals.
    pub signals: Vec<String>,
    /// The timer that ends the wait.
    pub timer: Option<u64>,
    /// True if a request to cancel does not end it: it is kept for the next one.
    pub ignores_cancel: bool,
}

impl Wait {
    /// Waits for one step.
    pub fn one(seq: u64) -> Self {
        Self {
            handles: vec![seq],
            ..Self::default()
        }
    }
}

/// The end of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The steps that are done, in the order in which they came, with their answers; `None` for a timer.
    Done(Vec<(u64, Option<Vec<u8>>)>),
    /// A signal. If all handles were waited for, those that are done come with it.
    Signal {
        /// Its name.
        name: String,
        /// Its payload.
        payload: Vec<u8>,
        /// The steps that are done.
        done: Vec<(u64, Option<Vec<u8>>)>,
    },
    /// The time is up. If all handles were waited for, those that are done come with it.
    TimedOut(Vec<(u64, Option<Vec<u8>>)>),
    /// The run is asked to cancel. It hears of it once.
    Cancelled,
}

impl Taken {
    fn size(&self) -> u64 {
        let of_done = |done: &[(u64, Option<Vec<u8>>)]| {
            let sizes = done
                .iter()
                .map(|(_, answer)| answer.as_ref().map_or(0, Vec::len));
            sizes.sum::<usize>()
        };
        let bytes = match self {
            Self::Done(done) | Self::TimedOut(done) => of_done(done),
            Self::Signal { payload, done, .. } => payload.len() + of_done(done),
            Self::Cancelled => 0,
        };
        bytes as u64
    }
}

impl Machine {
    /// The machine of a run that began then, with no history.
    pub fn new(begun_at: i64) -> Self {
        Self {
            history: History {
                begun_at,
                ..History::default()
            },
            turn: Turn {
                now: begun_at,
                ..Turn::default()
            },
        }
    }

    /// Takes a history that was kept, and the number of steps that were asked for in it.
    pub fn load(&mut self, events: impl IntoIterator<Item = Event>, asked_before: u64) {
        for event in events {
            self.put(event);
        }
        let history = &mut self.history;
        history.asked_before = history.asked_before.max(asked_before);
    }

    /// Lets the guest begin again.
    pub fn rewind(&mut self) {
        let history = &mut self.history;
        history.asked_before = history.asked_before.max(self.turn.next_seq);
        self.turn = Turn {
            now: history.begun_at,
            ..Turn::default()
        };
    }

    /// Appends to the history; `None` if it says nothing new: the answer to a step that is done already.
    pub fn arrive(&mut self, at: i64, body: EventBody) -> Option<Event> {
        if let EventBody::Done { seq, .. } | EventBody::Fired { seq, .. } = &body
            && (self.history.done.contains_key(seq) || self.turn.cancelled.contains(seq))
        {
            return None;
        }
        let event = Event {
            position: self.history.next_position,
            at,
            body,
        };
        self.put(event.clone());
        Some(event)
    }

    /// Takes the next position for an event that is written before it is known here: what comes later is not
    /// taken by the guest before it.
    pub fn reserve(&mut self) -> u64 {
        let position = self.history.next_position;
        self.history.next_position += 1;
        self.history.reserved.insert(position);
        position
    }

    /// Puts in the event of a reserved position.
    pub fn fill(&mut self, event: Event) {
        self.history.reserved.remove(&event.position);
        self.put(event);
    }

    /// Takes a number for something that is done by others, such as a child.
    pub fn skip(&mut self) -> u64 {
        let seq = self.turn.next_seq;
        self.turn.next_seq += 1;
        seq
    }

    fn put(&mut self, event: Event) {
        let history = &mut self.history;
        history.bytes += event.size() as u64;
        history.next_position = history.next_position.max(event.position + 1);
        let mut asked = |request: &Request| {
            history.asked_before = history.asked_before.max(request.seq + 1);
            history.asked.insert(
                request.seq,
                Asked {
                    effect: request.effect.clone(),
                    hash: Some(request.hash.clone()),
                },
            );
        };
        let (position, at) = (event.position, event.at);
        match event.body {
            EventBody::Asked(request) => {
                asked(&request);
                if let Some(attempt) = history.attempts.get_mut(&request.seq) {
                    attempt.has_begun = true;
                }
            }
            EventBody::Attempt {
                seq,
                attempt,
                next_at,
                ..
            } => {
                let attempt = Attempt {
                    attempts: attempt,
                    next_at,
                    has_begun: false,
                };
                history.attempts.insert(seq, attempt);
            }
            EventBody::Done {
                seq,
                answer,
                request,
                ..
            } => {
                if let Some(request) = &request {
                    asked(request);
                }
                history.attempts.remove(&seq);
                let answer = Some(answer);
                // One that was stopped while it was written: what comes first counts.
                let done = Done {
                    position,
                    at,
                    answer,
                };
                match history.done.entry(seq) {
                    Entry::Occupied(before) if before.get().position < position => {}
                    Entry::Occupied(mut before) => drop(before.insert(done)),
                    Entry::Vacant(vacant) => drop(vacant.insert(done)),
                }
            }
            EventBody::Fired { seq, .. } => {
                history.asked_before = history.asked_before.max(seq + 1);
                let effect = TIMER.to_owned();
                history
                    .asked
                    .entry(seq)
                    .or_insert(Asked { effect, hash: None });
                let answer = None;
                history.done.insert(
                    seq,
                    Done {
                        position,
                        at,
                        answer,
                    },
                );
            }
            EventBody::Signaled { name, payload } => {
                history
                    .signals
                    .insert(position, Signal { name, payload, at });
            }
            EventBody::CancelRequested => {
                history.cancels.insert(position, at);
            }
            EventBody::Patched { id } => {
                history.patches.insert(id);
            }
        }
    }

    /// The guest asks for a step.
    ///
    /// # Errors
    /// If the history has another step at this place.
    pub fn ask(&mut self, effect: &str, hash: &RequestHash) -> Result<Step, MismatchError> {
        let seq = self.turn.next_seq;
        let known = self.history.asked.get(&seq);
        if let Some(known) = known {
            let is_same = known.effect == effect
                && known.hash.as_ref().is_none_or(|recorded| recorded == hash);
            if !is_same {
                let recorded = match known.effect == effect {
                    true => format!("`{effect}` with another request"),
                    false => format!("`{}`", known.effect),
                };
                return Err(MismatchError {
                    seq,
                    recorded,
                    asked: format!("`{effect}`"),
                });
            }
        }
        self.turn.next_seq += 1;
        Ok(Step {
            seq,
            is_known: known.is_some() || self.history.done.contains_key(&seq),
        })
    }

    /// The guest has ended.
    ///
    /// # Errors
    /// If the history goes on.
    pub fn end(&self) -> Result<(), MismatchError> {
        let beyond = |seq: &&u64| **seq >= self.turn.next_seq;
        match self.history.asked.keys().filter(beyond).min() {
            None => Ok(()),
            Some(seq) => Err(MismatchError {
                seq: *seq,
                recorded: format!(
                    "`{}`",
                    self.history
                        .asked
                        .get(seq)
                        .map_or("", |asked| &asked.effect)
                ),
                asked: "nothing more: it ended".to_owned(),
            }),
        }
    }

    /// The guest waits: `None` while nothing of it has come.
    pub fn poll(&mut self, wait: &Wait) -> Option<Taken> {
        let taken = self.take(wait)?;
        self.turn.bytes += taken.size();
        Some(taken)
    }

    fn take(&mut self, wait: &Wait) -> Option<Taken> {
        let history = &self.history;
        let turn = &self.turn;
        let known = history.reserved.first().copied().unwrap_or(u64::MAX);
        let done = |seq: &u64| {
            let done = history.done.get(seq)?;
            (done.position < known).then_some((done.position, *seq))
        };
        // Each candidate is the position at which the wait ends.
        let handles = match (wait.all, wait.handles.is_empty()) {
            (_, true) => None,
            (false, false) => wait.handles.iter().filter_map(done).min(),
            (true, false) => {
                let all: Option<Vec<_>> = wait.handles.iter().map(done).collect();
                all.and_then(|all| all.into_iter().max())
            }
        };
        let signal = history
            .signals
            .iter()
            .find(|(position, signal)| {
                **position < known
                    && !turn.taken_signals.contains(position)
                    && wait.signals.contains(&signal.name)
            })
            .map(|(position, _)| *position);
        let timer = wait.timer.as_ref().and_then(done);
        let cancel = history
            .cancels
            .keys()
            .filter(|_| !wait.ignores_cancel)
            .find(|position| **position < known && !turn.taken_cancels.contains(position))
            .copied();
        let first = [
            handles.map(|(position, _)| position),
            signal,
            timer.map(|(position, _)| position),
            cancel,
        ];
        let first = first.into_iter().flatten().min()?;
        if cancel == Some(first) {
            let at = history.cancels.get(&first).copied();
            self.turn.taken_cancels.insert(first);
            self.take_time(at);
            return Some(Taken::Cancelled);
        }
        let until_now = || self.done_until(&wait.handles, first);
        if signal == Some(first) {
            let found = history.signals.get(&first)?;
            let (name, payload, at) = (found.name.clone(), found.payload.clone(), found.at);
            let done = if wait.all { until_now() } else { Vec::new() };
            self.turn.taken_signals.insert(first);
            self.take_time(Some(at));
            return Some(Taken::Signal {
                name,
                payload,
                done,
            });
        }
        let (taken, at) = match handles {
            Some((position, seq)) if position == first => {
                let at = history.done.get(&seq).map(|done| done.at);
                let done = match wait.all {
                    true => until_now(),
                    false => vec![(seq, history.done.get(&seq)?.answer.clone())],
                };
                (Taken::Done(done), at)
            }
            _ => {
                let (_, seq) = timer?;
                let done = if wait.all { until_now() } else { Vec::new() };
                (
                    Taken::TimedOut(done),
                    history.done.get(&seq).map(|done| done.at),
                )
            }
        };
        self.take_time(at);
        Some(taken)
    }

    /// The steps of these that were done up to a position, in their order.
    fn done_until(&self, handles: &[u64], until: u64) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut done: Vec<_> = handles
            .iter()
            .filter_map(|seq| Some((self.history.done.get(seq)?, *seq)))
            .filter(|(done, _)| done.position <= until)
            .collect();
        done.sort_by_key(|(done, _)| done.position);
        done.dedup_by_key(|(done, _)| done.position);
        let answers = done.into_iter();
        answers
            .map(|(done, seq)| (seq, done.answer.clone()))
            .collect()
    }

    fn take_time(&mut self, at: Option<i64>) {
        if let Some(at) = at {
            // The host's clock may go back, that of a run does not.
            self.turn.now = self.turn.now.max(at);
        }
    }

    /// The guest will never get the answer to this step.
    pub fn abandon(&mut self, seq: u64) {
        if !self.history.done.contains_key(&seq) {
            self.turn.cancelled.insert(seq);
        }
    }

    /// The failed attempts at a step.
    pub fn attempts(&self, seq: u64) -> Option<&Attempt> {
        self.history.attempts.get(&seq)
    }

    /// True if this step, timer or child is done.
    pub fn is_done(&self, seq: u64) -> bool {
        self.history.done.contains_key(&seq)
    }

    /// The effect of a step in the history.
    pub fn effect_of(&self, seq: u64) -> Option<&str> {
        self.history.asked.get(&seq).map(|asked| &*asked.effect)
    }

    /// True for a step that no earlier turn has asked for.
    pub fn is_new(&self, seq: u64) -> bool {
        seq >= self.history.asked_before
    }

    /// True if the guest has asked for a step of this number.
    pub fn has_asked(&self, seq: u64) -> bool {
        seq < self.turn.next_seq
    }

    /// The time as the guest sees it: that of the latest thing it took, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.turn.now
    }

    /// When the run began, in milliseconds since 1970.
    pub fn begun_at(&self) -> i64 {
        self.history.begun_at
    }

    /// Steps that the guest has asked for.
    pub fn steps(&self) -> u64 {
        self.turn.next_seq
    }

    /// Steps that this or an earlier turn has asked for.
    pub fn asked_before(&self) -> u64 {
        self.history.asked_before.max(self.turn.next_seq)
    }

    /// True while the guest does what it has done before.
    pub fn repeats(&self) -> bool {
        self.turn.next_seq < self.history.asked_before
    }

    /// The number of entries of the history.
    pub fn length(&self) -> u64 {
        self.history.next_position
    }

    /// The bytes of the history.
    pub fn bytes(&self) -> u64 {
        self.history.bytes
    }

    /// True if the run should continue as a new one. It says the same whenever the guest asks at this place.
    pub fn is_long(&self) -> bool {
        self.turn.next_seq >= MANY_STEPS || self.turn.bytes >= MANY_BYTES
    }

    /// The signals that the guest has not taken, oldest first: a run that continues as a new one hands them on.
    pub fn untaken_signals(&self) -> Vec<(String, Vec<u8>)> {
        let signals = self.history.signals.iter();
        let untaken = signals.filter(|(position, _)| !self.turn.taken_signals.contains(position));
        untaken
            .map(|(_, signal)| (signal.name.clone(), signal.payload.clone()))
            .collect()
    }

    /// True if the guest has been told to cancel.
    pub fn is_cancelled(&self) -> bool {
        !self.turn.taken_cancels.is_empty()
    }

    /// Tells if a change of the code applies, and the event that says so from now on.
    pub fn patched(&mut self, at: i64, id: &str) -> (bool, Option<Event>) {
        if let Some(known) = self.turn.patches.get(id) {
            return (*known, None);
        }
        let (applies, event) = if self.history.patches.contains(id) {
            (true, None)
        } else if self.repeats() {
            (false, None)
        } else {
            let id = id.to_owned();
            (true, self.arrive(at, EventBody::Patched { id }))
        };
        self.turn.patches.insert(id.to_owned(), applies);
        (applies, event)
    }

    /// Fills `bytes` with the run's own randomness, the same in each turn.
    pub fn random(&mut self, seed: &[u8], bytes: &mut [u8]) {
        let turn = &mut self.turn;
        let mut filled = 0;
        while filled < bytes.len() {
            if turn.random_rest.is_empty() {
                let mut hasher = Sha256::new();
                hasher.update(seed);
                hasher.update(turn.random_blocks.to_le_bytes());
                turn.random_blocks += 1;
                turn.random_rest = hasher.finalize().to_vec();
            }
            let count = turn.random_rest.len().min(bytes.len() - filled);
            for (to, from) in bytes[filled..]
                .iter_mut()
                .zip(turn.random_rest.drain(..count))
            {
                *to = from;
            }
            filled += count;
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
