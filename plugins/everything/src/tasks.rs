//! Workflows that are tools: long work, which clients follow as a task.

use exomonad_guest::prelude::*;
use exomonad_guest::workflow::Run;
use std::time::Duration;

/// How long to compute.
#[derive(Deserialize, JsonSchema)]
pub struct SlowComputeArgs {
    /// Seconds.
    seconds: u64,
    /// A name for it.
    #[serde(default)]
    label: Option<String>,
}

/// Computes for some seconds.
#[workflow(tool)]
pub fn slow_compute(args: SlowComputeArgs, run: &Run) -> Result<String, WorkflowError> {
    run.sleep(Duration::from_secs(args.seconds))?;
    let label = args.label.unwrap_or_default();
    Ok(format!("computed {label} for {} s", args.seconds))
}

/// Fails, after a second.
#[workflow(task)]
pub fn failing_job(run: &Run) -> Result<String, WorkflowError> {
    run.sleep(Duration::from_secs(1))?;
    Err(WorkflowError::new(
        "job_failed",
        "the job has failed, as it does",
    ))
}

/// Ends as no job should.
#[workflow(tool)]
pub fn protocol_error_job() -> Result<String, WorkflowError> {
    panic!("a bug in the job")
}
