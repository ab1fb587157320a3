//! [`EventRing`]: the latest events, for any number of streams.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use exomonad_schema::RoleName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::event::{LiveEvent, MissedEvents, MissedReason};

/// Events that a client may be behind.
const EVENTS: usize = 4096;
/// Steps that a client may be behind: there are many more of them.
const STEPS: usize = 16_384;
/// Bytes of either.
const BYTES: usize = 8 << 20;
/// Streams at once.
const STREAMS: usize = 256;

/// The latest events. A stream holds none: it asks for the next one when its client has taken the last, so one that
/// reads slowly, or not at all, costs its connection and nothing else. Steps are kept apart, with the same numbers, so
/// that however many there are pushes out no change of a run.
pub struct EventRing {
    kept: Mutex<Kept>,
    newest: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    places: Arc<Semaphore>,
}

struct Kept {
    events: Latest,
    steps: Latest,
    /// The first number that this process has given.
    first: u64,
    next: u64,
}

/// The latest of some events.
#[derive(Default)]
struct Latest {
    events: VecDeque<Arc<KeptEvent>>,
    bytes: usize,
    /// The number of the newest one that is not kept any more.
    dropped: u64,
}

impl Latest {
    fn push(&mut self, event: Arc<KeptEvent>, most: usize) {
        self.bytes += event.frame.len();
        self.events.push_back(event);
        while self.events.len() > most || self.bytes > BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.frame.len();
            self.dropped = oldest.id;
        }
    }

    fn after(&self, id: u64) -> Option<&Arc<KeptEvent>> {
        let index = self.events.partition_point(|event| event.id <= id);
        self.events.get(index)
    }
}

/// An event that is kept.
pub struct KeptEvent {
    /// Its number.
    pub id: u64,
    /// The role that it is of; everybody may see one that is of none.
    pub role: Option<RoleName>,
    /// The run that it is about.
    pub run: Option<RunIds>,
    /// The event as it is sent.
    pub frame: Bytes,
}

/// The names of a run.
pub struct RunIds {
    /// The workflow's name.
    pub workflow: String,
    /// The workflow's id.
    pub workflow_id: String,
    /// The run's id.
    pub run_id: String,
}

/// The successor of an event.
pub enum After {
    /// This one.
    Event(Arc<KeptEvent>),
    /// Nothing yet.
    Nothing,
    /// Events that are not kept any more; what is kept begins after this number.
    Missed(u64, MissedReason),
    /// Steps that are not kept any more; those that are kept begin after this number.
    MissedSteps(u64),
}

impl EventRing {
    /// A ring without events.
    pub fn empty() -> Self {
        // Numbers go on across a restart: later processes begin with later ones, as long as no clock is set back
        // and there are fewer than a million events a second.
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let first = since.map_or(1, |since| {
            u64::try_from(since.as_micros()).unwrap_or(1).max(1)
        });
        Self {
            kept: Mutex::new(Kept {
                events: Latest::default(),
                steps: Latest::default(),
                first,
                next: first,
            }),
            newest: watch::Sender::new(first - 1),
            stopping: watch::Sender::new(false),
            places: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    /// Appends an event.
    pub fn push(&self, event: &LiveEvent) {
        let id = {
            let mut kept = self.lock();
            let id = kept.next;
            kept.next += 1;
            let kept_event = Arc::new(KeptEvent {
                id,
                role: event.role(),
                run: event.run(),
                frame: event.frame(id),
            });
            match event {
                LiveEvent::Step(_) => kept.steps.push(kept_event, STEPS),
                _ => kept.events.push(kept_event, EVENTS),
            }
            id
        };
        // In their order: of two that push at once the later one may be the first here.
        self.newest.send_if_modified(|newest| {
            let is_newer = id > *newest;
            *newest = id.max(*newest);
            is_newer
        });
    }

    /// Notes that events were lost before they came here.
    pub fn lost(&self) {
        self.push(&LiveEvent::Missed(MissedEvents {
            reason: MissedReason::Overflow,
        }));
    }

    /// The number of the newest event.
    pub fn newest(&self) -> u64 {
        self.lock().next - 1
    }

    /// The successor of the event of this number; for a client that wants steps, too, with its place among them.
    pub fn after(&self, id: u64, step: Option<u64>) -> After {
        let kept = self.lock();
        if id >= kept.next {
            return After::Missed(kept.next - 1, MissedReason::Unknown);
        }
        let resume = kept.events.dropped.max(kept.first - 1);
        if id < resume {
            let reason = match id + 1 < kept.first {
                true => MissedReason::Restart,
                false => MissedReason::TooLate,
            };
            return After::Missed(resume, reason);
        }
        let event = kept.events.after(id);
        let Some(step) = step.map(|step| step.max(id)) else {
            return event.map_or(After::Nothing, |event| After::Event(event.clone()));
        };
        if step < kept.steps.dropped {
            return After::MissedSteps(kept.steps.dropped);
        }
        let next = event.into_iter().chain(kept.steps.after(step));
        match next.min_by_key(|event| event.id) {
            Some(event) => After::Event(event.clone()),
            None => After::Nothing,
        }
    }

    /// Changes with each event.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Ends all streams.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// True once streams are to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// A place for a stream; `None` if there are as many as there may be.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().try_acquire_owned().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use exomonad_host::workflows::view::{RunChange, RunEvent, StepChange, StepEvent};
    use exomonad_schema::effects::workflow::WorkflowStatus;

    use super::*;

    fn event(workflow_id: &str) -> LiveEvent {
        LiveEvent::Run(RunEvent {
            at: 5,
            role: "tl".to_owned(),
            workflow: "nightly".to_owned(),
            workflow_id: workflow_id.to_owned(),
            run_id: "r".to_owned(),
            change: RunChange::Status {
                status: WorkflowStatus::Sleeping,
            },
        })
    }

    fn step(step: u64) -> LiveEvent {
        LiveEvent::Step(StepEvent {
            at: 5,
            role: "tl".to_owned(),
            workflow: "nightly".to_owned(),
            workflow_id: "a".to_owned(),
            run_id: "r".to_owned(),
            step,
            effect: Some("git.push".to_owned()),
            attempt: 1,
            change: StepChange::Begun,
        })
    }

    fn ids_after(ring: &EventRing, mut id: u64) -> Vec<u64> {
        let mut ids = Vec::new();
        while let After::Event(event) = ring.after(id, None) {
            ids.push(event.id);
            id = event.id;
        }
        ids
    }

    #[test]
    fn each_event_is_kept_under_its_own_number_and_found_by_the_one_before() {
        let ring = EventRing::empty();
        let before = ring.newest();
        assert!(matches!(ring.after(before, None), After::Nothing));
        ring.push(&event("a"));
        ring.push(&event("b"));
        assert_eq!(ids_after(&ring, before), [before + 1, before + 2]);
        assert_eq!(ids_after(&ring, before + 1), [before + 2]);
        assert_eq!(ring.newest(), before + 2);
    }

    #[test]
    fn what_is_not_kept_any_more_is_told_with_where_to_go_on() {
        let ring = EventRing::empty();
        let before = ring.newest();
        for _ in 0..EVENTS + 10 {
            ring.push(&event("a"));
        }
        let After::Missed(resume, MissedReason::TooLate) = ring.after(before, None) else {
            panic!("ten events are gone");
        };
        assert_eq!(resume, before + 10);
        assert_eq!(ids_after(&ring, resume).len(), EVENTS);
        // Numbers of an earlier process, and numbers that nobody has given.
        assert!(matches!(
            ring.after(3, None),
            After::Missed(at, MissedReason::Restart) if at == before + 10
        ));
        assert!(matches!(
            ring.after(u64::MAX, None),
            After::Missed(at, MissedReason::Unknown) if at == ring.newest()
        ));
    }

    #[test]
    fn steps_come_among_the_others_to_whoever_wants_them_and_push_out_none_of_them() {
        let ring = EventRing::empty();
        let before = ring.newest();
        ring.push(&event("a"));
        ring.push(&step(0));
        ring.push(&event("b"));
        assert_eq!(ids_after(&ring, before), [before + 1, before + 3]);
        let mut all = Vec::new();
        let mut id = before;
        while let After::Event(event) = ring.after(id, Some(before)) {
            id = event.id;
            all.push(id);
        }
        assert_eq!(all, [before + 1, before + 2, before + 3]);
        for nth in 0..2 * STEPS as u64 {
            ring.push(&step(nth));
        }
        assert_eq!(ids_after(&ring, before).len(), 2);
        let After::MissedSteps(dropped) = ring.after(before, Some(before)) else {
            panic!("steps are gone");
        };
        // The changes of runs are there, and then the steps that are kept.
        let mut kept = Vec::new();
        let mut id = before;
        while let After::Event(event) = ring.after(id, Some(dropped)) {
            id = event.id;
            kept.push(id);
        }
        assert_eq!(kept[..2], [before + 1, before + 3]);
        assert_eq!(kept[2], dropped + 1);
        assert!(kept.len() <= STEPS + 2, "{}", kept.len());
    }

    #[test]
    fn large_events_push_out_old_ones_by_their_bytes() {
        let ring = EventRing::empty();
        let before = ring.newest();
        let large = "x".repeat(1 << 20);
        for _ in 0..20 {
            ring.push(&event(&large));
        }
        let After::Missed(resume, MissedReason::TooLate) = ring.after(before, None) else {
            panic!("twenty of these do not fit");
        };
        let kept = ids_after(&ring, resume).len();
        assert!((1..8).contains(&kept), "{kept}");
    }
}
