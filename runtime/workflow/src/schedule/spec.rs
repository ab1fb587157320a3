//! [`Spec`]: when a schedule starts runs, as an interval or as times of the clock.
//!
//! ```text
//! every 90m                         each 90 minutes, counted from 1970 on
//! 30 2 * * 1-5 Europe/Berlin        half past two on working days
//! */15 * * * *                      each quarter of an hour, UTC
//! ```
//!
//! Clocks are set forward and back. A time of day that is spelled out (neither minutes nor hours begin with `*`)
//! comes once each day: one that the clock skips is that much later, as RFC 5545 has it, and of two the first counts.
//! What repeats through the day goes on with the elapsed time: nothing is doubled, and nothing is made up for.
//!
//! An evaluator of our own: of the crates over `jiff`, cronexpr 1.7 never finds the last day of December and leaves
//! out what a clock skips, and croner brings a dozen crates for its builders. Tests hold it against a search minute by
//! minute.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Bytes of the longest text.
const LONGEST: usize = 256;
/// The shortest and the longest interval, in milliseconds.
const INTERVALS: std::ops::RangeInclusive<i64> = 1_000..=366 * DAY;
const DAY: i64 = 86_400_000;
/// Days that are looked at for a time: more than the eight years between two leap days around 2100.
const DAYS: usize = 3_000;
/// More than a clock was ever set by.
const LONGEST_GAP: SignedDuration = SignedDuration::from_hours(25);
/// Spans in which the latest time before a moment is looked for, in milliseconds.
const BACK: [i64; 6] = [
    2 * 60_000,
    2 * 3_600_000,
    2 * DAY,
    62 * DAY,
    3 * 366 * DAY,
    9 * 366 * DAY,
];

/// The times at which a schedule starts runs. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct Spec {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// So many milliseconds.
    Every(i64),
    Cron(Box<Cron>),
}

/// A text that is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no schedule: {reason}")]
pub struct SpecError {
    text: String,
    reason: String,
}

impl Spec {
    /// The first time after this moment; `None` if there is none in the next eight years.
    pub fn next(&self, after: i64) -> Option<i64> {
        match &self.kind {
            Kind::Every(interval) => after
                .div_euclid(*interval)
                .checked_add(1)?
                .checked_mul(*interval),
            Kind::Cron(cron) => {
                let after = Timestamp::from_millisecond(after).ok()?;
                Some(cron.next(after)?.as_millisecond())
            }
        }
    }

    /// The latest time up to this moment; `None` if there was none in the last nine years.
    pub fn latest(&self, until: i64) -> Option<i64> {
        if let Kind::Every(interval) = &self.kind {
            return until.div_euclid(*interval).checked_mul(*interval);
        }
        for back in BACK {
            let mut found = None;
            let mut from = until.checked_sub(back)?;
            while let Some(next) = self.next(from).filter(|next| *next <= until) {
                found = Some(next);
                from = next;
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The next times after this moment, at most so many.
    pub fn upcoming(&self, after: i64, most: usize) -> Vec<i64> {
        std::iter::successors(self.next(after), |last| self.next(*last))
            .take(most)
            .collect()
    }
}

/// The text as it was given, with single blanks.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Spec {
    type Err = SpecError;

    fn from_str(given: &str) -> Result<Self, SpecError> {
        let shown = &given[..given.floor_char_boundary(LONGEST)];
        let words: Vec<&str> = shown.split_ascii_whitespace().collect();
        let text = words.join(" ");
        let wrong = |reason: String| SpecError {
            text: text.clone(),
            reason,
        };
        if shown.len() < given.len() {
            return Err(wrong(format!("it has more than {LONGEST} bytes")));
        }
        let kind = match words.as_slice() {
            ["every", spans @ ..] if !spans.is_empty() => Kind::Every(every(spans).map_err(wrong)?),
            [minutes, hours, days, months, weekdays, zone @ ..] if zone.len() <= 1 => {
                let fields = [minutes, hours, days, months, weekdays];
                let cron = Cron::read(fields.map(|field| *field), zone.first().copied());
                Kind::Cron(Box::new(cron.map_err(wrong)?))
            }
            _ => {
                return Err(wrong(
                    "write `every 1h`, or five fields (minute, hour, day, month, weekday) and a time zone, such as `30 2 * * * Europe/Berlin`"
                        .to_owned(),
                ));
            }
        };
        let spec = Self { text, kind };
        // A day that no month has.
        if spec.next(0).is_none() {
            return Err(SpecError {
                text: spec.text,
                reason: "no day is like that".to_owned(),
            });
        }
        Ok(spec)
    }
}

fn every(spans: &[&str]) -> Result<i64, String> {
    let span: Duration = humantime::parse_duration(&spans.join(" "))
        .map_err(|error| format!("{error}; write a time span such as `90s`, `15m`, `1h 30m`"))?;
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match INTERVALS.contains(&millis) && span.subsec_nanos().is_multiple_of(1_000_000) {
        true => Ok(millis),
        false => Err("an interval is one second to 366 days, in whole milliseconds".to_owned()),
    }
}

/// Times of the clock: sets of numbers as bits.
#[derive(Clone, Debug)]
struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// From Sunday, 0, to Saturday.
    weekdays: u64,
    /// True if a day has to be both in the month and in the week as asked; cron has it so if one of the two begins
    /// with `*`, and otherwise either is enough.
    both: bool,
    /// True if times of day are spelled out, so that each comes once a day.
    is_fixed: bool,
    zone: TimeZone,
}

/// A field: its name, its numbers, and names for these from the first one on.
struct Field(&'static str, u8, u8, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    Field("minute", 0, 59, &[]),
    Field("hour", 0, 23, &[]),
    Field("day", 1, 31, &[]),
    Field(
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    Field(
        "weekday",
        0,
        7,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    ),
];

impl Field {
    /// The numbers of a list such as `1-5,10-30/5,MON`.
    fn read(&self, text: &str) -> Result<u64, String> {
        let Self(name, first, last, _) = self;
        let wrong = |reason: String| format!("its {name} `{text}` {reason}");
        let mut set = 0;
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                None => (item, None),
                Some((range, step)) => {
                    let step: u8 = step
                        .parse()
                        .ok()
                        .filter(|step| (1..=*last).contains(step))
                        .ok_or_else(|| {
                            wrong(format!("has the step `{step}`; 1 to {last} is one"))
                        })?;
                    (range, Some(step))
                }
            };
            let (from, until) = match range.split_once('-') {
                _ if range == "*" => (*first, *last),
                Some((from, until)) => (
                    self.number(from).map_err(&wrong)?,
                    self.number(until).map_err(&wrong)?,
                ),
                None => {
                    let number = self.number(range).map_err(&wrong)?;
                    // As in `5/10`: from there on.
                    (number, if step.is_some() { *last } else { number })
                }
            };
            if from > until {
                return Err(wrong(format!(
                    "has the range `{range}`, which is the wrong way round"
                )));
            }
            for number in (from..=until).step_by(step.unwrap_or(1).into()) {
                set |= 1_u64 << number;
            }
        }
        Ok(set)
    }

    fn number(&self, text: &str) -> Result<u8, String> {
        let Self(_, first, last, names) = self;
        let named = names
            .iter()
            .position(|name| text.eq_ignore_ascii_case(name));
        let number = match named {
            Some(index) => u8::try_from(index).ok().map(|index| index + first),
            // A sign is none of a number here.
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            None => None,
        };
        number
            .filter(|number| (*first..=*last).contains(number))
            .ok_or_else(|| format!("has `{text}`; {first} to {last} is possible"))
    }
}

impl Cron {
    fn read(fields: [&str; 5], zone: Option<&str>) -> Result<Self, String> {
        let mut sets = [0; 5];
        for ((set, field), text) in sets.iter_mut().zip(&FIELDS).zip(fields) {
            *set = field.read(text)?;
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let begins_with_star = |index: usize| fields[index].starts_with('*');
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                format!("there is no time zone `{name}`; `Europe/Berlin` and `UTC` are such names")
            })?,
        };
        Ok(Self {
            minutes,
            hours,
            days,
            months,
            // 7 is Sunday, too.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            both: begins_with_star(2) || begins_with_star(4),
            is_fixed: !begins_with_star(0) && !begins_with_star(1),
            zone,
        })
    }

    fn has_day(&self, date: Date) -> bool {
        let has = |set: u64, number: i8| set >> number & 1 == 1;
        let in_month = has(self.days, date.day());
        let in_week = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        match self.both {
            true => in_month && in_week,
            false => in_month || in_week,
        }
    }

    /// The first time of day from this one on.
    fn time_from(&self, hour: i8, minute: i8) -> Option<Time> {
        let first_from = |set: u64, from: i8| {
            let rest = set.checked_shr(from.cast_unsigned().into())? << from;
            (rest != 0).then(|| i8::try_from(rest.trailing_zeros()).ok())?
        };
        let this_hour = self.hours >> hour & 1 == 1;
        if let Some(minute) = first_from(self.minutes, minute).filter(|_| this_hour) {
            return Time::new(hour, minute, 0, 0).ok();
        }
        let hour = first_from(self.hours, hour + 1)?;
        Time::new(hour, first_from(self.minutes, 0)?, 0, 0).ok()
    }

    /// The first time of a clock that is never set, after this one.
    fn next_civil(&self, after: DateTime) -> Option<DateTime> {
        let after = after.checked_add(SignedDuration::from_mins(1)).ok()?;
        let mut date = after.date();
        let (mut hour, mut minute) = (after.hour(), after.minute());
        for _ in 0..DAYS {
            if self.months >> date.month() & 1 == 1
                && self.has_day(date)
                && let Some(time) = self.time_from(hour, minute)
            {
                return Some(date.to_datetime(time));
            }
            date = date.tomorrow().ok()?;
            (hour, minute) = (0, 0);
        }
        None
    }

    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self.is_fixed {
            true => self.next_fixed(after),
            false => self.next_elapsed(after),
        }
    }

    /// Each time of day once: a skipped one later, the first of a doubled one.
    fn next_fixed(&self, after: Timestamp) -> Option<Timestamp> {
        let here = self.zone.to_datetime(after);
        // One that was skipped may still come.
        let mut civil = here.checked_sub(LONGEST_GAP).ok()?;
        let mut best: Option<(Timestamp, DateTime)> = None;
        loop {
            let next = self.next_civil(civil);
            let Some(next) = next else {
                return best.map(|(at, _)| at);
            };
            // No later one comes before: a clock time that is skipped moves to a later one.
            if let Some((at, shown)) = best
                && next >= shown
            {
                return Some(at);
            }
            civil = next;
            let Ok(at) = self.zone.to_ambiguous_timestamp(next).compatible() else {
                return best.map(|(at, _)| at);
            };
            if at > after && best.is_none_or(|(earliest, _)| at < earliest) {
                best = Some((at, self.zone.to_datetime(at)));
            }
        }
    }

    /// The times that the clock shows, in the order in which they come.
    fn next_elapsed(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after;
        // Between two settings of the clock, time is a line.
        for _ in 0..DAYS {
            let offset = self.zone.to_offset(from);
            let changes = self
                .zone
                .following(from)
                .next()
                .map(|change| change.timestamp());
            let civil = self.next_civil(offset.to_datetime(from));
            let at = civil.and_then(|civil| offset.to_timestamp(civil).ok());
            match (at, changes) {
                (Some(at), Some(change)) if at >= change => {
                    if self.shows(change) {
                        return Some(change);
                    }
                    from = change;
                }
                (at, None) => return at,
                (Some(at), Some(_)) => return Some(at),
                // Nothing in eight years.
                (None, Some(_)) => return None,
            }
        }
        None
    }

    /// True if the clock shows one of the times at this moment.
    fn shows(&self, at: Timestamp) -> bool {
        let here = self.zone.to_datetime(at);
        let is_minute = here.second() == 0 && here.subsec_nanosecond() == 0;
        let before = here.checked_sub(SignedDuration::from_mins(1));
        is_minute && before.is_ok_and(|before| self.next_civil(before) == Some(here))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::AmbiguousOffset;
    use proptest::prelude::*;

    use super::*;

    fn spec(text: &str) -> Spec {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn shown(millis: i64) -> String {
        Timestamp::from_millisecond(millis).unwrap().to_string()
    }

    fn upcoming(text: &str, after: &str, most: usize) -> Vec<String> {
        let times = spec(text).upcoming(millis(after), most);
        times.into_iter().map(shown).collect()
    }

    #[test]
    fn an_interval_counts_from_1970() {
        assert_eq!(
            upcoming("every 1h 30m", "2026-11-28T22:10:00Z", 3),
            [
                "2026-11-28T22:30:00Z",
                "2026-11-29T00:00:00Z",
                "2026-11-29T01:30:00Z"
            ]
        );
        // A time itself is over.
        assert_eq!(spec("every 1s").next(5_000), Some(6_000));
        assert_eq!(spec("every 1s").next(-1), Some(0));
        assert_eq!(
            spec("every 7d")
                .latest(millis("2026-11-28T00:00:00Z"))
                .map(shown)
                .unwrap(),
            "2026-11-26T00:00:00Z"
        );
    }

    #[test]
    fn fields_are_lists_of_numbers_ranges_steps_and_names() {
        for (text, times) in [
            (
                "0,30 9-10 * * MON",
                [
                    "2026-11-30T09:00:00Z",
                    "2026-11-30T09:30:00Z",
                    "2026-11-30T10:00:00Z",
                ],
            ),
            (
                "5/20 0 1 jan *",
                [
                    "2027-01-01T00:05:00Z",
                    "2027-01-01T00:25:00Z",
                    "2027-01-01T00:45:00Z",
                ],
            ),
            (
                "0 0 31 * *",
                [
                    "2026-12-31T00:00:00Z",
                    "2027-01-31T00:00:00Z",
                    "2027-03-31T00:00:00Z",
                ],
            ),
            (
                "0 0 29 2 *",
                [
                    "2028-02-29T00:00:00Z",
                    "2032-02-29T00:00:00Z",
                    "2036-02-29T00:00:00Z",
                ],
            ),
            // Either day is enough where both are named, and both are needed where one begins with `*`.
            (
                "0 0 1 * 0",
                [
                    "2026-11-29T00:00:00Z",
                    "2026-12-01T00:00:00Z",
                    "2026-12-06T00:00:00Z",
                ],
            ),
            (
                "0 0 */2 * 7",
                [
                    "2026-11-29T00:00:00Z",
                    "2026-12-13T00:00:00Z",
                    "2026-12-27T00:00:00Z",
                ],
            ),
            (
                "*/20 * * * *",
                [
                    "2026-11-28T22:20:00Z",
                    "2026-11-28T22:40:00Z",
                    "2026-11-28T23:00:00Z",
                ],
            ),
            (
                "0 12 * * * Asia/Kathmandu",
                [
                    "2026-11-29T06:15:00Z",
                    "2026-11-30T06:15:00Z",
                    "2026-12-01T06:15:00Z",
                ],
            ),
        ] {
            assert_eq!(upcoming(text, "2026-11-28T22:10:30.5Z", 3), times, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_that_the_clock_skips_comes_as_much_later_and_once() {
        // At 2:00 it is 3:00.
        assert_eq!(
            upcoming("30 2 * * * Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-30T00:30:00Z"
            ]
        );
        // It and the one that is there are in their order, and one moment is one time.
        assert_eq!(
            upcoming("0,30 2,3 * * * Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            [
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-30T00:00:00Z"
            ]
        );
        // A whole day that there was not.
        assert_eq!(
            upcoming("0 12 * * * Pacific/Apia", "2011-12-29T23:00:00Z", 2),
            ["2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"]
        );
    }

    #[test]
    fn of_a_time_of_day_that_comes_twice_the_first_counts() {
        // At 3:00 it is 2:00.
        assert_eq!(
            upcoming("30 2 * * * Europe/Berlin", "2026-10-24T12:00:00Z", 3),
            [
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z",
                "2026-10-27T01:30:00Z"
            ]
        );
        // Asked between the two.
        assert_eq!(
            upcoming("30 2 * * * Europe/Berlin", "2026-10-25T01:10:00Z", 1),
            ["2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn what_repeats_through_the_day_goes_on_with_the_elapsed_time() {
        assert_eq!(
            upcoming("30 * * * * Europe/Berlin", "2026-10-25T00:00:00Z", 3),
            [
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:30:00Z"
            ]
        );
        assert_eq!(
            upcoming("30 * * * * Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            [
                "2026-03-29T00:30:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-29T02:30:00Z"
            ]
        );
        // Half an hour forward, to a time that is asked for.
        assert_eq!(
            upcoming(
                "*/30 * * * * Australia/Lord_Howe",
                "2026-10-03T15:10:00Z",
                2
            ),
            ["2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z"]
        );
    }

    #[test]
    fn the_latest_time_before_is_found_however_long_ago() {
        for (text, latest) in [
            ("* * * * *", "2026-11-28T22:10:00Z"),
            ("30 2 * * *", "2026-11-28T02:30:00Z"),
            ("0 0 1 1 *", "2026-01-01T00:00:00Z"),
            ("0 0 29 2 *", "2024-02-29T00:00:00Z"),
        ] {
            let found = spec(text).latest(millis("2026-11-28T22:10:30Z"));
            assert_eq!(found.map(shown).unwrap(), latest, "{text}");
        }
        let at = millis("2026-11-28T22:10:00Z");
        assert_eq!(spec("10 22 * * *").latest(at), Some(at));
    }

    #[test]
    fn what_is_no_schedule_is_told_with_its_place() {
        for (text, says) in [
            ("", "write `every 1h`"),
            ("every", "write `every 1h`"),
            ("every now", "write a time span"),
            ("every 1ms", "one second to 366 days"),
            ("every 400d", "one second to 366 days"),
            ("* * * *", "five fields"),
            ("60 * * * *", "its minute `60` has `60`; 0 to 59"),
            ("* * 0 * *", "its day `0`"),
            ("* 5-3 * * *", "the wrong way round"),
            ("*/0 * * * *", "the step `0`"),
            ("+5 * * * *", "its minute `+5`"),
            (",1 * * * *", "its minute `,1` has ``"),
            ("* * * foo *", "its month `foo` has `foo`"),
            ("0 0 31 2 *", "no day is like that"),
            ("0 0 * * * Europe/Berlim", "no time zone `Europe/Berlim`"),
            ("0 0 * * * ../../etc/passwd", "no time zone"),
            ("0 0 * * * UTC UTC", "five fields"),
        ] {
            let error = text.parse::<Spec>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let long = "1,".repeat(1 << 20);
        let error = long.parse::<Spec>().unwrap_err().to_string();
        assert!(error.len() < 500 && error.contains("256 bytes"), "{error}");
    }

    #[test]
    fn at_the_end_of_time_there_is_no_next_time() {
        for text in ["every 1h", "* * * * *", "0 0 * * * Europe/Berlin"] {
            let spec = spec(text);
            for after in [i64::MAX, i64::MIN, 253_402_300_799_000] {
                let _ = (spec.next(after), spec.latest(after));
            }
        }
        assert_eq!(spec("* * * * *").next(i64::MAX), None);
    }

    /// True if clocks of this zone do not show this time.
    fn is_skipped(zone: &TimeZone, civil: DateTime) -> bool {
        let offset = zone.to_ambiguous_timestamp(civil).offset();
        matches!(offset, AmbiguousOffset::Gap { .. })
    }

    fn field(first: u8, last: u8) -> impl Strategy<Value = String> {
        let number = first..=last;
        prop_oneof![
            3 => Just("*".to_owned()),
            1 => (2..=7_u8).prop_map(|step| format!("*/{step}")),
            3 => number.clone().prop_map(|number| number.to_string()),
            1 => (number.clone(), number.clone()).prop_map(|(a, b)| format!("{a},{b}")),
            1 => (number.clone(), number).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        ]
    }

    fn cron() -> impl Strategy<Value = String> {
        let zones = prop::sample::select(vec![
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kolkata",
            "Pacific/Apia",
        ]);
        let fields = (field(0, 59), field(0, 23), field(1, 28), field(0, 6), zones);
        fields.prop_map(|(minute, hour, day, weekday, zone)| {
            format!("{minute} {hour} {day} * {weekday} {zone}")
        })
    }

    /// The times of a day and a half, found minute by minute.
    fn searched(cron: &Cron, after: Timestamp) -> Vec<Timestamp> {
        let minute = SignedDuration::from_mins(1);
        let begin = after.as_second().div_euclid(60) * 60 + 60;
        let mut at = Timestamp::from_second(begin).unwrap();
        let mut found = Vec::new();
        while at < after + SignedDuration::from_hours(36) {
            let here = cron.zone.to_datetime(at);
            let matches = |civil: DateTime| {
                cron.minutes >> civil.minute() & 1 == 1
                    && cron.hours >> civil.hour() & 1 == 1
                    && cron.months >> civil.month() & 1 == 1
                    && cron.has_day(civil.date())
            };
            let is_first = cron.zone.to_ambiguous_timestamp(here).compatible().unwrap() == at;
            let mut is_time = matches(here) && (is_first || !cron.is_fixed);
            if cron.is_fixed {
                // The clock times that were skipped as much before.
                for minutes in [30, 60, 24 * 60] {
                    let skipped = here - SignedDuration::from_mins(minutes);
                    is_time |= is_skipped(&cron.zone, skipped)
                        && cron
                            .zone
                            .to_ambiguous_timestamp(skipped)
                            .compatible()
                            .unwrap()
                            == at
                        && matches(skipped);
                }
            }
            if is_time {
                found.push(at);
            }
            at += minute;
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn times_are_those_of_a_search_minute_by_minute(
            text in cron(),
            around in prop::sample::select(vec![
                "2026-03-28T20:00:00Z",
                "2026-10-24T20:00:00Z",
                "2026-03-08T00:00:00Z",
                "2026-11-01T00:00:00Z",
                "2026-10-03T10:00:00Z",
                "2026-04-04T10:00:00Z",
                "2011-12-29T20:00:00Z",
                "2026-12-31T00:00:00Z",
            ]),
            seconds in 0..36_000_i64,
        ) {
            let spec = spec(&text);
            let Kind::Cron(cron) = &spec.kind else { panic!("{text}") };
            let after = around.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds);
            let end = after + SignedDuration::from_hours(36);
            let times = spec.upcoming(after.as_millisecond(), 3000);
            let times: Vec<Timestamp> = times
                .into_iter()
                .map(|at| Timestamp::from_millisecond(at).unwrap())
                .take_while(|at| *at < end)
                .collect();
            prop_assert_eq!(&times, &searched(cron, after), "{}", text);
            if let Some(last) = times.last() {
                let until = end - SignedDuration::from_millis(1);
                prop_assert_eq!(spec.latest(until.as_millisecond()), Some(last.as_millisecond()));
            }
        }

        #[test]
        fn no_text_and_no_moment_is_too_much(text in ".{0,64}", after in any::<i64>()) {
            if let Ok(spec) = text.parse::<Spec>() {
                let next = spec.next(after);
                prop_assert!(next.is_none_or(|next| next > after));
            }
        }

        #[test]
        fn a_schedule_reads_as_it_is_written(text in cron()) {
            let spec = spec(&text);
            prop_assert_eq!(spec.to_string(), text);
        }
    }
}
