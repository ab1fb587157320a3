//! The fake host, for native tests.

use crate::testing::with_current_host as current;

/// Performs an effect on the fake host.
pub fn call(function: &'static str, request: &[u8]) -> Vec<u8> {
    current(|host| host.perform(function, request))
}

pub fn input() -> Vec<u8> {
    current(|host| host.input())
}

pub fn set_output(output: &[u8]) {
    current(|host| host.set_output(output));
}

pub fn set_error(message: &str) {
    current(|host| host.set_error(message));
}

/// A native panic reaches the test without help.
pub fn report_panics() {}

pub fn config(key: &str) -> Option<String> {
    current(|host| host.config_value(key))
}

pub fn variable(key: &str) -> Option<Vec<u8>> {
    current(|host| host.variable(key))
}

pub fn set_variable(key: &str, value: Option<&[u8]>) {
    current(|host| host.set_variable(key, value));
}
