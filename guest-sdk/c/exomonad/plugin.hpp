// Plugins in C++: tools, hooks, resources, prompts, completions and workflows are functions, and a plugin lists them.
#ifndef EXOMONAD_PLUGIN_HPP
#define EXOMONAD_PLUGIN_HPP

#include <array>
#include <chrono>

#include "effects.hpp"

namespace exomonad {

/// The variables of a template, by name.
using Variables = std::map<std::string, std::string>;

namespace detail {

/// Decodes a value of C's types from one of C++'s, or the other way, through its JSON.
template <class To>
void decode_into(exo_json json, const exo_type *type, To *to) {
    exo_text problem = exo_decode(json, type, to);
    if (problem.data) exo_crash(problem.data);
}

inline Context context_of(const exo_context_t *context) {
    auto text = [](exo_text from) { return from.data ? std::optional(string_of(from)) : std::nullopt; };
    if (!context) return {};
    return {string_of(context->role), string_of(context->call_id), text(context->caller), text(context->principal),
            text(context->traceparent)};
}

template <class F>
struct Signature;
template <class R, class A>
struct Signature<Result<R> (*)(const A &, const Context &)> {
    using Value = R;
    using Arguments = A;
};
template <class R, class A>
struct Signature<Result<R> (*)(const A &)> {
    using Value = R;
    using Arguments = A;
};
template <class R>
struct Signature<Result<R> (*)()> {
    using Value = R;
    using Arguments = Nothing;
};

template <auto Function>
using ValueOf = typename Signature<decltype(Function)>::Value;
template <auto Function>
using ArgumentsOf = typename Signature<decltype(Function)>::Arguments;

/// Calls a function with what it takes.
template <auto Function>
auto call(const void *args, const exo_context_t *context) {
    using Arguments = ArgumentsOf<Function>;
    const auto &arguments = *static_cast<const Arguments *>(args);
    if constexpr (std::is_invocable_v<decltype(Function), const Arguments &, const Context &>)
        return Function(arguments, context_of(context));
    else if constexpr (std::is_invocable_v<decltype(Function), const Arguments &>) return Function(arguments);
    else return Function();
}

/// True for results that are no JSON object, which the C layer gets as a whole result.
template <class T>
inline constexpr bool is_whole = std::is_same_v<T, CallToolResult> || std::is_same_v<T, std::string>;

template <auto Function>
const exo_error *call_tool(const void *args, void *result, const exo_context_t *context) {
    using Value = ValueOf<Function>;
    auto outcome = call<Function>(args, context);
    if (!outcome) return to_c(outcome.error());
    if constexpr (std::is_void_v<Value>) {
        (void)result;
    } else if constexpr (std::is_same_v<Value, std::string>) {
        static_cast<exo_call_tool_result_t *>(result)->content = exo_one_content(exo_content_text(kept(*outcome)));
    } else if constexpr (std::is_same_v<Value, CallToolResult>) {
        decode_into(encode(*outcome), &exo_call_tool_result_t_type, static_cast<exo_call_tool_result_t *>(result));
    } else {
        *static_cast<Value *>(result) = std::move(*outcome);
    }
    return EXO_OK;
}

template <class T>
struct WithNothing {
    using Type = T;
};
template <>
struct WithNothing<void> {
    using Type = Nothing;
};

template <class Entry, class... Entries>
constexpr std::array<Entry, sizeof...(Entries)> list(Entries... entries) {
    return {entries...};
}

template <class Entry, std::size_t Count>
constexpr std::array<const Entry *, Count> pointers(const std::array<Entry, Count> &entries) {
    std::array<const Entry *, Count> found{};
    for (std::size_t nth = 0; nth < Count; nth++) found[nth] = &entries[nth];
    return found;
}

}  // namespace detail

/// Writes a line to the host's log.
inline void log_line(LogLevel level, std::string message) {
    // A line that cannot be written stops nobody.
    (void)log::write({.level = level, .message = std::move(message)});
}
inline void log_debug(std::string message) { log_line(LogLevel::Debug, std::move(message)); }
inline void log_info(std::string message) { log_line(LogLevel::Info, std::move(message)); }
inline void log_warn(std::string message) { log_line(LogLevel::Warn, std::move(message)); }
inline void log_error(std::string message) { log_line(LogLevel::Error, std::move(message)); }

/// A value of the role's configuration.
inline std::optional<std::string> config(const std::string &key) {
    exo_text value = exo_config(key.c_str());
    return value.data ? std::optional(detail::string_of(value)) : std::nullopt;
}

// Tools.

/// What may be said of a tool beyond its name and description.
struct ToolOptions {
    /// A display name for people.
    const char *title = nullptr;
    /// It changes nothing.
    bool read_only = false;
    /// It may destroy something.
    bool destructive = false;
    /// Calling it twice has the same effect as calling it once.
    bool idempotent = false;
    /// It interacts with things outside the host.
    bool open_world = false;
};

/// A tool: a function from its arguments, or also the `Context`, or nothing, to a `Result`. A struct becomes
/// `structuredContent`, a text a text, a `CallToolResult` is given as it is; an error becomes a result with `isError`.
///
///     exomonad::tool<greet>("greet", "Greets someone.", {.read_only = true})
template <auto Function>
constexpr exo_tool tool(const char *name, const char *description, ToolOptions options = {}) {
    using Value = detail::ValueOf<Function>;
    exo_tool entry{};
    entry.name = name;
    entry.description = description;
    entry.arguments = &Codec<detail::ArgumentsOf<Function>>::type;
    entry.gives_result = detail::is_whole<Value>;
    if constexpr (detail::is_whole<Value>) entry.result = &exo_call_tool_result_t_type;
    else entry.result = &Codec<typename detail::WithNothing<Value>::Type>::type;
    entry.call = detail::call_tool<Function>;
    entry.title = options.title;
    entry.read_only = options.read_only;
    entry.destructive = options.destructive;
    entry.idempotent = options.idempotent;
    entry.open_world = options.open_world;
    return entry;
}

// Hooks.

/// Proceed without asking the user.
inline HookOutput allow() { return {.decision = HookDecision::Allow}; }
/// Do not proceed, for this reason.
inline HookOutput deny(std::string reason) { return {.decision = HookDecision::Deny, .reason = std::move(reason)}; }
/// Ask the user, for this reason.
inline HookOutput ask(std::string reason) { return {.decision = HookDecision::Ask, .reason = std::move(reason)}; }
/// No decision.
inline HookOutput pass() { return {.decision = HookDecision::Pass}; }

namespace detail {

template <class Hook>
int handle_hook(Hook hook) {
    HookInput input{};
    exo_text problem = exo_input_as(&Codec<HookInput>::type, &input);
    if (problem.data) return exo_end_with_error(problem);
    Result<HookOutput> output = hook(input);
    if (!output) return exo_end_with_error(kept(output.error().message));
    return exo_end_with(&Codec<HookOutput>::type, &*output);
}

}  // namespace detail

/// Makes a function the hook of an event: `EXOMONAD_HOOK(pre_tool_use, guard)`. It goes from a `HookInput` to a
/// `HookOutput` or a `Result` of one.
#define EXOMONAD_HOOK(event, function)                                                                                \
    extern "C" EXO_EXPORT("handle_" #event) int handle_##event(void) { return ::exomonad::detail::handle_hook(function); }

// Resources.

/// What may be said of a resource beyond its name, address and description.
struct ResourceOptions {
    const char *title = nullptr;
    const char *mime_type = nullptr;
};

namespace detail {

inline exo_json texts_of(exo_text_map map) { return exo_encode(&exo_text_map_type, &map); }

template <auto Function>
const exo_error *read_resource(exo_text uri, exo_text_map variables, exo_embedded_resource_t *content,
                               const exo_context_t *context) {
    using Arguments = ArgumentsOf<Function>;
    using Value = ValueOf<Function>;
    Arguments arguments{};
    exo_text problem = exo_decode(texts_of(variables), &Codec<Arguments>::type, &arguments);
    if (problem.data) return exo_fail_with(EXO_ERROR_CODE_INVALID_INPUT, problem);
    auto outcome = call<Function>(&arguments, context);
    if (!outcome) return to_c(outcome.error());
    if constexpr (std::is_same_v<Value, std::optional<std::string>>) {
        if (!*outcome) return exo_no_such_resource(uri);
        content->text = kept(**outcome);
    } else if constexpr (std::is_same_v<Value, std::string>) {
        content->text = kept(*outcome);
    } else if constexpr (std::is_same_v<Value, Bytes>) {
        content->blob = {static_cast<const std::uint8_t *>(static_cast<void *>(exo_copy(outcome->data(), outcome->size()))),
                         outcome->size()};
    } else {
        decode_into(encode(*outcome), &exo_embedded_resource_t_type, content);
    }
    return EXO_OK;
}

}  // namespace detail

/// A resource, or all resources of a template: a function from the variables, which are a struct of texts or
/// `Variables`, or also the `Context`, or nothing, to a text, an optional text, `Bytes` or an `EmbeddedResource`.
template <auto Function>
constexpr exo_resource resource(const char *name, const char *uri, const char *description,
                                ResourceOptions options = {}) {
    exo_resource entry{};
    entry.name = name;
    entry.uri = uri;
    entry.description = description;
    entry.read = detail::read_resource<Function>;
    entry.title = options.title;
    entry.mime_type = options.mime_type;
    return entry;
}

// Prompts.

namespace detail {

template <auto Function>
const exo_error *get_prompt(const void *args, exo_get_prompt_result_t *result, const exo_context_t *context) {
    using Value = ValueOf<Function>;
    auto outcome = call<Function>(args, context);
    if (!outcome) return to_c(outcome.error());
    if constexpr (std::is_same_v<Value, std::string>) {
        exo_say(result, EXO_MESSAGE_ROLE_USER, kept(*outcome));
    } else if constexpr (std::is_same_v<Value, std::vector<PromptMessage>>) {
        decode_into(encode(*outcome), &exo_prompt_message_t_list_type, &result->messages);
    } else {
        decode_into(encode(*outcome), &exo_get_prompt_result_t_type, result);
    }
    return EXO_OK;
}

}  // namespace detail

/// A prompt: a function from its arguments, a struct of texts, to what the user says, a `std::vector<PromptMessage>`,
/// or a `GetPromptResult`.
template <auto Function>
constexpr exo_prompt prompt(const char *name, const char *description, const char *title = nullptr) {
    exo_prompt entry{};
    entry.name = name;
    entry.description = description;
    entry.arguments = &Codec<detail::ArgumentsOf<Function>>::type;
    entry.get = detail::get_prompt<Function>;
    entry.title = title;
    return entry;
}

// Completion.

namespace detail {

template <auto Function>
const exo_error *complete(const exo_complete_input_t *input, exo_completion_t *completion) {
    std::vector<std::string> values = Function(std::string_view(input->value.data, input->value.length));
    auto *texts = static_cast<exo_text *>(exo_alloc_items(values.size(), sizeof(exo_text)));
    for (std::size_t nth = 0; nth < values.size(); nth++) texts[nth] = kept(values[nth]);
    completion->values = {texts, values.size()};
    return EXO_OK;
}

}  // namespace detail

/// Completes an argument of a prompt by a function from its beginning to a `std::vector<std::string>`.
template <auto Function>
constexpr exo_completion complete_prompt(const char *prompt, const char *argument) {
    return {prompt, nullptr, argument, nullptr, detail::complete<Function>};
}

/// Completes a variable of a resource template by a function from its beginning to a `std::vector<std::string>`.
template <auto Function>
constexpr exo_completion complete_resource(const char *uri_template, const char *variable) {
    return {nullptr, uri_template, variable, nullptr, detail::complete<Function>};
}

// Workflows.

/// A step or a child run that was started, and will answer with a value.
template <class Answer>
struct Handle {
    std::uint64_t id = 0;
    const char *function = "";
};

/// A run whose published state has the type `State`.
template <class State = Nothing>
class Run {
  public:
    explicit Run(exo_run *run) : run_(run) {}

    /// The workflow's id, chosen by whoever started it.
    std::string workflow_id() const { return detail::string_of(run_->workflow_id); }
    /// The run's id.
    std::string run_id() const { return detail::string_of(run_->run_id); }
    /// The state that the run before this one has published, if that was continued as new.
    Result<std::optional<State>> previous_state() const {
        if (exo_json_is_null(run_->previous_state)) return std::optional<State>();
        return Json{std::string(run_->previous_state.data, run_->previous_state.length)}.as<std::optional<State>>();
    }

    /// Publishes the state: what queries see, and the next run if this one is continued as new.
    Result<void> set_state(const State &state) { return done(workflow::set_state({.state = Json::of(state)})); }

    /// Waits, for ten years at most. The run holds no memory and no sandbox meanwhile.
    Result<void> sleep(std::chrono::milliseconds time) {
        return done(workflow::sleep({.millis = static_cast<std::uint64_t>(time.count())}));
    }

    /// Waits for a signal, and returns its payload. Signals that came before were kept; the oldest is taken.
    template <class Payload>
    Result<Payload> wait_signal(const std::string &name) {
        auto payload = EXOMONAD_TRY(wait_for<Payload>(name, std::nullopt));
        if (!payload) return fail("the host ended a wait without an arrival");
        return std::move(*payload);
    }

    /// Waits for a signal, but not longer than this; none when the time is up.
    template <class Payload>
    Result<std::optional<Payload>> wait_signal(const std::string &name, std::chrono::milliseconds timeout) {
        return wait_for<Payload>(name, static_cast<std::uint64_t>(timeout.count()));
    }

    /// Sends a signal to the open run of another workflow of the role.
    template <class Payload>
    Result<void> signal(std::string workflow_id, std::string name, const Payload &payload) {
        return done(workflow::signal({.workflow_id = std::move(workflow_id), .name = std::move(name),
                                      .payload = Json::of(payload)}));
    }

    /// True if a change of the workflow's code applies to this run.
    Result<bool> patched(std::string id) {
        return EXOMONAD_TRY(workflow::patched({.id = std::move(id)})).applies;
    }

    /// Starts an effect by its request, to run beside the workflow, with retries and a time limit for all attempts.
    template <class Request>
    Result<Handle<typename detail::Startable<Request>::Answer>> start(
        const Request &request, std::optional<RetryPolicy> retry = {},
        std::optional<std::chrono::milliseconds> timeout = {}) {
        const exo_effect &effect = detail::Startable<Request>::effect();
        WorkflowStart start{.effect = effect.capability, .request = Json::of(request), .retry = std::move(retry)};
        if (timeout) start.timeout_millis = static_cast<std::uint64_t>(timeout->count());
        auto started = EXOMONAD_TRY(workflow::start(start));
        return Handle<typename detail::Startable<Request>::Answer>{started.handle, effect.function};
    }

    /// Waits for the answer of what was started.
    template <class Answer>
    Result<Answer> wait(const Handle<Answer> &handle) {
        auto come = EXOMONAD_TRY(workflow::wait({.handles = {handle.id}, .all = true}));
        if (come.arrivals.size() != 1) return fail("the host ended a wait without the answer");
        auto answer = detail::answer_of<Answer>(handle.function, detail::text_of(come.arrivals[0].value.text));
        // Only the step was stopped: that is a failure of the run, and no cancellation of it.
        if (!answer && answer.error().code == ErrorCode::Cancelled) answer.error().name = "cancelled";
        return answer;
    }

    /// Stops what was started. Its answer is the error `cancelled`, unless it was done before.
    template <class Answer>
    Result<void> cancel(const Handle<Answer> &handle) {
        return done(workflow::cancel({.handle = handle.id}));
    }

    /// Starts a run of another workflow of the role, as a child of this one.
    template <class Output>
    Result<Handle<Output>> start_child(const WorkflowStartChild &request) {
        auto child = EXOMONAD_TRY(workflow::start_child(request));
        if (!child.handle) return fail("the host started a child without a handle");
        return Handle<Output>{*child.handle, "workflow_start_child"};
    }

    /// Ends this run and starts it as a new one with this input: `return run.continue_as_new(input)`.
    template <class Input>
    Error continue_as_new(const Input &input) const {
        Error error = fail("the run goes on as a new one");
        error.details = Json::of(input);
        error.continues_as_new = true;
        return error;
    }

  private:
    template <class Answer>
    static Result<void> done(Result<Answer> result) {
        if (!result) return std::move(result.error());
        return {};
    }

    template <class Payload>
    Result<std::optional<Payload>> wait_for(const std::string &name, std::optional<std::uint64_t> timeout) {
        WorkflowWait request{.signals = {name}};
        request.timeout_millis = timeout;
        auto come = EXOMONAD_TRY(workflow::wait(request));
        if (come.arrivals.empty()) return std::optional<Payload>();
        auto payload = come.arrivals[0].value.template as<Payload>();
        if (payload) return std::optional<Payload>(std::move(*payload));
        Error error = fail("the payload of the signal `" + name + "` does not fit: " + payload.error().message);
        error.code = ErrorCode::InvalidInput;
        return error;
    }

    exo_run *run_;
};

/// The failure of a workflow with a code of its own.
inline Error workflow_fail(std::string code, std::string message) {
    Error error = fail(std::move(message));
    error.name = std::move(code);
    return error;
}

namespace detail {

template <class F>
struct WorkflowSignature;
template <class O, class I, class S>
struct WorkflowSignature<Result<O> (*)(const I &, Run<S> &)> {
    using Output = O;
    using Input = I;
    using State = S;
};

template <auto Function>
const exo_error *call_workflow(const void *input, void *output, exo_run *run) {
    using Signature = WorkflowSignature<decltype(Function)>;
    Run<typename Signature::State> typed(run);
    auto outcome = Function(*static_cast<const typename Signature::Input *>(input), typed);
    if (!outcome) return to_c(outcome.error());
    if constexpr (!std::is_void_v<typename Signature::Output>)
        *static_cast<typename Signature::Output *>(output) = std::move(*outcome);
    return EXO_OK;
}

template <class F>
struct QuerySignature;
template <class A, class S>
struct QuerySignature<A (*)(const S &)> {
    using Answer = A;
    using State = S;
    using Arguments = void;
};
template <class A, class S, class Q>
struct QuerySignature<A (*)(const S &, const Q &)> {
    using Answer = A;
    using State = S;
    using Arguments = Q;
};

template <auto Function>
const exo_error *call_query(const void *state, const void *arguments, void *answer) {
    using Signature = QuerySignature<decltype(Function)>;
    const auto &typed = *static_cast<const typename Signature::State *>(state);
    auto &place = *static_cast<typename Signature::Answer *>(answer);
    if constexpr (std::is_void_v<typename Signature::Arguments>) place = Function(typed);
    else place = Function(typed, *static_cast<const typename Signature::Arguments *>(arguments));
    (void)arguments;
    return EXO_OK;
}

template <auto Function>
const exo_error *call_migrate(std::uint32_t from_version, exo_json old, void *state) {
    auto migrated = Function(from_version, Json{std::string(old.data, old.length)});
    if (!migrated) return to_c(migrated.error());
    *static_cast<std::remove_reference_t<decltype(*migrated)> *>(state) = std::move(*migrated);
    return EXO_OK;
}

}  // namespace detail

/// A signal that a workflow takes, with the type of its payload.
template <class Payload>
constexpr exo_signal signal(const char *name) {
    return {name, &Codec<Payload>::type};
}

/// A query that a workflow answers: a function from the state, or also arguments, to the answer.
template <auto Function>
constexpr exo_query query(const char *name) {
    using Signature = detail::QuerySignature<decltype(Function)>;
    exo_query entry{};
    entry.name = name;
    if constexpr (!std::is_void_v<typename Signature::Arguments>)
        entry.arguments = &Codec<typename Signature::Arguments>::type;
    entry.answer = &Codec<typename Signature::Answer>::type;
    entry.query = detail::call_query<Function>;
    return entry;
}

/// What brings a state of an older version to the current one: `Result<State>(std::uint32_t, const Json &)`.
template <auto Function>
inline constexpr auto migration = detail::call_migrate<Function>;

/// What may be said of a workflow beyond its name and description. Signals and queries are arrays that end with `{}`.
struct WorkflowOptions {
    const char *title = nullptr;
    std::uint32_t state_version = 0;
    const exo_error *(*migrate)(std::uint32_t, exo_json, void *) = nullptr;
    const exo_signal *signals = nullptr;
    const exo_query *queries = nullptr;
    bool is_tool = false;
    bool needs_task = false;
};

/// A workflow: a function `Result<Output>(const Input &, Run<State> &)`, in which each effect is a step.
template <auto Function>
constexpr exo_workflow workflow_of(const char *name, const char *description, WorkflowOptions options = {}) {
    using Signature = detail::WorkflowSignature<decltype(Function)>;
    exo_workflow entry{};
    entry.name = name;
    entry.description = description;
    entry.input = &Codec<typename Signature::Input>::type;
    entry.output = &Codec<typename detail::WithNothing<typename Signature::Output>::Type>::type;
    entry.call = detail::call_workflow<Function>;
    entry.title = options.title;
    if constexpr (!std::is_same_v<typename Signature::State, Nothing>)
        entry.state = &Codec<typename Signature::State>::type;
    entry.state_version = options.state_version;
    entry.migrate = options.migrate;
    entry.signals = options.signals;
    entry.queries = options.queries;
    entry.is_tool = options.is_tool;
    entry.needs_task = options.needs_task;
    return entry;
}

}  // namespace exomonad

// Exports.

#define EXOMONAD_EXPORT(name, body)                                                                                   \
    extern "C" EXO_EXPORT(#name) int name(void) { return body; }

#if defined(__wasm__) && defined(_LIBCPP_VERSION)
// libc++'s own would print by the C library's printf, which is larger than most plugins.
#define EXOMONAD_VERBOSE_ABORT                                                                                        \
    void std::__libcpp_verbose_abort(const char *format, ...) noexcept {                                              \
        exo_writer writer = {nullptr, 0, 0};                                                                          \
        va_list arguments;                                                                                            \
        va_start(arguments, format);                                                                                  \
        exo_write_format_list(&writer, format, arguments);                                                            \
        va_end(arguments);                                                                                            \
        exo_crash(exo_written(&writer).data);                                                                         \
    }
#else
#define EXOMONAD_VERBOSE_ABORT
#endif

#ifdef __wasm__
// Memory of a call is never freed, and a failed check of the standard library tells the host its message.
#define EXOMONAD_RUNTIME                                                                                              \
    EXOMONAD_VERBOSE_ABORT                                                                                            \
    void *operator new(std::size_t size) { return exo_alloc_uncleared(size); }                                        \
    void *operator new[](std::size_t size) { return exo_alloc_uncleared(size); }                                      \
    void operator delete(void *) noexcept {}                                                                          \
    void operator delete[](void *) noexcept {}                                                                        \
    void operator delete(void *, std::size_t) noexcept {}                                                             \
    void operator delete[](void *, std::size_t) noexcept {}
#else
#define EXOMONAD_RUNTIME
#endif

/// Declares the plugin: its name, its version, and its tools. Once in a plugin.
#define EXOMONAD_PLUGIN(name, version, ...)                                                                           \
    EXOMONAD_RUNTIME                                                                                                  \
    static constexpr auto exo_tools = ::exomonad::detail::list<exo_tool>(__VA_ARGS__);                                \
    static constexpr auto exo_tool_pointers = ::exomonad::detail::pointers(exo_tools);                                \
    EXOMONAD_EXPORT(handle_list_tools, exo_handle_list_tools(exo_tool_pointers.data(), exo_tools.size()))             \
    EXOMONAD_EXPORT(handle_mcp_call, exo_handle_mcp_call(exo_tool_pointers.data(), exo_tools.size()))                 \
    EXOMONAD_EXPORT(describe, exo_describe(name, version, "cpp/" EXO_VERSION))

/// Declares the plugin's resources. Once in a plugin that has some.
#define EXOMONAD_RESOURCES(...)                                                                                       \
    static constexpr auto exo_resources = ::exomonad::detail::list<exo_resource>(__VA_ARGS__);                        \
    static constexpr auto exo_resource_pointers = ::exomonad::detail::pointers(exo_resources);                        \
    EXOMONAD_EXPORT(handle_list_resources, exo_handle_list_resources(exo_resource_pointers.data(), exo_resources.size())) \
    EXOMONAD_EXPORT(handle_list_resource_templates,                                                                   \
                    exo_handle_list_resource_templates(exo_resource_pointers.data(), exo_resources.size()))           \
    EXOMONAD_EXPORT(handle_read_resource, exo_handle_read_resource(exo_resource_pointers.data(), exo_resources.size()))

/// Declares the plugin's prompts. Once in a plugin that has some.
#define EXOMONAD_PROMPTS(...)                                                                                         \
    static constexpr auto exo_prompts = ::exomonad::detail::list<exo_prompt>(__VA_ARGS__);                            \
    static constexpr auto exo_prompt_pointers = ::exomonad::detail::pointers(exo_prompts);                            \
    EXOMONAD_EXPORT(handle_list_prompts, exo_handle_list_prompts(exo_prompt_pointers.data(), exo_prompts.size()))     \
    EXOMONAD_EXPORT(handle_get_prompt, exo_handle_get_prompt(exo_prompt_pointers.data(), exo_prompts.size()))

/// Declares what the plugin completes. Once in a plugin that completes something.
#define EXOMONAD_COMPLETIONS(...)                                                                                     \
    static constexpr auto exo_completions = ::exomonad::detail::list<exo_completion>(__VA_ARGS__);                    \
    EXOMONAD_EXPORT(handle_complete, exo_handle_complete(exo_completions.data(), exo_completions.size()))

/// Declares the plugin's workflows. Once in a plugin that has some.
#define EXOMONAD_WORKFLOWS(...)                                                                                       \
    static constexpr auto exo_workflows = ::exomonad::detail::list<exo_workflow>(__VA_ARGS__);                        \
    static constexpr auto exo_workflow_pointers = ::exomonad::detail::pointers(exo_workflows);                        \
    EXOMONAD_EXPORT(handle_list_workflows, exo_handle_list_workflows(exo_workflow_pointers.data(), exo_workflows.size())) \
    EXOMONAD_EXPORT(handle_workflow, exo_handle_workflow(exo_workflow_pointers.data(), exo_workflows.size()))         \
    EXOMONAD_EXPORT(handle_query, exo_handle_query(exo_workflow_pointers.data(), exo_workflows.size()))               \
    EXOMONAD_EXPORT(handle_migrate, exo_handle_migrate(exo_workflow_pointers.data(), exo_workflows.size()))

#endif
