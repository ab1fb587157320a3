//! Blocks under host calls: sequences as PDKs make them, against a model.
//!
//! A PDK owns a result until it frees it. The arguments that a host function consumes are the host's, but
//! the PDKs of Go and C free them nevertheless, some at once and some when their function returns.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use exomonad_engine::{
    Host, HostFuture, HttpError, HttpRequest, HttpResponse, Limits, LogLevel, Plugin,
};
use proptest::prelude::*;

use super::{RUNTIME, words};
use crate::recorder::{EFFECTS, call_within, load, with_abi};

static PDK: LazyLock<Plugin> = LazyLock::new(|| RUNTIME.block_on(load(include_str!("pdk.wat"))));

/// The URL in `pdk.wat`.
const REQUEST: &[u8] = br#"{"url":"https://answers.test/"}"#;
const _: () = assert!(REQUEST.len() == 31);

/// A host whose answers have all relations of size to what was asked.
struct Answers;

fn config_of(key: &[u8]) -> Vec<u8> {
    let first = key.first().copied().unwrap_or(b'-');
    vec![first.to_ascii_uppercase(); key.len() * 7 % 61]
}

fn response_to(body: &[u8]) -> Vec<u8> {
    [b"!".as_slice(), &body[body.len() / 2..]].concat()
}

impl Host for Answers {
    fn effect(&self, _effect: usize, mut request: Vec<u8>) -> HostFuture<'_, Vec<u8>> {
        request.reverse();
        request.push(b'.');
        Box::pin(std::future::ready(request))
    }

    fn config(&self, key: &str) -> Option<String> {
        String::from_utf8(config_of(key.as_bytes())).ok()
    }

    fn log(&self, _level: LogLevel, _message: &str) {}

    fn http(&self, request: HttpRequest) -> HostFuture<'_, Result<HttpResponse, HttpError>> {
        let body = response_to(&request.body);
        Box::pin(std::future::ready(Ok(HttpResponse {
            status: 200,
            body,
            ..HttpResponse::default()
        })))
    }
}

/// One wish of the generator; which block it is about is decided when the script is made.
#[derive(Clone, Copy, Debug)]
enum Wish {
    Fill(u64, u8),
    Free,
    FreeConsumed,
    Config,
    VarGet,
    VarSet,
    Log,
    Http,
    Effect,
}

fn wishes() -> impl Strategy<Value = Vec<(Wish, prop::sample::Index, prop::sample::Index)>> {
    let size = prop_oneof![8 => 1u64..40, 3 => 40u64..300, 1 => 1000u64..5000];
    let wish = prop_oneof![
        8 => (size, b'a'..=b'e').prop_map(|(size, byte)| Wish::Fill(size, byte)),
        3 => Just(Wish::Free),
        4 => Just(Wish::FreeConsumed),
        2 => Just(Wish::Config),
        2 => Just(Wish::VarGet),
        2 => Just(Wish::VarSet),
        2 => Just(Wish::Log),
        2 => Just(Wish::Http),
        2 => Just(Wish::Effect),
    ];
    prop::collection::vec(
        (
            wish,
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
        ),
        1..80,
    )
}

/// A script with what the model says of it.
#[derive(Default)]
struct Script {
    records: Vec<[u64; 4]>,
    /// The blocks that the guest owns, by the step that made them.
    live: BTreeMap<usize, Vec<u8>>,
    /// Arguments that the host has consumed and the guest has not freed yet.
    consumed: Vec<usize>,
    variables: HashMap<Vec<u8>, Vec<u8>>,
    /// The number that a step must answer with.
    expected: BTreeMap<usize, u64>,
    /// The blocks that were live when a step made one.
    at_step: BTreeMap<usize, Vec<(usize, u64)>>,
}

impl Script {
    fn step(&mut self, record: [u64; 4]) -> usize {
        self.records.push(record);
        self.records.len() - 1
    }

    /// A step that answers with a block of this content, or 0 if that is empty.
    fn makes(&mut self, record: [u64; 4], content: Vec<u8>) {
        let step = self.step(record);
        if content.is_empty() {
            self.expected.insert(step, 0);
            return;
        }
        self.live.insert(step, content);
        let sizes = self
            .live
            .iter()
            .map(|(step, content)| (*step, content.len() as u64));
        self.at_step.insert(step, sizes.collect());
    }

    fn pick(&self, index: prop::sample::Index) -> Option<usize> {
        (!self.live.is_empty()).then(|| *index.get(&self.live.keys().copied().collect::<Vec<_>>()))
    }

    fn consume(&mut self, step: usize) -> Vec<u8> {
        self.consumed.push(step);
        self.live.remove(&step).unwrap_or_default()
    }

    fn add(&mut self, wish: Wish, one: prop::sample::Index, other: prop::sample::Index) {
        if let Wish::Fill(size, byte) = wish {
            return self.makes([0, 0, byte.into(), size], vec![byte; size as usize]);
        }
        if let Wish::FreeConsumed = wish {
            if !self.consumed.is_empty() {
                let freed = self.consumed.swap_remove(one.index(self.consumed.len()));
                self.step([2, freed as u64, 0, 0]);
            }
            return;
        }
        let Some(a) = self.pick(one) else { return };
        match wish {
            Wish::Fill(..) | Wish::FreeConsumed => {}
            Wish::Free => {
                self.live.remove(&a);
                self.step([2, a as u64, 0, 0]);
            }
            Wish::Config => {
                let key = self.consume(a);
                self.makes([3, a as u64, 0, 0], config_of(&key));
            }
            Wish::VarGet => {
                let key = self.consume(a);
                let value = self.variables.get(&key).cloned().unwrap_or_default();
                self.makes([4, a as u64, 0, 0], value);
            }
            Wish::VarSet => {
                let Some(b) = self.pick(other) else { return };
                let (value, key) = (
                    self.live.get(&b).cloned().unwrap_or_default(),
                    self.consume(a),
                );
                if a != b {
                    self.consume(b);
                }
                self.variables.insert(key, value);
                self.step([5, a as u64, b as u64, 0]);
            }
            Wish::Log => {
                self.consume(a);
                self.step([6, a as u64, 0, 0]);
            }
            Wish::Http => {
                let request = self.step([1, 0, 0, 0]);
                self.consumed.push(request);
                let body = self.consume(a);
                self.makes([7, request as u64, a as u64, 0], response_to(&body));
            }
            Wish::Effect => {
                // Not consumed: the guest's own functions keep their arguments.
                let mut answer = self.live.get(&a).cloned().unwrap_or_default();
                answer.reverse();
                answer.push(b'.');
                self.makes([8, a as u64, 0, 0], answer);
            }
        }
    }

    /// Reads every live block back: its length, and its bytes at both ends and between.
    fn look(&mut self) {
        for (step, content) in self.live.clone() {
            let length = self.step([9, step as u64, 0, 0]);
            self.expected.insert(length, content.len() as u64);
            for at in [0, content.len() / 3, content.len() / 2, content.len() - 1] {
                let byte = self.step([10, step as u64, 0, at as u64]);
                self.expected.insert(byte, content[at].into());
            }
        }
        for step in self.consumed.clone() {
            let length = self.step([9, step as u64, 0, 0]);
            self.expected.insert(length, 0);
        }
    }
}

proptest! {
    #[test]
    fn a_block_stays_as_it_is_until_the_guest_frees_it(wishes in wishes()) {
        let mut script = Script::default();
        for (number, (wish, one, other)) in wishes.into_iter().enumerate() {
            script.add(wish, one, other);
            if number % 16 == 15 {
                script.look();
            }
        }
        script.look();
        prop_assume!(!script.records.is_empty());
        let input: Vec<u8> = script.records.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        let limits = Limits { effects: u64::MAX, log_bytes: u64::MAX, ..Limits::default() };
        let ended = RUNTIME.block_on(PDK.call(Arc::new(Answers), limits, "run", &input));
        let said = words(&ended.map_err(|error| TestCaseError::fail(error.to_string()))?.bytes);
        prop_assert_eq!(said.len(), script.records.len());
        for (step, expected) in &script.expected {
            prop_assert_eq!(said[*step], *expected, "step {}, {:?}", step, script.records[*step]);
        }
        for (step, live) in &script.at_step {
            let made = said[*step];
            prop_assert!(made != 0, "step {step} made no block");
            let size = live.iter().find(|(other, _)| other == step).map_or(0, |(_, size)| *size);
            for (other, length) in live.iter().filter(|(other, _)| other != step) {
                let place = said[*other];
                prop_assert!(
                    made + size <= place || place + length <= made,
                    "{size} bytes at {made} of step {step} lie in the {length} at {place} of step {other}"
                );
            }
        }
    }
}

#[tokio::test]
async fn arguments_that_nobody_frees_cost_a_bounded_amount_of_memory() {
    assert_eq!(EFFECTS[0], "reverse");
    let plugin = load(&with_abi(
        r#"(data (i32.const 0) "key")
  ;; A value of 64 KiB each time, and a line of the log.
  (func (export "run") (local $rounds i32) (local $out i64)
    (local.set $rounds (i32.const 2000))
    (loop $round
      (call $var_set (call $block (i32.const 0) (i32.const 3)) (call $alloc (i64.const 65536)))
      (call $log_info (call $block (i32.const 0) (i32.const 3)))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $round (local.get $rounds)))
    (local.set $out (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $out) (call $memory_bytes))
    (call $answer (local.get $out)))"#,
    ))
    .await;
    let output = call_within(&plugin, Limits::default(), "run", b"")
        .await
        .unwrap();
    assert!(
        words(&output.bytes)[0] <= 4 << 20,
        "{:?}",
        words(&output.bytes)
    );
}

#[tokio::test]
async fn consumed_blocks_make_room_when_the_memory_cannot_grow() {
    let plugin = load(&with_abi(
        r#"(data (i32.const 0) "{\22url\22:\22https://allowed.test/\22}")
  ;; Sends 6 MB, gets 6 MB and allocates 6 MB, within 16.
  (func (export "run") (result i32) (local $answer i64)
    (local.set $answer
      (call $http_request (call $block (i32.const 0) (i32.const 31)) (call $alloc (i64.const 6000000))))
    (if (i64.eqz (call $alloc (i64.const 6000000))) (then (return (i32.const 1))))
    (if (i64.ne (call $length (local.get $answer)) (i64.const 6000005)) (then (return (i32.const 2))))
    (i32.const 0))"#,
    ))
    .await;
    let limits = Limits {
        memory: 16 << 20,
        ..Limits::default()
    };
    call_within(&plugin, limits, "run", b"").await.unwrap();
}
