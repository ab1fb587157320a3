//! [`TimeSpan`]: how long something takes or may take.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::quantity::Kind;
use super::{FormatError, written_as_text};

/// A length of time, written as one whole number with a unit: `"250ms"`, `"30s"`, `"5m"`, `"1h"`.
///
/// Exact to the nanosecond, at most 584 years. A bare number is refused, since it hides its unit.
/// `Display` gives the shortest exact form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeSpan {
    nanos: u64,
}

const TIME: Kind = Kind {
    noun: "a duration",
    help: "write a whole number and a unit (ns, us, ms, s, m, h, d), such as \"250ms\" or \"30s\"",
    units: &[
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ],
    zero: "s",
    ignore_case: false,
};

impl TimeSpan {
    /// `count` milliseconds; more than a span holds is the longest one.
    pub const fn millis(count: u64) -> Self {
        Self {
            nanos: count.saturating_mul(1_000_000),
        }
    }

    /// `count` seconds; more than a span holds is the longest one.
    pub const fn secs(count: u64) -> Self {
        Self {
            nanos: count.saturating_mul(1_000_000_000),
        }
    }

    /// The same length as the standard library has it.
    pub const fn get(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

impl From<TimeSpan> for Duration {
    fn from(span: TimeSpan) -> Self {
        span.get()
    }
}

impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&TIME.shortest(self.nanos))
    }
}

impl FromStr for TimeSpan {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        TIME.parse(text).map(|nanos| Self { nanos })
    }
}

written_as_text!(TimeSpan, "time-span");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Duration, String> {
        text.parse::<TimeSpan>()
            .map(TimeSpan::get)
            .map_err(|error| error.problem)
    }

    #[test]
    fn each_unit_is_understood() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("30 s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse("2d"), Ok(Duration::from_secs(172_800)));
        assert_eq!(parse("7us"), Ok(Duration::from_micros(7)));
    }

    #[test]
    fn a_duration_that_makes_no_sense_says_why() {
        assert_eq!(parse("30"), Err("`30` has no unit".to_owned()));
        assert_eq!(parse("-1s"), Err("a duration can't be negative".to_owned()));
        assert_eq!(
            parse("0.5s"),
            Err("`0.5s` is not a whole number".to_owned())
        );
        assert_eq!(parse("1m30s"), Err("`m30s` is not a unit".to_owned()));
        assert_eq!(parse("soon"), Err("`soon` is not a duration".to_owned()));
        assert_eq!(
            parse("999999999d"),
            Err("`999999999d` is too large".to_owned())
        );
    }

    #[test]
    fn the_shortest_exact_form_is_shown() {
        assert_eq!(TimeSpan::secs(60).to_string(), "1m");
        assert_eq!(TimeSpan::secs(90).to_string(), "90s");
        assert_eq!(TimeSpan::millis(1_500).to_string(), "1500ms");
        assert_eq!(TimeSpan::secs(0).to_string(), "0s");
    }

    proptest! {
        #[test]
        fn every_span_survives_being_written_and_read(count: u64, unit in 0..TIME.units.len()) {
            let (_, factor) = TIME.units[unit];
            for span in [TimeSpan { nanos: count }, TimeSpan { nanos: count / factor * factor }] {
                prop_assert_eq!(span.to_string().parse(), Ok(span));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String, digits in "[0-9]{1,30} ?[numshd]{0,3}") {
            let _ = text.parse::<TimeSpan>();
            let _ = digits.parse::<TimeSpan>();
        }
    }
}
