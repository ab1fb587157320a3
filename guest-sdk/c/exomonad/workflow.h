// Workflows: functions whose runs outlive the host's process. C only.
//
// Each effect is a step, whose answer the host records. A run that is resumed is called from its beginning and given
// the recorded answers, so its code has to ask for the same effects in the same order each time: time, randomness and
// everything else that may differ come from effects.
#ifndef EXOMONAD_WORKFLOW_H
#define EXOMONAD_WORKFLOW_H

#include "plugin.h"

/// A run, as the workflow's function sees it.
typedef struct {
    /// The workflow's id, chosen by whoever started it.
    exo_text workflow_id;
    /// The run's id.
    exo_text run_id;
    /// The call.
    const exo_context_t *context;
    /// The state that the run before this one has published, if that was continued as new; else `null`.
    exo_json previous_state;
    const exo_type *state;
} exo_run;

/// A signal that a workflow takes, and the type of its payload; any, if that is NULL.
typedef struct {
    const char *name;
    const exo_type *payload;
} exo_signal;

/// A query that a workflow answers from its published state, without effects.
typedef struct {
    const char *name;
    /// The type of its arguments; NULL for any, or none.
    const exo_type *arguments;
    const exo_type *answer;
    const exo_error *(*query)(const void *state, const void *arguments, void *answer);
} exo_query;

/// A workflow. The fields from `title` on may be given to `EXO_WORKFLOW`.
typedef struct {
    const char *name;
    const char *description;
    const exo_type *input;
    const exo_type *output;
    const exo_error *(*call)(const void *input, void *output, exo_run *run);
    /// A display name for people.
    const char *title;
    /// The type of the state that it publishes; NULL if it publishes none.
    const exo_type *state;
    /// The version of that state.
    uint32_t state_version;
    /// Brings a state of an older version to the current one.
    const exo_error *(*migrate)(uint32_t from_version, exo_json old, void *state);
    /// The signals that it takes, up to one without a name; any, if none is declared: `EXO_SIGNALS({"go", …})`.
    const exo_signal *signals;
    /// The queries that it answers, up to one without a name: `EXO_QUERIES({"stage", …})`.
    const exo_query *queries;
    /// True if MCP clients may start it as a tool.
    bool is_tool;
    /// True if that tool is for clients that have tasks.
    bool needs_task;
    /// Pictures of it, the best first.
    exo_icon_t_list icons;
} exo_workflow;

/// Signals, for `.signals`.
#define EXO_SIGNALS(...) ((const exo_signal[]){__VA_ARGS__, {NULL, NULL}})
/// Queries, for `.queries`.
#define EXO_QUERIES(...) ((const exo_query[]){__VA_ARGS__, {NULL, NULL, NULL, NULL}})

/// Begins a workflow, whose body follows; it has `input`, `output` and `run`, and its function is `NAME_workflow`.
///
///     EXO_WORKFLOW(remind, reminder, exo_nothing, "Logs a text, days later.")
///     {
///         EXO_TRY(exo_run_sleep(run, input->days * 86400000));
///         exo_log_info("%s", input->text.data);
///         return EXO_OK;
///     }
#define EXO_WORKFLOW(workflow, input_t, output_t, text, ...)                                                          \
    static const exo_error *workflow##_workflow(const input_t *input, output_t *output, exo_run *run);                \
    static const exo_error *workflow##_workflow_call(const void *input, void *output, exo_run *run) {                 \
        return workflow##_workflow((const input_t *)input, (output_t *)output, run);                                  \
    }                                                                                                                 \
    extern const exo_workflow workflow##_workflow_entry;                                                              \
    const exo_workflow workflow##_workflow_entry = {.name = #workflow,                                                \
                                                    .description = text,                                              \
                                                    .input = &input_t##_type,                                         \
                                                    .output = &output_t##_type,                                       \
                                                    .call = workflow##_workflow_call,                                 \
                                                    __VA_ARGS__};                                                     \
    static const exo_error *workflow##_workflow(const input_t *input EXO_UNUSED, output_t *output EXO_UNUSED,         \
                                                exo_run *run EXO_UNUSED)

// What a workflow does beyond effects.

/// Waits, for ten years at most. The run holds no memory and no sandbox meanwhile.
EXO_API const exo_error *exo_run_sleep(exo_run *run EXO_UNUSED, uint64_t millis) {
    exo_done_t done;
    exo_workflow_sleep_t request = {.millis = millis};
    return exo_workflow_sleep(&request, &done);
}

/// Publishes the state, of the type that the workflow was declared with: what queries see, and the next run if this
/// one is continued as new.
EXO_API const exo_error *exo_run_set_state(exo_run *run, const void *state) {
    exo_done_t done;
    if (!run->state) return exo_fail("the workflow was declared without a state");
    exo_workflow_set_state_t request = {.state = exo_encode(run->state, state)};
    return exo_workflow_set_state(&request, &done);
}

/// Waits for a signal, not longer than this if `timeout_millis` is given, and decodes its payload. Signals that came
/// before were kept; the oldest is taken. `has_come` is false when the time is up.
EXO_API const exo_error *exo_run_wait_signal_for(exo_run *run EXO_UNUSED, const char *name,
                                                       const exo_type *type, void *payload,
                                                       const uint64_t *timeout_millis, bool *has_come) {
    exo_text signal = exo_text_of(name);
    exo_workflow_wait_t request = {.signals = {&signal, 1}};
    if (timeout_millis) request.timeout_millis = (exo_optional_uint64_t){*timeout_millis, true};
    exo_workflow_arrivals_t come;
    EXO_TRY(exo_workflow_wait(&request, &come));
    *has_come = come.arrivals.count > 0;
    if (!*has_come) return EXO_OK;
    exo_text problem = exo_decode(come.arrivals.items[0].value, type, payload);
    if (!problem.data) return EXO_OK;
    return exo_fail_with(EXO_ERROR_CODE_INVALID_INPUT, exo_format("the payload of the signal `%s` does not fit: %.*s",
                                                                  name, EXO_ARG(problem)));
}

/// Waits for a signal, and decodes its payload.
EXO_API const exo_error *exo_run_wait_signal(exo_run *run, const char *name, const exo_type *type,
                                                   void *payload) {
    bool has_come = false;
    EXO_TRY(exo_run_wait_signal_for(run, name, type, payload, NULL, &has_come));
    return has_come ? EXO_OK : exo_fail("the host ended a wait without an arrival");
}

/// Sends a signal to the open run of another workflow of the role.
EXO_API const exo_error *exo_run_signal(exo_run *run EXO_UNUSED, exo_text workflow_id, const char *name,
                                              exo_json payload) {
    exo_done_t done;
    exo_workflow_signal_t request = {.workflow_id = workflow_id, .name = exo_text_of(name), .payload = payload};
    return exo_workflow_signal(&request, &done);
}

/// Says which version of the code applies: false for a run that has come past this place with the code before the
/// change.
EXO_API const exo_error *exo_run_patched(exo_run *run EXO_UNUSED, const char *id, bool *applies) {
    exo_workflow_patch_t patch;
    exo_workflow_patched_t request = {.id = exo_text_of(id)};
    EXO_TRY(exo_workflow_patched(&request, &patch));
    *applies = patch.applies;
    return EXO_OK;
}

/// A step or a child run that was started, and will answer with a value of `answer`.
typedef struct {
    uint64_t id;
    const exo_type *answer;
    const char *function;
} exo_handle;

EXO_API const exo_error *exo_run_start_of(const exo_effect *effect, const void *request,
                                                const exo_retry_policy_t *retry, uint64_t timeout_millis,
                                                exo_handle *handle) {
    exo_workflow_start_t start = {
        .effect = exo_text_of(effect->capability),
        .request = exo_encode(effect->request, request),
        .retry = retry,
        .timeout_millis = {timeout_millis, timeout_millis != 0},
    };
    exo_workflow_started_t started;
    EXO_TRY(exo_workflow_start(&start, &started));
    *handle = (exo_handle){started.handle, effect->answer, effect->function};
    return EXO_OK;
}

/// Starts an effect by its host function, to run beside the workflow, with retries (or NULL) and a time limit for all
/// attempts (or 0): `EXO_START(git_push, &request, NULL, 0, &handle)`. An expression that is an error or EXO_OK.
#define EXO_START(host_function, request, retry, timeout_millis, handle)                                              \
    (exo_imports_##host_function(), exo_run_start_of(&exo_effect_##host_function, request, retry, timeout_millis, handle))

/// Declares that the workflow starts this effect beside itself: before the first EXO_START of it.
#define EXO_STARTS(host_function)                                                                                     \
    EXO_API void exo_imports_##host_function(void) { EXO_IMPORTS(host_function); }                              \
    EXO_END

/// Waits for what was started. The error `cancelled` is the run's own cancellation only if `is_outcome` is false.
EXO_API const exo_error *exo_run_wait(exo_run *run EXO_UNUSED, const exo_handle *handle, void *answer,
                                            bool *is_outcome) {
    exo_workflow_arrivals_t come;
    if (is_outcome) *is_outcome = false;
    exo_workflow_wait_t request = {.handles = {&handle->id, 1}, .all = true};
    EXO_TRY(exo_workflow_wait(&request, &come));
    if (come.arrivals.count != 1) return exo_fail("the host ended a wait without the answer");
    if (is_outcome) *is_outcome = true;
    exo_text text = {come.arrivals.items[0].value.data, come.arrivals.items[0].value.length};
    const exo_error *error = exo_decode_answer(handle->function, handle->answer, text, answer);
    if (error && error->code == EXO_ERROR_CODE_CANCELLED) {
        // Only the step was stopped: that is a failure of the run, and no cancellation of it.
        exo_error *of_step = (exo_error *)exo_alloc(sizeof *of_step);
        *of_step = *error;
        of_step->name = exo_text_of("cancelled");
        return of_step;
    }
    return error;
}

/// Stops what was started. Its answer is the error `cancelled`, unless it was done before.
EXO_API const exo_error *exo_run_stop(exo_run *run EXO_UNUSED, const exo_handle *handle) {
    exo_done_t done;
    exo_workflow_cancel_t request = {.handle = handle->id};
    return exo_workflow_cancel(&request, &done);
}

/// Starts a run of another workflow of the role, as a child of this one; `exo_run_wait` waits for its output.
EXO_API const exo_error *exo_run_start_child(exo_run *run EXO_UNUSED, const exo_workflow_start_child_t *request,
                                                   const exo_type *output, exo_handle *handle) {
    exo_workflow_child_t child;
    EXO_TRY(exo_workflow_start_child(request, &child));
    if (!child.handle.is_set) return exo_fail("the host started a child without a handle");
    *handle = (exo_handle){child.handle.value, output, "workflow_start_child"};
    return EXO_OK;
}

/// The failure of a workflow with a code of its own and a message as `exo_format` makes it.
#define exo_workflow_fail(code, ...) exo_named_failure(code, exo_format(__VA_ARGS__))

EXO_API const exo_error *exo_named_failure(const char *code, exo_text message) {
    exo_error *error = (exo_error *)exo_alloc(sizeof *error);
    error->name = exo_text_of(code);
    error->message = message;
    return error;
}

/// Ends this run and starts it as a new one with this input and an empty history: `return exo_continue_as_new(…)`.
EXO_API const exo_error *exo_continue_as_new(exo_json input) {
    exo_error *error = (exo_error *)exo_alloc(sizeof *error);
    error->continues_as_new = true;
    error->details = input;
    return error;
}

// Exports.

EXO_API exo_json exo_schema_or_none(const exo_type *type) {
    return type && type != &exo_nothing_type ? exo_schema(type) : (exo_json){NULL, 0};
}

EXO_API int exo_handle_list_workflows(const exo_workflow *const *entries, size_t count) {
    exo_workflow_definition_t *listed = (exo_workflow_definition_t *)exo_alloc_items(count, sizeof *listed);
    for (size_t nth = 0; nth < count; nth++) {
        const exo_workflow *entry = entries[nth];
        size_t signals = 0, queries = 0;
        while (entry->signals && entry->signals[signals].name) signals++;
        while (entry->queries && entry->queries[queries].name) queries++;
        exo_workflow_message_t *messages =
            (exo_workflow_message_t *)exo_alloc_items(signals + queries, sizeof *messages);
        for (size_t signal = 0; signal < signals; signal++) {
            messages[signal].name = exo_text_of(entry->signals[signal].name);
            messages[signal].schema = exo_schema_or_none(entry->signals[signal].payload);
        }
        for (size_t query = 0; query < queries; query++) {
            messages[signals + query].name = exo_text_of(entry->queries[query].name);
            messages[signals + query].schema = exo_schema_or_none(entry->queries[query].arguments);
        }
        listed[nth] = (exo_workflow_definition_t){
            .name = exo_text_of(entry->name),
            .title = exo_text_of(entry->title),
            .description = exo_text_of(entry->description),
            .input_schema = exo_schema_or_none(entry->input),
            .output_schema = exo_schema_or_none(entry->output),
            .state_schema = exo_schema_or_none(entry->state),
            .state_version = entry->state_version,
            .signals = {messages, signals},
            .queries = {messages + signals, queries},
            .icons = entry->icons,
            .is_tool = entry->is_tool,
            .needs_task = entry->needs_task,
        };
    }
    exo_list_workflows_result_t result = {.workflows = {listed, count}};
    return exo_end_with(&exo_list_workflows_result_t_type, &result);
}

EXO_API const exo_workflow *exo_find_workflow(const exo_workflow *const *entries, size_t count, exo_text name) {
    for (size_t nth = 0; nth < count; nth++)
        if (exo_text_is(name, entries[nth]->name)) return entries[nth];
    return NULL;
}

EXO_API int exo_no_such_workflow(exo_text name) {
    return exo_end_with_error(exo_format("there is no workflow `%.*s`", EXO_ARG(name)));
}

EXO_API void exo_end_of_failure(const exo_error *error, exo_workflow_outcome_t *outcome) {
    if (error->continues_as_new) {
        outcome->end = EXO_WORKFLOW_END_CONTINUE_AS_NEW;
        outcome->input = error->details;
        return;
    }
    if (error->code == EXO_ERROR_CODE_CANCELLED && !error->name.data) {
        outcome->end = EXO_WORKFLOW_END_CANCELLED;
        return;
    }
    exo_workflow_failure_t *failure = (exo_workflow_failure_t *)exo_alloc(sizeof *failure);
    const char *code = exo_code_name(error);
    failure->code = error->name.data ? error->name : exo_text_of(code ? code : "failed");
    failure->message = error->message;
    failure->details = error->details;
    outcome->end = EXO_WORKFLOW_END_FAILED;
    outcome->failure = failure;
}

EXO_API int exo_handle_workflow(const exo_workflow *const *entries, size_t count) {
    exo_workflow_input_t input;
    exo_text problem = exo_input_as(&exo_workflow_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    const exo_workflow *entry = exo_find_workflow(entries, count, input.workflow);
    if (!entry) return exo_no_such_workflow(input.workflow);
    exo_workflow_outcome_t outcome = {.end = EXO_WORKFLOW_END_COMPLETED};
    void *arguments = exo_new(entry->input), *output = exo_new(entry->output);
    // No input is the record without fields, and a workflow without input is started with any.
    if (entry->input->kind == EXO_KIND_RECORD && (exo_json_is_null(input.input) || !entry->input->count))
        input.input = exo_json_of("{}");
    problem = exo_decode_new(input.input, entry->input, arguments);
    exo_run run = {
        .workflow_id = input.workflow_id,
        .run_id = input.run_id,
        .context = &input.context,
        .previous_state = input.state,
        .state = entry->state,
    };
    const exo_error *error =
        problem.data ? exo_fail_with(EXO_ERROR_CODE_INVALID_INPUT,
                                     exo_format("the input does not fit: %.*s", EXO_ARG(problem)))
                     : entry->call(arguments, output, &run);
    if (error) exo_end_of_failure(error, &outcome);
    else if (entry->output->count || entry->output->kind != EXO_KIND_RECORD)
        outcome.output = exo_encode(entry->output, output);
    return exo_end_with(&exo_workflow_outcome_t_type, &outcome);
}

EXO_API int exo_handle_query(const exo_workflow *const *entries, size_t count) {
    exo_workflow_query_input_t input;
    exo_text problem = exo_input_as(&exo_workflow_query_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    const exo_workflow *entry = exo_find_workflow(entries, count, input.workflow);
    if (!entry) return exo_no_such_workflow(input.workflow);
    const exo_query *query = entry->queries;
    while (query && query->name && !exo_text_is(input.query, query->name)) query++;
    if (!query || !query->name || !entry->state)
        return exo_end_with_error(
            exo_format("the workflow `%s` has no query `%.*s`", entry->name, EXO_ARG(input.query)));
    if (exo_json_is_null(input.state)) return exo_end_with_error(exo_format("the run has not published a state yet"));
    void *state = exo_new(entry->state), *arguments = NULL;
    void *answer = exo_new(query->answer);
    problem = exo_decode_new(input.state, entry->state, state);
    if (problem.data)
        return exo_end_with_error(exo_format("the published state does not fit: %.*s", EXO_ARG(problem)));
    if (query->arguments) {
        arguments = exo_new(query->arguments);
        problem = exo_decode_new(input.arguments, query->arguments, arguments);
        if (problem.data) return exo_end_with_error(exo_format("the arguments do not fit: %.*s", EXO_ARG(problem)));
    }
    const exo_error *error = query->query(state, arguments, answer);
    if (error) return exo_end_with_error(error->message);
    exo_workflow_query_result_t result = {.value = exo_encode(query->answer, answer)};
    return exo_end_with(&exo_workflow_query_result_t_type, &result);
}

EXO_API int exo_handle_migrate(const exo_workflow *const *entries, size_t count) {
    exo_workflow_migrate_input_t input;
    exo_text problem = exo_input_as(&exo_workflow_migrate_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    const exo_workflow *entry = exo_find_workflow(entries, count, input.workflow);
    if (!entry) return exo_no_such_workflow(input.workflow);
    if (!entry->migrate || !entry->state || input.to_version != entry->state_version)
        return exo_end_with_error(
            exo_format("the workflow `%s` cannot bring its state from version %u to %u; its version is %u", entry->name,
                       (unsigned)input.from_version, (unsigned)input.to_version, (unsigned)entry->state_version));
    void *state = exo_new(entry->state);
    const exo_error *error = entry->migrate(input.from_version, input.state, state);
    if (error) return exo_end_with_error(error->message);
    exo_workflow_migrate_result_t result = {.state = exo_encode(entry->state, state)};
    return exo_end_with(&exo_workflow_migrate_result_t_type, &result);
}

#define EXO_WORKFLOW_REFERENCE(workflow) &workflow##_workflow_entry,
#define EXO_WORKFLOW_EXPORT(name)                                                                                     \
    EXO_EXPORT(#name) int name(void);                                                                                 \
    int name(void) {                                                                                                  \
        return exo_##name(exo_plugin_workflows, sizeof exo_plugin_workflows / sizeof *exo_plugin_workflows);          \
    }

/// Declares the plugin's workflows by their names. Once in a plugin that has some.
#define EXO_WORKFLOWS(...)                                                                                            \
    static const exo_workflow *const exo_plugin_workflows[] = {EXO_FOR_EACH(EXO_WORKFLOW_REFERENCE, __VA_ARGS__)};    \
    EXO_WORKFLOW_EXPORT(handle_list_workflows)                                                                        \
    EXO_WORKFLOW_EXPORT(handle_workflow)                                                                              \
    EXO_WORKFLOW_EXPORT(handle_query)                                                                                 \
    EXO_WORKFLOW_EXPORT(handle_migrate)                                                                               \
    EXO_END

#endif
