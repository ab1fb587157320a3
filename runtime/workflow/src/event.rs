//! [`Event`]: an entry of a run's history.

use exomonad_journal::RequestHash;

/// An entry of a run's history. The history decides everything: a run that is resumed reads it from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the history, from 0. A second host that writes to the same run would use it twice.
    pub position: u64,
    /// When it came, in milliseconds since 1970.
    pub at: i64,
    /// The rest, by its kind.
    pub body: EventBody,
}

/// The content of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody {
    /// A step was asked for, and is about to be performed. Reads have none: they are performed again.
    Asked(Request),
    /// An attempt at a step failed, and the step is tried again.
    Attempt {
        /// The step.
        seq: u64,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Its answer.
        answer: Vec<u8>,
        /// When the next one begins, in milliseconds since 1970.
        next_at: i64,
    },
    /// A step is answered. What was asked for is in it if there is no [`Asked`](Self::Asked).
    Done {
        /// The step.
        seq: u64,
        /// The attempts that it took.
        attempt: u32,
        /// The answer, as a host function returns it.
        answer: Vec<u8>,
        /// The request.
        request: Option<Request>,
    },
    /// A timer's time has come.
    Fired {
        /// The timer.
        seq: u64,
        /// When it was set, in milliseconds since 1970 by the run's clock; histories of older hosts have none.
        since: Option<i64>,
    },
    /// A signal came.
    Signaled {
        /// Its name.
        name: String,
        /// Its payload, JSON.
        payload: Vec<u8>,
    },
    /// The run was asked to cancel.
    CancelRequested,
    /// A change of the code applies from here on.
    Patched {
        /// The change's name.
        id: String,
    },
}

/// A step that a run asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The step: the number of those before it.
    pub seq: u64,
    /// The effect's capability, such as `git.push`.
    pub effect: String,
    /// The hash of effect and request.
    pub hash: RequestHash,
    /// The request's JSON.
    pub request: Vec<u8>,
}

impl Event {
    /// The bytes that it holds, roughly.
    pub fn size(&self) -> usize {
        self.body.size()
    }
}

impl EventBody {
    /// The bytes that it holds, roughly.
    pub fn size(&self) -> usize {
        let of_request = |request: &Request| request.effect.len() + request.request.len() + 32;
        64 + match self {
            Self::Asked(request) => of_request(request),
            Self::Attempt { answer, .. } => answer.len(),
            Self::Done {
                answer, request, ..
            } => answer.len() + request.as_ref().map_or(0, of_request),
            Self::Signaled { name, payload } => name.len() + payload.len(),
            Self::Patched { id } => id.len(),
            Self::Fired { .. } | Self::CancelRequested => 0,
        }
    }
}
