//! Workflows: functions whose runs outlive the host's process.
//!
//! Each effect is a step, whose answer the host records. A run that is resumed is called from its beginning and given
//! the recorded answers, so its code has to ask for the same effects in the same order each time: time, randomness and
//! everything else that may differ come from effects.

const std = @import("std");
const effects = @import("effects.zig");
const json = @import("json.zig");
const plugin = @import("plugin.zig");
const types = @import("types.zig");
const Call = @import("call.zig").Call;
const Error = @import("call.zig").Error;

/// A step, a timer or a child run that was started, and will answer with an `Answer`.
pub fn Started(comptime Answer: type) type {
    return struct {
        id: u64,
        function: []const u8,

        const Of = Answer;
    };
}

/// A run, whose published state has the type `State`; `void` if it publishes none.
pub fn Run(comptime StateType: type) type {
    return struct {
        /// The run as a call, for effects.
        call: *Call,
        /// The workflow's id, chosen by whoever started it.
        workflow_id: []const u8,
        /// The run's id.
        run_id: []const u8,
        /// The state that the run before this one has published, if that was continued as new.
        previous_state: ?State = null,

        pub const State = StateType;
        const Self = @This();

        /// Publishes the state: what queries see, and the next run if this one is continued as new.
        pub fn setState(self: *Self, state: State) Error!void {
            _ = try effects.workflow.setState(self.call, .{ .state = try self.call.encode(state) });
        }

        /// Waits, for ten years at most. The run holds no memory and no sandbox meanwhile.
        pub fn sleep(self: *Self, millis: u64) Error!void {
            _ = try effects.workflow.sleep(self.call, .{ .millis = millis });
        }

        /// Waits for a signal, and returns its payload. Signals that came before were kept; the oldest is taken.
        pub fn waitSignal(self: *Self, comptime Payload: type, name: []const u8) Error!Payload {
            return try self.waitFor(Payload, name, null) orelse
                self.call.failWith(.internal, "the host ended a wait without an arrival", .{});
        }

        /// Waits for a signal, but not longer than this; none when the time is up.
        pub fn waitSignalTimeout(self: *Self, comptime Payload: type, name: []const u8, millis: u64) Error!?Payload {
            return self.waitFor(Payload, name, millis);
        }

        fn waitFor(self: *Self, comptime Payload: type, name: []const u8, timeout: ?u64) Error!?Payload {
            const come = try effects.workflow.wait(self.call, .{ .signals = &.{name}, .timeout_millis = timeout });
            if (come.arrivals.len == 0) return null;
            return self.call.decode(Payload, come.arrivals[0].value) catch |failure| switch (failure) {
                error.InvalidInput => self.call.failWith(
                    .invalid_input,
                    "the payload of the signal `{s}` does not fit: {s}",
                    .{ name, self.call.failure.?.message },
                ),
                else => failure,
            };
        }

        /// Sends a signal to the open run of another workflow of the role.
        pub fn signal(self: *Self, workflow_id: []const u8, name: []const u8, payload: anytype) Error!void {
            _ = try effects.workflow.signal(self.call, .{
                .workflow_id = workflow_id,
                .name = name,
                .payload = try self.call.encode(payload),
            });
        }

        /// True if a change of the workflow's code applies to this run: false for one that has come past this place
        /// with the code before the change.
        pub fn patched(self: *Self, id: []const u8) Error!bool {
            return (try effects.workflow.patched(self.call, .{ .id = id })).applies;
        }

        /// How an effect is started.
        pub const StartOptions = struct {
            /// Tries it again when it fails.
            retry: ?types.RetryPolicy = null,
            /// The time for all attempts together.
            timeout_millis: ?u64 = null,
        };

        /// Starts an effect by the type of its request, to run beside the workflow.
        pub fn start(self: *Self, request: anytype, options: StartOptions) Error!Started(effectOf(@TypeOf(request)).Answer) {
            const effect = comptime effectOf(@TypeOf(request));
            // The effect is started by name, but only what the plugin imports counts as needed by it.
            if (comptime @import("abi.zig").is_wasm)
                std.mem.doNotOptimizeAway(&@field(effects.imports, effect.function));
            const started = try effects.workflow.start(self.call, .{
                .effect = effect.capability,
                .request = try self.call.encode(request),
                .retry = options.retry,
                .timeout_millis = options.timeout_millis,
            });
            return .{ .id = started.handle, .function = effect.function };
        }

        /// Starts a run of another workflow of the role, as a child of this one.
        pub fn startChild(self: *Self, comptime Output: type, request: types.WorkflowStartChild) Error!Started(Output) {
            const child = try effects.workflow.startChild(self.call, request);
            const id = child.handle orelse return self.call.failWith(.internal, "the child has no handle", .{});
            return .{ .id = id, .function = "workflow_start_child" };
        }

        /// Waits for the answer of what was started.
        pub fn wait(self: *Self, started: anytype) Error!@TypeOf(started).Of {
            const come = try effects.workflow.wait(self.call, .{ .handles = &.{started.id}, .all = true });
            if (come.arrivals.len != 1)
                return self.call.failWith(.internal, "the host ended a wait without the answer", .{});
            return self.call.answerOf(started.function, @TypeOf(started).Of, come.arrivals[0].value.text) catch |failure| switch (failure) {
                // Only the step was stopped: that is a failure of the run, and no cancellation of it.
                error.Cancelled => {
                    self.call.failure.?.@"error" = error.Failed;
                    return error.Failed;
                },
                else => return failure,
            };
        }

        /// Stops what was started. Waiting for it then fails, unless it was done before.
        pub fn cancel(self: *Self, started: anytype) Error!void {
            _ = try effects.workflow.cancel(self.call, .{ .handle = started.id });
        }

        /// Fails with a code of the workflow's own.
        pub fn fail(self: *Self, code: []const u8, comptime format: []const u8, arguments: anytype) Error {
            const failure = self.call.fail(format, arguments);
            if (self.call.failure) |*known| known.code = code;
            return failure;
        }

        /// Ends this run and starts it as a new one with this input and an empty history:
        /// `return run.continueAsNew(input)`.
        pub fn continueAsNew(self: *Self, input: anytype) Error {
            self.call.failure = .{
                .@"error" = error.ContinueAsNew,
                .message = "the run goes on as a new one",
                .details = try self.call.encode(input),
            };
            return error.ContinueAsNew;
        }
    };
}

fn effectOf(comptime Request: type) effects.Effect {
    @setEvalBranchQuota(10_000);
    for (effects.all) |effect| {
        if (effect.Request == Request) return effect;
    }
    @compileError(@typeName(Request) ++ " is not the request of an effect");
}

/// What is said of a workflow.
pub const Options = struct {
    /// The name by which it is started.
    name: []const u8,
    description: []const u8,
    title: ?[]const u8 = null,
    /// The version of its state.
    state_version: u32 = 0,
    /// The signals that it takes; any, if none is declared.
    signals: []const types.WorkflowMessage = &.{},
    /// The queries that it answers.
    queries: []const Query = &.{},
    /// What brings a state of an older version to the current one, made by `migration`.
    migrate: ?Migrate = null,
    /// True if MCP clients may start it as a tool.
    is_tool: bool = false,
    /// True if that tool is for clients that have tasks.
    needs_task: bool = false,
    icons: []const types.Icon = &.{},
};

const Migrate = *const fn (call: *Call, from_version: u32, state: json.Json) Error!json.Json;

/// A query that a workflow answers from its published state, made by `query`.
pub const Query = struct {
    listing: types.WorkflowMessage,
    answer: *const fn (call: *Call, state: json.Json, arguments: json.Json) Error!json.Json,
};

/// A workflow, made by `workflow`.
pub const Workflow = struct {
    listing: types.WorkflowDefinition,
    queries: []const Query,
    migrate: ?Migrate,
    run: *const fn (call: *Call, input: types.WorkflowInput) Error!json.Json,
};

/// A signal that a workflow takes, with the type of its payload.
pub fn signal(comptime name: []const u8, comptime Payload: type) types.WorkflowMessage {
    return .{ .name = name, .schema = json.schema(Payload) };
}

/// A query from a function: `fn (call: *Call, state: State) !Answer`, or also `(…, arguments: Arguments)`.
pub fn query(comptime name: []const u8, comptime function: anytype) Query {
    const parameters = @typeInfo(@TypeOf(function)).@"fn".param_types;
    return .{
        .listing = .{ .name = name, .schema = if (parameters.len > 2) json.schema(parameters[2].?) else null },
        .answer = struct {
            fn answer(call: *Call, state: json.Json, arguments: json.Json) Error!json.Json {
                if (state.isNull()) return call.fail("the run has not published a state yet", .{});
                const decoded = try call.decode(parameters[1].?, state);
                return call.encode(if (comptime parameters.len > 2)
                    try function(call, decoded, try call.decode(parameters[2].?, arguments))
                else
                    try function(call, decoded));
            }
        }.answer,
    };
}

/// What brings a state of an older version to the current one: `fn (call: *Call, from_version: u32, state: Json)
/// !State`.
pub fn migration(comptime function: anytype) Migrate {
    return struct {
        fn migrate(call: *Call, from_version: u32, state: json.Json) Error!json.Json {
            return call.encode(try function(call, from_version, state));
        }
    }.migrate;
}

/// A workflow from a function: `fn (run: *Run(State), input: Input) !Output`.
pub fn workflow(comptime function: anytype, comptime options: Options) Workflow {
    const parameters = @typeInfo(@TypeOf(function)).@"fn".param_types;
    const RunType = @typeInfo(parameters[0].?).pointer.child;
    const Input = if (parameters.len > 1) parameters[1].? else struct {};
    const Output = plugin.ReturnOf(function);
    comptime var queries: []const types.WorkflowMessage = &.{};
    inline for (options.queries) |one| queries = queries ++ .{one.listing};
    return .{
        .listing = .{
            .name = options.name,
            .title = options.title,
            .description = options.description,
            .input_schema = if (parameters.len > 1) json.schema(Input) else null,
            .output_schema = if (Output == void) null else json.schema(Output),
            .state_schema = if (RunType.State == void) null else json.schema(RunType.State),
            .state_version = options.state_version,
            .signals = options.signals,
            .queries = queries,
            .icons = options.icons,
            .is_tool = options.is_tool,
            .needs_task = options.needs_task,
        },
        .queries = options.queries,
        .migrate = options.migrate,
        .run = struct {
            fn run(call: *Call, input: types.WorkflowInput) Error!json.Json {
                // No input is the struct without fields, and a workflow without input is started with any.
                const is_none = input.input.isNull() and @typeInfo(Input) == .@"struct" and Input != json.Json;
                const given: json.Json = if (is_none or parameters.len < 2) .{ .text = "{}" } else input.input;
                const decoded = call.decode(Input, given) catch |failure| switch (failure) {
                    error.InvalidInput => return call.failWith(
                        .invalid_input,
                        "the input does not fit: {s}",
                        .{call.failure.?.message},
                    ),
                    else => return failure,
                };
                var typed: RunType = .{ .call = call, .workflow_id = input.workflow_id, .run_id = input.run_id };
                if (!input.state.isNull()) typed.previous_state = try call.decode(RunType.State, input.state);
                const output = if (comptime parameters.len > 1) try function(&typed, decoded) else try function(&typed);
                return if (Output == void) .{} else call.encode(output);
            }
        }.run,
    };
}

/// The exports of workflows.
pub fn Handlers(comptime workflows: []const Workflow) type {
    return struct {
        pub fn list(call: *Call, _: []const u8) Error![]const u8 {
            const listed = try call.allocator.alloc(types.WorkflowDefinition, workflows.len);
            for (listed, workflows) |*one, from| one.* = from.listing;
            return json.encode(call.allocator, types.ListWorkflowsResult{ .workflows = listed });
        }

        pub fn run(call: *Call, text: []const u8) Error![]const u8 {
            const input = try call.decode(types.WorkflowInput, .{ .text = text });
            call.context = input.context;
            const one = try find(call, input.workflow);
            const outcome: types.WorkflowOutcome = if (one.run(call, input)) |output|
                .{ .end = .completed, .output = output }
            else |failure|
                outcomeOf(call, failure);
            return json.encode(call.allocator, outcome);
        }

        fn outcomeOf(call: *Call, failure: Error) types.WorkflowOutcome {
            const known = call.failureOf(failure);
            return switch (failure) {
                error.ContinueAsNew => .{ .end = .continue_as_new, .input = known.details orelse .{} },
                error.Cancelled => .{ .end = .cancelled },
                else => .{ .end = .failed, .failure = .{
                    .code = known.code,
                    .message = known.message,
                    .details = known.details,
                } },
            };
        }

        pub fn query(call: *Call, text: []const u8) Error![]const u8 {
            const input = try call.decode(types.WorkflowQueryInput, .{ .text = text });
            call.context = input.context;
            const one = try find(call, input.workflow);
            for (one.queries) |known| {
                if (!std.mem.eql(u8, known.listing.name, input.query)) continue;
                const value = try known.answer(call, input.state, input.arguments);
                return json.encode(call.allocator, types.WorkflowQueryResult{ .value = value });
            }
            return call.fail("the workflow `{s}` has no query `{s}`", .{ input.workflow, input.query });
        }

        pub fn migrate(call: *Call, text: []const u8) Error![]const u8 {
            const input = try call.decode(types.WorkflowMigrateInput, .{ .text = text });
            call.context = input.context;
            const one = try find(call, input.workflow);
            const known = one.migrate;
            if (known == null or input.to_version != one.listing.state_version) return call.fail(
                "the workflow `{s}` cannot bring its state from version {d} to {d}; its version is {d}",
                .{ input.workflow, input.from_version, input.to_version, one.listing.state_version },
            );
            const state = try known.?(call, input.from_version, input.state);
            return json.encode(call.allocator, types.WorkflowMigrateResult{ .state = state });
        }

        fn find(call: *Call, name: []const u8) Error!Workflow {
            for (workflows) |one| {
                if (std.mem.eql(u8, one.listing.name, name)) return one;
            }
            return call.fail("there is no workflow `{s}`", .{name});
        }
    };
}
