//! The kernel against a model: random scripts of calls, with offsets that mean harm.

mod host_calls;
mod model;
mod script;

use std::sync::LazyLock;

use exomonad_engine::{CallError, Limits, Plugin};
use model::Model;
use proptest::prelude::*;
use script::Step;
use tokio::runtime::Runtime;

use crate::recorder::{call, call_within, load, with_abi};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static DRIVER: LazyLock<Plugin> =
    LazyLock::new(|| RUNTIME.block_on(load(include_str!("driver.wat"))));

fn input(script: &[Step]) -> Vec<u8> {
    script
        .iter()
        .flat_map(Step::encode)
        .flat_map(u64::to_le_bytes)
        .collect()
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes
        .chunks_exact(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect()
}

proptest! {
    #[test]
    fn every_kernel_call_does_what_the_model_says(script in script::disciplined()) {
        let input = input(&script);
        let output = RUNTIME.block_on(call(&DRIVER, "run", &input)).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let said = words(&output.bytes);
        prop_assert_eq!(said.len(), 2 + 3 * script.len());
        let mut model = Model::new(said[0], &input, said[1]);
        for (number, (step, said)) in script.iter().zip(said[2..].chunks_exact(3)).enumerate() {
            let followed = model.follow(step, said[0], said[1], said[2]);
            if let Err(error) = followed {
                return Err(TestCaseError::fail(format!("step {number}, {step:?} at {:#x}: {error}", said[0])));
            }
        }
    }

    #[test]
    fn a_guest_that_forges_the_bookkeeping_breaks_its_own_call_at_most(script in script::forging()) {
        let limits = Limits { wall_time: std::time::Duration::from_secs(5), ..Limits::default() };
        let ended = RUNTIME.block_on(call_within(&DRIVER, limits, "run", &input(&script)));
        // Whatever it did to itself: an answer, a trap, or a limit. Not a panic, and not another's call.
        prop_assert!(
            matches!(ended, Ok(_) | Err(CallError::Trap { .. } | CallError::Limit(_) | CallError::Guest { .. })),
            "{:?}", ended
        );
        let length = Step {
            operation: script::Operation::InputLength,
            base: script::Base::Number(0),
            delta: 0,
            operand: 0,
        };
        let next = RUNTIME.block_on(call(&DRIVER, "run", &input(&[length])));
        prop_assert_eq!(words(&next.unwrap().bytes)[3], 40);
    }
}

#[tokio::test]
async fn memory_that_is_freed_is_used_again_whatever_the_sizes() {
    let plugin = load(&with_abi(
        r#"(global $random (mut i64) (i64.const 88172645463325252))
  (func $next (result i64)
    (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 13))))
    (global.set $random (i64.xor (global.get $random) (i64.shr_u (global.get $random) (i64.const 7))))
    (global.set $random (i64.xor (global.get $random) (i64.shl (global.get $random) (i64.const 17))))
    (global.get $random))
  ;; Sixteen places, each with a block or none; a random one is freed and filled, many times over.
  (func (export "run") (local $rounds i32) (local $place i32) (local $block i64)
    (local.set $rounds (i32.const 200000))
    (loop $round
      (local.set $place (i32.wrap_i64 (i64.and (call $next) (i64.const 0x78))))
      (call $free (i64.load (local.get $place)))
      (i64.store (local.get $place) (call $alloc (i64.and (call $next) (i64.const 0x3fff))))
      (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
      (br_if $round (local.get $rounds)))
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (call $memory_bytes))
    (call $answer (local.get $block)))"#,
    ))
    .await;
    let output = call(&plugin, "run", b"").await.unwrap();
    // At most 256 KiB are ever live; size classes and their remainders may cost a few times that.
    assert!(
        words(&output.bytes)[0] <= 2 << 20,
        "{} bytes",
        words(&output.bytes)[0]
    );
}
