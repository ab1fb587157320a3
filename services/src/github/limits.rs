//! GitHub's rate limits: how they are told, and keeping to them.
//!
//! The primary limit counts requests an hour; the secondary ones count what is
//! too much at once. Who goes on asking while limited may be shut out, so the
//! whole service pauses until the time GitHub gave.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::time::Instant;

/// What GitHub asks to wait after a secondary limit when it gives no time.
const UNSAID: Duration = Duration::from_secs(60);

/// No limit of GitHub lasts longer; a header that says so is wrong.
const LONGEST: Duration = Duration::from_secs(3600);

/// Why and for how long nothing may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) wait: Duration,
    /// Whether GitHub gave the time to wait, rather than when an hour ends.
    pub(super) is_retry_after: bool,
}

impl Limit {
    /// The limit an answer tells of, if that is what it is about.
    pub(super) fn told(status: StatusCode, headers: &HeaderMap, message: &str) -> Option<Self> {
        let may_be = matches!(
            status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        );
        if !may_be {
            return None;
        }
        if let Some(wait) = retry_after(headers) {
            return Some(Self {
                wait: wait.min(LONGEST),
                is_retry_after: true,
            });
        }
        let by_reset = |wait: Duration| Self {
            wait: wait.min(LONGEST),
            is_retry_after: false,
        };
        if text(headers, "x-ratelimit-remaining") == Some("0") {
            return Some(by_reset(until_reset(headers).unwrap_or(UNSAID)));
        }
        let message = message.to_ascii_lowercase();
        let says_so = message.contains("rate limit") || message.contains("abuse detection");
        (status == StatusCode::TOO_MANY_REQUESTS || says_so).then(|| by_reset(UNSAID))
    }
}

/// How long a `Retry-After` says to wait, in seconds or until a date (RFC 9110 section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text(headers, header::RETRY_AFTER.as_str())?;
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => from_now(rfc2822::parse(text).ok()?.timestamp()),
    }
}

fn until_reset(headers: &HeaderMap) -> Option<Duration> {
    let second = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    // The limit is open again when that second is over, by GitHub's clock.
    from_now(Timestamp::from_second(second).ok()?).map(|wait| wait + Duration::from_secs(1))
}

fn from_now(moment: Timestamp) -> Option<Duration> {
    let wait = moment.duration_since(Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// Until when the service asks nothing.
#[derive(Debug, Default)]
pub(super) struct Pause(Mutex<Option<Instant>>);

impl Pause {
    /// Asks nothing for `wait` from now, or longer if that was said before.
    pub(super) fn begin(&self, wait: Duration) {
        let until = Instant::now().checked_add(wait);
        let mut paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = (*paused).max(until);
    }

    /// How long nothing may be asked yet.
    pub(super) fn remaining(&self) -> Option<Duration> {
        let paused = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let remaining = paused?.saturating_duration_since(Instant::now());
        (!remaining.is_zero()).then_some(remaining)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn told(status: u16, headers: &[(&'static str, &str)], message: &str) -> Option<u64> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        Limit::told(status, &headers, message).map(|limit| limit.wait.as_secs())
    }

    #[test]
    fn a_limit_is_known_by_its_headers_or_else_by_its_words() {
        assert_eq!(told(429, &[("retry-after", "7")], ""), Some(7));
        assert_eq!(told(403, &[("retry-after", "7")], ""), Some(7));
        assert_eq!(told(429, &[], ""), Some(60));
        let words = "You have exceeded a secondary rate limit. Please wait.";
        assert_eq!(told(403, &[], words), Some(60));
        let soon = (Timestamp::now().as_second() + 100).to_string();
        let used_up = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", &*soon),
        ];
        assert!((99..=101).contains(&told(403, &used_up, "").unwrap()));
        let left = [
            ("x-ratelimit-remaining", "12"),
            ("x-ratelimit-reset", &*soon),
        ];
        assert_eq!(told(403, &left, "Resource not accessible"), None);
        assert_eq!(told(404, &[("retry-after", "7")], words), None);
    }

    #[test]
    fn a_time_that_makes_no_sense_is_bounded() {
        assert_eq!(told(429, &[("retry-after", "99999999999")], ""), Some(3600));
        assert_eq!(told(429, &[("retry-after", "soon")], ""), Some(60));
        let past = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(told(429, &[("retry-after", past)], ""), Some(0));
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "x")];
        assert_eq!(told(403, &used_up, ""), Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_and_a_shorter_one_does_not_cut_it() {
        let pause = Pause::default();
        assert_eq!(pause.remaining(), None);
        pause.begin(Duration::from_secs(10));
        pause.begin(Duration::from_secs(1));
        assert_eq!(pause.remaining(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(pause.remaining(), None);
    }
}
