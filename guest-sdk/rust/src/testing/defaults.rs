//! Default answers of the fake host.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::effect::EffectRequest;
use crate::testing::host::{State, encode};
use crate::types::{
    ClockNow, ClockTime, Done, EffectError, EmitEvent, ErrorCode, KvDelete, KvDeleted, KvEntry,
    KvGet, KvKeys, KvList, KvSet, Log, McpClient, McpGetClient, McpLog, McpNotify, McpProgress,
    RandomBytes, RandomBytesAnswer, Sleep, WorkflowCancel, WorkflowInfo, WorkflowPatched,
    WorkflowSetState, WorkflowSleep, WorkflowStart, WorkflowWait,
};
use crate::{Base64, Json};

/// The fake host's own answer to an effect, if it has one.
pub fn answer(state: &State, function: &str, request: &[u8]) -> Option<Vec<u8>> {
    Some(match function {
        Log::FUNCTION
        | EmitEvent::FUNCTION
        | McpProgress::FUNCTION
        | McpLog::FUNCTION
        | McpNotify::FUNCTION => encode(&Ok(Done {})),
        McpGetClient::FUNCTION => encode(&Ok(McpClient::default())),
        KvGet::FUNCTION => encode(&Ok(get(state, &decode(request)?))),
        KvSet::FUNCTION => encode(&Ok(set(state, decode(request)?))),
        KvDelete::FUNCTION => encode(&Ok(delete(state, &decode(request)?))),
        KvList::FUNCTION => encode(&Ok(list(state, &decode(request)?))),
        ClockNow::FUNCTION => encode(&Ok(now(state))),
        Sleep::FUNCTION => encode(&Ok(sleep(state, &decode(request)?))),
        RandomBytes::FUNCTION => encode(&Ok(random(state, &decode(request)?))),
        WorkflowStart::FUNCTION
        | WorkflowWait::FUNCTION
        | WorkflowCancel::FUNCTION
        | WorkflowSleep::FUNCTION
        | WorkflowSetState::FUNCTION
        | WorkflowPatched::FUNCTION
        | WorkflowInfo::FUNCTION => encode::<()>(&Err(EffectError {
            code: ErrorCode::Unsupported,
            message: format!("{function} is for workflows; FakeHost::run_workflow runs one"),
            details: None,
        })),
        _ => return None,
    })
}

fn decode<R: DeserializeOwned>(request: &[u8]) -> Option<R> {
    serde_json::from_slice(request).ok()
}

fn get(state: &State, request: &KvGet) -> KvEntry {
    let value = state.kv.borrow().get(&request.key).cloned();
    KvEntry {
        found: value.is_some(),
        value: Json::from(value.unwrap_or_default()),
    }
}

fn set(state: &State, request: KvSet) -> Done {
    // The text was JSON when the request was decoded.
    let value: Value = request.value.parse().unwrap_or_default();
    state.kv.borrow_mut().insert(request.key, value);
    Done {}
}

fn delete(state: &State, request: &KvDelete) -> KvDeleted {
    KvDeleted {
        existed: state.kv.borrow_mut().remove(&request.key).is_some(),
    }
}

fn list(state: &State, request: &KvList) -> KvKeys {
    let limit = request.limit.unwrap_or(100) as usize;
    let after = request.after.as_deref();
    let kv = state.kv.borrow();
    let mut keys = kv
        .keys()
        .filter(|key| key.starts_with(&request.prefix))
        .filter(|key| after.is_none_or(|after| key.as_str() > after))
        .cloned();
    let page: Vec<String> = keys.by_ref().take(limit).collect();
    let next = keys.next().and_then(|_| page.last().cloned());
    KvKeys { keys: page, next }
}

fn now(state: &State) -> ClockTime {
    let unix_millis = state.unix_millis.get();
    ClockTime {
        unix_millis,
        iso8601: iso8601(unix_millis),
        monotonic_nanos: unix_millis.max(0) as u64 * 1_000_000,
    }
}

fn sleep(state: &State, request: &Sleep) -> Done {
    state
        .unix_millis
        .set(state.unix_millis.get() + request.millis as i64);
    Done {}
}

/// The same bytes in every run (SplitMix64).
fn random(state: &State, request: &RandomBytes) -> RandomBytesAnswer {
    let byte = |_| {
        let seed = state.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        state.random.set(seed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed >> 56) as u8
    };
    RandomBytesAnswer {
        bytes: Base64((0..request.length).map(byte).collect()),
    }
}

/// `2026-01-01T00:00:00.000Z`, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn iso8601(unix_millis: i64) -> String {
    let (days, millis) = (
        unix_millis.div_euclid(86_400_000),
        unix_millis.rem_euclid(86_400_000),
    );
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, millis) = (millis / 1000 % 60, millis % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;
    use crate::{clock, kv, random};

    #[test]
    fn keys_and_values_are_stored_listed_in_pages_and_removed() {
        FakeHost::new().run(|| {
            for key in ["a/1", "a/2", "b"] {
                kv::set(&KvSet::new(key, Json::from(serde_json::json!([key])))).unwrap();
            }
            let first = KvList {
                prefix: "a/".into(),
                limit: Some(1),
                after: None,
            };
            let page = kv::list(&first).unwrap();
            assert_eq!(
                (page.keys.as_slice(), page.next.as_deref()),
                (&["a/1".to_owned()][..], Some("a/1"))
            );
            let page = kv::list(&KvList {
                after: page.next,
                ..first
            })
            .unwrap();
            assert_eq!(
                (page.keys.as_slice(), page.next),
                (&["a/2".to_owned()][..], None)
            );
            assert_eq!(kv::get(&KvGet::new("b")).unwrap().value.get(), r#"["b"]"#);
            assert!(kv::delete(&KvDelete::new("b")).unwrap().existed);
            assert!(!kv::get(&KvGet::new("b")).unwrap().found);
        });
    }

    #[test]
    fn only_sleeping_moves_the_clock() {
        FakeHost::new().run(|| {
            clock::sleep(&Sleep::new(90_061_001)).unwrap();
            let now = clock::now(&ClockNow::default()).unwrap();
            assert_eq!(now.iso8601, "2026-01-02T01:01:01.001Z");
        });
        assert_eq!(iso8601(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso8601(951_782_400_000), "2000-02-29T00:00:00.000Z");
    }

    #[test]
    fn random_bytes_are_the_same_in_every_run() {
        let draw = || FakeHost::new().run(|| random::bytes(&RandomBytes::new(16)).unwrap().bytes);
        assert_eq!(draw(), draw());
        assert_eq!(draw().0.len(), 16);
    }
}
