//! Tools that do what a host has to survive.

use std::hint::black_box;

use exomonad_guest::prelude::*;

use crate::harmless::Size;

/// Never ends, without requests to the host.
#[tool]
pub fn spin() -> Result<(), ToolError> {
    loop {
        black_box(());
    }
}

/// Allocates this much memory, and writes to all of it.
#[tool]
pub fn allocate(args: Size) -> Result<String, ToolError> {
    let memory = black_box(vec![1_u8; args.bytes]);
    Ok(format!("allocated {} bytes", memory.len()))
}

/// Recurses until the stack overflows.
#[tool]
pub fn recurse() -> Result<String, ToolError> {
    Ok(format!("came back from {}", deeper(0)))
}

#[expect(
    unconditional_recursion,
    reason = "running out of stack is its purpose"
)]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    // Used after the call, so that the recursion does not become a loop.
    let frame = black_box([depth; 16]);
    deeper(depth + 1) + frame[0]
}

/// Ends the call by a trap, without a message.
#[tool]
pub fn trap() -> Result<(), ToolError> {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort();
}

/// Ends the call by a panic, which reports its message to the host.
#[tool]
#[expect(clippy::panic, reason = "panicking is its purpose")]
pub fn panic() -> Result<(), ToolError> {
    panic!("as asked")
}

/// Fails with an ordinary tool error.
#[tool]
pub fn fail() -> Result<(), ToolError> {
    Err(ToolError::new("as asked"))
}

/// Breaks the contract: the output of `handle_mcp_call` is not JSON.
#[tool]
pub fn invalid_json() -> Result<(), ToolError> {
    Err(ToolError::new(
        "only the export breaks the contract, not the function",
    ))
}
