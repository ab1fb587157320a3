//! Extism's plugin ABI (https://extism.org/docs/concepts/memory).
//!
//! All copies between the module and the host's memory go through two functions that are exported by name; exomonad's
//! engine replaces each by one memory.copy, under any other Extism host their own bodies run.

const std = @import("std");
const builtin = @import("builtin");
const Allocator = std.mem.Allocator;

/// False in native tests, where `testing.FakeHost` is the host.
pub const is_wasm = builtin.cpu.arch.isWasm();

const env = struct {
    extern "extism:host/env" fn alloc(length: u64) u64;
    extern "extism:host/env" fn free(offset: u64) void;
    extern "extism:host/env" fn length(offset: u64) u64;
    extern "extism:host/env" fn load_u8(offset: u64) u8;
    extern "extism:host/env" fn load_u64(offset: u64) u64;
    extern "extism:host/env" fn store_u8(offset: u64, value: u8) void;
    extern "extism:host/env" fn store_u64(offset: u64, value: u64) void;
    extern "extism:host/env" fn input_offset() u64;
    extern "extism:host/env" fn input_length() u64;
    extern "extism:host/env" fn output_set(offset: u64, length: u64) void;
    extern "extism:host/env" fn error_set(offset: u64) void;
    extern "extism:host/env" fn config_get(key: u64) u64;
    extern "extism:host/env" fn var_get(key: u64) u64;
    extern "extism:host/env" fn var_set(key: u64, value: u64) void;
};

fn memoryRead(source: u64, destination: [*]u8, length: usize) callconv(.c) void {
    var at: usize = 0;
    while (at + 8 <= length) : (at += 8) {
        std.mem.writeInt(u64, destination[at..][0..8], env.load_u64(source + at), .little);
    }
    while (at < length) : (at += 1) destination[at] = env.load_u8(source + at);
}

fn memoryWrite(destination: u64, source: [*]const u8, length: usize) callconv(.c) void {
    var at: usize = 0;
    while (at + 8 <= length) : (at += 8) {
        env.store_u64(destination + at, std.mem.readInt(u64, source[at..][0..8], .little));
    }
    while (at < length) : (at += 1) env.store_u8(destination + at, source[at]);
}

comptime {
    if (is_wasm) {
        @export(&memoryRead, .{ .name = "exomonad_memory_read" });
        @export(&memoryWrite, .{ .name = "exomonad_memory_write" });
    }
}

/// A new block of the host's memory with these bytes.
pub fn block(bytes: []const u8) u64 {
    const offset = env.alloc(bytes.len);
    // Never inlined, so that replacing the function's body replaces every copy.
    @call(.never_inline, memoryWrite, .{ offset, bytes.ptr, bytes.len });
    return offset;
}

fn read(allocator: Allocator, offset: u64, length: u64) Allocator.Error![]u8 {
    const bytes = try allocator.alloc(u8, @intCast(length));
    @call(.never_inline, memoryRead, .{ offset, bytes.ptr, bytes.len });
    return bytes;
}

/// The bytes of a block, which is freed; none at 0, by which the host says that there is nothing.
pub fn take(allocator: Allocator, offset: u64) Allocator.Error!?[]u8 {
    if (offset == 0) return null;
    const bytes = try read(allocator, offset, env.length(offset));
    env.free(offset);
    return bytes;
}

/// The input of the call.
pub fn input(allocator: Allocator) Allocator.Error![]u8 {
    return read(allocator, env.input_offset(), env.input_length());
}

/// Sets the output of the call.
pub fn setOutput(output: []const u8) void {
    env.output_set(block(output), output.len);
}

/// Sets the error of the call.
pub fn setError(message: []const u8) void {
    env.error_set(block(message));
}

/// A value of the role's configuration.
pub fn config(allocator: Allocator, key: []const u8) Allocator.Error!?[]u8 {
    const name = block(key);
    defer env.free(name);
    return take(allocator, env.config_get(name));
}

/// A variable of Extism's: bytes that stay with the plugin's instance.
pub fn variable(allocator: Allocator, key: []const u8) Allocator.Error!?[]u8 {
    const name = block(key);
    defer env.free(name);
    return take(allocator, env.var_get(name));
}

/// Sets a variable, or removes it.
pub fn setVariable(key: []const u8, value: ?[]const u8) void {
    const name = block(key);
    defer env.free(name);
    const content = if (value) |bytes| block(bytes) else 0;
    env.var_set(name, content);
    if (content != 0) env.free(content);
}

/// The memory of a call: a call has a sandbox of its own, which is gone when it ends, so nothing is ever freed.
pub const allocator_of_call: Allocator = .{ .ptr = undefined, .vtable = &.{
    .alloc = bumpAlloc,
    .resize = bumpResize,
    .remap = bumpRemap,
    .free = bumpFree,
} };

var first: [32 * 1024]u8 align(16) = undefined;
var next: usize = 0;
var end: usize = 0;

fn bumpAlloc(_: *anyopaque, length: usize, alignment: std.mem.Alignment, _: usize) ?[*]u8 {
    if (next == 0) {
        next = @intFromPtr(&first);
        end = next + first.len;
    }
    var at = alignment.forward(next);
    if (at > end or length > end - at) {
        const pages = length / std.wasm.page_size + 4;
        const before = @wasmMemoryGrow(0, pages);
        if (before < 0) return null;
        const fresh = @as(usize, @intCast(before)) * std.wasm.page_size;
        // Neighbours are one piece.
        if (fresh != end) next = fresh;
        end = fresh + pages * std.wasm.page_size;
        at = alignment.forward(next);
    }
    next = at + length;
    return @ptrFromInt(at);
}

fn bumpResize(_: *anyopaque, memory: []u8, _: std.mem.Alignment, length: usize, _: usize) bool {
    const begin = @intFromPtr(memory.ptr);
    // The last piece can grow where it is.
    if (begin + memory.len == next and length <= end - begin) {
        next = begin + length;
        return true;
    }
    return length <= memory.len;
}

fn bumpRemap(context: *anyopaque, memory: []u8, alignment: std.mem.Alignment, length: usize, from: usize) ?[*]u8 {
    return if (bumpResize(context, memory, alignment, length, from)) memory.ptr else null;
}

fn bumpFree(_: *anyopaque, _: []u8, _: std.mem.Alignment, _: usize) void {}
