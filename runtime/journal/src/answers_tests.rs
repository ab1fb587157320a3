use super::*;
use crate::codec::tests::summary;
use crate::record::EffectEvent;
use exomonad_schema::Base64;

fn effect(name: &str, request: &str, answer: Option<&str>) -> Event {
    Event::Effect(EffectEvent {
        effect: name.to_owned(),
        hash: RequestHash::of(name, request.as_bytes()),
        request: Payload(request.into()),
        answer: answer.map(|answer| Payload(answer.into())),
        micros: None,
    })
}

fn answers(events: Vec<Event>) -> Answers {
    Answers::of(&CallRecord {
        call: summary(1),
        input: Payload::default(),
        input_bytes: 0,
        events,
        output: None,
        error: None,
    })
}

fn answer(text: &str) -> Reply<Vec<u8>> {
    Reply::Answer(text.into())
}

#[test]
fn effects_are_answered_in_their_order_however_their_json_is_written() {
    let answers = answers(vec![
        effect("kv.get", r#"{"key":"a"}"#, Some("1")),
        effect("kv.get", r#"{"key":"a"}"#, Some("2")),
        effect("kv.list", r#"{"limit":1,"prefix":"x"}"#, Some("3")),
    ]);
    assert_eq!(answers.effect("kv.get", br#"{"key":"a"}"#), answer("1"));
    assert_eq!(answers.effect("kv.get", br#"{ "key": "a" }"#), answer("2"));
    let swapped = br#"{"prefix":"x","limit":1}"#;
    assert_eq!(answers.effect("kv.list", swapped), answer("3"));
    answers.end();
    assert_eq!(answers.difference(), None);
    assert_eq!(answers.notes(), [""; 0]);
}

#[test]
fn the_first_effect_that_differs_ends_it_and_shows_both_sides() {
    let answers = answers(vec![
        effect("kv.get", "{}", Some("1")),
        effect("git.status", "{}", Some("2")),
    ]);
    assert_eq!(answers.effect("kv.get", b"{}"), answer("1"));
    assert_eq!(answers.effect("git.diff", b"{}"), Reply::Stop);
    assert_eq!(answers.effect("git.status", b"{}"), Reply::Stop);
    assert!(answers.is_stopped() && answers.has_diverged());
    let Some(Difference::Effect {
        nth: 2,
        recorded: Some(recorded),
        asked: Some(asked),
    }) = answers.difference()
    else {
        panic!("{:?}", answers.difference());
    };
    assert_eq!(
        (&*recorded.effect, &*asked.effect),
        ("git.status", "git.diff")
    );
}

#[test]
fn an_effect_too_few_or_too_many_is_a_difference() {
    let few = answers(vec![effect("kv.get", "{}", Some("1"))]);
    few.end();
    assert!(matches!(
        few.difference(),
        Some(Difference::Effect {
            nth: 1,
            asked: None,
            ..
        })
    ));
    let many = answers(vec![]);
    assert_eq!(many.effect("kv.get", b"{}"), Reply::Stop);
    assert!(matches!(
        many.difference(),
        Some(Difference::Effect {
            nth: 1,
            recorded: None,
            ..
        })
    ));
}

#[test]
fn where_the_recorded_call_ended_the_guest_ends_without_a_difference() {
    let answers = answers(vec![effect("clock.sleep", "{}", None)]);
    assert_eq!(answers.effect("clock.sleep", b"{}"), Reply::Stop);
    assert!(answers.is_stopped() && !answers.has_diverged());
    answers.end();
    assert_eq!(answers.difference(), None);
}

#[test]
fn clocks_and_randomness_repeat_and_say_when_more_is_asked_for() {
    let events = vec![
        Event::Now { unix_nanos: 5 },
        Event::Monotonic { nanos: 1 },
        Event::Now { unix_nanos: 6 },
        Event::Random {
            bytes: Base64(vec![1, 2]),
        },
    ];
    let one = answers(events.clone());
    let other = answers(events);
    let run = |answers: &Answers| {
        let mut bytes = [0; 2];
        // Another order of kinds than the recorded one.
        assert_eq!(answers.random(&mut bytes), Ok(()));
        assert_eq!(
            (bytes, answers.now(), answers.now(), answers.monotonic()),
            ([1, 2], 5, 6, 1)
        );
        assert_eq!(answers.notes(), [""; 0]);
        let mut more = [0; 40];
        assert_eq!(answers.random(&mut more), Ok(()));
        assert_eq!((answers.now(), answers.monotonic()), (6, 1));
        assert_eq!(answers.notes().len(), 2);
        more
    };
    assert_eq!(
        run(&one),
        run(&other),
        "what is made up is the same each time"
    );
}

#[test]
fn configuration_comes_from_the_record_and_else_from_today_with_a_note() {
    let answers = answers(vec![
        Event::Config {
            key: "greeting".to_owned(),
            value: Some("hello".to_owned()),
        },
        Event::LogLevel {
            level: Some(LogLevel::Warn),
        },
    ]);
    assert_eq!(
        answers.config("greeting", || None).as_deref(),
        Some("hello")
    );
    assert_eq!(answers.log_level(None), Some(LogLevel::Warn));
    assert_eq!(answers.notes(), [""; 0]);
    assert_eq!(
        answers.config("new", || Some("today".into())).as_deref(),
        Some("today")
    );
    assert!(answers.notes()[0].contains("`new`"));
}

#[test]
fn a_line_that_differs_is_told_and_the_guest_goes_on() {
    let denied = r#"{"kind":"Error","payload":{"code":"effect_denied"}}"#;
    let answers = answers(vec![
        Event::Log {
            level: LogLevel::Info,
            message: "begun".to_owned(),
        },
        effect("log.write", r#"{"message":"a"}"#, Some(denied)),
        effect("kv.get", "{}", Some("1")),
    ]);
    answers.log(LogLevel::Info, "has begun");
    assert_eq!(
        answers.effect("log.write", br#"{"message":"b"}"#),
        answer(denied)
    );
    assert_eq!(answers.effect("kv.get", b"{}"), answer("1"));
    answers.end();
    assert!(!answers.has_diverged() && !answers.is_stopped());
    let Some(Difference::Log { nth: 1, logged, .. }) = answers.difference() else {
        panic!("{:?}", answers.difference());
    };
    assert_eq!(logged.as_deref(), Some("info has begun"));
}

fn resuming(events: &[Event]) -> Answers {
    Answers::resuming(&"call".parse().unwrap(), events)
}

#[test]
fn a_resumed_call_repeats_what_it_did_and_then_goes_on() {
    let log = |message: &str| Event::Log {
        level: LogLevel::Info,
        message: message.to_owned(),
    };
    let answers = resuming(&[
        effect("kv.get", "{}", Some("1")),
        log("once"),
        Event::Now { unix_nanos: 7 },
        Event::Monotonic { nanos: 8 },
        Event::Random {
            bytes: Base64(vec![1, 2]),
        },
        Event::Sleep { nanos: 9 },
        Event::Config {
            key: "a".to_owned(),
            value: None,
        },
        effect("log.write", r#"{"message":"x"}"#, Some("2")),
        // It was asked for, and not answered: it is asked for again.
        effect("mcp.elicit", "{}", None),
    ]);
    assert_eq!(answers.effect("kv.get", b"{}"), answer("1"));
    assert!(answers.resumed_log(LogLevel::Info, "once"));
    assert_eq!(answers.resumed_now(), Some(7));
    assert_eq!(answers.resumed_monotonic(), Ok(8));
    let mut bytes = [0; 2];
    assert_eq!(answers.resumed_random(&mut bytes), Some(Ok(())));
    assert_eq!(bytes, [1, 2]);
    assert!(answers.resumed_sleep());
    assert_eq!(answers.resumed_config("a"), Some(None));
    let line = br#"{"message":"x"}"#;
    assert_eq!(answers.effect("log.write", line), answer("2"));

    assert_eq!(answers.effect("mcp.elicit", b"{}"), Reply::Live);
    assert_eq!(answers.effect("log.write", line), Reply::Live);
    assert!(!answers.resumed_log(LogLevel::Info, "new"));
    assert_eq!(answers.resumed_now(), None);
    assert_eq!(answers.resumed_monotonic(), Err(8));
    assert_eq!(answers.resumed_random(&mut bytes), None);
    assert!(!answers.resumed_sleep());
    assert_eq!(answers.resumed_config("b"), None);
    assert!(!answers.has_diverged());
}

#[test]
fn a_resumed_call_that_does_something_else_is_stopped_for_good() {
    let answers = resuming(&[effect("kv.get", "{}", Some("1"))]);
    assert_eq!(answers.effect("kv.set", b"{}"), Reply::Stop);
    assert_eq!(answers.effect("kv.get", b"{}"), Reply::Stop);
    assert!(answers.has_diverged());
}
