//! exomonad's guest SDK for Zig. See README.md.

const std = @import("std");
const plugins = @import("plugin.zig");

/// The contract's types.
pub const types = @import("types.zig");
/// Decoding, encoding, and JSON Schemas of types.
pub const json = @import("json.zig");
/// Workflows, whose runs outlive the host's process.
pub const workflow = @import("workflow.zig");
/// A host for native tests.
pub const testing = @import("testing.zig");

pub const Bytes = json.Bytes;
pub const Call = @import("call.zig").Call;
pub const Error = @import("call.zig").Error;
pub const Failure = @import("call.zig").Failure;
pub const Json = json.Json;
pub const Map = json.Map;

pub const Completion = plugins.Completion;
pub const Plugin = plugins.Plugin;
pub const exportPlugin = plugins.exportPlugin;
pub const hook = plugins.hook;
pub const panic = plugins.panic;
pub const prompt = plugins.prompt;
pub const resource = plugins.resource;
pub const tool = plugins.tool;
/// The SDK's version.
pub const version = plugins.version;

/// Every effect, and the functions of all services; those of `effects.workflow` are in a friendlier form in
/// `workflow.Run`.
pub const effects = @import("effects.zig");

// The services' functions: one for each effect.
pub const log = effects.log;
pub const git = effects.git;
pub const kv = effects.kv;
pub const clock = effects.clock;
pub const random = effects.random;
pub const mcp = effects.mcp;
pub const http = effects.http;
pub const github = effects.github;
pub const docker = effects.docker;
pub const temporal = effects.temporal;

test {
    std.testing.refAllDecls(@This());
    _ = @import("tests.zig");
}
