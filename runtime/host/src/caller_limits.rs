//! [`CallerLimits`]: how often, and how often at once, one caller may call a role.
//!
//! A caller is whoever has a token, whatever it calls itself; those without one are one caller. Each has a bucket that
//! holds a minute's calls and fills evenly: a call takes one, and where there is none the error says when there will be.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exomonad_core::Principal;

/// Callers that a role tells apart at once. Further ones share one bucket until others have not called for a minute.
const MOST_CALLERS: usize = 10_000;
/// The pause between two looks for callers that can be forgotten.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The calls of each caller of a role.
pub struct CallerLimits {
    per_minute: u32,
    at_once: u32,
    callers: Mutex<Callers>,
}

#[derive(Default)]
struct Callers {
    by_id: HashMap<Arc<str>, Calls>,
    looked: Option<Instant>,
}

/// The calls of one caller.
struct Calls {
    running: u32,
    /// Calls that its bucket had, at this moment.
    left: f64,
    at: Instant,
}

/// The reason why a caller may not call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerLimitError {
    /// Too many calls in a minute; it may call again after so long.
    Rate(Duration),
    /// Too many calls at once.
    AtOnce,
}

/// A caller's place for one call, while that runs.
pub struct CallerPermit {
    limits: Arc<CallerLimits>,
    caller: Arc<str>,
}

impl Drop for CallerPermit {
    fn drop(&mut self) {
        if let Some(calls) = self.limits.callers().by_id.get_mut(&self.caller) {
            calls.running = calls.running.saturating_sub(1);
        }
    }
}

impl CallerLimits {
    /// So many calls in a minute and at once, for each caller; 0 for any number.
    pub fn new(per_minute: u32, at_once: u32) -> Arc<Self> {
        Arc::new(Self {
            per_minute,
            at_once,
            callers: Mutex::default(),
        })
    }

    /// Takes a place for a call of this caller; `None` if nothing is limited.
    ///
    /// # Errors
    /// If it has called too often, or too many of its calls run.
    pub fn take(
        self: &Arc<Self>,
        principal: Option<&Principal>,
    ) -> Result<Option<CallerPermit>, CallerLimitError> {
        if self.per_minute == 0 && self.at_once == 0 {
            return Ok(None);
        }
        let id = principal.map_or_else(|| Arc::from(""), |principal| principal.id.clone());
        self.take_at(id, Instant::now()).map(Some)
    }

    fn take_at(
        self: &Arc<Self>,
        id: Arc<str>,
        now: Instant,
    ) -> Result<CallerPermit, CallerLimitError> {
        let mut callers = self.callers();
        let caller = match callers.by_id.contains_key(&id) || self.has_room(&mut callers, now) {
            true => id,
            false => Arc::from("others"),
        };
        let full = f64::from(self.per_minute);
        let calls = callers.by_id.entry(caller.clone()).or_insert(Calls {
            running: 0,
            left: full,
            at: now,
        });
        calls.left = self.left(calls, now);
        calls.at = now;
        if self.at_once > 0 && calls.running >= self.at_once {
            return Err(CallerLimitError::AtOnce);
        }
        if self.per_minute > 0 {
            if calls.left < 1.0 {
                let missing = (1.0 - calls.left) / full;
                return Err(CallerLimitError::Rate(MINUTE.mul_f64(missing)));
            }
            calls.left -= 1.0;
        }
        calls.running += 1;
        Ok(CallerPermit {
            limits: self.clone(),
            caller,
        })
    }

    /// The calls that a bucket has now.
    fn left(&self, calls: &Calls, now: Instant) -> f64 {
        let full = f64::from(self.per_minute);
        let since = now.saturating_duration_since(calls.at).as_secs_f64();
        (calls.left + since / MINUTE.as_secs_f64() * full).min(full)
    }

    /// Makes room for one more caller, if any can be forgotten: one that runs nothing and whose bucket is full again
    /// is like one that never called.
    fn has_room(&self, callers: &mut Callers, now: Instant) -> bool {
        if callers.by_id.len() < MOST_CALLERS {
            return true;
        }
        let is_due = |looked| now.saturating_duration_since(looked) >= LOOK_AGAIN;
        if callers.looked.is_none_or(is_due) {
            callers.looked = Some(now);
            let full = f64::from(self.per_minute);
            callers
                .by_id
                .retain(|_, calls| calls.running > 0 || self.left(calls, now) < full);
        }
        callers.by_id.len() < MOST_CALLERS
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_a_minute_s_calls_and_then_those_that_come_in() {
        let limits = CallerLimits::new(60, 0);
        let now = Instant::now();
        let take = |caller: &str, seconds| {
            let taken = limits.take_at(caller.into(), now + Duration::from_secs(seconds));
            taken.map(drop)
        };
        for _ in 0..60 {
            assert_eq!(take("a", 0), Ok(()));
        }
        assert_eq!(
            take("a", 0),
            Err(CallerLimitError::Rate(Duration::from_secs(1)))
        );
        assert_eq!(take("b", 0), Ok(()), "another caller has its own");
        assert_eq!(take("a", 1), Ok(()));
        assert!(take("a", 1).is_err());
        for _ in 0..60 {
            assert_eq!(take("a", 1000), Ok(()));
        }
        assert!(take("a", 1000).is_err(), "a bucket never holds more");
    }

    #[test]
    fn a_caller_s_calls_at_once_are_bounded_and_end_with_their_permits() {
        let limits = CallerLimits::new(0, 2);
        let take = |caller: &str| limits.take_at(caller.into(), Instant::now());
        let (first, _second) = (take("a").ok().unwrap(), take("a").ok().unwrap());
        assert_eq!(take("a").err(), Some(CallerLimitError::AtOnce));
        assert!(take("b").is_ok());
        drop(first);
        assert!(take("a").is_ok());
    }

    #[test]
    fn callers_that_are_forgotten_make_room_and_the_others_share_a_bucket() {
        let limits = CallerLimits::new(60, 0);
        let now = Instant::now();
        for nth in 0..MOST_CALLERS + 60 {
            assert!(limits.take_at(nth.to_string().into(), now).is_ok());
        }
        assert!(limits.take_at("one more".into(), now).is_err());
        assert!(limits.callers().by_id.len() <= MOST_CALLERS + 1);
        let later = now + Duration::from_secs(2);
        assert!(limits.take_at("one more".into(), later).is_ok());
        assert!(limits.callers().by_id.len() < MOST_CALLERS);
    }
}
