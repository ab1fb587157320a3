//! Workflows whose code, configuration or history changes while they run.

use exomonad_guest::prelude::*;
use exomonad_guest::workflow::Run;
use exomonad_guest::{config, kv};
use serde_json::Value;

/// The rounds to go.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rounds {
    /// Their number.
    pub rounds: u64,
}

/// The rounds so far.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Total {
    /// Their number.
    pub total: u64,
}

/// Continues as new, round by round, and counts them in its state.
#[workflow(queries(total))]
pub fn continues(input: Rounds, run: &Run<Total>) -> Result<Total, WorkflowError> {
    let total = run.previous_state().map_or(0, |state| state.total) + 1;
    run.set_state(&Total { total })?;
    match input.rounds {
        0 | 1 => Ok(Total { total }),
        rounds => Err(run.continue_as_new(&Rounds { rounds: rounds - 1 })),
    }
}

fn total(state: &Total) -> u64 {
    state.total
}

/// The way that was taken.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Way {
    /// `old` or `new`.
    pub way: String,
}

/// Waits for the signal `go`, then takes the new way if the patch `v2` applies to the run.
#[workflow(signals(go))]
pub fn patched_flow(run: &Run) -> Result<Way, WorkflowError> {
    run.wait_signal::<Value>("go")?;
    let way = match run.patched("v2")? {
        true => {
            kv::set(&KvSet::new("patched_flow/new", Json::new(&true)?))?;
            "new"
        }
        false => {
            kv::set(&KvSet::new("patched_flow/old", Json::new(&true)?))?;
            "old"
        }
    };
    Ok(Way {
        way: way.to_owned(),
    })
}

/// The value that was read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Read {
    /// The key.
    pub key: String,
    /// True if it has a value.
    pub found: bool,
}

/// Reads the key that the configuration names in `key`, waits for the signal `go`, and reads it again.
#[workflow(signals(go))]
pub fn configured(run: &Run) -> Result<Read, WorkflowError> {
    let key = config("key").unwrap_or_else(|| "configured".to_owned());
    kv::get(&KvGet::new(&*key))?;
    run.wait_signal::<Value>("go")?;
    let found = kv::get(&KvGet::new(&*key))?.found;
    Ok(Read { key, found })
}

/// A number of bytes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Bytes.
    pub bytes: usize,
}

/// A state of any size.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Filling {
    /// Its filling.
    pub filling: String,
}

/// Publishes a state of this size.
#[workflow]
pub fn grows(input: Size, run: &Run<Filling>) -> Result<Size, WorkflowError> {
    run.set_state(&Filling {
        filling: "x".repeat(input.bytes),
    })?;
    Ok(input)
}
