//! Workflows that end as they should not.

use std::hint::black_box;

use exomonad_guest::prelude::*;
use exomonad_guest::workflow::Run;
use exomonad_guest::{config, kv};

use crate::lasting::Size;
use crate::steps::Count;

/// The failure.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fails {
    /// Its code.
    pub code: String,
    /// Its message.
    pub message: String,
}

/// Fails with this code and message.
#[workflow]
pub fn fails(input: Fails) -> Result<(), WorkflowError> {
    let details = Json::new(&input)?;
    Err(WorkflowError::new(input.code, input.message).with_details(details))
}

fn some_steps(count: u64, run: &Run) -> Result<(), WorkflowError> {
    for step in 0..count {
        let key = format!("traps/{}/{step}", run.workflow_id());
        kv::set(&KvSet::new(key, Json::new(&step)?))?;
    }
    Ok(())
}

/// Panics after so many steps, each time it is called.
#[workflow]
#[expect(clippy::panic, reason = "panicking is its purpose")]
pub fn traps_always(input: Count, run: &Run) -> Result<(), WorkflowError> {
    some_steps(input.count, run)?;
    panic!("as asked")
}

/// Panics after so many steps, unless the configuration has the key `trap_is_off`.
#[workflow]
#[expect(clippy::panic, reason = "panicking is its purpose")]
pub fn traps_on(input: Count, run: &Run) -> Result<Count, WorkflowError> {
    some_steps(input.count, run)?;
    match config("trap_is_off") {
        Some(_) => Ok(input),
        None => panic!("as configured"),
    }
}

/// Allocates this much memory, and writes to all of it.
#[workflow]
pub fn allocates(input: Size) -> Result<Size, WorkflowError> {
    let memory = black_box(vec![1_u8; input.bytes]);
    Ok(Size {
        bytes: memory.len(),
    })
}

/// Never ends, without requests to the host.
#[workflow]
pub fn spins() -> Result<(), WorkflowError> {
    loop {
        black_box(());
    }
}
