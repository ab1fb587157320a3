//! `poll_oneoff`: guests that sleep.

use std::sync::Arc;
use std::time::Duration;

use exomonad_engine::{CallError, Limit, Limits};

use super::{SUCCESS, answer, asking};
use crate::recorder::{Recorder, call, call_within, load};

/// A guest that sleeps by `poll_oneoff` on these subscriptions, as (kind, clock, nanoseconds).
fn polling(subscriptions: &[(u8, u32, u64)]) -> String {
    let mut stores = String::new();
    for (nth, (kind, clock, nanos)) in subscriptions.iter().enumerate() {
        let at = 512 + 48 * nth;
        stores += &format!(
            "(i64.store (i32.const {at}) (i64.const {})) (i32.store8 (i32.const {}) (i32.const {kind}))
             (i32.store (i32.const {}) (i32.const {clock})) (i64.store (i32.const {}) (i64.const {nanos}))",
            nth + 1,
            at + 8,
            at + 16,
            at + 24
        );
    }
    let count = subscriptions.len();
    asking(
        "poll_oneoff",
        "(param i32 i32 i32 i32)",
        &format!(
            "(block (result i32) {stores} (i32.const 512)) (i32.const 64) (i32.const {count}) (i32.const 1000)"
        ),
    )
}

#[tokio::test(start_paused = true)]
async fn sleeping_guests_hold_no_thread() {
    // Time stands still and jumps when nothing can run: were the one thread held, it would stay there.
    let hour = 3_600_000_000_000;
    let plugin = load(&polling(&[(0, 1, hour), (0, 1, 2 * hour)])).await;
    let limits = Limits {
        wall_time: Duration::from_secs(100_000),
        ..Limits::default()
    };
    let begin = tokio::time::Instant::now();
    let calls = (0..20).map(|_| call_within(&plugin, limits, "run", b""));
    for ended in futures_util::future::join_all(calls).await {
        let bytes = ended.unwrap().bytes;
        assert_eq!(
            bytes[..12],
            [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            "the first clock rang"
        );
    }
    assert!(
        (3600..3660).contains(&begin.elapsed().as_secs()),
        "all of them slept through the same hour"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_guest_is_still_within_its_time() {
    let plugin = load(&polling(&[(0, 1, u64::MAX)])).await;
    let ended = call(&plugin, "run", b"").await;
    assert!(
        matches!(ended, Err(CallError::Limit(hit)) if hit.limit == Limit::WallTime),
        "{ended:?}"
    );
}

#[tokio::test]
async fn descriptors_are_ready_at_once() {
    let (errno, user_data, event) = answer(
        &load(&polling(&[(0, 1, u64::MAX), (2, 1, 0)])).await,
        Arc::new(Recorder::default()),
    )
    .await;
    assert_eq!(
        (errno, user_data, (event >> 16) & 0xff),
        (SUCCESS, 2, 2),
        "the second subscription, a write"
    );
}
