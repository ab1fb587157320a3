pub const packages = struct {};
pub const root_deps: []const struct { []const u8, []const u8 } = &.{};
