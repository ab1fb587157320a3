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

/// Gives its text back.
#[tool(read_only, idempotent)]
pub fn echo(args: Text) -> Result<Text, ToolError> {
    Ok(args)
}

/// How long to wait.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Duration {
    /// Milliseconds.
    millis: u64,
}

/// Waits in the host, holding nothing there but its own sandbox.
#[tool(read_only)]
pub fn sleep(args: Duration) -> Result<Duration, ToolError> {
    clock::sleep(&Sleep::new(args.millis))?;
    Ok(args)
}

/// How many bytes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// Bytes.
    pub bytes: usize,
}

/// Gives a text of as many letters as asked for.
#[tool(read_only)]
pub fn large_output(args: Size) -> Result<String, ToolError> {
    Ok("x".repeat(args.bytes))
}

/// How often.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How many times.
    count: u64,
}

/// Asks the host for the time, again and again.
#[tool(read_only)]
pub fn effects_loop(args: Count) -> Result<Count, ToolError> {
    for _ in 0..args.count {
        clock::now(&ClockNow::default())?;
    }
    Ok(args)
}

/// Writes as many log lines as asked for, and fails when the host takes no more.
#[tool]
pub fn log_flood(args: Count) -> Result<Count, ToolError> {
    for line in 0..args.count {
        exomonad_guest::log::write(&Log::new(LogLevel::Info, format!("line {line}")))?;
    }
    Ok(args)
}
