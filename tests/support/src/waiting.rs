//! Waiting for what is bound to happen.

use std::time::{Duration, Instant};

/// How long a test waits for what has to happen. It measures nothing: only a host that hangs takes
/// this long, also on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until there is something to see, and gives that.
///
/// # Panics
/// If it does not happen; `what` says what should have.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begin.elapsed() < PATIENCE, "it did not happen: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks for a while at what must stay as it is.
///
/// # Panics
/// If it happens after all; `what` says what should not have.
pub async fn never_within(span: Duration, what: &str, mut look: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while begin.elapsed() < span {
        assert!(!look().await, "it happened: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
