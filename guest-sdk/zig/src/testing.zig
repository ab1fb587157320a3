//! A host for native tests of a plugin: the test answers effects, requests are recorded, keys and values stay in
//! memory, the clock stands still.
//!
//!     var host: exomonad.testing.FakeHost = .init(std.testing.allocator);
//!     defer host.deinit();
//!     try host.answer("git_get_branch", exomonad.types.GitBranch{ .head = .branch, .branch = "main" });
//!     const greeting = try greet(host.call(), .{ .name = "Ada" });

const std = @import("std");
const effects = @import("effects.zig");
const json = @import("json.zig");
const plugin = @import("plugin.zig");
const types = @import("types.zig");
const Call = @import("call.zig").Call;
const Error = @import("call.zig").Error;

/// Answers an effect: from the request's JSON to the JSON of the answer's payload, or an error by `host.call().failWith`.
pub const Answer = *const fn (host: *FakeHost, request: []const u8) Error![]const u8;

/// A request, as it was made.
pub const Request = struct { function: []const u8, request: []const u8 };

/// A host for tests.
pub const FakeHost = struct {
    arena: std.heap.ArenaAllocator,
    calls: Call = undefined,
    answers: std.StringArrayHashMapUnmanaged(Answering) = .empty,
    /// Every request so far, in order.
    requests: std.ArrayList(Request) = .empty,
    /// The role's configuration.
    config: std.StringArrayHashMapUnmanaged([]const u8) = .empty,
    /// Extism's variables.
    variables: std.StringArrayHashMapUnmanaged([]const u8) = .empty,
    /// Keys and values, as JSON.
    kv: std.StringArrayHashMapUnmanaged([]const u8) = .empty,
    /// Signals that a workflow has not taken yet.
    signals: std.ArrayList(types.WorkflowArrival) = .empty,
    /// The answers of what a workflow has started.
    started: std.ArrayList([]const u8) = .empty,
    /// The state that a workflow has published last, as JSON.
    state: ?[]const u8 = null,
    /// Milliseconds since 1970-01-01T00:00:00Z; at first 2026-01-01T00:00:00Z.
    unix_millis: i64 = 1_767_225_600_000,
    random: std.Random.DefaultPrng = .init(0),

    const Answering = union(enum) { fixed: []const u8, function: Answer };

    /// An empty host.
    pub fn init(allocator: std.mem.Allocator) FakeHost {
        return .{ .arena = .init(allocator) };
    }

    pub fn deinit(self: *FakeHost) void {
        self.arena.deinit();
    }

    /// A call on this host.
    pub fn call(self: *FakeHost) *Call {
        self.calls = .{ .allocator = self.arena.allocator(), .host = self, .context = .{ .role = "test", .call_id = "1" } };
        return &self.calls;
    }

    /// Answers an effect always by the same payload, by the name of its host function.
    pub fn answer(self: *FakeHost, function: []const u8, payload: anytype) !void {
        const text = try self.success(try json.encode(self.arena.allocator(), payload));
        try self.answers.put(self.arena.allocator(), function, .{ .fixed = text });
    }

    /// Fails an effect always by the same error.
    pub fn fail(self: *FakeHost, function: []const u8, code: types.ErrorCode, message: []const u8) !void {
        const text = try self.failure(.{ .code = code, .message = message });
        try self.answers.put(self.arena.allocator(), function, .{ .fixed = text });
    }

    /// Answers an effect by a function.
    pub fn on(self: *FakeHost, function: []const u8, answers: Answer) !void {
        try self.answers.put(self.arena.allocator(), function, .{ .function = answers });
    }

    /// Sends a signal to the workflow that is run next.
    pub fn signal(self: *FakeHost, name: []const u8, payload: anytype) !void {
        const text = try json.encode(self.arena.allocator(), payload);
        try self.signals.append(self.arena.allocator(), .{ .signal = name, .value = .{ .text = text } });
    }

    /// Calls an export of a plugin with an input. Returns its output.
    pub fn run(self: *FakeHost, comptime of: plugin.Plugin, name: []const u8, input: []const u8) Error![]const u8 {
        const exports = comptime plugin.exportsOf(of);
        for (exports) |one| {
            if (std.mem.eql(u8, one.name, name)) return one.handle(self.call(), input);
        }
        return self.call().fail("the plugin has no export `{s}`", .{name});
    }

    fn success(self: *FakeHost, payload: []const u8) Error![]const u8 {
        return std.fmt.allocPrint(self.arena.allocator(), "{{\"kind\":\"Success\",\"payload\":{s}}}", .{payload});
    }

    fn failure(self: *FakeHost, problem: types.EffectError) Error![]const u8 {
        const text = try json.encode(self.arena.allocator(), problem);
        return std.fmt.allocPrint(self.arena.allocator(), "{{\"kind\":\"Error\",\"payload\":{s}}}", .{text});
    }

    /// Performs an effect: the test's answer, or else the host's own.
    pub fn perform(self: *FakeHost, function: []const u8, request: []const u8) Error![]const u8 {
        try self.requests.append(self.arena.allocator(), .{ .function = function, .request = request });
        if (self.answers.get(function)) |known| switch (known) {
            .fixed => |text| return text,
            .function => |answers| {
                var inner: Call = .{ .allocator = self.arena.allocator(), .host = self };
                const payload = answers(self, request) catch |problem| {
                    inner.failure = self.calls.failure;
                    return self.failure(inner.effectErrorOf(problem));
                };
                return self.success(payload);
            },
        };
        if (try self.ownAnswer(function, request)) |payload| return self.success(payload);
        return self.failure(.{
            .code = .not_configured,
            .message = try std.fmt.allocPrint(
                self.arena.allocator(),
                "the fake host has no answer for {s}; give it one with FakeHost.answer",
                .{function},
            ),
        });
    }

    fn read(self: *FakeHost, comptime T: type, request: []const u8) Error!T {
        var problem: []const u8 = "";
        return json.decode(T, self.arena.allocator(), request, &problem) catch
            std.debug.panic("a request does not fit: {s}", .{problem});
    }

    fn write(self: *FakeHost, value: anytype) Error!?[]const u8 {
        return try json.encode(self.arena.allocator(), value);
    }

    fn ownAnswer(self: *FakeHost, function: []const u8, request: []const u8) Error!?[]const u8 {
        const is = struct {
            fn is(name: []const u8, wanted: []const u8) bool {
                return std.mem.eql(u8, name, wanted);
            }
        }.is;
        const allocator = self.arena.allocator();
        for ([_][]const u8{ "log", "emit_event", "mcp_progress", "mcp_log", "mcp_notify", "workflow_cancel" }) |name| {
            if (is(function, name)) return "{}";
        }
        if (is(function, "kv_get")) {
            const value = self.kv.get((try self.read(types.KvGet, request)).key);
            return self.write(types.KvEntry{ .found = value != null, .value = .{ .text = value orelse "null" } });
        }
        if (is(function, "kv_set")) {
            const set = try self.read(types.KvSet, request);
            try self.kv.put(allocator, set.key, set.value.text);
            return "{}";
        }
        if (is(function, "kv_delete")) {
            const key = (try self.read(types.KvDelete, request)).key;
            return self.write(types.KvDeleted{ .existed = self.kv.orderedRemove(key) });
        }
        if (is(function, "kv_list")) return self.list(try self.read(types.KvList, request));
        if (is(function, "clock_now")) return self.write(types.ClockTime{
            .unix_millis = self.unix_millis,
            .iso8601 = try iso8601(allocator, self.unix_millis),
            .monotonic_nanos = @as(u64, @intCast(@max(self.unix_millis, 0))) * 1_000_000,
        });
        if (is(function, "sleep") or is(function, "workflow_sleep")) {
            self.unix_millis += @intCast((try self.read(types.Sleep, request)).millis);
            return "{}";
        }
        if (is(function, "random_bytes")) {
            // The same bytes in every run.
            const data = try allocator.alloc(u8, @intCast((try self.read(types.RandomBytes, request)).length));
            self.random.random().bytes(data);
            return self.write(types.RandomBytesAnswer{ .bytes = .{ .data = data } });
        }
        if (is(function, "workflow_set_state")) {
            self.state = (try self.read(types.WorkflowSetState, request)).state.text;
            return "{}";
        }
        if (is(function, "workflow_patched")) return self.write(types.WorkflowPatch{ .applies = true });
        if (is(function, "workflow_start")) {
            // What is started beside a workflow is done at once.
            const start = try self.read(types.WorkflowStart, request);
            inline for (effects.all) |effect| {
                if (std.mem.eql(u8, effect.capability, start.effect)) {
                    const id = self.started.items.len;
                    try self.started.append(allocator, try self.perform(effect.function, start.request.text));
                    return self.write(types.WorkflowStarted{ .handle = id });
                }
            }
            return null;
        }
        if (is(function, "workflow_wait")) return self.wait(try self.read(types.WorkflowWait, request));
        return null;
    }

    fn wait(self: *FakeHost, request: types.WorkflowWait) Error!?[]const u8 {
        var arrivals: std.ArrayList(types.WorkflowArrival) = .empty;
        const allocator = self.arena.allocator();
        for (request.handles) |handle| {
            if (handle >= self.started.items.len or (arrivals.items.len > 0 and !request.all)) continue;
            const value: json.Json = .{ .text = self.started.items[@intCast(handle)] };
            try arrivals.append(allocator, .{ .handle = handle, .value = value });
        }
        if (arrivals.items.len == 0) signals: for (request.signals) |name| {
            for (self.signals.items, 0..) |one, nth| {
                if (!std.mem.eql(u8, one.signal.?, name)) continue;
                try arrivals.append(allocator, self.signals.orderedRemove(nth));
                break :signals;
            }
        };
        if (arrivals.items.len == 0) self.unix_millis += @intCast(request.timeout_millis orelse 0);
        return self.write(types.WorkflowArrivals{ .arrivals = arrivals.items });
    }

    fn list(self: *FakeHost, request: types.KvList) Error!?[]const u8 {
        const allocator = self.arena.allocator();
        const all = try allocator.dupe([]const u8, self.kv.keys());
        std.mem.sort([]const u8, all, {}, struct {
            fn before(_: void, one: []const u8, other: []const u8) bool {
                return std.mem.lessThan(u8, one, other);
            }
        }.before);
        var keys: std.ArrayList([]const u8) = .empty;
        var next: ?[]const u8 = null;
        for (all) |key| {
            if (!std.mem.startsWith(u8, key, request.prefix)) continue;
            if (request.after) |after| {
                if (!std.mem.lessThan(u8, after, key)) continue;
            }
            if (keys.items.len == (request.limit orelse 100)) {
                next = keys.items[keys.items.len - 1];
                break;
            }
            try keys.append(allocator, key);
        }
        return self.write(types.KvKeys{ .keys = keys.items, .next = next });
    }
};

/// `2026-01-01T00:00:00.000Z`, by Howard Hinnant's `civil_from_days`
/// (https://howardhinnant.github.io/date_algorithms.html).
fn iso8601(allocator: std.mem.Allocator, unix_millis: i64) Error![]const u8 {
    const days = @divFloor(unix_millis, 86_400_000) + 719_468;
    const millis: u64 = @intCast(@mod(unix_millis, 86_400_000));
    const era = @divFloor(days, 146_097);
    const day_of_era = days - era * 146_097;
    const year_of_era = @divFloor(
        day_of_era - @divFloor(day_of_era, 1460) + @divFloor(day_of_era, 36_524) - @divFloor(day_of_era, 146_096),
        365,
    );
    const day_of_year = day_of_era - (365 * year_of_era + @divFloor(year_of_era, 4) - @divFloor(year_of_era, 100));
    const shifted_month = @divFloor(5 * day_of_year + 2, 153);
    const day: u64 = @intCast(day_of_year - @divFloor(153 * shifted_month + 2, 5) + 1);
    const month: u64 = @intCast(if (shifted_month < 10) shifted_month + 3 else shifted_month - 9);
    const year: u64 = @intCast(year_of_era + era * 400 + @intFromBool(month <= 2));
    return std.fmt.allocPrint(allocator, "{d:0>4}-{d:0>2}-{d:0>2}T{d:0>2}:{d:0>2}:{d:0>2}.{d:0>3}Z", .{
        year,          month, day, millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60,
        millis % 1000,
    });
}

test "the clock is told in ISO 8601" {
    for ([_]struct { i64, []const u8 }{
        .{ 0, "1970-01-01T00:00:00.000Z" },
        .{ -1, "1969-12-31T23:59:59.999Z" },
        .{ 951_782_400_000, "2000-02-29T00:00:00.000Z" },
        .{ 1_767_225_600_000, "2026-01-01T00:00:00.000Z" },
    }) |case| {
        const text = try iso8601(std.testing.allocator, case[0]);
        defer std.testing.allocator.free(text);
        try std.testing.expectEqualStrings(case[1], text);
    }
}
