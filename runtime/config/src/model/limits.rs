//! `[role.<name>.limits]`: what a call may use at most.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{ByteSize, RoleName, TimeSpan};

/// What a call may use at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long a call may take, waiting for effects included.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "7d"))]
    pub wall_time: TimeSpan,
    /// The guest's memory, all of its memories together. A multiple of 64KiB.
    #[schemars(extend("x-minimum" = "64KiB", "x-maximum" = "4GiB"))]
    pub memory: ByteSize,
    /// The guest's table elements (function references and the like), all of its tables together.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub table_elements: u32,
    /// The guest's call stack.
    #[schemars(extend("x-minimum" = "64KiB", "x-maximum" = "64MiB"))]
    pub stack: ByteSize,
    /// The input of a call.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "4GiB"))]
    pub input: ByteSize,
    /// The output of a call.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "4GiB"))]
    pub output: ByteSize,
    /// How many effects a call may use.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub effects: u32,
    /// How much a call may log, by effects, by Extism's functions and by standard output together.
    #[schemars(extend("x-maximum" = "1GiB"))]
    pub log_bytes: ByteSize,
    /// How many calls of the role run at once. By default as many as there are sandboxes
    /// (`engine.sandboxes`).
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent_calls: u32,
    /// How many more calls of the role may wait for their turn; further ones are refused with
    /// status 429.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub queue: u32,
    /// The guest's variables (`var_set`), names and values together.
    #[schemars(extend("x-maximum" = "1GiB"))]
    pub vars: ByteSize,
    /// The body of an answer to the guest's own HTTP request.
    #[schemars(extend("x-maximum" = "4GiB"))]
    pub http_response: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_time: TimeSpan::secs(30),
            memory: ByteSize::mib(64),
            table_elements: 100_000,
            stack: ByteSize::kib(512),
            input: ByteSize::mib(16),
            output: ByteSize::mib(16),
            effects: 1_000,
            log_bytes: ByteSize::kib(256),
            concurrent_calls: 12_000,
            queue: 1_000,
            vars: ByteSize::mib(1),
            http_response: ByteSize::mib(50),
        }
    }
}

/// One of the limits, to say which one was hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// [`Limits::wall_time`].
    WallTime,
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::table_elements`].
    TableElements,
    /// [`Limits::stack`].
    Stack,
    /// [`Limits::input`].
    Input,
    /// [`Limits::output`].
    Output,
    /// [`Limits::effects`].
    Effects,
    /// [`Limits::log_bytes`].
    LogBytes,
    /// [`Limits::concurrent_calls`].
    ConcurrentCalls,
    /// [`Limits::queue`].
    Queue,
    /// [`Limits::vars`].
    Vars,
    /// [`Limits::http_response`].
    HttpResponse,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 12] = [
        Self::WallTime,
        Self::Memory,
        Self::TableElements,
        Self::Stack,
        Self::Input,
        Self::Output,
        Self::Effects,
        Self::LogBytes,
        Self::ConcurrentCalls,
        Self::Queue,
        Self::Vars,
        Self::HttpResponse,
    ];

    /// The key in `limits`: `memory`.
    pub const fn field(self) -> &'static str {
        match self {
            Self::WallTime => "wall_time",
            Self::Memory => "memory",
            Self::TableElements => "table_elements",
            Self::Stack => "stack",
            Self::Input => "input",
            Self::Output => "output",
            Self::Effects => "effects",
            Self::LogBytes => "log_bytes",
            Self::ConcurrentCalls => "concurrent_calls",
            Self::Queue => "queue",
            Self::Vars => "vars",
            Self::HttpResponse => "http_response",
        }
    }

    /// The full key for a role that the file lists: `role.tl.limits.memory`. For any role, see
    /// [`crate::Config::limit_key`].
    pub fn key(self, role: &RoleName) -> String {
        format!("role.{role}.limits.{}", self.field())
    }

    /// The limit's value as it is written in the file: `64MiB`, `30s`, `1000`.
    pub fn value(self, limits: &Limits) -> String {
        match self {
            Self::WallTime => limits.wall_time.to_string(),
            Self::Memory => limits.memory.to_string(),
            Self::TableElements => limits.table_elements.to_string(),
            Self::Stack => limits.stack.to_string(),
            Self::Input => limits.input.to_string(),
            Self::Output => limits.output.to_string(),
            Self::Effects => limits.effects.to_string(),
            Self::LogBytes => limits.log_bytes.to_string(),
            Self::ConcurrentCalls => limits.concurrent_calls.to_string(),
            Self::Queue => limits.queue.to_string(),
            Self::Vars => limits.vars.to_string(),
            Self::HttpResponse => limits.http_response.to_string(),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.field())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_names_a_field_of_the_file_and_shows_its_value() {
        let limits = Limits::default();
        let serde_json::Value::Object(fields) = serde_json::to_value(&limits).unwrap() else {
            panic!("limits are a table");
        };
        assert_eq!(fields.len(), Limit::ALL.len());
        for limit in Limit::ALL {
            let written = match &fields[limit.field()] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(limit.value(&limits), written, "{limit}");
        }
    }
}
