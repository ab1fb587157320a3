//! Tools that do as they should.

use exomonad_guest::clock;
use exomonad_guest::prelude::*;

/// A text.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The text.
    text: String,
}

/// Returns its text.
#[tool(read_only, idempotent)]
pub fn echo(args: Text) -> Result<Text, ToolError> {
    Ok(args)
}

/// A time to wait.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duration {
    /// Milliseconds.
    millis: u64,
}

/// Waits in the host, occupying only its own sandbox.
#[tool(read_only)]
pub fn sleep(args: Duration) -> Result<Duration, ToolError> {
    clock::sleep(&Sleep::new(args.millis))?;
    Ok(args)
}

/// A number of bytes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Bytes.
    pub bytes: usize,
}

/// Returns a text of this length.
#[tool(read_only)]
pub fn large_output(args: Size) -> Result<String, ToolError> {
    Ok("x".repeat(args.bytes))
}

/// The number of repetitions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The number of repetitions.
    count: u64,
}

/// Requests the time from the host repeatedly.
#[tool(read_only)]
pub fn effects_loop(args: Count) -> Result<Count, ToolError> {
    for _ in 0..args.count {
        clock::now(&ClockNow::default())?;
    }
    Ok(args)
}

/// Writes this many log lines, and fails when the host accepts no more.
#[tool]
pub fn log_flood(args: Count) -> Result<Count, ToolError> {
    for line in 0..args.count {
        exomonad_guest::log::write(&Log::new(LogLevel::Info, format!("line {line}")))?;
    }
    Ok(args)
}
