use proptest::prelude::*;

use super::*;

fn hash(text: &str) -> RequestHash {
    RequestHash::of("test", text.as_bytes())
}

fn ask(machine: &mut Machine, effect: &str) -> u64 {
    machine.ask(effect, &hash("")).unwrap().seq
}

fn request(seq: u64, effect: &str) -> Request {
    Request {
        seq,
        effect: effect.to_owned(),
        hash: hash(""),
        request: b"{}".to_vec(),
    }
}

fn done(seq: u64, effect: &str, answer: &str) -> EventBody {
    EventBody::Done {
        seq,
        attempt: 1,
        answer: answer.as_bytes().to_vec(),
        request: Some(request(seq, effect)),
    }
}

fn signal(name: &str) -> EventBody {
    EventBody::Signaled {
        name: name.to_owned(),
        payload: b"null".to_vec(),
    }
}

fn answer(seq: u64, answer: &str) -> Taken {
    Taken::Done(vec![(seq, Some(answer.as_bytes().to_vec()))])
}

/// The same run, from what is on disk.
fn reloaded(events: &[Event], asked: u64) -> Machine {
    let mut machine = Machine::new(0);
    machine.load(events.to_vec(), asked);
    machine
}

#[test]
fn a_guest_that_runs_again_gets_the_same_answers() {
    let mut machine = Machine::new(5);
    let first = ask(&mut machine, "git.status");
    assert_eq!(machine.poll(&Wait::one(first)), None);
    machine.arrive(10, done(first, "git.status", "1"));
    assert_eq!(machine.poll(&Wait::one(first)), Some(answer(first, "1")));
    assert_eq!(machine.now(), 10);
    machine.rewind();
    assert_eq!(machine.now(), 5);
    let again = machine.ask("git.status", &hash("")).unwrap();
    assert!(again.is_known && machine.poll(&Wait::one(again.seq)) == Some(answer(first, "1")));
}

#[test]
fn the_first_of_a_race_is_the_first_in_the_history_also_later() {
    let mut machine = Machine::new(0);
    let (slow, fast) = (ask(&mut machine, "a"), ask(&mut machine, "b"));
    let both = Wait {
        handles: vec![slow, fast],
        ..Wait::default()
    };
    machine.arrive(1, done(fast, "b", "fast"));
    machine.arrive(2, done(slow, "a", "slow"));
    for _ in 0..2 {
        assert_eq!(machine.poll(&both), Some(answer(fast, "fast")));
        machine.rewind();
        ask(&mut machine, "a");
        ask(&mut machine, "b");
    }
    let all = Wait { all: true, ..both };
    let expected = vec![
        (fast, Some(b"fast".to_vec())),
        (slow, Some(b"slow".to_vec())),
    ];
    assert_eq!(machine.poll(&all), Some(Taken::Done(expected)));
}

#[test]
fn a_signal_is_kept_until_it_is_waited_for_and_taken_once() {
    let mut machine = Machine::new(0);
    machine.arrive(1, signal("other"));
    machine.arrive(2, signal("go"));
    machine.arrive(3, signal("go"));
    let wait = Wait {
        signals: vec!["go".to_owned()],
        ..Wait::default()
    };
    for at in [2, 3] {
        assert!(matches!(machine.poll(&wait), Some(Taken::Signal { name, .. }) if name == "go"));
        assert_eq!(machine.now(), at);
    }
    assert_eq!(machine.poll(&wait), None);
    assert_eq!(machine.untaken_signals().len(), 1);
}

#[test]
fn a_request_to_cancel_is_heard_once_and_what_was_done_before_counts() {
    let mut machine = Machine::new(0);
    let first = ask(&mut machine, "a");
    machine.arrive(1, done(first, "a", "1"));
    machine.arrive(2, EventBody::CancelRequested);
    assert_eq!(machine.poll(&Wait::one(first)), Some(answer(first, "1")));
    let second = ask(&mut machine, "b");
    assert_eq!(machine.poll(&Wait::one(second)), Some(Taken::Cancelled));
    machine.abandon(second);
    // It is stopped; what comes of it all the same is nothing new.
    assert_eq!(machine.arrive(3, done(second, "b", "late")), None);
    let cleaning = ask(&mut machine, "c");
    machine.arrive(4, done(cleaning, "c", "3"));
    assert_eq!(
        machine.poll(&Wait::one(cleaning)),
        Some(answer(cleaning, "3"))
    );
    assert!(machine.is_cancelled());
}

#[test]
fn a_time_that_is_up_ends_a_wait_before_what_comes_later() {
    let mut machine = Machine::new(0);
    let step = ask(&mut machine, "a");
    let timer = ask(&mut machine, TIMER);
    let wait = Wait {
        handles: vec![step],
        timer: Some(timer),
        ..Wait::default()
    };
    machine.arrive(
        1,
        EventBody::Fired {
            seq: timer,
            since: None,
        },
    );
    machine.arrive(2, done(step, "a", "1"));
    assert_eq!(machine.poll(&wait), Some(Taken::TimedOut(Vec::new())));
    assert_eq!(machine.poll(&Wait::one(step)), Some(answer(step, "1")));
}

#[test]
fn a_guest_that_asks_for_something_else_is_told_the_step_and_both_sides() {
    let mut machine = Machine::new(0);
    let step = ask(&mut machine, "git.push");
    machine.arrive(1, done(step, "git.push", "1"));
    machine.rewind();
    let other = machine.ask("git.fetch", &hash("")).unwrap_err();
    assert_eq!(
        (other.seq, other.recorded.as_str(), other.asked.as_str()),
        (0, "`git.push`", "`git.fetch`")
    );
    let request = machine.ask("git.push", &hash("else")).unwrap_err();
    assert!(request.recorded.contains("another request"), "{request}");
    let early = machine.end().unwrap_err();
    assert!(early.asked.contains("it ended"), "{early}");
}

#[test]
fn what_comes_after_a_position_that_is_being_written_waits_for_it() {
    let mut machine = Machine::new(0);
    let (write, timer) = (ask(&mut machine, "kv.set"), ask(&mut machine, TIMER));
    let position = machine.reserve();
    machine.arrive(
        2,
        EventBody::Fired {
            seq: timer,
            since: None,
        },
    );
    let either = Wait {
        handles: vec![write, timer],
        ..Wait::default()
    };
    assert_eq!(machine.poll(&either), None);
    machine.fill(Event {
        position,
        at: 1,
        body: EventBody::Done {
            seq: write,
            attempt: 1,
            answer: b"1".to_vec(),
            request: Some(request(write, "kv.set")),
        },
    });
    assert_eq!(machine.poll(&either), Some(answer(write, "1")));
}

#[test]
fn a_change_of_the_code_applies_to_runs_that_had_not_come_so_far() {
    let mut old = Machine::new(0);
    let step = ask(&mut old, "a");
    let event = old.arrive(1, done(step, "a", "1")).unwrap();
    // A run that came past the place without the change, and one that comes there first.
    let mut resumed = reloaded(&[event], 1);
    assert_eq!(resumed.patched(2, "v2"), (false, None));
    ask(&mut resumed, "a");
    let (applies, marker) = resumed.patched(2, "v3");
    assert!(applies);
    let mut again = reloaded(&[marker.unwrap()], 1);
    assert_eq!(again.patched(3, "v3"), (true, None));
}

#[test]
fn an_attempt_that_had_begun_is_told_from_one_that_is_due() {
    let mut machine = Machine::new(0);
    let step = ask(&mut machine, "docker.exec");
    machine.arrive(1, EventBody::Asked(request(step, "docker.exec")));
    machine.arrive(
        2,
        EventBody::Attempt {
            seq: step,
            attempt: 1,
            answer: b"{}".to_vec(),
            next_at: 9,
        },
    );
    assert!(!machine.attempts(step).unwrap().has_begun);
    machine.arrive(9, EventBody::Asked(request(step, "docker.exec")));
    let attempt = machine.attempts(step).unwrap();
    assert!(attempt.has_begun && attempt.attempts == 1);
}

#[test]
fn randomness_is_the_runs_own_and_the_same_in_each_turn() {
    let mut machine = Machine::new(0);
    let draw = |seed: &[u8], machine: &mut Machine| {
        let (mut a, mut b) = ([0; 40], [0; 3]);
        machine.random(seed, &mut a);
        machine.random(seed, &mut b);
        (a, b)
    };
    let first = draw(b"one", &mut machine);
    machine.rewind();
    assert_eq!(draw(b"one", &mut machine), first);
    machine.rewind();
    assert_ne!(draw(b"two", &mut machine), first);
}

/// A small guest: it starts steps, and waits for whatever comes first until all are done.
fn turns(machine: &mut Machine, steps: u64, limit: usize) -> Vec<Option<Taken>> {
    let mut taken = Vec::new();
    let mut open: Vec<u64> = (0..steps).map(|_| ask(machine, "a")).collect();
    while !open.is_empty() && taken.len() < limit {
        let wait = Wait {
            handles: open.clone(),
            signals: vec!["go".to_owned()],
            ..Wait::default()
        };
        let next = machine.poll(&wait);
        if let Some(Taken::Done(done)) = &next {
            open.retain(|seq| done.iter().all(|(done, _)| done != seq));
        }
        if next.is_none() {
            break;
        }
        taken.push(next);
    }
    taken
}

proptest! {
    #[test]
    fn any_history_gives_the_same_turns_when_it_is_read_again(
        order in prop::collection::vec(0_u64..8, 1..24),
    ) {
        let mut machine = Machine::new(0);
        for _ in 0..6 {
            ask(&mut machine, "a");
        }
        let mut events = Vec::new();
        for (at, what) in order.iter().enumerate() {
            let at = i64::try_from(at).unwrap();
            let arrival = match what {
                6 => signal("go"),
                7 => EventBody::CancelRequested,
                seq => done(*seq, "a", &seq.to_string()),
            };
            events.extend(machine.arrive(at, arrival));
        }
        machine.rewind();
        let live = turns(&mut machine, 6, 100);
        let mut read = reloaded(&events, 6);
        prop_assert_eq!(&turns(&mut read, 6, 100), &live);
        // A history that was cut off gives a beginning of the same.
        let mut cut = reloaded(&events[..events.len() / 2], 6);
        let begun = turns(&mut cut, 6, 100);
        prop_assert_eq!(&live[..begun.len()], &begun[..]);
    }
}
