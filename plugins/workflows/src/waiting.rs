//! Workflows that wait.

use std::time::Duration;

use exomonad_guest::kv;
use exomonad_guest::prelude::*;
use exomonad_guest::workflow::Run;
use serde_json::Value;

use crate::steps::Count;

/// A time to sleep.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sleeper {
    /// Milliseconds.
    pub millis: u64,
}

/// Sleeps for a time.
#[workflow(tool)]
pub fn sleeper(input: Sleeper, run: &Run) -> Result<Sleeper, WorkflowError> {
    run.sleep(Duration::from_millis(input.millis))?;
    Ok(input)
}

/// The signal to wait for.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WaitFor {
    /// Its name.
    pub signal: String,
    /// The longest wait; no end when absent.
    pub timeout_millis: Option<u64>,
}

/// How far `wait_for` is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitState {
    /// `waiting`, `received` or `timed_out`.
    pub phase: String,
    /// The signal that it waits for.
    pub signal: String,
    /// The signal's payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// Waits for a signal, and returns its payload.
#[workflow(state_version = 2, migrate = migrate, queries(progress, has_phase))]
pub fn wait_for(input: WaitFor, run: &Run<WaitState>) -> Result<WaitState, WorkflowError> {
    let mut state = WaitState {
        phase: "waiting".to_owned(),
        signal: input.signal,
        payload: None,
    };
    run.set_state(&state)?;
    state.payload = match input.timeout_millis {
        Some(millis) => run.wait_signal_timeout(&state.signal, Duration::from_millis(millis))?,
        None => Some(run.wait_signal(&state.signal)?),
    };
    state.phase = match state.payload {
        Some(_) => "received".to_owned(),
        None => "timed_out".to_owned(),
    };
    run.set_state(&state)?;
    Ok(state)
}

fn progress(state: &WaitState) -> String {
    state.phase.clone()
}

/// A phase to ask for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name.
    phase: String,
}

fn has_phase(state: &WaitState, arguments: Phase) -> bool {
    state.phase == arguments.phase
}

/// Version 1 had only the phase.
fn migrate(_from_version: u32, state: &Json) -> Result<WaitState, ToolError> {
    #[derive(Deserialize)]
    struct Old {
        phase: String,
    }
    let Old { phase } = state.parse()?;
    Ok(WaitState {
        phase,
        signal: String::new(),
        payload: None,
    })
}

/// The children to start.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spawns {
    /// Their number.
    pub children: u64,
    /// How long each sleeps.
    pub millis: u64,
}

/// Starts children that sleep, and waits for them.
#[workflow]
pub fn spawns(input: Spawns, run: &Run) -> Result<Count, WorkflowError> {
    let child = |nth| {
        let sleeper = Sleeper {
            millis: input.millis,
        };
        run.child::<self::sleeper>(&sleeper)?
            .id(format!("{}/{nth}", run.workflow_id()))
            .start()
    };
    let children = (0..input.children).map(child);
    let slept = run.join(children.collect::<Result<Vec<_>, _>>()?)?;
    let mut count = 0;
    for child in slept {
        child.map_err(WorkflowError::of_step)?;
        count += 1;
    }
    Ok(Count { count })
}

/// Writes the keys `compensates/ID/a` and `b`, then waits for the signal `done`. When it is cancelled, it deletes
/// them in reverse and notes in `compensates/ID/undone` which came first.
#[workflow(signals(done))]
pub fn compensates(run: &Run) -> Result<(), WorkflowError> {
    for name in ["a", "b"] {
        let key = format!("compensates/{}/{name}", run.workflow_id());
        kv::set(&KvSet::new(&*key, Json::new(&true)?))?;
        run.add_compensation(move |run| {
            kv::delete(&KvDelete::new(&*key))?;
            let undone = format!("compensates/{}/undone", run.workflow_id());
            let before = kv::get(&KvGet::new(&*undone))?.value;
            let before: Option<String> = before.parse()?;
            let order = before.unwrap_or_default() + name;
            kv::set(&KvSet::new(undone, Json::new(&order)?))?;
            Ok(())
        });
    }
    run.wait_signal::<Value>("done")?;
    Ok(())
}
