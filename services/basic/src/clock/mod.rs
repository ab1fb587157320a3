//! The clock service: reads the time and sleeps.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use exomonad_core::{CallContext, ClockService};
use exomonad_schema::EffectError;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::clock::{ClockNow, ClockTime, Sleep};
use jiff::Timestamp;

/// A source of time: the host, or a test.
pub trait TimeSource: Send + Sync {
    /// The time of day.
    fn now(&self) -> SystemTime;

    /// The time since some moment before the first call; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The time of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostTime;

impl TimeSource for HostTime {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// The clock service. Waiting is tokio's: it holds no thread, and ends when the
/// call is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock<T = HostTime> {
    time: T,
}

impl<T: TimeSource> Clock<T> {
    /// A clock with the time of `time`.
    pub fn new(time: T) -> Self {
        Self { time }
    }
}

impl<T: TimeSource> ClockService for Clock<T> {
    async fn now(&self, _: &CallContext, _: ClockNow) -> Result<ClockTime, EffectError> {
        let unix_millis = unix_millis(self.time.now());
        let moment = Timestamp::from_millisecond(unix_millis).map_err(|_| {
            EffectError::internal(format!(
                "clock.now: the host's clock stands at {unix_millis} ms, beyond the year 9999; set it"
            ))
        })?;
        Ok(ClockTime {
            unix_millis,
            iso8601: format!("{moment:.3}"),
            monotonic_nanos: u64::try_from(self.time.monotonic().as_nanos()).unwrap_or(u64::MAX),
        })
    }

    async fn sleep(&self, _: &CallContext, request: Sleep) -> Result<Done, EffectError> {
        tokio::time::sleep(Duration::from_millis(request.millis.get())).await;
        Ok(Done {})
    }
}

/// Whole milliseconds since 1970, rounded down also before it.
fn unix_millis(moment: SystemTime) -> i64 {
    let saturated = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX);
    match moment.duration_since(UNIX_EPOCH) {
        Ok(since) => saturated(since.as_millis()),
        Err(before) => -saturated(before.duration().as_nanos().div_ceil(1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use exomonad_schema::BoundedInt;

    use super::*;
    use crate::test_call::call;

    struct Fixed(SystemTime);

    impl TimeSource for Fixed {
        fn now(&self) -> SystemTime {
            self.0
        }

        fn monotonic(&self) -> Duration {
            Duration::from_nanos(42)
        }
    }

    async fn time_at(moment: SystemTime) -> ClockTime {
        Clock::new(Fixed(moment))
            .now(&call("tl"), ClockNow {})
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_moment_is_a_number_and_rfc_3339_text_with_milliseconds() {
        let time = time_at(UNIX_EPOCH + Duration::from_millis(1_769_860_800_007)).await;
        assert_eq!(time.unix_millis, 1_769_860_800_007);
        assert_eq!(time.iso8601, "2026-01-31T12:00:00.007Z");
        assert_eq!(time.monotonic_nanos, 42);
        assert_eq!(
            time_at(UNIX_EPOCH).await.iso8601,
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[tokio::test]
    async fn a_moment_before_1970_is_negative() {
        let time = time_at(UNIX_EPOCH - Duration::from_micros(500)).await;
        assert_eq!(time.unix_millis, -1);
        assert_eq!(time.iso8601, "1969-12-31T23:59:59.999Z");
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_takes_as_long_as_asked_and_ends_with_its_call() {
        let clock = Clock::<HostTime>::default();
        let request = Sleep {
            millis: BoundedInt::constant::<60_000>(),
        };
        let call = call("tl");
        let start = tokio::time::Instant::now();
        clock.sleep(&call, request).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(60));

        let cut_short = tokio::time::timeout(Duration::from_secs(1), clock.sleep(&call, request));
        assert!(cut_short.await.is_err());
        assert_eq!(start.elapsed(), Duration::from_secs(61));
    }

    #[test]
    fn the_hosts_monotonic_time_does_not_go_back() {
        let first = HostTime.monotonic();
        assert!(HostTime.monotonic() >= first);
    }
}
