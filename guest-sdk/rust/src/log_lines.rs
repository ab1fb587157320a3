//! Log lines. A line that cannot be written is lost: no tool should fail for it.

use crate::types::{Log, LogLevel};

fn line(level: LogLevel, message: impl Into<String>) {
    // The answer says only that the line was taken, or why it was not.
    let _ = crate::log::write(&Log::new(level, message));
}

/// Logs every step.
pub fn log_trace(message: impl Into<String>) {
    line(LogLevel::Trace, message);
}

/// Logs something for whoever looks for a fault.
pub fn log_debug(message: impl Into<String>) {
    line(LogLevel::Debug, message);
}

/// Logs what happened.
pub fn log_info(message: impl Into<String>) {
    line(LogLevel::Info, message);
}

/// Logs something odd that did no harm.
pub fn log_warn(message: impl Into<String>) {
    line(LogLevel::Warn, message);
}

/// Logs a failure.
pub fn log_error(message: impl Into<String>) {
    line(LogLevel::Error, message);
}
