//! `docker exec true` through the host, beside the same by bollard directly. Wants a Docker engine.

use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::exec::{CreateExecOptions, StartExecResults};
use exomonad_benches::measure::{micros, quantile, ratio};
use futures_util::StreamExt;

use super::served::{Home, request};

const IMAGE: &str = "debian:bookworm-slim";
const LABEL: &str = "exomonad.bench=exec";
/// Rounds in turns. The engine's own time varies by more than what is looked for.
const ROUNDS: usize = 150;

/// A guest that runs `true` in the container.
const GUEST: &str = r#"
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/user" "docker_exec" (func $exec (param i64) (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "REQUEST")
  (func (export "handle_pre_tool_use") (result i32) (i32.const 0))
  (func (export "run") (result i32)
    (local $request i64) (local $answer i64) (local $at i32)
    (local.set $request (call $alloc (i64.const LENGTH)))
    (loop $next
      (call $store (i64.add (local.get $request) (i64.extend_i32_u (local.get $at)))
        (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const LENGTH))))
    (local.set $answer (call $exec (local.get $request)))
    (call $output_set (local.get $answer) (call $length (local.get $answer)))
    (i32.const 0)))
"#;

/// Prints the table.
pub fn report() -> Result<(), String> {
    let container = Container::start()?;
    let asked = format!(r#"{{"container":"{}","command":["true"]}}"#, container.0);
    let guest = GUEST
        .replace("LENGTH", &asked.len().to_string())
        .replace("REQUEST", &asked.replace('"', "\\22"));
    let home = Home::new(&format!(
        "[server]\nraw_calls = true\n[role.bench]\neffects = ['docker.exec']\nlabels = ['{LABEL}']\n"
    ))?;
    std::fs::write(home.plugin("bench.wat"), guest).map_err(|error| error.to_string())?;
    let served = home.serve()?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let docker = Docker::connect_with_unix_defaults().map_err(|error| error.to_string())?;
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        runtime
            .block_on(exec(&docker, &container.0))
            .map_err(|error| format!("by bollard: {error}"))?;
        direct.push(begin.elapsed());
        let begin = Instant::now();
        let body = r#"{"plugin":"bench","function":"run"}"#;
        let answer = request(&served.address, "POST", "/call", body).unwrap_or_default();
        if !answer.contains("\"exitCode\":0") && !answer.contains("\\\"exitCode\\\":0") {
            return Err(format!("through the host: {answer}"));
        }
        through.push(begin.elapsed());
    }
    let row = |name: &str, times: &[Duration], beside: &[Duration]| {
        let at = |share| quantile(times.to_vec(), share);
        let of_beside = |share| quantile(beside.to_vec(), share);
        println!(
            "| {name} | {} | {} | {} | {} |",
            micros(at(0.5)),
            ratio(at(0.5), of_beside(0.5)),
            micros(at(0.9)),
            ratio(at(0.9), of_beside(0.9)),
        );
    };
    println!("## Docker\n\n`docker exec true`, {ROUNDS} rounds in turns.\n");
    println!("| | p50 | ÷ bollard | p90 | ÷ bollard |\n|---|--:|--:|--:|--:|");
    row("bollard", &direct, &direct);
    row("through the host", &through, &direct);
    println!();
    Ok(())
}

/// The service alone, without anything around it.
async fn exec(docker: &Docker, container: &str) -> Result<(), bollard::errors::Error> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(vec!["true"]),
        ..CreateExecOptions::default()
    };
    let made = docker.create_exec(container, options).await?;
    if let StartExecResults::Attached { mut output, .. } = docker.start_exec(&made.id, None).await?
    {
        while output.next().await.transpose()?.is_some() {}
    }
    docker.inspect_exec(&made.id).await.map(drop)
}

/// A container that is removed when it is dropped.
struct Container(String);

impl Container {
    fn start() -> Result<Self, String> {
        let run = [
            "run", "--detach", "--rm", "--label", LABEL, IMAGE, "sleep", "1h",
        ];
        docker(&run).map(|id| Self(id.trim().to_owned()))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Gone already, if this fails.
        let _ = docker(&["rm", "--force", &self.0]);
    }
}

fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = std::process::Command::new("docker")
        .args(arguments)
        .output();
    let output = output.map_err(|error| format!("docker: {error} (scripts/docker-engine)"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}
