//! `[mcp]`: the Model Context Protocol at `/role/{role}/mcp`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use exomonad_core::values::{ByteSize, TimeSpan};

/// The Model Context Protocol at `/role/{role}/mcp`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct McpConfig {
    /// How long a session may be idle before it ends; one with an open stream is not idle. Its client
    /// then begins another. Revisions from 2026-07-28 on have no sessions.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "30d"))]
    pub session_ttl: TimeSpan,
    /// How many sessions there may be, over all roles, and how many `subscriptions/listen` streams.
    /// Beyond it the sessions that have been idle for longest end.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_sessions: u32,
    /// The time that a client may take to answer a question of a guest (a form, its model, its folders), while the
    /// guest takes no sandbox. Without a session it is how long the client may wait until it calls again.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "7d"))]
    pub client_answer: TimeSpan,
    /// The state that a call without a session may give its client to go on from, when the guest asks it something:
    /// all that the guest did until then, compressed.
    #[schemars(extend("x-minimum" = "4KiB", "x-maximum" = "16MiB"))]
    pub max_request_state: ByteSize,
    /// How long a request goes on whose stream has broken off, so that its client can come back for the rest
    /// (revision 2025-11-25). Zero: a client that leaves cancels its request at once.
    #[schemars(extend("x-maximum" = "1h"))]
    pub resume: TimeSpan,
    /// How long the stream of an answer stays open in that revision. Then its client has to come back for the rest,
    /// so that no connection is held for hours. Zero: as long as it takes.
    #[schemars(extend("x-maximum" = "1d"))]
    pub stream_time: TimeSpan,
    /// Bytes that are kept of results that were larger than their role's `limits.inline_answer`, of all roles together.
    /// Beyond it the oldest goes first.
    #[schemars(extend("x-minimum" = "64KiB", "x-maximum" = "64GiB"))]
    pub kept_answers: ByteSize,
    /// How long it is kept for the client to read.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1d"))]
    pub kept_answer_ttl: TimeSpan,
    /// How many tools one page of a list has.
    #[schemars(range(min = 1, max = 100_000))]
    pub page_size: u32,
    /// How often a stream without events gets a comment, so that nothing between host and client takes
    /// it for dead.
    #[schemars(extend("x-minimum" = "1s", "x-maximum" = "1h"))]
    pub keep_alive: TimeSpan,
    /// How long clients may keep a list before they ask again (`ttlMs` of revision 2026-07-28). Zero
    /// makes them ask each time.
    #[schemars(extend("x-maximum" = "1d"))]
    pub list_ttl: TimeSpan,
}

impl Default for McpConfig {
    fn default() -> Self {
        Self {
            session_ttl: TimeSpan::secs(24 * 3600),
            max_sessions: 10_000,
            client_answer: TimeSpan::secs(600),
            max_request_state: ByteSize::kib(256),
            resume: TimeSpan::secs(10),
            stream_time: TimeSpan::secs(0),
            kept_answers: ByteSize::mib(64),
            kept_answer_ttl: TimeSpan::secs(900),
            page_size: 1_000,
            keep_alive: TimeSpan::secs(15),
            list_ttl: TimeSpan::secs(0),
        }
    }
}
