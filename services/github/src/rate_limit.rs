//! GitHub's rate limits: recognized in responses, and kept to.
//!
//! The primary limit counts requests an hour; the secondary ones count what is
//! too much at once. A client that goes on while limited may be shut out, so the
//! whole service pauses until the time GitHub gave.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::time::Instant;

/// The wait GitHub asks for after a secondary limit when it gives no time.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// Longest wait: no limit of GitHub lasts longer, a header that says so is wrong.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// A rate limit that has been reached, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RateLimit {
    pub(super) wait: Duration,
    /// True if GitHub gave the time to wait, rather than when an hour ends.
    pub(super) is_retry_after: bool,
}

impl RateLimit {
    /// The limit that a response reports, if it does.
    pub(super) fn from_response(
        status: StatusCode,
        headers: &HeaderMap,
        message: &str,
    ) -> Option<Self> {
        let may_be = matches!(
            status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        );
        if !may_be {
            return None;
        }
        if let Some(wait) = retry_after(headers) {
            return Some(Self {
                wait: wait.min(MAX_WAIT),
                is_retry_after: true,
            });
        }
        let by_reset = |wait: Duration| Self {
            wait: wait.min(MAX_WAIT),
            is_retry_after: false,
        };
        if text(headers, "x-ratelimit-remaining") == Some("0") {
            return Some(by_reset(until_reset(headers).unwrap_or(DEFAULT_WAIT)));
        }
        let message = message.to_ascii_lowercase();
        let says_so = message.contains("rate limit") || message.contains("abuse detection");
        (status == StatusCode::TOO_MANY_REQUESTS || says_so).then(|| by_reset(DEFAULT_WAIT))
    }
}

/// The wait that a `Retry-After` asks for, in seconds or until a date (RFC 9110 section 10.2.3).
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

/// A pause of all requests while GitHub limits them.
#[derive(Debug, Default)]
pub(super) struct RateLimitPause(Mutex<Option<Instant>>);

impl RateLimitPause {
    /// Pauses for `wait` from now, or longer if that was said before.
    pub(super) fn begin(&self, wait: Duration) {
        let until = Instant::now().checked_add(wait);
        let mut paused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *paused = (*paused).max(until);
    }

    /// The rest of the pause.
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

    fn wait_seconds(status: u16, headers: &[(&'static str, &str)], message: &str) -> Option<u64> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        RateLimit::from_response(status, &headers, message).map(|limit| limit.wait.as_secs())
    }

    #[test]
    fn a_limit_is_recognized_by_its_headers_or_else_by_its_message() {
        assert_eq!(wait_seconds(429, &[("retry-after", "7")], ""), Some(7));
        assert_eq!(wait_seconds(403, &[("retry-after", "7")], ""), Some(7));
        assert_eq!(wait_seconds(429, &[], ""), Some(60));
        let words = "You have exceeded a secondary rate limit. Please wait.";
        assert_eq!(wait_seconds(403, &[], words), Some(60));
        let soon = (Timestamp::now().as_second() + 100).to_string();
        let used_up = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", &*soon),
        ];
        assert!((99..=101).contains(&wait_seconds(403, &used_up, "").unwrap()));
        let left = [
            ("x-ratelimit-remaining", "12"),
            ("x-ratelimit-reset", &*soon),
        ];
        assert_eq!(wait_seconds(403, &left, "Resource not accessible"), None);
        assert_eq!(wait_seconds(404, &[("retry-after", "7")], words), None);
    }

    #[test]
    fn an_invalid_time_is_bounded() {
        assert_eq!(
            wait_seconds(429, &[("retry-after", "99999999999")], ""),
            Some(3600)
        );
        assert_eq!(wait_seconds(429, &[("retry-after", "soon")], ""), Some(60));
        let past = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(wait_seconds(429, &[("retry-after", past)], ""), Some(0));
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "x")];
        assert_eq!(wait_seconds(403, &used_up, ""), Some(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_and_a_shorter_one_does_not_shorten_it() {
        let pause = RateLimitPause::default();
        assert_eq!(pause.remaining(), None);
        pause.begin(Duration::from_secs(10));
        pause.begin(Duration::from_secs(1));
        assert_eq!(pause.remaining(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(pause.remaining(), None);
    }
}
