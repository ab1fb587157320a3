//! Exports: functions that the host calls by name.

use crate::{ToolError, abi};

/// Runs the body of an export: its input in, its output out.
///
/// Gives what the export returns to the host: 0, or 1 once the host has been
/// told the error. A panic tells the host its message and place, and traps.
pub fn run(body: impl FnOnce(&[u8]) -> Result<Vec<u8>, ToolError>) -> i32 {
    abi::report_panics();
    match body(&abi::input()) {
        Ok(output) => {
            abi::set_output(&output);
            0
        }
        Err(error) => {
            abi::set_error(error.message());
            1
        }
    }
}
