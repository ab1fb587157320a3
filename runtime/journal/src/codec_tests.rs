use exomonad_test_support::fuzz;
use proptest::prelude::*;

use super::*;
use crate::record::CallKind;

/// A part with contents of its own, and the event that it becomes.
#[derive(Clone, Debug)]
enum Owned {
    Effect(String, Vec<u8>, Option<(u64, Vec<u8>)>),
    Http(String, BTreeMap<String, String>, Vec<u8>, u8),
    Log(usize, String),
    LogLevel(Option<usize>),
    Config(String, Option<String>),
    Now(i64),
    Monotonic(u64),
    Random(Vec<u8>),
    NoRandom(String),
    Sleep(u64),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

fn owned() -> impl Strategy<Value = Owned> {
    let fields = proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..4);
    prop_oneof![
        (
            ".{0,20}",
            bytes(),
            proptest::option::of((any::<u64>(), bytes()))
        )
            .prop_map(|(name, request, answer)| Owned::Effect(name, request, answer)),
        (".{0,20}", fields, bytes(), 0..4_u8)
            .prop_map(|(url, headers, body, how)| Owned::Http(url, headers, body, how)),
        (0..5_usize, ".{0,20}").prop_map(|(level, message)| Owned::Log(level, message)),
        proptest::option::of(0..5_usize).prop_map(Owned::LogLevel),
        (".{0,9}", proptest::option::of(".{0,9}"))
            .prop_map(|(key, value)| Owned::Config(key, value)),
        any::<i64>().prop_map(Owned::Now),
        any::<u64>().prop_map(Owned::Monotonic),
        bytes().prop_map(Owned::Random),
        ".{0,20}".prop_map(Owned::NoRandom),
        any::<u64>().prop_map(Owned::Sleep),
    ]
}

/// Appends what happened; gives the bytes that the parts said they take at most.
fn write(owned: &Owned, out: &mut Vec<u8>) -> usize {
    let mut most = 0;
    let mut add = |part: Part<'_>| {
        most += part.size();
        part.write(out);
    };
    match owned {
        Owned::Effect(name, request, answer) => {
            add(Part::Effect { name, request });
            if let Some((micros, answer)) = answer {
                let took = Duration::from_micros(*micros);
                add(Part::EffectAnswer { took, answer });
            }
        }
        Owned::Http(url, headers, body, how) => {
            let (method, took) = ("POST", Duration::from_micros(7));
            add(Part::Http {
                method,
                url,
                headers,
                body,
            });
            match how {
                0 => add(Part::HttpResponse {
                    took,
                    status: 204,
                    headers,
                    body,
                }),
                1 => add(Part::HttpTooLarge { took }),
                2 => add(Part::HttpFailed { took, message: url }),
                _ => {}
            }
        }
        Owned::Log(level, message) => add(Part::Log {
            level: LEVELS[*level],
            message,
        }),
        Owned::LogLevel(level) => add(Part::LogLevel(level.map(|level| LEVELS[level]))),
        Owned::Config(key, value) => add(Part::Config {
            key,
            value: value.as_deref(),
        }),
        Owned::Now(nanos) => add(Part::Now(*nanos)),
        Owned::Monotonic(nanos) => add(Part::Monotonic(*nanos)),
        Owned::Random(bytes) => add(Part::Random(bytes)),
        Owned::NoRandom(reason) => add(Part::NoRandom(reason)),
        Owned::Sleep(nanos) => add(Part::Sleep(*nanos)),
    }
    most
}

fn expected(owned: &Owned) -> Event {
    match owned.clone() {
        Owned::Effect(effect, request, answer) => Event::Effect(EffectEvent {
            hash: RequestHash::of(&effect, &request),
            effect,
            request: Payload(request),
            micros: answer.as_ref().map(|(micros, _)| *micros),
            answer: answer.map(|(_, answer)| Payload(answer)),
        }),
        Owned::Http(url, headers, body, how) => Event::Http(Box::new(HttpExchange {
            hash: hash_http("POST", &url, &headers, &body),
            method: "POST".to_owned(),
            micros: (how < 3).then_some(7),
            answer: match how {
                0 => Some(HttpAnswer::Response {
                    status: 204,
                    headers: headers.clone(),
                    body: Payload(body.clone()),
                }),
                1 => Some(HttpAnswer::TooLarge {}),
                2 => Some(HttpAnswer::Failed {
                    message: url.clone(),
                }),
                _ => None,
            },
            url,
            headers,
            body: Payload(body),
        })),
        Owned::Log(level, message) => Event::Log {
            level: LEVELS[level],
            message,
        },
        Owned::LogLevel(level) => Event::LogLevel {
            level: level.map(|level| LEVELS[level]),
        },
        Owned::Config(key, value) => Event::Config { key, value },
        Owned::Now(unix_nanos) => Event::Now { unix_nanos },
        Owned::Monotonic(nanos) => Event::Monotonic { nanos },
        Owned::Random(bytes) => Event::Random {
            bytes: Base64(bytes),
        },
        Owned::NoRandom(reason) => Event::NoRandom { reason },
        Owned::Sleep(nanos) => Event::Sleep { nanos },
    }
}

pub fn summary(id: u128) -> CallSummary {
    CallSummary {
        id: exomonad_schema::CallId::from(id),
        role: "tl".parse().unwrap(),
        kind: CallKind::Tool,
        name: "repo_status".to_owned(),
        at: "2026-01-31T12:00:00.000Z".to_owned(),
        micros: 7,
        caller: Some("cli".to_owned()),
        trace_id: None,
        plugin: "0123".to_owned(),
        configuration: "4567".to_owned(),
        outcome: "ok".to_owned(),
        effects: 1,
        complete: true,
        used_sandbox: false,
    }
}

proptest! {
    #[test]
    fn a_record_comes_back_from_its_bytes_and_from_json(
        happened in proptest::collection::vec(owned(), 0..12),
        input in bytes(),
        output in proptest::option::of(bytes()),
        error in proptest::option::of(".{0,20}"),
    ) {
        let mut events = Vec::new();
        let most: usize = happened.iter().map(|one| write(one, &mut events)).sum();
        prop_assert!(events.len() <= most, "a part takes more than it says");
        let body = Body {
            input: &input,
            input_bytes: 1 << 40,
            events: &events,
            output: output.as_deref(),
            error: error.as_deref(),
        };
        let mut written = Vec::new();
        body.write(&mut written);
        let record = read_record(summary(1), &written).unwrap();
        prop_assert_eq!(&record.events, &happened.iter().map(expected).collect::<Vec<_>>());
        prop_assert_eq!(&record.input.0, &input);
        prop_assert!(record.input_is_cut());
        prop_assert_eq!(record.output.clone().map(|output| output.0), output);
        prop_assert_eq!(&record.error, &error);
        let json = serde_json::to_string(&record).unwrap();
        prop_assert!(!json.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<CallRecord>(&json).unwrap(), record);
    }

    #[test]
    fn what_is_cut_anywhere_is_an_error_or_fewer_events(
        happened in proptest::collection::vec(owned(), 1..6),
        at in any::<proptest::sample::Index>(),
    ) {
        let mut events = Vec::new();
        happened.iter().for_each(|one| { write(one, &mut events); });
        let cut = &events[..at.index(events.len())];
        if let Ok(read) = read_events(cut) {
            // An answer may be missing where its event ends.
            prop_assert!(read.len() <= happened.len());
        }
    }
}

#[test]
fn fuzz_journal_record() {
    fuzz("journal_record", &["\u{1}", "\u{2}", "\u{c}"], |bytes| {
        if let Ok(record) = read_record(summary(1), bytes) {
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<CallRecord>(&json).unwrap(), record);
        }
    });
}
