//! `[role.<name>.limits]`: what a call may use at most.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::{ByteSize, TimeSpan};

/// Limits of a call.
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
    /// The request of one effect.
    #[schemars(extend("x-minimum" = "1KiB", "x-maximum" = "4GiB"))]
    pub effect_request: ByteSize,
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
    /// How many calls one caller may make in a minute, in any order within it; 0 for any number. Callers are told
    /// apart by their tokens, those without one are one caller. Further calls are refused with status 429.
    #[schemars(range(min = 0, max = 100_000_000))]
    pub caller_calls_per_minute: u32,
    /// How many calls of one caller run or wait at once; 0 for any number. Further ones are refused with status 429.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub caller_concurrent_calls: u32,
    /// The answers of the role's calls that clients have not read yet, all together. While that much is
    /// unread, further calls wait as in `queue`.
    #[schemars(extend("x-minimum" = "1MiB", "x-maximum" = "1TiB"))]
    pub unread_answers: ByteSize,
    /// The largest result of a tool that an MCP client gets whole. Of a larger one it gets the beginning, and a link to
    /// a resource that it reads in pages of this size; `mcp.kept_answers` bounds what is kept. Zero: all are whole.
    #[schemars(extend("x-maximum" = "4GiB"))]
    pub inline_answer: ByteSize,
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
            effect_request: ByteSize::mib(16),
            log_bytes: ByteSize::kib(256),
            concurrent_calls: 12_000,
            queue: 1_000,
            caller_calls_per_minute: 0,
            caller_concurrent_calls: 0,
            unread_answers: ByteSize::mib(64),
            inline_answer: ByteSize::bytes(0),
            vars: ByteSize::mib(1),
            http_response: ByteSize::mib(50),
        }
    }
}
