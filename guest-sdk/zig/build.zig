const std = @import("std");

/// The SDK as a module, and its tests.
pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const module = b.addModule("exomonad", .{
        .root_source_file = b.path("src/exomonad.zig"),
        .target = target,
        .optimize = optimize,
    });
    const tests = b.addRunArtifact(b.addTest(.{ .root_module = module }));
    b.step("test", "Test the SDK").dependOn(&tests.step);
}

/// What a plugin's `build.zig` says of it.
pub const PluginOptions = struct {
    /// The plugin's name, and its file's: `NAME.wasm`.
    name: []const u8,
    /// The root file, which has `exportPlugin`.
    root_source_file: std.Build.LazyPath,
};

/// Builds a plugin to `zig-out/bin/NAME.wasm`, and tests it natively by `zig build test`.
pub fn addPlugin(b: *std.Build, sdk: *std.Build.Dependency, options: PluginOptions) void {
    const wasm = b.resolveTargetQuery(.{ .cpu_arch = .wasm32, .os_tag = .freestanding });
    const plugin = b.addExecutable(.{
        .name = options.name,
        .root_module = moduleOf(b, sdk, options, wasm, .safe),
    });
    plugin.entry = .disabled;
    plugin.rdynamic = true;
    b.installArtifact(plugin);
    const tests = b.addTest(.{ .root_module = moduleOf(b, sdk, options, b.graph.host, .debug) });
    b.step("test", "Test the plugin natively").dependOn(&b.addRunArtifact(tests).step);
}

fn moduleOf(
    b: *std.Build,
    sdk: *std.Build.Dependency,
    options: PluginOptions,
    target: std.Build.ResolvedTarget,
    optimize: std.lang.Optimize,
) *std.Build.Module {
    const module = b.createModule(.{
        .root_source_file = options.root_source_file,
        .target = target,
        .optimize = optimize,
        .strip = target.result.cpu.arch.isWasm(),
    });
    module.addAnonymousImport("exomonad", .{
        .root_source_file = sdk.path("src/exomonad.zig"),
        .target = target,
        .optimize = optimize,
    });
    return module;
}
