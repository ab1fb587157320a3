//! A plugin made with Extism's Rust PDK, from its source, unchanged.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::engines::{self, same_calls};
use crate::http::serve;
use crate::logs;
use crate::outcome::{Code, FailureKind, Outcome};
use crate::setup::Setup;

/// The plugin with all that it may ask for.
static PLUGIN: LazyLock<Setup> = LazyLock::new(|| {
    let wasm = exomonad_benches::guests::pdk_plugin()
        .unwrap_or_else(|error| panic!("benches/pdk-plugin: {error}"));
    Setup {
        binary: Some(wasm),
        config: BTreeMap::from([("key".to_owned(), "value".to_owned())]),
        allowed_hosts: vec!["127.0.0.1".to_owned()],
        ..Setup::default()
    }
});

#[track_caller]
fn answers(export: &str, input: &[u8]) -> Vec<u8> {
    match same_calls(export, &PLUGIN, &[(export, input), (export, input)]) {
        Outcome::Answer(bytes) => bytes,
        other => panic!("{export}: {other:?}"),
    }
}

#[test]
fn bytes_texts_and_json_come_back() {
    for size in [0, 1, 7, 8, 9, 4096, 65_537, 1 << 20] {
        let input: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        assert_eq!(answers("echo", &input), input, "{size} bytes");
    }
    assert_eq!(
        answers("count_vowels", b"Hello, World"),
        br#"{"count":3,"vowels":"aeiouAEIOU"}"#
    );
    assert_eq!(
        answers("double", br#"{"count":3,"vowels":"aei"}"#),
        br#"{"count":6,"vowels":"aei"}"#
    );
    let large = answers("large", b"3");
    assert!(
        large.len() == 3 << 20
            && large
                .iter()
                .enumerate()
                .all(|(n, byte)| *byte == (n % 251) as u8)
    );
}

#[test]
fn configuration_variables_and_host_functions_work() {
    assert_eq!(answers("configured", b"key"), b"value");
    assert_eq!(answers("configured", b"another"), b"absent");
    assert_eq!(answers("variables", b"kept"), b"false true false");
    assert_eq!(answers("effect", b"abc"), b"cba");
}

#[test]
fn http_requests_work_and_are_refused() {
    let answer = answers("fetch", format!("{}/201/made", serve()).as_bytes());
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.contains(r#""status":"201""#)
            && answer.contains("POST /201/made asked=yes body=a body"),
        "{answer}"
    );
    let refused = same_calls("another host", &PLUGIN, &[("fetch", b"http://localhost/")]);
    assert!(
        matches!(&refused, Outcome::Failed(FailureKind::Message(message), _) if message.ends_with("is not allowed"))
    );
}

#[test]
fn failures_have_the_same_words_and_codes() {
    let failed = same_calls(
        "an error with its code",
        &PLUGIN,
        &[("fail", b"no such tool")],
    );
    assert_eq!(
        failed,
        Outcome::Failed(
            FailureKind::Message("no such tool".to_owned()),
            Code(Some(7))
        )
    );
    same_calls(
        "input that is not JSON",
        &PLUGIN,
        &[("double", b"nonsense")],
    );
    same_calls(
        "input that is not UTF-8",
        &PLUGIN,
        &[("count_vowels", b"\xff\xfe")],
    );
    let panicked = same_calls("a panic", &PLUGIN, &[("panics", b"oh no")]);
    assert!(matches!(panicked, Outcome::Failed(..)), "{panicked:?}");
}

#[test]
fn logs_arrive_at_their_levels() {
    logs::taken();
    engines::extism(&PLUGIN, &[("write_logs", b"said")]);
    let (extisms, _) = logs::taken();
    engines::ours(&PLUGIN, &[("write_logs", b"said")], false);
    let (_, ours) = logs::taken();
    assert_eq!(extisms, ours);
    assert_eq!(
        ours,
        [
            "DEBUG said at debug",
            "INFO said at info",
            "WARN said at warn",
            "ERROR said at error"
        ]
    );
}
