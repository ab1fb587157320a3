//! The plugin of the contract suite, in Zig. The other languages have the same one.

const std = @import("std");
const exomonad = @import("exomonad");
const contract = @import("contract.zig");
const types = exomonad.types;
const Call = exomonad.Call;
const Json = exomonad.Json;

pub const panic = exomonad.panic;

const RoundTrip = struct {
    kind: []const u8,
    values: []const Json,

    pub const descriptions = .{ .kind = "The name of a type of the contract.", .values = "Values of that type." };
};

const Values = struct { values: []const Json };

fn roundTrip(call: *Call, args: RoundTrip) !Values {
    @setEvalBranchQuota(100_000);
    const values = try call.allocator.alloc(Json, args.values.len);
    inline for (contract.kinds) |kind| {
        if (std.mem.eql(u8, kind.name, args.kind)) {
            for (values, args.values) |*value, from| value.* = try again(kind.Type, call, from);
            return .{ .values = values };
        }
    }
    return call.fail("the contract has no type `{s}`", .{args.kind});
}

fn again(comptime T: type, call: *Call, value: Json) exomonad.Error!Json {
    return call.encode(try call.decode(T, value));
}

const Perform = struct {
    function: []const u8,
    request: Json,

    pub const descriptions = .{ .function = "The effect's host function.", .request = "The effect's request." };
};

const Performed = struct { answer: ?Json = null, @"error": ?types.EffectError = null };

fn perform(call: *Call, args: Perform) !Performed {
    @setEvalBranchQuota(100_000);
    inline for (exomonad.effects.all) |effect| {
        if (std.mem.eql(u8, effect.function, args.function))
            return performed(effect.function, effect.Request, effect.Answer, call, args.request);
    }
    return call.fail("there is no effect `{s}`", .{args.function});
}

fn performed(
    comptime function: []const u8,
    comptime Request: type,
    comptime Answer: type,
    call: *Call,
    request: Json,
) exomonad.Error!Performed {
    const decoded = try call.decode(Request, request);
    const answer = call.perform(function, Answer, decoded) catch |failure|
        return .{ .@"error" = call.effectErrorOf(failure) };
    return .{ .answer = try call.encode(answer) };
}

const Text = struct { text: []const u8 };

fn echo(_: *Call, args: Text) !Text {
    return args;
}

const Numbers = struct { numbers: []const []const u8 };

/// Zig's generator has to be given a seed, and a module without WASI has randomness by the host alone.
fn random(call: *Call) !Numbers {
    const seed = try exomonad.random.bytes(call, .{ .length = 8 });
    var generator: std.Random.DefaultPrng = .init(std.mem.readInt(u64, seed.bytes.data[0..8], .little));
    const numbers = try call.allocator.alloc([]const u8, 2);
    for (numbers) |*number| number.* = try call.print("{d}", .{generator.random().int(u64)});
    return .{ .numbers = numbers };
}

const Message = struct { message: []const u8 };

fn fail(call: *Call, args: Message) !void {
    return call.fail("{s}", .{args.message});
}

fn crash(_: *Call) !void {
    @panic("crashed on request");
}

fn deny(call: *Call, input: types.HookInput) !types.HookOutput {
    const ToolUse = struct { tool_name: ?[]const u8 = null };
    const use = call.decode(ToolUse, input.payload) catch ToolUse{};
    const reason = try call.print("{s} {s}", .{ @tagName(input.event), use.tool_name orelse "" });
    return .{ .decision = .deny, .reason = reason };
}

const Name = struct {
    name: []const u8,

    pub const descriptions = .{ .name = "The name." };
};

fn first(_: *Call) ![]const u8 {
    return "the first note";
}

fn note(call: *Call, variables: Name) ![]const u8 {
    return call.print("a note about {s}", .{variables.name});
}

fn greetPrompt(call: *Call, args: Name) ![]const u8 {
    return call.print("Greet {s}.", .{args.name});
}

const Stage = struct {
    stage: []const u8,

    pub const descriptions = .{ .stage = "`begun` or `done`." };
};

fn greet(run: *exomonad.workflow.Run(Stage), input: Name) !Text {
    try run.setState(.{ .stage = "begun" });
    _ = try exomonad.kv.set(run.call, .{ .key = "greeted", .value = try run.call.encode(input.name) });
    try run.sleep(10);
    const ending = try run.waitSignal([]const u8, "go");
    try run.setState(.{ .stage = "done" });
    return .{ .text = try run.call.print("Hello {s}, {s}", .{ input.name, ending }) };
}

fn stage(_: *Call, state: Stage) ![]const u8 {
    return state.stage;
}

/// Version 1 was the stage alone.
fn migrate(call: *Call, _: u32, state: Json) !Stage {
    return .{ .stage = try call.decode([]const u8, state) };
}

pub const plugin: exomonad.Plugin = .{
    .name = "contract-zig",
    .version = exomonad.version,
    .tools = &.{
        exomonad.tool(roundTrip, .{
            .name = "round_trip",
            .description = "Decodes values and encodes them again.",
            .read_only = true,
        }),
        exomonad.tool(perform, .{ .name = "perform", .description = "Performs an effect." }),
        exomonad.tool(echo, .{ .name = "echo", .description = "Gives its text back.", .read_only = true }),
        exomonad.tool(random, .{ .name = "random", .description = "Gives two random numbers.", .read_only = true }),
        exomonad.tool(fail, .{ .name = "fail", .description = "Fails with a message." }),
        exomonad.tool(crash, .{ .name = "crash", .description = "Crashes." }),
    },
    .hooks = &.{
        exomonad.hook(.pre_tool_use, deny),
        exomonad.hook(.post_tool_use, deny),
        exomonad.hook(.user_prompt_submit, deny),
        exomonad.hook(.notification, deny),
        exomonad.hook(.session_start, deny),
        exomonad.hook(.session_end, deny),
        exomonad.hook(.stop, deny),
        exomonad.hook(.subagent_stop, deny),
        exomonad.hook(.pre_compact, deny),
        exomonad.hook(.other_event, deny),
    },
    .resources = &.{
        exomonad.resource("notes://first", first, .{ .name = "first", .description = "The first note." }),
        exomonad.resource("notes://{name}", note, .{ .name = "note", .description = "A note." }),
    },
    .prompts = &.{exomonad.prompt(greetPrompt, .{ .name = "greet", .description = "Greets somebody." })},
    .completions = &.{
        .{ .uri_template = "notes://{name}", .argument = "name", .values = &.{ "alpha", "beta" } },
        .{ .prompt = "greet", .argument = "name", .values = &.{ "Ada", "Grace" } },
    },
    .workflows = &.{exomonad.workflow.workflow(greet, .{
        .name = "greet",
        .description = "Greets somebody when the signal `go` comes.",
        .state_version = 2,
        .migrate = exomonad.workflow.migration(migrate),
        .signals = &.{exomonad.workflow.signal("go", []const u8)},
        .queries = &.{exomonad.workflow.query("stage", stage)},
    })},
};

comptime {
    exomonad.exportPlugin(plugin);
}

test "a text comes back" {
    var host: exomonad.testing.FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    const input =
        \\{"name":"round_trip","arguments":{"kind":"KvGet","values":[{"key":"a"}]},"context":{"role":"r","callId":"c"}}
    ;
    const output = try host.run(plugin, "handle_mcp_call", input);
    try std.testing.expect(std.mem.endsWith(u8, output, "\"structuredContent\":{\"values\":[{\"key\":\"a\"}]}}"));
}
