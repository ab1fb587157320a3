//! Entry points: those of every plugin, and some that take and return bytes.

use exomonad_guest::prelude::*;
use exomonad_guest::{clock, export};
use serde_json::json;

use crate::PLUGIN;

/// Lists the tools.
#[export]
pub fn handle_list_tools(_input: &[u8]) -> Result<Vec<u8>, ToolError> {
    PLUGIN.handle_list_tools()
}

/// Calls a tool; the tool `invalid_json` breaks the contract.
#[export]
pub fn handle_mcp_call(input: &[u8]) -> Result<Vec<u8>, ToolError> {
    #[derive(Deserialize)]
    struct Named<'a> {
        name: &'a str,
    }
    match serde_json::from_slice(input) {
        Ok(Named {
            name: "invalid_json",
        }) => Ok(b"{\"content\": [no JSON \xff".to_vec()),
        _ => PLUGIN.handle_mcp_call(input),
    }
}

/// Describes the plugin.
#[export]
pub fn describe(_input: &[u8]) -> Result<Vec<u8>, ToolError> {
    PLUGIN.describe()
}

/// Returns its input.
#[export]
pub fn echo(input: &[u8]) -> Result<Vec<u8>, ToolError> {
    Ok(input.to_vec())
}

/// Counts the vowels of its input: `{"count":3}`.
#[export]
pub fn count_vowels(input: &[u8]) -> Result<Vec<u8>, ToolError> {
    let is_vowel = |byte: &&u8| b"aeiouAEIOU".contains(byte);
    let count = input.iter().filter(is_vowel).count();
    Ok(json!({ "count": count }).to_string().into_bytes())
}

/// Returns the host's time: one effect and nothing else.
#[export]
pub fn now(_input: &[u8]) -> Result<Vec<u8>, ToolError> {
    Ok(serde_json::to_vec(&clock::now(&ClockNow::default())?)?)
}

/// Fails with its input as the message.
#[export]
pub fn fail_raw(input: &[u8]) -> Result<Vec<u8>, ToolError> {
    Err(ToolError::new(String::from_utf8_lossy(input)))
}
