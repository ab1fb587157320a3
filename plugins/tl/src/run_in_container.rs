//! `run_in_container`.

use std::collections::BTreeMap;

use exomonad_guest::docker;
use exomonad_guest::prelude::*;

/// The command, and where to run it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunInContainerArgs {
    /// The container's name or id.
    #[schemars(length(min = 1))]
    container: String,
    /// The program and its arguments, passed on without a shell.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// The folder in the container to run it in; the container's own when absent.
    workdir: Option<String>,
    /// Environment variables, on top of the container's own.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Its standard input; empty when absent.
    stdin: Option<String>,
    /// The time limit in milliseconds, after which it is killed.
    #[schemars(range(min = 1, max = 86_400_000))]
    timeout_millis: Option<u64>,
}

/// The result of a command.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RanInContainer {
    /// Its exit code; 128 plus the signal's number when a signal ended it.
    exit_code: i32,
    /// Its standard output.
    stdout: String,
    /// Its standard error.
    stderr: String,
    /// True if either was cut off.
    truncated: bool,
}

/// Runs a command in a container of the role, and returns its output. A failed command is a result with
/// its exit code.
#[tool(title = "Run in a container", open_world, destructive)]
pub fn run_in_container(args: RunInContainerArgs) -> Result<RanInContainer, ToolError> {
    let ran = docker::exec(&DockerExec {
        workdir: args.workdir,
        env: args.env,
        stdin: args.stdin,
        timeout_millis: args.timeout_millis,
        ..DockerExec::new(args.container, args.command)
    })?;
    Ok(RanInContainer {
        exit_code: ran.exit_code,
        stdout: ran.output.stdout,
        stderr: ran.output.stderr,
        truncated: ran.output.truncated,
    })
}
