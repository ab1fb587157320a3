//! [`plan`]: what a schedule does when it is due. A function of its row and the clock, without any effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Spec;
use crate::store::ScheduleRow;

/// How often a schedule with a run that waits looks if the run before it has ended, in milliseconds.
const LOOK: i64 = 1_000;

/// The rule of a schedule for a time at which the run before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It starts none.
    #[default]
    Skip,
    /// It starts one when that one has ended; further ones are skipped.
    BufferOne,
    /// It starts one beside it.
    Allow,
    /// It asks that one to cancel, and starts one when it has ended.
    CancelPrevious,
    /// It ends that one at once, and starts one.
    TerminatePrevious,
}

impl Overlap {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Skip,
        Self::BufferOne,
        Self::Allow,
        Self::CancelPrevious,
        Self::TerminatePrevious,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::BufferOne => "buffer_one",
            Self::Allow => "allow",
            Self::CancelPrevious => "cancel_previous",
            Self::TerminatePrevious => "terminate_previous",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|overlap| overlap.name() == name)
    }
}

/// The action of a schedule now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The time of the run to start.
    pub start: Option<i64>,
    /// True if the run before is asked to cancel.
    pub cancels: bool,
    /// True if the run before is ended first.
    pub terminates: bool,
    /// Its next time.
    pub next_at: Option<i64>,
    /// When it is looked at next.
    pub due_at: Option<i64>,
    /// The time of a run that waits for the end of the one before.
    pub waiting_at: Option<i64>,
    /// Why a time has started no run.
    pub note: Option<String>,
}

/// The action of a schedule at this moment.
///
/// Of several times that have passed the latest counts: after a night without a host one run makes up for all that
/// were missed, if it is not older than the schedule's `catch_up`.
pub fn plan(row: &ScheduleRow, spec: &Spec, overlap: Overlap, is_open: bool, now: i64) -> Plan {
    let mut plan = Plan {
        next_at: row.next_at,
        waiting_at: row.waiting_at,
        note: row.note.clone(),
        ..Plan::default()
    };
    if !is_open && let Some(waiting) = plan.waiting_at.take() {
        plan.start = Some(waiting);
    } else if let Some(next) = row.next_at.filter(|next| *next <= now) {
        let latest = spec.latest(now).unwrap_or(next).max(next);
        plan.next_at = spec.next(now);
        if now.saturating_sub(latest) > row.catch_up {
            plan.note = Some("missed: no host ran at that time".to_owned());
        } else if !is_open {
            plan.start = Some(latest);
        } else {
            let open = row.last_id.as_deref().unwrap_or_default();
            match overlap {
                Overlap::Skip => plan.note = Some(format!("skipped: `{open}` has not ended")),
                Overlap::BufferOne if plan.waiting_at.is_some() => {
                    plan.note = Some("skipped: a run waits already".to_owned());
                }
                Overlap::BufferOne => plan.waiting_at = Some(latest),
                Overlap::Allow => plan.start = Some(latest),
                Overlap::CancelPrevious => {
                    plan.waiting_at = Some(latest);
                    plan.cancels = true;
                }
                Overlap::TerminatePrevious => {
                    plan.start = Some(latest);
                    plan.terminates = true;
                }
            }
        }
    }
    if plan.start.is_some() {
        plan.note = None;
    }
    plan.due_at = match plan.waiting_at {
        Some(_) => Some(plan.next_at.map_or(now + LOOK, |next| next.min(now + LOOK))),
        None => plan.next_at,
    };
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn row() -> ScheduleRow {
        ScheduleRow {
            id: "hourly".to_owned(),
            role: "tl".to_owned(),
            workflow: "w".to_owned(),
            input: "null".to_owned(),
            spec: "every 1h".to_owned(),
            overlap: "skip".to_owned(),
            catch_up: 2 * HOUR,
            paused: false,
            next_at: Some(10 * HOUR),
            due_at: Some(10 * HOUR),
            waiting_at: None,
            last_at: Some(9 * HOUR),
            last_id: Some("hourly@9".to_owned()),
            note: None,
            created_at: 0,
            revision: 1,
        }
    }

    fn planned(row: &ScheduleRow, overlap: Overlap, is_open: bool, now: i64) -> Plan {
        plan(row, &"every 1h".parse().unwrap(), overlap, is_open, now)
    }

    #[test]
    fn a_time_that_has_come_starts_a_run_and_the_next_one_is_due() {
        let plan = planned(&row(), Overlap::Skip, false, 10 * HOUR + 5);
        assert_eq!(plan.start, Some(10 * HOUR));
        assert_eq!(
            (plan.next_at, plan.due_at),
            (Some(11 * HOUR), Some(11 * HOUR))
        );
        // Looked at too early, it does nothing.
        let plan = planned(&row(), Overlap::Skip, false, 10 * HOUR - 5);
        assert_eq!((plan.start, plan.next_at), (None, Some(10 * HOUR)));
    }

    #[test]
    fn after_downtime_the_latest_time_is_made_up_for_once_unless_it_is_too_old() {
        let plan = planned(&row(), Overlap::Allow, false, 20 * HOUR + 5);
        assert_eq!(
            (plan.start, plan.next_at),
            (Some(20 * HOUR), Some(21 * HOUR))
        );
        let mut late = row();
        late.catch_up = 1_000;
        let plan = planned(&late, Overlap::Allow, false, 20 * HOUR + 1_001);
        assert_eq!((plan.start, plan.next_at), (None, Some(21 * HOUR)));
        assert!(plan.note.unwrap().starts_with("missed"));
    }

    #[test]
    fn a_run_that_has_not_ended_is_met_as_the_policy_says() {
        let now = 10 * HOUR + 5;
        let of = |overlap| planned(&row(), overlap, true, now);
        let skip = of(Overlap::Skip);
        assert_eq!(skip.start, None);
        assert_eq!(
            skip.note.as_deref(),
            Some("skipped: `hourly@9` has not ended")
        );
        assert_eq!(of(Overlap::Allow).start, Some(10 * HOUR));
        let terminate = of(Overlap::TerminatePrevious);
        assert!(terminate.terminates && terminate.start == Some(10 * HOUR));
        let cancel = of(Overlap::CancelPrevious);
        assert!(cancel.cancels && cancel.start.is_none());
        for plan in [cancel, of(Overlap::BufferOne)] {
            assert_eq!(plan.waiting_at, Some(10 * HOUR));
            // It looks again soon, and goes on with its times.
            assert_eq!(
                (plan.next_at, plan.due_at),
                (Some(11 * HOUR), Some(now + LOOK))
            );
        }
    }

    #[test]
    fn the_run_that_waits_starts_when_the_one_before_has_ended_and_there_is_one_of_it() {
        let mut waits = row();
        waits.waiting_at = Some(10 * HOUR);
        waits.next_at = Some(11 * HOUR);
        let now = 11 * HOUR + 5;
        let still = planned(&waits, Overlap::BufferOne, true, now);
        assert_eq!((still.start, still.waiting_at), (None, Some(10 * HOUR)));
        assert_eq!(still.note.as_deref(), Some("skipped: a run waits already"));
        // That of the policy which asks for an end is the newest.
        let newest = planned(&waits, Overlap::CancelPrevious, true, now);
        assert_eq!(newest.waiting_at, Some(11 * HOUR));
        let ended = planned(&waits, Overlap::BufferOne, false, now);
        assert_eq!((ended.start, ended.waiting_at), (Some(10 * HOUR), None));
        // The time that has come meanwhile is due at once.
        assert_eq!(
            (ended.next_at, ended.due_at),
            (Some(11 * HOUR), Some(11 * HOUR))
        );
    }

    #[test]
    fn each_policy_is_found_by_its_name() {
        for overlap in Overlap::ALL {
            assert_eq!(Overlap::from_name(overlap.name()), Some(overlap));
            let json = serde_json::to_value(overlap).unwrap();
            assert_eq!(json, overlap.name());
        }
    }
}
