//! The plugin {{name}}.

const std = @import("std");
const exomonad = @import("exomonad");
const Call = exomonad.Call;

pub const panic = exomonad.panic;

const GreetArgs = struct {
    name: []const u8,

    pub const descriptions = .{ .name = "The name." };
};

const Greeting = struct {
    text: []const u8,

    pub const descriptions = .{ .text = "The text." };
};

fn greet(call: *Call, args: GreetArgs) !Greeting {
    const answer = try exomonad.git.getBranch(call, .{});
    const place = answer.branch orelse "nowhere";
    return .{ .text = try call.print("Hello {s} on {s}", .{ args.name, place }) };
}

comptime {
    exomonad.exportPlugin(.{
        .name = "{{name}}",
        .version = "0.1.0",
        .tools = &.{exomonad.tool(greet, .{
            .name = "greet",
            .description = "Greets someone, with the current branch.",
            .read_only = true,
        })},
    });
}

test "a greeting names the branch" {
    var host: exomonad.testing.FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    try host.answer("git_get_branch", exomonad.types.GitBranch{ .head = .branch, .branch = "main" });
    const greeting = try greet(host.call(), .{ .name = "Ada" });
    try std.testing.expectEqualStrings("Hello Ada on main", greeting.text);
}

test "without a repository the greeting fails" {
    var host: exomonad.testing.FakeHost = .init(std.testing.allocator);
    defer host.deinit();
    try host.fail("git_get_branch", .not_found, "there is no repository");
    try std.testing.expectError(error.NotFound, greet(host.call(), .{ .name = "Ada" }));
}
