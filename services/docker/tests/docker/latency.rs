//! How long an exec takes through the service, against bollard alone.
//!
//! `cargo test --release -p exomonad-services --test docker -- --ignored --nocapture latency`

use std::time::{Duration, Instant};

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use serde_json::json;

use crate::stage::{Stage, stage};

const ROUNDS: usize = 100;

async fn bare(stage: &Stage, id: &str) -> i64 {
    let options = CreateExecOptions {
        cmd: Some(vec!["true"]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = stage.bare.create_exec(id, options).await.unwrap().id;
    let started = stage.bare.start_exec(&exec, None::<StartExecOptions>).await;
    if let StartExecResults::Attached { mut output, .. } = started.unwrap() {
        while let Some(written) = output.next().await {
            written.unwrap();
        }
    }
    loop {
        // The engine may tell the end of the outputs before that of the command.
        if let Some(code) = stage.bare.inspect_exec(&exec).await.unwrap().exit_code {
            return code;
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "a benchmark: run it alone, on an idle machine"]
async fn latency_of_an_exec_against_bollard_alone() {
    let Some(stage) = stage() else { return };
    let id = stage.sleeper().await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turn, so that both meet the same machine.
    for round in 0..ROUNDS + 5 {
        let began = Instant::now();
        assert_eq!(bare(&stage, &id).await, 0);
        let bare = began.elapsed();
        let began = Instant::now();
        let result = stage.exec(&id, &["true"], json!({})).await.unwrap();
        let service = began.elapsed();
        assert_eq!(result.exit_code, 0);
        if round >= 5 {
            ours.push(service);
            theirs.push(bare);
        }
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "exec true: service {ours:?}, bollard {theirs:?}, ratio {:.3} (medians of {ROUNDS})",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}
