//! A call: its memory, what it knows of its caller, and its failures.

const std = @import("std");
const abi = @import("abi.zig");
const effects = @import("effects.zig");
const json = @import("json.zig");
const testing = @import("testing.zig");
const types = @import("types.zig");

/// The errors of a plugin's functions. Those of effects are named after the contract's codes; `Failed` is the plugin's
/// own. `Call.failure` has the message.
pub const Error = error{
    /// A failure of the plugin's own, by `Call.fail`.
    Failed,
    /// No failure: a workflow goes on as a new run, by `Run.continueAsNew`.
    ContinueAsNew,
} || types.EffectFailure || std.mem.Allocator.Error;

/// What is known of a failure beyond its error.
pub const Failure = struct {
    @"error": Error,
    /// The code, for programs: that of the effect, or a workflow's own.
    code: []const u8 = "failed",
    /// The message, for people.
    message: []const u8,
    details: ?json.Json = null,
};

/// A call of a tool, a hook, or whatever else the host calls.
pub const Call = struct {
    /// Its memory; nothing has to be freed.
    allocator: std.mem.Allocator,
    /// The role, the caller, and the call's id.
    context: types.Context = .{ .role = "", .call_id = "" },
    /// The latest failure.
    failure: ?Failure = null,
    /// The host of native tests.
    host: if (abi.is_wasm) void else *testing.FakeHost,

    /// A text, as `std.fmt` makes it.
    pub fn print(self: *Call, comptime format: []const u8, arguments: anytype) Error![]const u8 {
        return std.fmt.allocPrint(self.allocator, format, arguments);
    }

    /// Fails with a message: `return call.fail("no {s}", .{name})`.
    pub fn fail(self: *Call, comptime format: []const u8, arguments: anytype) Error {
        self.failure = .{ .@"error" = error.Failed, .message = try self.print(format, arguments) };
        return error.Failed;
    }

    /// Fails as an effect with this code does.
    pub fn failWith(self: *Call, code: types.ErrorCode, comptime format: []const u8, arguments: anytype) Error {
        return self.failAs(.{ .code = code, .message = try self.print(format, arguments) });
    }

    fn failAs(self: *Call, problem: types.EffectError) Error {
        const failure = types.failureOf(problem.code);
        self.failure = .{
            .@"error" = failure,
            .code = json.nameOfConstant(problem.code),
            .message = problem.message,
            .details = problem.details,
        };
        return failure;
    }

    /// What is known of an error that a function has returned.
    pub fn failureOf(self: *Call, failure: Error) Failure {
        if (self.failure) |known| {
            if (known.@"error" == failure) return known;
        }
        return .{ .@"error" = failure, .message = @errorName(failure) };
    }

    /// An error as the contract has it, in the place of a result.
    pub fn effectErrorOf(self: *Call, failure: Error) types.EffectError {
        const known = self.failureOf(failure);
        inline for (std.meta.tags(types.ErrorCode)) |code| {
            if (types.failureOf(code) == failure)
                return .{ .code = code, .message = known.message, .details = known.details };
        }
        return .{ .code = .internal, .message = known.message, .details = known.details };
    }

    /// Decodes JSON; a failure says where it does not fit.
    pub fn decode(self: *Call, comptime T: type, value: json.Json) Error!T {
        var problem: []const u8 = "";
        return json.decode(T, self.allocator, value.text, &problem) catch |failure| switch (failure) {
            error.OutOfMemory => error.OutOfMemory,
            error.Invalid => self.failWith(.invalid_input, "{s}", .{problem}),
        };
    }

    /// Encodes a value.
    pub fn encode(self: *Call, value: anytype) Error!json.Json {
        return .{ .text = try json.encode(self.allocator, value) };
    }

    /// A value of the role's configuration.
    pub fn config(self: *Call, key: []const u8) Error!?[]const u8 {
        if (comptime abi.is_wasm) return abi.config(self.allocator, key);
        return self.host.config.get(key);
    }

    /// A variable of Extism's: bytes that stay with the plugin's instance.
    pub fn variable(self: *Call, key: []const u8) Error!?[]const u8 {
        if (comptime abi.is_wasm) return abi.variable(self.allocator, key);
        return self.host.variables.get(key);
    }

    /// Sets a variable, or removes it.
    pub fn setVariable(self: *Call, key: []const u8, value: ?[]const u8) Error!void {
        if (comptime abi.is_wasm) return abi.setVariable(key, value);
        if (value) |bytes| try self.host.variables.put(self.allocator, key, bytes) else _ = self.host.variables.orderedRemove(key);
    }

    /// Writes a line to the host's log.
    pub fn log(self: *Call, level: types.LogLevel, comptime format: []const u8, arguments: anytype) void {
        // A line that cannot be written stops nobody.
        const message = self.print(format, arguments) catch return;
        _ = effects.log.write(self, .{ .level = level, .message = message }) catch {};
    }

    /// Performs an effect by its host function. The functions of the services do that.
    pub fn perform(self: *Call, comptime function: []const u8, comptime Answer: type, request: anytype) Error!Answer {
        const text = try json.encode(self.allocator, request);
        const answer = if (comptime abi.is_wasm)
            // The host frees the request's block when it takes it.
            try abi.take(self.allocator, @field(effects.imports, function)(abi.block(text))) orelse ""
        else
            try self.host.perform(function, text);
        return self.answerOf(function, Answer, answer);
    }

    /// Decodes an answer: `{"kind":"Success","payload":…}` or `{"kind":"Error","payload":…}`, in any spelling.
    pub fn answerOf(self: *Call, function: []const u8, comptime Answer: type, text: []const u8) Error!Answer {
        const Envelope = union(enum) {
            success: json.Json,
            failure: types.EffectError,

            pub const json_tag = "kind";
            pub const json_payload: ?[]const u8 = "payload";
            pub const json_names = .{ .success = "Success", .failure = "Error" };
        };
        const success = "{\"kind\":\"Success\",\"payload\":";
        var problem: []const u8 = "";
        if (std.mem.startsWith(u8, text, success) and std.mem.endsWith(u8, text, "}")) {
            // As our host writes it: the payload is read once.
            if (json.decode(Answer, self.allocator, text[success.len .. text.len - 1], &problem)) |answer| {
                return answer;
            } else |_| {}
        }
        const envelope = json.decode(Envelope, self.allocator, text, &problem) catch
            return self.unreadable(function, problem);
        switch (envelope) {
            .failure => |failure| return self.failAs(failure),
            .success => |payload| return json.decode(Answer, self.allocator, payload.text, &problem) catch
                self.unreadable(function, problem),
        }
    }

    fn unreadable(self: *Call, function: []const u8, problem: []const u8) Error {
        return self.failWith(.internal, "the host's answer to {s} cannot be read: {s}", .{ function, problem });
    }
};
