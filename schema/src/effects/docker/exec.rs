//! Commands in running containers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::effects::docker::{ContainerRef, OutputLimit, TimeoutMillis, default_output_limit};
use crate::value::Base64;

/// The command to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DockerExec {
    /// The container.
    pub container: ContainerRef,
    /// The program and its arguments, passed on without a shell.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// Environment variables, on top of the container's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The user that runs it: a name or an id, with a group after `:`; the container's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The working directory: an absolute path in the container; the container's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Its standard input; empty when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// The time limit in milliseconds, after which it is killed and the answer is
    /// `timeout`; the call's own time limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<TimeoutMillis>,
    /// The most to keep of each output, in bytes.
    #[serde(default = "default_output_limit")]
    pub max_output_bytes: OutputLimit,
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerExecResult {
    /// Its exit code; 128 plus the signal's number when a signal ended it.
    pub exit_code: i32,
    /// Its output.
    pub output: DockerOutput,
}

/// Standard output and standard error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DockerOutput {
    /// Standard output as text.
    pub stdout: String,
    /// Standard output's bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_bytes: Option<Base64>,
    /// Standard error as text; empty for a container with a terminal, which merges both.
    pub stderr: String,
    /// Standard error's bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_bytes: Option<Base64>,
    /// True if either was cut off at the limit.
    pub truncated: bool,
}
