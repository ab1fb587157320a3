const std = @import("std");
const exomonad = @import("exomonad");

pub fn build(b: *std.Build) void {
    exomonad.addPlugin(b, b.dependency("exomonad", .{}), .{
        .name = "{{name}}",
        .root_source_file = b.path("src/plugin.zig"),
    });
}
