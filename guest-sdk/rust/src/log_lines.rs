//! Log lines. A line that cannot be written is dropped: no tool should fail because of it.

use crate::types::{Log, LogLevel};

fn line(level: LogLevel, message: impl Into<String>) {
    // The answer only says that the line was accepted, or why it was not.
    let _ = crate::log::write(&Log::new(level, message));
}

/// Logs a single step, for tracing.
pub fn log_trace(message: impl Into<String>) {
    line(LogLevel::Trace, message);
}

/// Logs details for debugging.
pub fn log_debug(message: impl Into<String>) {
    line(LogLevel::Debug, message);
}

/// Logs normal operation.
pub fn log_info(message: impl Into<String>) {
    line(LogLevel::Info, message);
}

/// Logs something unexpected that did no harm.
pub fn log_warn(message: impl Into<String>) {
    line(LogLevel::Warn, message);
}

/// Logs a failure.
pub fn log_error(message: impl Into<String>) {
    line(LogLevel::Error, message);
}
