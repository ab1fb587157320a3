//! Moments and time spans, as people read them.

use std::time::{Duration, UNIX_EPOCH};

/// A span of milliseconds, with what matters of it.
pub fn span(millis: i64) -> String {
    let millis = millis.max(0);
    let seconds = millis / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if millis < 1000 => format!("{millis} ms"),
        () if seconds < 60 => format!("{seconds}.{} s", millis % 1000 / 100),
        () if minutes < 60 => format!("{minutes}m {:02}s", seconds % 60),
        () if hours < 48 => format!("{hours}h {:02}m", minutes % 60),
        () => format!("{days}d {:02}h", hours % 24),
    }
}

/// A moment in UTC, to the second.
pub fn moment(unix_millis: i64) -> String {
    // Beyond the year 9999 there is no such text.
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(unix_millis / 1000).unwrap_or(0).min(LAST);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_two_units_that_matter() {
        for (millis, text) in [
            (-5, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (61_000, "1m 01s"),
            (7_500_000, "2h 05m"),
            (1_000_000_000, "11d 13h"),
        ] {
            assert_eq!(span(millis), text);
        }
    }

    #[test]
    fn any_moment_has_a_text() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(moment(i64::MIN), "1970-01-01T00:00:00Z");
    }
}
