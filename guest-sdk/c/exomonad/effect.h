// Effects: requests to the host and their answers; errors. C only.
#ifndef EXOMONAD_EFFECT_H
#define EXOMONAD_EFFECT_H

#include "types.h"

/// A failure: of an effect, or the plugin's own. Functions return `NULL` (`EXO_OK`) or one of these, which lives as
/// long as the call.
typedef struct {
    /// The kind of failure: decide on this. Failures of the plugin's own have none unless they are given one.
    exo_error_code_t code;
    /// The message: the attempt, its object, the failure, and the remedy.
    exo_text message;
    /// Details for a program; their shape depends on the code.
    exo_json details;
    /// A workflow's own code, in the place of `code`.
    exo_text name;
    /// True if it is no failure: a workflow goes on as a new run, with the details as its input.
    bool continues_as_new;
} exo_error;

/// Success.
#define EXO_OK ((const exo_error *)NULL)

/// Returns the error of a call from the function that it stands in, if there is one.
#define EXO_TRY(call)                                                                                                 \
    do {                                                                                                              \
        const exo_error *exo_tried = (call);                                                                          \
        if (exo_tried) return exo_tried;                                                                              \
    } while (0)

/// A failure with a code.
EXO_API const exo_error *exo_fail_with(exo_error_code_t code, exo_text message) {
    exo_error *error = (exo_error *)exo_alloc(sizeof *error);
    error->code = code;
    error->message = message;
    return error;
}

/// A failure of the plugin's own, with a message as `exo_format` makes it: `return exo_fail("no %s", name)`.
#define exo_fail(...) exo_fail_with(EXO_ERROR_CODE_UNSET, exo_format(__VA_ARGS__))

/// The name of an error's code; `NULL` if it has none.
EXO_API const char *exo_code_name(const exo_error *error) {
    return exo_constant_name(&exo_error_code_t_type, (int)error->code);
}

/// An error as the contract has it, in the place of a result. One without a code is `internal`.
EXO_API exo_effect_error_t *exo_effect_error_of(const exo_error *error) {
    exo_effect_error_t *as_type = (exo_effect_error_t *)exo_alloc(sizeof *as_type);
    as_type->code = error->code ? error->code : EXO_ERROR_CODE_INTERNAL;
    as_type->message = error->message;
    as_type->details = error->details;
    return as_type;
}

/// An effect: its host function, and the types of its request and its answer.
typedef struct {
    const char *function;
    const char *capability;
    const exo_type *request;
    const exo_type *answer;
} exo_effect;

EXO_API const exo_error *exo_unreadable(const char *function, exo_text problem) {
    return exo_fail_with(EXO_ERROR_CODE_INTERNAL,
                         exo_format("the host's answer to %s cannot be read: %.*s", function, EXO_ARG(problem)));
}

/// Decodes an answer: `{"kind":"Success","payload":…}` or `{"kind":"Error","payload":…}`, in any spelling.
EXO_API const exo_error *exo_decode_answer(const char *function, const exo_type *type, exo_text text,
                                                 void *answer) {
    static const char success[] = "{\"kind\":\"Success\",\"payload\":";
    if (text.length >= sizeof success && memcmp(text.data, success, sizeof success - 1) == 0 &&
        text.data[text.length - 1] == '}') {
        // As our host writes it: the payload is read once.
        exo_json payload = {text.data + sizeof success - 1, text.length - sizeof success};
        if (!exo_decode(payload, type, answer).data) return EXO_OK;
    }
    static const exo_field fields[] = {{"kind", NULL, &exo_text_type, 0, EXO_REQUIRED},
                                       {"payload", NULL, &exo_json_type, sizeof(exo_text), EXO_REQUIRED}};
    static const exo_type envelope_type = {
        .kind = EXO_KIND_RECORD, .count = 2, .size = sizeof(exo_text) + sizeof(exo_json), .parts = fields};
    struct {
        exo_text kind;
        exo_json payload;
    } envelope;
    exo_text problem = exo_decode((exo_json){text.data, text.length}, &envelope_type, &envelope);
    if (problem.data) return exo_unreadable(function, problem);
    if (exo_text_is(envelope.kind, "Success")) {
        problem = exo_decode(envelope.payload, type, answer);
        return problem.data ? exo_unreadable(function, problem) : EXO_OK;
    }
    if (!exo_text_is(envelope.kind, "Error")) return exo_unreadable(function, exo_format("$.kind: neither of the two"));
    exo_effect_error_t as_type;
    problem = exo_decode(envelope.payload, &exo_effect_error_t_type, &as_type);
    if (problem.data) return exo_unreadable(function, problem);
    exo_error *error = (exo_error *)exo_alloc(sizeof *error);
    error->code = as_type.code;
    error->message = as_type.message;
    error->details = as_type.details;
    return error;
}

#ifdef __wasm__

#define EXO_EFFECT(host_function, host_capability, request_t, answer_t)                                               \
    EXO_IMPORT("extism:host/user", #host_function) uint64_t exo_import_##host_function(uint64_t request);             \
    static const exo_effect exo_effect_##host_function = {.function = #host_function,                                 \
                                                          .capability = host_capability,                              \
                                                          .request = &request_t##_type,                               \
                                                          .answer = &answer_t##_type};

EXO_API uint64_t exo_request_block(const exo_effect *effect, const void *request) {
    exo_json json = exo_encode(effect->request, request);
    return exo_block_of(json.data, json.length);
}

// The host frees the request's block when it takes it.
#define EXO_PERFORM(host_function, request, answer)                                                                   \
    exo_decode_answer(                                                                                                \
        #host_function, exo_effect_##host_function.answer,                                                            \
        exo_take_block(exo_import_##host_function(exo_request_block(&exo_effect_##host_function, request))), answer)

/// Makes the module import an effect that is started by its name.
#define EXO_IMPORTS(host_function)                                                                                    \
    do {                                                                                                              \
        uint64_t (*volatile exo_imported)(uint64_t) = exo_import_##host_function;                                     \
        (void)exo_imported;                                                                                           \
    } while (0)

#else

#define EXO_EFFECT(host_function, host_capability, request_t, answer_t)                                               \
    static const exo_effect exo_effect_##host_function = {.function = #host_function,                                 \
                                                          .capability = host_capability,                              \
                                                          .request = &request_t##_type,                               \
                                                          .answer = &answer_t##_type};

// The host of native tests; see testing.h.
#ifdef __cplusplus
extern "C" {
#endif
exo_text exo_host_perform(const exo_effect *effect, exo_json request);
void exo_host_knows(const exo_effect *effect);
#ifdef __cplusplus
}
#endif

#define EXO_PERFORM(host_function, request, answer)                                                                   \
    exo_decode_answer(#host_function, exo_effect_##host_function.answer,                                              \
                      exo_host_perform(&exo_effect_##host_function,                                                   \
                                       exo_encode(exo_effect_##host_function.request, request)),                      \
                      answer)

#define EXO_IMPORTS(host_function) exo_host_knows(&exo_effect_##host_function)

#endif

#endif
