//! Log messages at each level, and the question for the level.
//!
//! Extism's level is that of the process, so all tests here share one.

use std::cell::RefCell;
use std::sync::Once;

use exomonad_benches::libextism::{self, LogEvent};
use exomonad_engine::LogLevel;

use crate::engines::{self, same_bodies};
use crate::outcome::Outcome;
use crate::setup::Setup;

/// The least level that both hosts record.
pub const LEVEL: LogLevel = LogLevel::Debug;

thread_local! {
    /// Each call is made on the thread of its test, by both engines.
    static EXTISMS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static OURS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Has libextism keep what guests log, and why calls fail; once for all tests.
pub fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| libextism::log_from(c"extism::pdk=debug,extism::plugin=debug"));
}

/// Keeps what a guest has logged under Extism.
pub fn record_extisms(events: &[LogEvent]) {
    for event in events.iter().filter(|event| event.target == "extism::pdk") {
        let line = format!("{} {}", event.level, event.message);
        EXTISMS.with_borrow_mut(|lines| lines.push(line));
    }
}

/// Keeps what a guest logs under our engine.
pub fn record_ours(level: LogLevel, message: &str) {
    // The engine hands everything to its host, which asks for the level itself.
    if level >= LEVEL {
        OURS.with_borrow_mut(|lines| {
            lines.push(format!("{} {message}", format!("{level:?}").to_uppercase()))
        });
    }
}

/// The log lines since the last time: under Extism, and under ours.
pub fn taken() -> (Vec<String>, Vec<String>) {
    (EXTISMS.take(), OURS.take())
}

#[test]
fn messages_and_levels_are_recorded_alike() {
    let body = r#"(func (export "run")
        (call $log_trace (call $greeting)) (call $log_debug (call $greeting)) (call $log_info (call $it_broke))
        (call $log_warn (call $greeting)) (call $log_error (call $it_broke)))"#;
    let setup = Setup::with_abi(body);
    taken();
    let extism = engines::extism(&setup, &[("run", b"")]);
    let (extisms, _) = taken();
    let ours = engines::ours(&setup, &[("run", b"")], false);
    let (_, recorded) = taken();
    assert_eq!(extism, ours);
    assert_eq!(extisms, recorded);
    assert_eq!(
        recorded,
        [
            "DEBUG greeting",
            "INFO it broke",
            "WARN greeting",
            "ERROR it broke"
        ]
    );
}

#[test]
fn the_level_and_the_fate_of_messages_are_alike() {
    let answers = same_bodies(b"", &[
        ("the level", "(call $say32 (call $get_log_level)) (call $report)"),
        (
            "a message is the host's afterwards, recorded or not",
            "(local.set $a (call $greeting)) (local.set $b (call $greeting))
             (call $log_trace (local.get $a)) (call $log_error (local.get $b))
             (call $say (call $length (local.get $a))) (call $say (call $length (local.get $b))) (call $report)",
        ),
        ("an empty message", "(call $log_info (i64.const 0)) (call $report)"),
    ]);
    assert_eq!(answers[0].numbers(), Some(vec![LEVEL as i64]));
    assert!(matches!(answers[2], Outcome::Answer(_)));
}
