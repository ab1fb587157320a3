//! Plugins: tools, hooks, resources, prompts, completions and workflows, with the exports that the host calls.

const std = @import("std");
const abi = @import("abi.zig");
const json = @import("json.zig");
const types = @import("types.zig");
const workflow = @import("workflow.zig");
const Call = @import("call.zig").Call;
const Error = @import("call.zig").Error;

/// The SDK's version.
pub const version = "0.1.0";

/// A plugin, for `exportPlugin`.
pub const Plugin = struct {
    name: []const u8,
    version: []const u8,
    tools: []const Tool = &.{},
    hooks: []const Hook = &.{},
    resources: []const Resource = &.{},
    prompts: []const Prompt = &.{},
    completions: []const Completion = &.{},
    workflows: []const workflow.Workflow = &.{},
};

/// A function that the host calls, from its input to its output, both as JSON.
pub const Handle = *const fn (call: *Call, input: []const u8) Error![]const u8;

/// Exports a plugin's functions: those that it uses, and no others. In the root file, in a `comptime` block.
pub fn exportPlugin(comptime plugin: Plugin) void {
    if (!abi.is_wasm) return;
    for (exportsOf(plugin)) |one| {
        @export(&struct {
            fn run() callconv(.c) i32 {
                return runExport(one.handle);
            }
        }.run, .{ .name = one.name });
    }
}

/// An export and its function.
pub const Export = struct { name: []const u8, handle: Handle };

/// The exports of a plugin.
pub fn exportsOf(comptime plugin: Plugin) []const Export {
    const handlers = Handlers(plugin);
    comptime var list: []const Export = &.{
        .{ .name = "handle_list_tools", .handle = handlers.listTools },
        .{ .name = "handle_mcp_call", .handle = handlers.callTool },
        .{ .name = "describe", .handle = handlers.describe },
    };
    inline for (plugin.hooks) |hook_of| {
        list = list ++ .{Export{ .name = "handle_" ++ @tagName(hook_of.event), .handle = hook_of.handle }};
    }
    if (plugin.resources.len > 0) list = list ++ .{
        Export{ .name = "handle_list_resources", .handle = handlers.listResources },
        Export{ .name = "handle_list_resource_templates", .handle = handlers.listTemplates },
        Export{ .name = "handle_read_resource", .handle = handlers.readResource },
    };
    if (plugin.prompts.len > 0) list = list ++ .{
        Export{ .name = "handle_list_prompts", .handle = handlers.listPrompts },
        Export{ .name = "handle_get_prompt", .handle = handlers.getPrompt },
    };
    if (plugin.completions.len > 0)
        list = list ++ .{Export{ .name = "handle_complete", .handle = handlers.complete }};
    if (plugin.workflows.len > 0) {
        const of_workflows = workflow.Handlers(plugin.workflows);
        list = list ++ .{
            Export{ .name = "handle_list_workflows", .handle = of_workflows.list },
            Export{ .name = "handle_workflow", .handle = of_workflows.run },
            Export{ .name = "handle_query", .handle = of_workflows.query },
            Export{ .name = "handle_migrate", .handle = of_workflows.migrate },
        };
    }
    return list;
}

fn runExport(handle: Handle) i32 {
    var call: Call = .{ .allocator = abi.allocator_of_call, .host = {} };
    const input = abi.input(call.allocator) catch return 1;
    const output = handle(&call, input) catch |failure| {
        abi.setError(call.failureOf(failure).message);
        return 1;
    };
    abi.setOutput(output);
    return 0;
}

/// Reports a panic's message to the host. In the root file: `pub const panic = exomonad.panic;`.
pub const panic = std.debug.FullPanic(reportPanic);

fn reportPanic(message: []const u8, _: ?usize) noreturn {
    if (comptime abi.is_wasm) {
        abi.setError(message);
        @trap();
    }
    std.debug.defaultPanic(message, null);
}

fn ParameterOf(comptime function: anytype, comptime nth: usize) type {
    const parameters = @typeInfo(@TypeOf(function)).@"fn".param_types;
    return if (parameters.len > nth) parameters[nth].? else struct {};
}

pub fn ReturnOf(comptime function: anytype) type {
    return @typeInfo(@typeInfo(@TypeOf(function)).@"fn".return_type.?).error_union.payload;
}

/// Calls a function with its arguments, if it takes some.
fn callWith(comptime function: anytype, call: *Call, arguments: ParameterOf(function, 1)) Error!ReturnOf(function) {
    return if (comptime @typeInfo(@TypeOf(function)).@"fn".param_types.len > 1)
        function(call, arguments)
    else
        function(call);
}

// Tools.

/// What is said of a tool.
pub const ToolOptions = struct {
    /// The name by which it is called.
    name: []const u8,
    /// Its description, for the model that chooses tools.
    description: []const u8,
    /// A display name for people.
    title: ?[]const u8 = null,
    /// It changes nothing.
    read_only: bool = false,
    /// It may destroy something.
    destructive: bool = false,
    /// Calling it twice has the same effect as calling it once.
    idempotent: bool = false,
    /// It interacts with things outside the host.
    open_world: bool = false,
    /// Pictures of it, the best first.
    icons: []const types.Icon = &.{},
};

/// A tool, made by `tool`.
pub const Tool = struct {
    listing: types.Tool,
    run: *const fn (call: *Call, arguments: json.Json) Error!types.CallToolResult,
};

/// A tool from a function: `fn (call: *Call, args: Args) !Result`, or without the arguments. A struct becomes
/// `structuredContent`, a text a text, a `types.CallToolResult` is given as it is; an error becomes a result with
/// `isError`.
pub fn tool(comptime function: anytype, comptime options: ToolOptions) Tool {
    const Arguments = ParameterOf(function, 1);
    const Result = ReturnOf(function);
    const is_object = @typeInfo(Result) == .@"struct" and Result != types.CallToolResult and Result != json.Json;
    const hints: types.ToolAnnotations = .{
        .read_only_hint = if (options.read_only) true else null,
        .destructive_hint = if (options.destructive) true else null,
        .idempotent_hint = if (options.idempotent) true else null,
        .open_world_hint = if (options.open_world) true else null,
    };
    const has_hints = options.read_only or options.destructive or options.idempotent or options.open_world;
    return .{
        .listing = .{
            .name = options.name,
            .title = options.title,
            .description = options.description,
            .input_schema = json.schema(Arguments),
            .output_schema = if (is_object) json.schema(Result) else null,
            .annotations = if (has_hints) hints else null,
            .icons = options.icons,
        },
        .run = struct {
            fn run(call: *Call, arguments: json.Json) Error!types.CallToolResult {
                const decoded = call.decode(Arguments, arguments) catch |failure| switch (failure) {
                    error.InvalidInput => return call.fail("the arguments do not fit: {s}", .{call.failure.?.message}),
                    else => return failure,
                };
                const result = try callWith(function, call, decoded);
                if (Result == types.CallToolResult) return result;
                if (Result == void) return .{ .content = try oneText(call, "") };
                if (Result == []const u8) return .{ .content = try oneText(call, result) };
                const text = try json.encode(call.allocator, result);
                return .{
                    .content = try oneText(call, text),
                    .structured_content = if (is_object) .{ .text = text } else null,
                };
            }
        }.run,
    };
}

fn oneText(call: *Call, text: []const u8) Error![]const types.Content {
    return call.allocator.dupe(types.Content, &.{.{ .text = .{ .text = text } }});
}

// Hooks.

/// A hook, made by `hook`.
pub const Hook = struct { event: types.HookEvent, handle: Handle };

/// A hook from a function: `fn (call: *Call, input: types.HookInput) !types.HookOutput`.
pub fn hook(comptime event: types.HookEvent, comptime function: anytype) Hook {
    return .{ .event = event, .handle = struct {
        fn handle(call: *Call, input: []const u8) Error![]const u8 {
            const decoded = try call.decode(types.HookInput, .{ .text = input });
            call.context = decoded.context;
            return json.encode(call.allocator, @as(types.HookOutput, try function(call, decoded)));
        }
    }.handle };
}

// Resources.

/// What is said of a resource.
pub const ResourceOptions = struct {
    name: []const u8,
    /// Its content, described for a model.
    description: []const u8,
    title: ?[]const u8 = null,
    /// The media type; `text/plain` for a text, `application/octet-stream` for bytes, if none is said.
    mime_type: ?[]const u8 = null,
    /// Lists the resources of a template that there are.
    list: ?*const fn (call: *Call) Error![]const types.Resource = null,
    icons: []const types.Icon = &.{},
};

/// A resource, or all resources of a template, made by `resource`.
pub const Resource = struct {
    uri: []const u8,
    options: ResourceOptions,
    read: *const fn (call: *Call, variables: types.Map([]const u8)) Error!types.EmbeddedResource,

    fn isTemplate(self: Resource) bool {
        return std.mem.indexOfScalar(u8, self.uri, '{') != null;
    }
};

/// A resource from a function: `fn (call: *Call, variables: Variables) !Content`, or without the variables, which are
/// a struct of texts. The content is a text, an optional one, `Bytes`, or a whole `types.EmbeddedResource`.
pub fn resource(comptime uri: []const u8, comptime function: anytype, comptime options: ResourceOptions) Resource {
    return .{ .uri = uri, .options = options, .read = struct {
        fn read(call: *Call, variables: types.Map([]const u8)) Error!types.EmbeddedResource {
            const decoded = try call.decode(ParameterOf(function, 1), try call.encode(variables));
            const content = try callWith(function, call, decoded);
            switch (@TypeOf(content)) {
                types.EmbeddedResource => return content,
                types.Bytes => return .{
                    .uri = "",
                    .mime_type = options.mime_type orelse "application/octet-stream",
                    .blob = content,
                },
                else => {
                    const text: ?[]const u8 = content;
                    return .{
                        .uri = "",
                        .mime_type = options.mime_type orelse "text/plain",
                        .text = text orelse return call.failWith(.not_found, "there is no such resource", .{}),
                    };
                },
            }
        }
    }.read };
}

/// The variables of an address that fits a template.
fn match(call: *Call, template: []const u8, uri: []const u8) Error!?types.Map([]const u8) {
    const Entry = types.Map([]const u8).Entry;
    var entries: std.ArrayList(Entry) = .empty;
    var pattern = template;
    var rest = uri;
    while (std.mem.indexOfScalar(u8, pattern, '{')) |open| {
        if (!std.mem.startsWith(u8, rest, pattern[0..open])) return null;
        rest = rest[open..];
        const close = std.mem.indexOfScalarPos(u8, pattern, open, '}') orelse return null;
        var name = pattern[open + 1 .. close];
        pattern = pattern[close + 1 ..];
        const may_have_parts = std.mem.startsWith(u8, name, "+");
        if (may_have_parts) name = name[1..];
        // A value goes on to the text that follows it, which begins at its first place.
        const following = pattern[0 .. std.mem.indexOfScalar(u8, pattern, '{') orelse pattern.len];
        const length = if (following.len == 0) rest.len else std.mem.indexOf(u8, rest, following) orelse return null;
        const value = rest[0..length];
        rest = rest[length..];
        if (length == 0 or (!may_have_parts and std.mem.indexOfScalar(u8, value, '/') != null)) return null;
        const decoded = try percentDecoded(call, value) orelse return null;
        try entries.append(call.allocator, .{ .key = name, .value = decoded });
    }
    return if (std.mem.eql(u8, pattern, rest)) .{ .entries = entries.items } else null;
}

/// A text without `%20` and the like; none if what they stand for is no text.
fn percentDecoded(call: *Call, text: []const u8) Error!?[]const u8 {
    const decoded = try call.allocator.alloc(u8, text.len);
    var length: usize = 0;
    var at: usize = 0;
    while (at < text.len) : (at += 1) {
        decoded[length] = text[at];
        if (text[at] == '%') {
            if (text.len - at < 3) return null;
            const high = std.fmt.charToDigit(text[at + 1], 16) catch return null;
            const low = std.fmt.charToDigit(text[at + 2], 16) catch return null;
            decoded[length] = high * 16 + low;
            at += 2;
        }
        length += 1;
    }
    return if (std.unicode.utf8ValidateSlice(decoded[0..length])) decoded[0..length] else null;
}

// Prompts.

/// What is said of a prompt.
pub const PromptOptions = struct {
    name: []const u8,
    description: []const u8,
    title: ?[]const u8 = null,
    icons: []const types.Icon = &.{},
};

/// A prompt, made by `prompt`.
pub const Prompt = struct {
    listing: types.Prompt,
    get: *const fn (call: *Call, arguments: types.Map([]const u8)) Error!types.GetPromptResult,
};

/// A prompt from a function: `fn (call: *Call, args: Args) !Messages`, or without the arguments, which are a struct of
/// texts. The messages are what the user says, `[]const types.PromptMessage`, or a `types.GetPromptResult`.
pub fn prompt(comptime function: anytype, comptime options: PromptOptions) Prompt {
    const Arguments = ParameterOf(function, 1);
    comptime var arguments: []const types.PromptArgument = &.{};
    const info = @typeInfo(Arguments).@"struct";
    inline for (info.field_names, info.field_attrs) |name, attributes| {
        const is_described = @hasDecl(Arguments, "descriptions") and @hasField(@TypeOf(Arguments.descriptions), name);
        arguments = arguments ++ .{types.PromptArgument{
            .name = json.nameOf(Arguments, name),
            .description = if (is_described) @field(Arguments.descriptions, name) else null,
            .required = attributes.default_value_ptr == null,
        }};
    }
    return .{
        .listing = .{
            .name = options.name,
            .title = options.title,
            .description = options.description,
            .arguments = arguments,
            .icons = options.icons,
        },
        .get = struct {
            fn get(call: *Call, given: types.Map([]const u8)) Error!types.GetPromptResult {
                const decoded = try call.decode(Arguments, try call.encode(given));
                const result = try callWith(function, call, decoded);
                return switch (@TypeOf(result)) {
                    types.GetPromptResult => result,
                    []const types.PromptMessage => .{ .messages = result },
                    else => .{ .messages = try call.allocator.dupe(types.PromptMessage, &.{
                        .{ .role = .user, .content = .{ .text = .{ .text = result } } },
                    }) },
                };
            }
        }.get,
    };
}

// Completion.

/// The completion of an argument of a prompt, or of a variable of a resource template.
pub const Completion = struct {
    /// The prompt, or
    prompt: ?[]const u8 = null,
    /// the template.
    uri_template: ?[]const u8 = null,
    argument: []const u8,
    /// The values: those that begin with what is written are given. Or
    values: []const []const u8 = &.{},
    /// a function that gives them.
    complete: ?*const fn (call: *Call, input: types.CompleteInput) Error!types.Completion = null,
};

fn isNamed(name: ?[]const u8, wanted: ?[]const u8) bool {
    return std.mem.eql(u8, name orelse return false, wanted orelse return false);
}

// Exports.

fn Handlers(comptime plugin: Plugin) type {
    return struct {
        fn listTools(call: *Call, _: []const u8) Error![]const u8 {
            const listed = try call.allocator.alloc(types.Tool, plugin.tools.len);
            for (listed, plugin.tools) |*one, from| one.* = from.listing;
            return json.encode(call.allocator, types.ListToolsResult{ .tools = listed });
        }

        fn callTool(call: *Call, input: []const u8) Error![]const u8 {
            const decoded = try call.decode(types.ToolCallInput, .{ .text = input });
            call.context = decoded.context;
            const result = run(call, decoded) catch |failure| types.CallToolResult{
                .content = try oneText(call, call.failureOf(failure).message),
                .is_error = true,
            };
            return json.encode(call.allocator, result);
        }

        fn run(call: *Call, input: types.ToolCallInput) Error!types.CallToolResult {
            for (plugin.tools) |one| {
                if (std.mem.eql(u8, one.listing.name, input.name))
                    return one.run(call, input.arguments orelse .{ .text = "{}" });
            }
            const names = comptime names: {
                var list: []const u8 = "";
                for (plugin.tools) |one| list = list ++ (if (list.len > 0) ", " else "") ++ one.listing.name;
                break :names list;
            };
            return call.fail("no tool `{s}`; there are {s}", .{ input.name, names });
        }

        fn describe(call: *Call, _: []const u8) Error![]const u8 {
            // The effects it needs are the host functions it imports, so that no list has to be maintained.
            return json.encode(call.allocator, types.PluginDescription{
                .name = plugin.name,
                .version = plugin.version,
                .sdk = "zig/" ++ version,
            });
        }

        fn listResources(call: *Call, _: []const u8) Error![]const u8 {
            var listed: std.ArrayList(types.Resource) = .empty;
            for (plugin.resources) |one| {
                if (one.options.list) |list| {
                    const more = list(call) catch |failure| return json.encode(call.allocator, types.ListResourcesResult{
                        .resources = &.{},
                        .@"error" = call.effectErrorOf(failure),
                    });
                    try listed.appendSlice(call.allocator, more);
                } else if (!one.isTemplate()) try listed.append(call.allocator, .{
                    .uri = one.uri,
                    .name = one.options.name,
                    .title = one.options.title,
                    .description = one.options.description,
                    .mime_type = one.options.mime_type,
                    .icons = one.options.icons,
                });
            }
            return json.encode(call.allocator, types.ListResourcesResult{ .resources = listed.items });
        }

        fn listTemplates(call: *Call, _: []const u8) Error![]const u8 {
            var listed: std.ArrayList(types.ResourceTemplate) = .empty;
            for (plugin.resources) |one| {
                if (one.isTemplate()) try listed.append(call.allocator, .{
                    .uri_template = one.uri,
                    .name = one.options.name,
                    .title = one.options.title,
                    .description = one.options.description,
                    .mime_type = one.options.mime_type,
                    .icons = one.options.icons,
                });
            }
            return json.encode(call.allocator, types.ListResourceTemplatesResult{ .resource_templates = listed.items });
        }

        fn readResource(call: *Call, input: []const u8) Error![]const u8 {
            const decoded = try call.decode(types.ReadResourceInput, .{ .text = input });
            call.context = decoded.context;
            const result: types.ReadResourceResult = if (read(call, decoded.uri)) |content| .{
                .contents = try call.allocator.dupe(types.EmbeddedResource, &.{content}),
            } else |failure| .{ .@"error" = call.effectErrorOf(failure) };
            return json.encode(call.allocator, result);
        }

        fn read(call: *Call, uri: []const u8) Error!types.EmbeddedResource {
            // A resource of its own comes before the templates.
            for ([_]bool{ false, true }) |is_template| {
                for (plugin.resources) |one| {
                    if (one.isTemplate() != is_template) continue;
                    const variables = try match(call, one.uri, uri) orelse continue;
                    var content = try one.read(call, variables);
                    if (content.uri.len == 0) content.uri = uri;
                    return content;
                }
            }
            return call.failWith(.not_found, "there is no resource `{s}`", .{uri});
        }

        fn listPrompts(call: *Call, _: []const u8) Error![]const u8 {
            const listed = try call.allocator.alloc(types.Prompt, plugin.prompts.len);
            for (listed, plugin.prompts) |*one, from| one.* = from.listing;
            return json.encode(call.allocator, types.ListPromptsResult{ .prompts = listed });
        }

        fn getPrompt(call: *Call, input: []const u8) Error![]const u8 {
            const decoded = try call.decode(types.GetPromptInput, .{ .text = input });
            call.context = decoded.context;
            const result = get(call, decoded) catch |failure|
                types.GetPromptResult{ .@"error" = call.effectErrorOf(failure) };
            return json.encode(call.allocator, result);
        }

        fn get(call: *Call, input: types.GetPromptInput) Error!types.GetPromptResult {
            for (plugin.prompts) |one| {
                if (!std.mem.eql(u8, one.listing.name, input.name)) continue;
                var result = try one.get(call, input.arguments);
                if (result.description == null) result.description = one.listing.description;
                return result;
            }
            return call.failWith(.not_found, "there is no prompt `{s}`", .{input.name});
        }

        fn complete(call: *Call, input: []const u8) Error![]const u8 {
            const decoded = try call.decode(types.CompleteInput, .{ .text = input });
            call.context = decoded.context;
            const result: types.CompleteResult = if (completed(call, decoded)) |completion|
                .{ .completion = completion }
            else |failure|
                .{ .completion = .{}, .@"error" = call.effectErrorOf(failure) };
            return json.encode(call.allocator, result);
        }

        fn completed(call: *Call, input: types.CompleteInput) Error!types.Completion {
            for (plugin.completions) |one| {
                if (!std.mem.eql(u8, one.argument, input.argument)) continue;
                if (!isNamed(input.prompt, one.prompt) and !isNamed(input.uri_template, one.uri_template)) continue;
                if (one.complete) |function| return function(call, input);
                var values: std.ArrayList([]const u8) = .empty;
                for (one.values) |value| {
                    if (values.items.len < 100 and std.mem.startsWith(u8, value, input.value))
                        try values.append(call.allocator, value);
                }
                return .{ .values = values.items };
            }
            return .{};
        }
    };
}
