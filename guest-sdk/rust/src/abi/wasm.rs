//! Extism's plugin ABI (<https://extism.org/docs/concepts/memory>).
//!
//! Memory of the kernel can only be read and written by function calls, up to 8
//! bytes each. All of it goes through [`exomonad_memory_read`] and
//! [`exomonad_memory_write`], which exomonad's engine replaces by one
//! `memory.copy` each; under any other Extism host their own bodies run.

#![allow(
    unsafe_code,
    reason = "the host's functions are foreign, and its memory is known by offset"
)]

use std::fmt::Write as _;
use std::panic::PanicHookInfo;

/// An effect's host function: offset of the request in, offset of the answer out.
pub type Import = unsafe extern "C" fn(u64) -> u64;

#[link(wasm_import_module = "extism:host/env")]
unsafe extern "C" {
    fn alloc(length: u64) -> u64;
    fn free(offset: u64);
    fn length(offset: u64) -> u64;
    fn load_u8(offset: u64) -> u8;
    fn load_u64(offset: u64) -> u64;
    fn store_u8(offset: u64, value: u8);
    fn store_u64(offset: u64, value: u64);
    fn input_offset() -> u64;
    fn input_length() -> u64;
    fn output_set(offset: u64, length: u64);
    fn error_set(offset: u64);
    fn config_get(key: u64) -> u64;
    fn var_get(key: u64) -> u64;
    fn var_set(key: u64, value: u64);
}

/// The import of an effect's host function.
macro_rules! import {
    ($function:ident) => {{
        #[allow(unsafe_code, reason = "a host function is foreign")]
        #[link(wasm_import_module = "extism:host/user")]
        unsafe extern "C" {
            fn $function(request: u64) -> u64;
        }
        $function
    }};
}

pub(crate) use import;

/// Copies `length` bytes of the kernel at `source` to `destination`.
///
/// Exported by name so that the engine finds it, and never inlined so that
/// replacing its body replaces every copy.
///
/// # Safety
/// `destination` has to be valid for writes of `length` bytes.
#[inline(never)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exomonad_memory_read(source: u64, destination: *mut u8, length: usize) {
    let words = length / 8;
    for word in 0..words {
        // SAFETY: within `length`, which the caller vouches for; unaligned is allowed.
        unsafe {
            let value = load_u64(source + 8 * word as u64);
            destination
                .add(8 * word)
                .cast::<u64>()
                .write_unaligned(value.to_le());
        }
    }
    for byte in 8 * words..length {
        // SAFETY: within `length`, which the caller vouches for.
        unsafe { destination.add(byte).write(load_u8(source + byte as u64)) };
    }
}

/// Copies `length` bytes from `source` to the kernel at `destination`.
///
/// Exported by name so that the engine finds it, and never inlined so that
/// replacing its body replaces every copy.
///
/// # Safety
/// `source` has to be valid for reads of `length` bytes.
#[inline(never)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exomonad_memory_write(destination: u64, source: *const u8, length: usize) {
    let words = length / 8;
    for word in 0..words {
        // SAFETY: within `length`, which the caller vouches for; unaligned is allowed.
        unsafe {
            let value = source.add(8 * word).cast::<u64>().read_unaligned();
            store_u64(destination + 8 * word as u64, u64::from_le(value));
        }
    }
    for byte in 8 * words..length {
        // SAFETY: within `length`, which the caller vouches for.
        unsafe { store_u8(destination + byte as u64, source.add(byte).read()) };
    }
}

/// A block of the kernel's memory, freed when dropped.
struct Block {
    offset: u64,
}

impl Block {
    /// A new block that holds `bytes`.
    fn holding(bytes: &[u8]) -> Self {
        // SAFETY: the slice is valid for its length, and so is what `alloc` gives.
        unsafe {
            let offset = alloc(bytes.len() as u64);
            exomonad_memory_write(offset, bytes.as_ptr(), bytes.len());
            Self { offset }
        }
    }

    /// The bytes of the block at `offset`, which is freed; `None` at 0,
    /// by which the host indicates that there is nothing.
    fn taken(offset: u64) -> Option<Vec<u8>> {
        let block = Self { offset };
        // SAFETY: asks the kernel about a block of its own.
        let length = unsafe { length(block.offset) };
        (offset != 0).then(|| read(block.offset, length))
    }

    /// Transfers the block to the host.
    fn leak(self) -> u64 {
        let offset = self.offset;
        std::mem::forget(self);
        offset
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.offset != 0 {
            // SAFETY: the block is ours, and not used again.
            unsafe { free(self.offset) };
        }
    }
}

fn read(offset: u64, length: u64) -> Vec<u8> {
    let length = length as usize;
    let mut bytes = Vec::with_capacity(length);
    // SAFETY: `length` bytes were reserved, and every one is written before it counts.
    unsafe {
        exomonad_memory_read(offset, bytes.as_mut_ptr(), length);
        bytes.set_len(length);
    }
    bytes
}

/// Calls an effect's host function with the request's JSON; returns the answer's.
pub fn call(function: Import, request: &[u8]) -> Vec<u8> {
    let request = Block::holding(request);
    // SAFETY: the request's block lives until the host has answered.
    let answer = unsafe { function(request.offset) };
    Block::taken(answer).unwrap_or_default()
}

pub fn input() -> Vec<u8> {
    // SAFETY: the input's block lives as long as the call.
    unsafe { read(input_offset(), input_length()) }
}

pub fn set_output(output: &[u8]) {
    let block = Block::holding(output).leak();
    // SAFETY: the block is the host's from here on.
    unsafe { output_set(block, output.len() as u64) };
}

pub fn set_error(message: &str) {
    let block = Block::holding(message.as_bytes()).leak();
    // SAFETY: the block is the host's from here on.
    unsafe { error_set(block) };
}

/// Reports a panic's message to the host, before the panic ends the call.
pub fn report_panics() {
    std::panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let mut message = String::from("the plugin panicked");
    if let Some(location) = panic.location() {
        // Writing to a `String` cannot fail.
        let _ = write!(message, " at {}:{}", location.file(), location.line());
    }
    if let Some(text) = panic.payload_as_str() {
        message.push_str(": ");
        message.push_str(text);
    }
    set_error(&message);
}

pub fn config(key: &str) -> Option<String> {
    let key = Block::holding(key.as_bytes());
    // SAFETY: the key's block lives until the host has answered.
    let value = Block::taken(unsafe { config_get(key.offset) })?;
    String::from_utf8(value).ok()
}

pub fn variable(key: &str) -> Option<Vec<u8>> {
    let key = Block::holding(key.as_bytes());
    // SAFETY: the key's block lives until the host has answered.
    Block::taken(unsafe { var_get(key.offset) })
}

pub fn set_variable(key: &str, value: Option<&[u8]>) {
    let key = Block::holding(key.as_bytes());
    let value = value.map(Block::holding);
    let offset = value.as_ref().map_or(0, |block| block.offset);
    // SAFETY: both blocks live until the host has copied them.
    unsafe { var_set(key.offset, offset) };
}
