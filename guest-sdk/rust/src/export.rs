//! Exports: functions that the host calls by name.

use crate::{ToolError, abi};

/// Runs the body of an export from its input to its output.
///
/// Returns the export's return code: 0, or 1 after the error was reported to the
/// host. A panic reports its message and position to the host, and traps.
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
