// The plugin of the contract suite, in C++. The other languages have the same one.
#include "contract.hpp"

#include <random>

using namespace exomonad;

// Tools.

struct RoundTripArgs {
    std::string kind;
    std::vector<Json> values;
};
EXOMONAD_RECORD(RoundTripArgs, (kind, "The name of a type of the contract."), (values, "Values of that type."))

struct Values {
    std::vector<Json> values;
};
EXOMONAD_RECORD(Values, (values, "The values, decoded and encoded again."))

static Result<Values> round_trip(const RoundTripArgs &args) {
    for (const ContractType &one : contract_types) {
        if (args.kind != one.name) continue;
        Values result;
        for (const Json &json : args.values) {
            void *value = exo_new(one.type);
            exo_text problem = exo_decode_new({json.text.data(), json.text.size()}, one.type, value);
            if (problem.data) return fail(detail::string_of(problem));
            exo_json again = exo_encode(one.type, value);
            result.values.push_back({std::string(again.data, again.length)});
        }
        return result;
    }
    return fail("the contract has no type `" + args.kind + "`");
}

struct PerformArgs {
    std::string function;
    Json request;
};
EXOMONAD_RECORD(PerformArgs, (function, "The effect's host function."), (request, "The effect's request."))

struct Performed {
    std::optional<Json> answer{};
    std::optional<EffectError> error{};
};
EXOMONAD_RECORD(Performed, (answer, "The effect's answer."), (error, "The effect's error."))

static Result<Performed> perform(const PerformArgs &args) {
    for (const ContractEffect &effect : contract_effects) {
        if (args.function != effect.function) continue;
        auto answer = effect.perform(args.request);
        if (answer) return Performed{.answer = std::move(*answer)};
        Error &error = answer.error();
        if (!error.code) return fail("the request does not fit: " + error.message);
        return Performed{.error = EffectError{*error.code, error.message, error.details}};
    }
    return fail("there is no effect `" + args.function + "`");
}

struct Text {
    std::string text;
};
EXOMONAD_RECORD(Text, (text, "A text."))

static Result<Text> echo(const Text &args) { return args; }

struct Numbers {
    std::vector<std::string> numbers;
};
EXOMONAD_RECORD(Numbers, (numbers, "Two numbers."))

static Result<Numbers> draw() {
    std::random_device device;
    std::mt19937 engine(device());
    return Numbers{{std::to_string(device()), std::to_string(engine())}};
}

struct Message {
    std::string message;
};
EXOMONAD_RECORD(Message, (message, "The message."))

static Result<void> fail_as_asked(const Message &args) { return fail(args.message); }

static Result<void> crash() { exo_crash("crashed on request"); }

EXOMONAD_PLUGIN("contract-cpp", EXO_VERSION,
                tool<round_trip>("round_trip", "Decodes values and encodes them again.", {.read_only = true}),
                tool<perform>("perform", "Performs an effect."),
                tool<echo>("echo", "Gives its text back.", {.read_only = true}),
                tool<draw>("random", "Gives two random numbers.", {.read_only = true}),
                tool<fail_as_asked>("fail", "Fails with a message."), tool<crash>("crash", "Crashes."))

// Hooks.

struct ToolUse {
    std::optional<std::string> tool_name;
};
EXOMONAD_RECORD(ToolUse, (tool_name, "The tool."))

static HookOutput deny_all(const HookInput &input) {
    auto use = input.payload.as<ToolUse>();
    std::string tool = use ? use->tool_name.value_or("") : "";
    return deny(std::string(name_of(input.event)) + " " + tool);
}

EXOMONAD_HOOK(pre_tool_use, deny_all)
EXOMONAD_HOOK(post_tool_use, deny_all)
EXOMONAD_HOOK(user_prompt_submit, deny_all)
EXOMONAD_HOOK(notification, deny_all)
EXOMONAD_HOOK(session_start, deny_all)
EXOMONAD_HOOK(session_end, deny_all)
EXOMONAD_HOOK(stop, deny_all)
EXOMONAD_HOOK(subagent_stop, deny_all)
EXOMONAD_HOOK(pre_compact, deny_all)
EXOMONAD_HOOK(other_event, deny_all)

// Resources, prompts, completion.

struct Name {
    std::string name;
};
EXOMONAD_RECORD(Name, (name, "The name."))

static Result<std::string> first() { return std::string("the first note"); }
static Result<std::string> note(const Name &args) { return "a note about " + args.name; }
static Result<std::string> greet_prompt(const Name &args) { return "Greet " + args.name + "."; }

static std::vector<std::string> beginning_with(std::string_view value, std::vector<std::string> offered) {
    std::erase_if(offered, [&](const std::string &one) { return !one.starts_with(value); });
    return offered;
}

static std::vector<std::string> notes(std::string_view value) { return beginning_with(value, {"alpha", "beta"}); }
static std::vector<std::string> people(std::string_view value) { return beginning_with(value, {"Ada", "Grace"}); }

EXOMONAD_RESOURCES(resource<first>("first", "notes://first", "The first note."),
                   resource<note>("note", "notes://{name}", "A note."))
EXOMONAD_PROMPTS(prompt<greet_prompt>("greet", "Greets somebody."))
EXOMONAD_COMPLETIONS(complete_resource<notes>("notes://{name}", "name"), complete_prompt<people>("greet", "name"))

// Workflows.

struct Stage {
    std::string stage;
};
EXOMONAD_RECORD(Stage, (stage, "`begun` or `done`."))

static Result<Text> greet(const Name &input, Run<Stage> &run) {
    EXOMONAD_TRY(run.set_state({"begun"}));
    EXOMONAD_TRY(kv::set({.key = "greeted", .value = Json::of(input.name)}));
    EXOMONAD_TRY(run.sleep(std::chrono::milliseconds(10)));
    auto ending = EXOMONAD_TRY(run.wait_signal<std::string>("go"));
    EXOMONAD_TRY(run.set_state({"done"}));
    return Text{"Hello " + input.name + ", " + ending};
}

static std::string stage(const Stage &state) { return state.stage; }

// Version 1 was the stage alone.
static Result<Stage> migrate(std::uint32_t, const Json &state) {
    return Stage{EXOMONAD_TRY(state.as<std::string>())};
}

static constexpr exo_signal greet_signals[] = {signal<std::string>("go"), {}};
static constexpr exo_query greet_queries[] = {query<stage>("stage"), {}};

EXOMONAD_WORKFLOWS(workflow_of<greet>("greet", "Greets somebody when the signal `go` comes.",
                                      {.state_version = 2,
                                       .migrate = migration<migrate>,
                                       .signals = greet_signals,
                                       .queries = greet_queries}))
