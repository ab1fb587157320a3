//! A workflow.

use std::time::Duration;

use exomonad_guest::kv;
use exomonad_guest::prelude::*;
use exomonad_guest::workflow::{Run, WorkflowError};

/// Somebody to greet.
#[derive(Deserialize, JsonSchema)]
pub struct Somebody {
    /// The name.
    name: String,
}

/// How far the workflow is.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// `begun` or `done`.
    stage: String,
}

/// A greeting.
#[derive(Serialize, JsonSchema)]
pub struct Greeting {
    /// The text.
    text: String,
}

/// Greets somebody when the signal `go` comes.
#[workflow(state_version = 2, migrate = migrate, queries(stage))]
pub fn greet(input: Somebody, run: &Run<Stage>) -> Result<Greeting, WorkflowError> {
    let at = |stage: &str| Stage {
        stage: stage.to_owned(),
    };
    run.set_state(&at("begun"))?;
    kv::set(&KvSet::new("greeted", Json::new(&input.name)?))?;
    run.sleep(Duration::from_millis(10))?;
    let ending: String = run.wait_signal("go")?;
    run.set_state(&at("done"))?;
    Ok(Greeting {
        text: format!("Hello {}, {ending}", input.name),
    })
}

fn stage(state: &Stage) -> String {
    state.stage.clone()
}

/// Version 1 was the stage alone.
fn migrate(_from_version: u32, state: &Json) -> Result<Stage, ToolError> {
    let stage = state.parse()?;
    Ok(Stage { stage })
}
