//! Tests of a plugin with one of everything.

const std = @import("std");
const exomonad = @import("exomonad.zig");
const types = exomonad.types;
const Call = exomonad.Call;
const FakeHost = exomonad.testing.FakeHost;
const expectEqualStrings = std.testing.expectEqualStrings;

const Args = struct {
    name: []const u8,

    pub const descriptions = .{ .name = "The name." };
};
const Greeting = struct { text: []const u8 };
const Stage = struct { stage: []const u8 };

fn greet(call: *Call, args: Args) !Greeting {
    const branch = try exomonad.git.getBranch(call, .{});
    return .{ .text = try call.print("Hello {s} on {s}", .{ args.name, branch.branch orelse "nowhere" }) };
}

fn refuse(call: *Call) !void {
    return call.fail("no, {s}", .{"thanks"});
}

fn note(call: *Call, variables: Args) ![]const u8 {
    return call.print("about {s}", .{variables.name});
}

fn ask(call: *Call, args: Args) ![]const u8 {
    return call.print("Greet {s}.", .{args.name});
}

fn guard(_: *Call, input: types.HookInput) !types.HookOutput {
    return .{ .decision = .deny, .reason = @tagName(input.event) };
}

fn flow(run: *exomonad.workflow.Run(Stage), input: Args) !Greeting {
    try run.setState(.{ .stage = "begun" });
    const started = try run.start(types.KvSet{ .key = "greeted", .value = try run.call.encode(input.name) }, .{});
    _ = try run.wait(started);
    try run.sleep(10);
    const payload = try run.waitSignal([]const u8, "go");
    if (std.mem.eql(u8, payload, "again")) return run.continueAsNew(input);
    if (std.mem.eql(u8, payload, "fail")) return run.fail("own_code", "as {s}", .{"asked"});
    return .{ .text = payload };
}

fn stage(_: *Call, state: Stage) ![]const u8 {
    return state.stage;
}

fn migrate(call: *Call, _: u32, state: exomonad.Json) !Stage {
    return .{ .stage = try call.decode([]const u8, state) };
}

const plugin: exomonad.Plugin = .{
    .name = "test",
    .version = "1.0.0",
    .tools = &.{
        exomonad.tool(greet, .{ .name = "greet", .description = "Greets.", .read_only = true }),
        exomonad.tool(refuse, .{ .name = "refuse", .description = "Refuses." }),
    },
    .hooks = &.{exomonad.hook(.pre_tool_use, guard)},
    .resources = &.{exomonad.resource("notes://{name}", note, .{ .name = "note", .description = "A note." })},
    .prompts = &.{exomonad.prompt(ask, .{ .name = "ask", .description = "Asks." })},
    .completions = &.{.{ .prompt = "ask", .argument = "name", .values = &.{ "Ada", "Grace" } }},
    .workflows = &.{exomonad.workflow.workflow(flow, .{
        .name = "flow",
        .description = "Flows.",
        .state_version = 2,
        .migrate = exomonad.workflow.migration(migrate),
        .signals = &.{exomonad.workflow.signal("go", []const u8)},
        .queries = &.{exomonad.workflow.query("stage", stage)},
    })},
};

const context = "\"context\":{\"role\":\"r\",\"callId\":\"c\"}";

fn expectRun(host: *FakeHost, name: []const u8, comptime input: []const u8, expected: []const u8) !void {
    const output = host.run(plugin, name, "{" ++ input ++ context ++ "}") catch |failure|
        host.calls.failureOf(failure).message;
    try expectEqualStrings(expected, output);
}

test "a tool performs an effect, and its failure is a result" {
    var host: FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    try host.answer("git_get_branch", types.GitBranch{ .head = .branch, .branch = "main" });
    try expectRun(&host, "handle_mcp_call", "\"name\":\"greet\",\"arguments\":{\"name\":\"Ada\"},", "{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"text\\\":\\\"Hello Ada on main\\\"}\"}]," ++
        "\"structuredContent\":{\"text\":\"Hello Ada on main\"}}");
    try host.fail("git_get_branch", .not_found, "no repository");
    try std.testing.expectError(error.NotFound, greet(host.call(), .{ .name = "Ada" }));
    try expectRun(&host, "handle_mcp_call", "\"name\":\"greet\",\"arguments\":{\"name\":\"Ada\"},", "{\"content\":[{\"type\":\"text\",\"text\":\"no repository\"}],\"isError\":true}");
    try expectRun(&host, "handle_mcp_call", "\"name\":\"greet\",", "{\"content\":[{\"type\":\"text\",\"text\":\"the arguments do not fit: $.name: missing\"}],\"isError\":true}");
    try expectRun(&host, "handle_mcp_call", "\"name\":\"refuse\",", "{\"content\":[{\"type\":\"text\",\"text\":\"no, thanks\"}],\"isError\":true}");
    try expectRun(&host, "handle_mcp_call", "\"name\":\"x\",", "{\"content\":[{\"type\":\"text\",\"text\":\"no tool `x`; there are greet, refuse\"}],\"isError\":true}");
}

test "hooks, resources, prompts and completions" {
    var host: FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    try expectRun(&host, "handle_pre_tool_use", "\"event\":\"pre_tool_use\",", "{\"decision\":\"deny\",\"reason\":\"pre_tool_use\"}");
    try expectRun(&host, "handle_read_resource", "\"uri\":\"notes://d%C3%A9j%C3%A0\",", "{\"contents\":[{\"uri\":\"notes://d%C3%A9j%C3%A0\",\"mimeType\":\"text/plain\",\"text\":\"about déjà\"}]}");
    try expectRun(&host, "handle_read_resource", "\"uri\":\"notes://a/b\",", "{\"error\":{\"code\":\"not_found\",\"message\":\"there is no resource `notes://a/b`\"}}");
    try expectRun(&host, "handle_get_prompt", "\"name\":\"ask\",\"arguments\":{\"name\":\"Ada\"},", "{\"description\":\"Asks.\",\"messages\":[{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"Greet Ada.\"}}]}");
    try expectRun(&host, "handle_get_prompt", "\"name\":\"ask\",", "{\"error\":{\"code\":\"invalid_input\",\"message\":\"$.name: missing\"}}");
    try expectRun(&host, "handle_complete", "\"prompt\":\"ask\",\"argument\":\"name\",\"value\":\"G\",", "{\"completion\":{\"values\":[\"Grace\"]}}");
}

test "a workflow runs to its end" {
    var host: FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    const input = "\"workflow\":\"flow\",\"input\":{\"name\":\"Ada\"},\"workflowId\":\"w\",\"runId\":\"r\",";
    try host.signal("go", "now");
    try expectRun(&host, "handle_workflow", input, "{\"end\":\"completed\",\"output\":{\"text\":\"now\"}}");
    try expectEqualStrings("\"Ada\"", host.kv.get("greeted").?);
    try expectEqualStrings("{\"stage\":\"begun\"}", host.state.?);
    try host.signal("go", "again");
    try expectRun(&host, "handle_workflow", input, "{\"end\":\"continue_as_new\",\"input\":{\"name\":\"Ada\"}}");
    try host.signal("go", "fail");
    try expectRun(&host, "handle_workflow", input, "{\"end\":\"failed\",\"failure\":{\"code\":\"own_code\",\"message\":\"as asked\"}}");
    try host.fail("workflow_sleep", .cancelled, "the run is cancelled");
    try expectRun(&host, "handle_workflow", input, "{\"end\":\"cancelled\"}");
    try expectRun(&host, "handle_query", "\"workflow\":\"flow\",\"query\":\"stage\",\"state\":{\"stage\":\"done\"},", "{\"value\":\"done\"}");
    try expectRun(&host, "handle_query", "\"workflow\":\"flow\",\"query\":\"stage\",", "the run has not published a state yet");
    try expectRun(&host, "handle_migrate", "\"workflow\":\"flow\",\"state\":\"done\",\"fromVersion\":1,\"toVersion\":2,", "{\"state\":{\"stage\":\"done\"}}");
}

test "an answer that cannot be read is an internal error" {
    var host: FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    try host.answer("git_get_branch", @as([]const u8, "x"));
    try std.testing.expectError(error.Internal, exomonad.git.getBranch(host.call(), .{}));
    try expectEqualStrings(
        "the host's answer to git_get_branch cannot be read: $: expected an object, found a text",
        host.calls.failure.?.message,
    );
}

test "keys are listed in pages" {
    var host: FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    const call = host.call();
    for ([_][]const u8{ "a/2", "b", "a/1" }) |key| {
        _ = try exomonad.kv.set(call, .{ .key = key, .value = try call.encode(key) });
    }
    const page = try exomonad.kv.list(call, .{ .prefix = "a/", .limit = 1 });
    try expectEqualStrings("a/1", page.keys[0]);
    const next = try exomonad.kv.list(call, .{ .prefix = "a/", .limit = 1, .after = page.next });
    try expectEqualStrings("a/2", next.keys[0]);
    try std.testing.expect(next.next == null);
}
