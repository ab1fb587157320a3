// The plugin of the contract suite, in C. The other languages have the same one.
#include "contract.h"

#include <stdlib.h>
#include <unistd.h>

// Tools.

#define ROUND_TRIP_ARGS(X, T)                                             \
    X(T, required, exo_text, kind, "The name of a type of the contract.") \
    X(T, required, exo_json_list, values, "Values of that type.")
EXO_RECORD(round_trip_args, ROUND_TRIP_ARGS);

#define ROUND_TRIP_RESULT(X, T) X(T, required, exo_json_list, values, "The values, decoded and encoded again.")
EXO_RECORD(round_trip_result, ROUND_TRIP_RESULT);

EXO_TOOL(round_trip, round_trip_args, round_trip_result, "Decodes values and encodes them again.", .read_only = true)
{
    const exo_type *type = NULL;
    for (size_t nth = 0; nth < sizeof contract_types / sizeof *contract_types && !type; nth++)
        if (exo_text_is(args->kind, contract_types[nth].name)) type = contract_types[nth].type;
    if (!type) return exo_fail("the contract has no type `%.*s`", EXO_ARG(args->kind));
    exo_json *values = exo_alloc_items(args->values.count, sizeof *values);
    for (size_t nth = 0; nth < args->values.count; nth++) {
        void *value = exo_alloc(exo_size_of(type));
        exo_text problem = exo_decode(args->values.items[nth], type, value);
        if (problem.data) return exo_fail("value %zu: %.*s", nth, EXO_ARG(problem));
        values[nth] = exo_encode(type, value);
    }
    result->values = (exo_json_list){values, args->values.count};
    return EXO_OK;
}

#define PERFORM_ARGS(X, T)                                                \
    X(T, required, exo_text, function, "The effect's host function.")     \
    X(T, required, exo_json, request, "The effect's request.")
EXO_RECORD(perform_args, PERFORM_ARGS);

#define FAILURE(X, T)                                                     \
    X(T, required, exo_text, code, "The kind of failure.")                \
    X(T, required, exo_text, message, "The message.")                     \
    X(T, optional, exo_json, details, "Details.")
EXO_RECORD(failure, FAILURE);

#define PERFORM_RESULT(X, T)                                              \
    X(T, optional, exo_json, answer, "The effect's answer.")              \
    X(T, optional, failure, error, "The effect's error.")
EXO_RECORD(perform_result, PERFORM_RESULT);

EXO_TOOL(perform, perform_args, perform_result, "Performs an effect.")
{
    for (size_t nth = 0; nth < sizeof contract_effects / sizeof *contract_effects; nth++) {
        const exo_effect *effect = contract_effects[nth].effect;
        if (!exo_text_is(args->function, effect->function)) continue;
        void *request = exo_alloc(exo_size_of(effect->request)), *answer = exo_alloc(exo_size_of(effect->answer));
        exo_text problem = exo_decode(args->request, effect->request, request);
        if (problem.data) return exo_fail("the request does not fit: %.*s", EXO_ARG(problem));
        const exo_error *error = contract_effects[nth].perform(request, answer);
        if (!error) {
            result->answer = exo_encode(effect->answer, answer);
            return EXO_OK;
        }
        failure *failed = exo_alloc(sizeof *failed);
        failed->code = exo_text_of(exo_code_name(error));
        failed->message = error->message;
        failed->details = error->details;
        result->error = failed;
        return EXO_OK;
    }
    return exo_fail("there is no effect `%.*s`", EXO_ARG(args->function));
}

#define ECHO(X, T) X(T, required, exo_text, text, "A text.")
EXO_RECORD(echo_text, ECHO);

EXO_TOOL(echo, echo_text, echo_text, "Gives its text back.", .read_only = true)
{
    *result = *args;
    return EXO_OK;
}

#define NUMBERS(X, T) X(T, required, exo_text_list, numbers, "Two numbers.")
EXO_RECORD(numbers, NUMBERS);

EXO_TOOL(random, exo_nothing, numbers, "Gives two random numbers.", .read_only = true)
{
    // C's generator has to be given a seed, which comes from the system's.
    uint64_t seed = 0;
    if (getentropy(&seed, sizeof seed) != 0) return exo_fail("the host gives no random bytes");
    srand((unsigned)seed);
    exo_text *items = exo_alloc_items(2, sizeof *items);
    items[0] = exo_format("%llu", (unsigned long long)(seed >> 32));
    items[1] = exo_format("%d", rand());
    result->numbers = (exo_text_list){items, 2};
    return EXO_OK;
}

#define MESSAGE(X, T) X(T, required, exo_text, message, "The message.")
EXO_RECORD(message, MESSAGE);

EXO_TOOL(fail, message, exo_nothing, "Fails with a message.")
{
    return exo_fail("%.*s", EXO_ARG(args->message));
}

EXO_TOOL(crash, exo_nothing, exo_nothing, "Crashes.")
{
    exo_crash("crashed on request");
}

EXO_PLUGIN("contract-c", EXO_VERSION, round_trip, perform, echo, random, fail, crash);

// Hooks.

static const exo_error *deny(const exo_hook_input_t *input, exo_hook_output_t *output)
{
    exo_text tool = exo_json_text(input->payload, "tool_name");
    *output = exo_deny("%s %.*s", exo_constant_name(&exo_hook_event_t_type, (int)input->event), EXO_ARG(tool));
    return EXO_OK;
}

EXO_HOOK(pre_tool_use) { return deny(input, output); }
EXO_HOOK(post_tool_use) { return deny(input, output); }
EXO_HOOK(user_prompt_submit) { return deny(input, output); }
EXO_HOOK(notification) { return deny(input, output); }
EXO_HOOK(session_start) { return deny(input, output); }
EXO_HOOK(session_end) { return deny(input, output); }
EXO_HOOK(stop) { return deny(input, output); }
EXO_HOOK(subagent_stop) { return deny(input, output); }
EXO_HOOK(pre_compact) { return deny(input, output); }
EXO_HOOK(other_event) { return deny(input, output); }

// Resources, prompts, completion.

EXO_RESOURCE(first, "notes://first", "The first note.")
{
    content->text = exo_text_of("the first note");
    return EXO_OK;
}

EXO_RESOURCE(note, "notes://{name}", "A note.")
{
    content->text = exo_format("a note about %.*s", EXO_ARG(exo_text_map_get(variables, "name")));
    return EXO_OK;
}

EXO_RESOURCES(first, note);

#define PERSON(X, T) X(T, required, exo_text, name, "The name.")
EXO_RECORD(person, PERSON);

EXO_PROMPT(greet, person, "Greets someone.")
{
    exo_say(result, EXO_MESSAGE_ROLE_USER, exo_format("Greet %.*s.", EXO_ARG(args->name)));
    return EXO_OK;
}

EXO_PROMPTS(greet);

EXO_COMPLETIONS({.uri_template = "notes://{name}", .argument = "name", .values = EXO_VALUES("alpha", "beta")},
                {.prompt = "greet", .argument = "name", .values = EXO_VALUES("Ada", "Grace")});

// Workflows.

#define STAGE(X, T) X(T, required, exo_text, stage, "How far the run is.")
EXO_RECORD(stage, STAGE);

static const exo_error *query_stage(const void *state, const void *arguments, void *answer)
{
    (void)arguments;
    *(exo_text *)answer = ((const stage *)state)->stage;
    return EXO_OK;
}

// Version 1 was the text alone.
static const exo_error *migrate_stage(uint32_t from_version, exo_json old, void *state)
{
    if (from_version != 1) return exo_fail("there is no version %u", (unsigned)from_version);
    exo_text problem = exo_decode(old, &exo_text_type, &((stage *)state)->stage);
    return problem.data ? exo_fail("the state does not fit: %.*s", EXO_ARG(problem)) : EXO_OK;
}

EXO_WORKFLOW(greet, person, echo_text, "Greets someone, after a signal.", .state = &stage_type, .state_version = 2,
             .migrate = migrate_stage, .signals = EXO_SIGNALS({"go", &exo_text_type}),
             .queries = EXO_QUERIES({"stage", NULL, &exo_text_type, query_stage}))
{
    stage state = {EXO_TEXT("begun")};
    EXO_TRY(exo_run_set_state(run, &state));
    exo_kv_set_t set = {.key = EXO_TEXT("greeted"), .value = exo_encode(&exo_text_type, &input->name)};
    exo_done_t done;
    EXO_TRY(exo_kv_set(&set, &done));
    EXO_TRY(exo_run_sleep(run, 10));
    exo_text payload;
    EXO_TRY(exo_run_wait_signal(run, "go", &exo_text_type, &payload));
    state.stage = exo_text_of("done");
    EXO_TRY(exo_run_set_state(run, &state));
    output->text = exo_format("Hello %.*s, %.*s", EXO_ARG(input->name), EXO_ARG(payload));
    return EXO_OK;
}

EXO_WORKFLOWS(greet);
