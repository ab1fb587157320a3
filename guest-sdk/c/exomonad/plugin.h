// Plugins: tools, hooks, resources, prompts and completions, with the exports that the host calls. C only.
#ifndef EXOMONAD_PLUGIN_H
#define EXOMONAD_PLUGIN_H

#include "effects.h"

#ifndef __wasm__
// Natively the exports are functions like any other, for tests.
#define EXO_EXPORT(name)
#endif

// `EXO_FOR_EACH(macro, a, b)` → `macro(a) macro(b)`.
#define EXO_PARENS ()
#define EXO_EXPAND(...) EXO_EXPAND_3(EXO_EXPAND_3(EXO_EXPAND_3(EXO_EXPAND_3(__VA_ARGS__))))
#define EXO_EXPAND_3(...) EXO_EXPAND_2(EXO_EXPAND_2(EXO_EXPAND_2(EXO_EXPAND_2(__VA_ARGS__))))
#define EXO_EXPAND_2(...) EXO_EXPAND_1(EXO_EXPAND_1(EXO_EXPAND_1(EXO_EXPAND_1(__VA_ARGS__))))
#define EXO_EXPAND_1(...) __VA_ARGS__
#define EXO_FOR_EACH(macro, ...) __VA_OPT__(EXO_EXPAND(EXO_FOR_EACH_OF(macro, __VA_ARGS__)))
#define EXO_FOR_EACH_OF(macro, first, ...)                                                                            \
    macro(first) __VA_OPT__(EXO_FOR_EACH_AGAIN EXO_PARENS(macro, __VA_ARGS__))
#define EXO_FOR_EACH_AGAIN() EXO_FOR_EACH_OF

// Lets a macro end in a semicolon.
#define EXO_END struct exo_end

// Log lines.

EXO_API void exo_log_text(exo_log_level_t level, exo_text message) {
    exo_done_t done;
    // A line that cannot be written stops nobody.
    exo_log_t line = {.level = level, .message = message};
    (void)exo_log_write(&line, &done);
}

/// Writes a line to the host's log, with a format as `exo_format` takes it.
#define exo_log_debug(...) exo_log_text(EXO_LOG_LEVEL_DEBUG, exo_format(__VA_ARGS__))
#define exo_log_info(...) exo_log_text(EXO_LOG_LEVEL_INFO, exo_format(__VA_ARGS__))
#define exo_log_warn(...) exo_log_text(EXO_LOG_LEVEL_WARN, exo_format(__VA_ARGS__))
#define exo_log_error(...) exo_log_text(EXO_LOG_LEVEL_ERROR, exo_format(__VA_ARGS__))

// Exports.

/// Ends an export with an error. Returns its return code.
EXO_API int exo_end_with_error(exo_text message) {
    exo_host_set_error(message.data, message.length);
    return 1;
}

/// Ends an export with an output. Returns its return code.
EXO_API int exo_end_with(const exo_type *type, const void *output) {
    exo_json json = exo_encode(type, output);
    exo_set_output(json.data, json.length);
    return 0;
}

/// Decodes the input of an export. Returns no text, or the problem.
EXO_API exo_text exo_input_as(const exo_type *type, void *input) {
    exo_text text = exo_input();
    return exo_decode((exo_json){text.data, text.length}, type, input);
}

// Tools.

/// A tool. The fields from `title` on may be given to `EXO_TOOL`, as `.read_only = true`.
typedef struct {
    /// The name by which it is called.
    const char *name;
    /// Its description, for the model that chooses tools.
    const char *description;
    const exo_type *arguments;
    const exo_type *result;
    /// True if the function gives a whole `exo_call_tool_result_t`.
    bool gives_result;
    const exo_error *(*call)(const void *args, void *result, const exo_context_t *context);
    /// A display name for people.
    const char *title;
    /// It changes nothing.
    bool read_only;
    /// It may destroy something.
    bool destructive;
    /// Calling it twice has the same effect as calling it once.
    bool idempotent;
    /// It interacts with things outside the host.
    bool open_world;
    /// Pictures of it, the best first.
    exo_icon_t_list icons;
} exo_tool;

/// Begins a tool, whose body follows. Its name is the tool's; then come the types of its arguments and its result,
/// its description, and options.
///
///     EXO_TOOL(greet, greet_args, greeting, "Greets someone.", .read_only = true)
///     {
///         result->text = exo_format("Hello %s", args->name.data);
///         return EXO_OK;
///     }
///
/// The body has `args`, `result` and `context`; its function is `greet_tool`. A result that is a record becomes
/// `structuredContent`, an `exo_text` a text, an `exo_call_tool_result_t` is given as it is. An error becomes a
/// result with `isError`.
#define EXO_TOOL(tool, args_t, result_t, text, ...)                                                                   \
    static const exo_error *tool##_tool(const args_t *args, result_t *result, const exo_context_t *context);          \
    static const exo_error *tool##_tool_call(const void *args, void *result, const exo_context_t *context) {          \
        return tool##_tool((const args_t *)args, (result_t *)result, context);                                        \
    }                                                                                                                 \
    extern const exo_tool tool##_tool_entry;                                                                          \
    const exo_tool tool##_tool_entry = {                                                                              \
        .name = #tool,                                                                                                \
        .description = text,                                                                                          \
        .arguments = &args_t##_type,                                                                                  \
        .result = &result_t##_type,                                                                                   \
        .gives_result = _Generic((result_t *)0, exo_call_tool_result_t *: true, default: false),                      \
        .call = tool##_tool_call,                                                                                     \
        __VA_ARGS__};                                                                                                 \
    static const exo_error *tool##_tool(const args_t *args EXO_UNUSED, result_t *result EXO_UNUSED,                   \
                                        const exo_context_t *context EXO_UNUSED)

/// Says that a tool is in another file.
#define EXO_TOOL_ELSEWHERE(tool) extern const exo_tool tool##_tool_entry;

EXO_API exo_content_t exo_content_text(exo_text text) {
    return (exo_content_t){.kind = EXO_CONTENT_TEXT, .text = {.text = text}};
}

/// The list of one content, for results that are made by hand.
EXO_API exo_content_t_list exo_one_content(exo_content_t content) {
    exo_content_t *items = (exo_content_t *)exo_alloc(sizeof *items);
    *items = content;
    return (exo_content_t_list){items, 1};
}

EXO_API int exo_handle_list_tools(const exo_tool *const *tools, size_t count) {
    exo_tool_t *listed = (exo_tool_t *)exo_alloc_items(count, sizeof *listed);
    for (size_t nth = 0; nth < count; nth++) {
        const exo_tool *tool = tools[nth];
        listed[nth] = (exo_tool_t){
            .name = exo_text_of(tool->name),
            .title = exo_text_of(tool->title),
            .description = exo_text_of(tool->description),
            .input_schema = exo_schema(tool->arguments),
            .icons = tool->icons,
        };
        if (!tool->gives_result && tool->result->kind == EXO_KIND_RECORD)
            listed[nth].output_schema = exo_schema(tool->result);
        if (!tool->read_only && !tool->destructive && !tool->idempotent && !tool->open_world) continue;
        exo_tool_annotations_t *hints = (exo_tool_annotations_t *)exo_alloc(sizeof *hints);
        hints->read_only_hint = (exo_optional_bool){tool->read_only, tool->read_only};
        hints->destructive_hint = (exo_optional_bool){tool->destructive, tool->destructive};
        hints->idempotent_hint = (exo_optional_bool){tool->idempotent, tool->idempotent};
        hints->open_world_hint = (exo_optional_bool){tool->open_world, tool->open_world};
        listed[nth].annotations = hints;
    }
    exo_list_tools_result_t result = {.tools = {listed, count}};
    return exo_end_with(&exo_list_tools_result_t_type, &result);
}

/// Calls a tool with its arguments' JSON. A failure is a result too.
EXO_API exo_call_tool_result_t exo_call_tool(const exo_tool *const *tools, size_t count,
                                                   const exo_tool_call_input_t *input) {
    const exo_tool *tool = NULL;
    for (size_t nth = 0; nth < count && !tool; nth++)
        if (exo_text_is(input->name, tools[nth]->name)) tool = tools[nth];
    const exo_error *error;
    if (!tool) {
        exo_writer names = {NULL, 0, 0};
        for (size_t nth = 0; nth < count; nth++) exo_write_format(&names, nth ? ", %s" : "%s", tools[nth]->name);
        error = exo_fail("no tool `%.*s`; there are %s", EXO_ARG(input->name), exo_written(&names).data);
    } else {
        exo_json json = input->arguments.data ? input->arguments : exo_json_of("{}");
        void *args = exo_new(tool->arguments), *result = exo_new(tool->result);
        exo_text problem = exo_decode_new(json, tool->arguments, args);
        error = problem.data ? exo_fail("the arguments do not fit: %.*s", EXO_ARG(problem))
                             : tool->call(args, result, &input->context);
        if (!error && tool->gives_result) return *(exo_call_tool_result_t *)result;
        if (!error && tool->result->kind == EXO_KIND_TEXT)
            return (exo_call_tool_result_t){.content = exo_one_content(exo_content_text(*(exo_text *)result))};
        if (!error) {
            json = exo_encode(tool->result, result);
            exo_call_tool_result_t outcome = {
                .content = exo_one_content(exo_content_text((exo_text){json.data, json.length}))};
            if (tool->result->kind == EXO_KIND_RECORD) outcome.structured_content = json;
            return outcome;
        }
    }
    return (exo_call_tool_result_t){.content = exo_one_content(exo_content_text(error->message)), .is_error = true};
}

EXO_API int exo_handle_mcp_call(const exo_tool *const *tools, size_t count) {
    exo_tool_call_input_t input;
    exo_text problem = exo_input_as(&exo_tool_call_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    exo_call_tool_result_t result = exo_call_tool(tools, count, &input);
    return exo_end_with(&exo_call_tool_result_t_type, &result);
}

EXO_API int exo_describe(const char *name, const char *version, const char *sdk) {
    // The effects it needs are the host functions it imports, so that no list has to be maintained.
    exo_plugin_description_t description = {
        .name = exo_text_of(name), .version = exo_text_of(version), .sdk = exo_text_of(sdk)};
    return exo_end_with(&exo_plugin_description_t_type, &description);
}

#define EXO_TOOL_REFERENCE(tool) &tool##_tool_entry,

/// Declares the plugin: its name, its version, and its tools by their names. Once in a plugin.
#define EXO_PLUGIN(name, version, ...)                                                                                \
    static const exo_tool *const exo_plugin_tools[] = {EXO_FOR_EACH(EXO_TOOL_REFERENCE, __VA_ARGS__) NULL};           \
    EXO_EXPORT("handle_list_tools") int handle_list_tools(void);                                                      \
    int handle_list_tools(void) {                                                                                     \
        return exo_handle_list_tools(exo_plugin_tools, sizeof exo_plugin_tools / sizeof *exo_plugin_tools - 1);       \
    }                                                                                                                 \
    EXO_EXPORT("handle_mcp_call") int handle_mcp_call(void);                                                          \
    int handle_mcp_call(void) {                                                                                       \
        return exo_handle_mcp_call(exo_plugin_tools, sizeof exo_plugin_tools / sizeof *exo_plugin_tools - 1);         \
    }                                                                                                                 \
    EXO_EXPORT("describe") int describe(void);                                                                        \
    int describe(void) { return exo_describe(name, version, "c/" EXO_VERSION); }                                      \
    EXO_END

// Hooks.

/// Begins a hook, which decides on an event, such as `pre_tool_use`; its body follows and has `input` and `output`.
///
///     EXO_HOOK(pre_tool_use)
///     {
///         *output = exo_deny("not today");
///         return EXO_OK;
///     }
#define EXO_HOOK(event)                                                                                               \
    static const exo_error *event##_hook(const exo_hook_input_t *input, exo_hook_output_t *output);                   \
    EXO_EXPORT("handle_" #event) int handle_##event(void);                                                            \
    int handle_##event(void) { return exo_handle_hook(event##_hook); }                                                \
    static const exo_error *event##_hook(const exo_hook_input_t *input EXO_UNUSED, exo_hook_output_t *output)

EXO_API int exo_handle_hook(const exo_error *(*hook)(const exo_hook_input_t *, exo_hook_output_t *)) {
    exo_hook_input_t input;
    exo_hook_output_t output = {.decision = EXO_HOOK_DECISION_PASS};
    exo_text problem = exo_input_as(&exo_hook_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    const exo_error *error = hook(&input, &output);
    return error ? exo_end_with_error(error->message) : exo_end_with(&exo_hook_output_t_type, &output);
}

/// Proceed without asking the user.
EXO_API exo_hook_output_t exo_allow(void) { return (exo_hook_output_t){.decision = EXO_HOOK_DECISION_ALLOW}; }
/// No decision.
EXO_API exo_hook_output_t exo_pass(void) { return (exo_hook_output_t){.decision = EXO_HOOK_DECISION_PASS}; }
/// Do not proceed, for a reason as `exo_format` makes it.
#define exo_deny(...)                                                                                                 \
    ((exo_hook_output_t){.decision = EXO_HOOK_DECISION_DENY, .reason = exo_format(__VA_ARGS__)})
/// Ask the user, for a reason as `exo_format` makes it.
#define exo_ask(...) ((exo_hook_output_t){.decision = EXO_HOOK_DECISION_ASK, .reason = exo_format(__VA_ARGS__)})

/// A text of an object, by its key; no text if it has none of that name.
EXO_API exo_text exo_json_text(exo_json object, const char *name) {
    exo_reader reader = exo_reader_of(object.data, object.length);
    exo_text text = {NULL, 0};
    bool first = true;
    if (exo_peek(&reader) != '{' || !exo_read_open(&reader, '{')) return text;
    while (exo_read_more(&reader, '}', &first)) {
        exo_text key = {NULL, 0};
        if (!exo_read_key(&reader, &key)) break;
        if (exo_text_is(key, name) && exo_peek(&reader) == '"') {
            exo_read_text(&reader, &text);
            return text;
        }
        if (!exo_skip_value(&reader)) break;
    }
    return text;
}

// Resources.

/// A resource, or all resources of a template. The fields from `title` on may be given to `EXO_RESOURCE`.
typedef struct {
    const char *name;
    /// The address, or the template of addresses: `notes://{name}`; `{+name}` takes what contains a `/`.
    const char *uri;
    /// Its content, described for a model.
    const char *description;
    const exo_error *(*read)(exo_text uri, exo_text_map variables, exo_embedded_resource_t *content,
                             const exo_context_t *context);
    /// A display name for people.
    const char *title;
    /// The media type; `text/plain` for a text, and `application/octet-stream` for bytes, if none is said.
    const char *mime_type;
    /// Lists the resources of a template that there are.
    const exo_error *(*list)(exo_resource_t_list *resources);
    /// Pictures of it, the best first.
    exo_icon_t_list icons;
} exo_resource;

/// Begins a resource, whose body follows; it has `uri`, `variables`, `content` and `context`, sets `content->text` or
/// `content->blob`, and its function is `NAME_resource`.
///
///     EXO_RESOURCE(note, "notes://{name}", "A note.")
///     {
///         content->text = exo_format("a note about %s", exo_text_map_get(variables, "name").data);
///         return EXO_OK;
///     }
#define EXO_RESOURCE(resource, address, text, ...)                                                                    \
    static const exo_error *resource##_resource(exo_text uri, exo_text_map variables,                                 \
                                                exo_embedded_resource_t *content, const exo_context_t *context);      \
    extern const exo_resource resource##_resource_entry;                                                              \
    const exo_resource resource##_resource_entry = {                                                                  \
        .name = #resource, .uri = address, .description = text, .read = resource##_resource, __VA_ARGS__};            \
    static const exo_error *resource##_resource(exo_text uri EXO_UNUSED, exo_text_map variables EXO_UNUSED,           \
                                                exo_embedded_resource_t *content,                                     \
                                                const exo_context_t *context EXO_UNUSED)

/// The failure that there is no such resource.
EXO_API const exo_error *exo_no_such_resource(exo_text uri) {
    return exo_fail_with(EXO_ERROR_CODE_NOT_FOUND, exo_format("there is no resource `%.*s`", EXO_ARG(uri)));
}

EXO_API bool exo_is_template(const char *uri) { return strchr(uri, '{') != NULL; }

/// A text without `%20` and the like; false if what they stand for is no text.
EXO_API bool exo_percent_decode(exo_text text, exo_text *decoded) {
    char *into = (char *)exo_alloc(text.length + 1);
    size_t length = 0;
    for (size_t at = 0; at < text.length; at++) {
        if (text.data[at] != '%') {
            into[length++] = text.data[at];
            continue;
        }
        char digits[4] = {'0', '0', 0, 0};
        if (text.length - at < 3) return false;
        memcpy(digits + 2, text.data + at + 1, 2);
        int byte = exo_hex4(digits, digits + 4);
        if (byte < 0) return false;
        into[length++] = (char)byte;
        at += 2;
    }
    for (size_t at = 0; at < length;) {
        size_t character = exo_utf8_length(into + at, into + length);
        if (!character) return false;
        at += character;
    }
    *decoded = (exo_text){into, length};
    return true;
}

/// The variables of an address that fits a template; false if it does not.
EXO_API bool exo_match_template(const char *template_, exo_text uri, exo_text_map *variables) {
    size_t count = 0;
    for (const char *at = template_; *at; at++) count += *at == '{';
    exo_text_entry *entries = (exo_text_entry *)exo_alloc_items(count, sizeof *entries);
    const char *at = uri.data, *end = uri.data + uri.length;
    count = 0;
    while (*template_) {
        if (*template_ != '{') {
            if (at == end || *at++ != *template_++) return false;
            continue;
        }
        const char *name = template_ + 1, *close = strchr(name, '}');
        if (!close) return false;
        bool may_have_parts = *name == '+';
        if (may_have_parts) name++;
        // A value goes on to the text that follows it, which begins at its first place.
        const char *text = close + 1, *text_end = text;
        while (*text_end && *text_end != '{') text_end++;
        size_t text_length = (size_t)(text_end - text);
        const char *value_end = end;
        if (text_length) {
            value_end = at;
            while (value_end < end && ((size_t)(end - value_end) < text_length || memcmp(value_end, text, text_length)))
                value_end++;
            if (value_end == end) return false;
        }
        exo_text value = {at, (size_t)(value_end - at)};
        if (!value.length || (!may_have_parts && memchr(value.data, '/', value.length))) return false;
        entries[count].key = (exo_text){exo_copy(name, (size_t)(close - name)), (size_t)(close - name)};
        if (!exo_percent_decode(value, &entries[count].value)) return false;
        count++;
        at = value_end;
        template_ = text;
    }
    *variables = (exo_text_map){entries, count};
    return at == end;
}

EXO_API int exo_handle_list_resources(const exo_resource *const *entries, size_t count) {
    exo_list_resources_result_t result = {.resources = {NULL, 0}};
    exo_resource_t *resources = NULL;
    size_t length = 0;
    for (size_t nth = 0; nth < count; nth++) {
        const exo_resource *entry = entries[nth];
        exo_resource_t own = {
            .uri = exo_text_of(entry->uri),
            .name = exo_text_of(entry->name),
            .title = exo_text_of(entry->title),
            .description = exo_text_of(entry->description),
            .mime_type = exo_text_of(entry->mime_type),
            .icons = entry->icons,
        };
        exo_resource_t_list listed = {&own, (size_t)!exo_is_template(entry->uri)};
        if (entry->list) {
            listed = (exo_resource_t_list){NULL, 0};
            const exo_error *error = entry->list(&listed);
            if (error) {
                result.error = exo_effect_error_of(error);
                length = 0;
                break;
            }
        }
        if (!listed.count) continue;
        exo_resource_t *more = (exo_resource_t *)exo_alloc_items(length + listed.count, sizeof *more);
        if (length) memcpy(more, resources, length * sizeof *more);
        memcpy(more + length, listed.items, listed.count * sizeof *more);
        resources = more;
        length += listed.count;
    }
    result.resources = (exo_resource_t_list){resources, length};
    return exo_end_with(&exo_list_resources_result_t_type, &result);
}

EXO_API int exo_handle_list_resource_templates(const exo_resource *const *entries, size_t count) {
    exo_resource_template_t *templates = (exo_resource_template_t *)exo_alloc_items(count, sizeof *templates);
    size_t length = 0;
    for (size_t nth = 0; nth < count; nth++) {
        if (!exo_is_template(entries[nth]->uri)) continue;
        templates[length++] = (exo_resource_template_t){
            .uri_template = exo_text_of(entries[nth]->uri),
            .name = exo_text_of(entries[nth]->name),
            .title = exo_text_of(entries[nth]->title),
            .description = exo_text_of(entries[nth]->description),
            .mime_type = exo_text_of(entries[nth]->mime_type),
            .icons = entries[nth]->icons,
        };
    }
    exo_list_resource_templates_result_t result = {.resource_templates = {templates, length}};
    return exo_end_with(&exo_list_resource_templates_result_t_type, &result);
}

EXO_API int exo_handle_read_resource(const exo_resource *const *entries, size_t count) {
    exo_read_resource_input_t input;
    exo_text problem = exo_input_as(&exo_read_resource_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    exo_read_resource_result_t result = {.error = NULL};
    exo_embedded_resource_t content = {.uri = input.uri};
    const exo_error *error = exo_no_such_resource(input.uri);
    // A resource of its own comes before the templates.
    for (size_t nth = 0; nth < 2 * count; nth++) {
        const exo_resource *entry = entries[nth % count];
        exo_text_map variables = {NULL, 0};
        if (exo_is_template(entry->uri) != (nth >= count)) continue;
        if (!exo_match_template(entry->uri, input.uri, &variables)) continue;
        error = entry->read(input.uri, variables, &content, &input.context);
        if (!content.mime_type.data) content.mime_type = exo_text_of(entry->mime_type);
        break;
    }
    if (!content.mime_type.data)
        content.mime_type = exo_text_of(content.blob.data ? "application/octet-stream" : "text/plain");
    if (error) result.error = exo_effect_error_of(error);
    else result.contents = (exo_embedded_resource_t_list){&content, 1};
    return exo_end_with(&exo_read_resource_result_t_type, &result);
}

#define EXO_RESOURCE_REFERENCE(resource) &resource##_resource_entry,

/// Declares the plugin's resources by their names. Once in a plugin that has some.
#define EXO_RESOURCES(...)                                                                                            \
    static const exo_resource *const exo_plugin_resources[] = {EXO_FOR_EACH(EXO_RESOURCE_REFERENCE, __VA_ARGS__)};    \
    EXO_EXPORT("handle_list_resources") int handle_list_resources(void);                                              \
    int handle_list_resources(void) {                                                                                 \
        return exo_handle_list_resources(exo_plugin_resources,                                                        \
                                         sizeof exo_plugin_resources / sizeof *exo_plugin_resources);                 \
    }                                                                                                                 \
    EXO_EXPORT("handle_list_resource_templates") int handle_list_resource_templates(void);                            \
    int handle_list_resource_templates(void) {                                                                        \
        return exo_handle_list_resource_templates(exo_plugin_resources,                                               \
                                                  sizeof exo_plugin_resources / sizeof *exo_plugin_resources);        \
    }                                                                                                                 \
    EXO_EXPORT("handle_read_resource") int handle_read_resource(void);                                                \
    int handle_read_resource(void) {                                                                                  \
        return exo_handle_read_resource(exo_plugin_resources,                                                         \
                                        sizeof exo_plugin_resources / sizeof *exo_plugin_resources);                  \
    }                                                                                                                 \
    EXO_END

// Prompts.

/// A prompt. The fields from `title` on may be given to `EXO_PROMPT`.
typedef struct {
    const char *name;
    const char *description;
    /// A record of texts.
    const exo_type *arguments;
    const exo_error *(*get)(const void *args, exo_get_prompt_result_t *result, const exo_context_t *context);
    /// A display name for people.
    const char *title;
    /// Pictures of it, the best first.
    exo_icon_t_list icons;
} exo_prompt;

/// Begins a prompt, whose body follows; it has `args`, `result` and `context`, and its function is `NAME_prompt`. Its
/// arguments are a record of texts.
///
///     EXO_PROMPT(review, review_args, "Reviews a file.")
///     {
///         exo_say(result, EXO_MESSAGE_ROLE_USER, exo_format("Review %s.", args->file.data));
///         return EXO_OK;
///     }
#define EXO_PROMPT(prompt, args_t, text, ...)                                                                         \
    static const exo_error *prompt##_prompt(const args_t *args, exo_get_prompt_result_t *result,                      \
                                            const exo_context_t *context);                                            \
    static const exo_error *prompt##_prompt_get(const void *args, exo_get_prompt_result_t *result,                    \
                                                const exo_context_t *context) {                                       \
        return prompt##_prompt((const args_t *)args, result, context);                                                \
    }                                                                                                                 \
    extern const exo_prompt prompt##_prompt_entry;                                                                    \
    const exo_prompt prompt##_prompt_entry = {.name = #prompt,                                                        \
                                              .description = text,                                                    \
                                              .arguments = &args_t##_type,                                            \
                                              .get = prompt##_prompt_get,                                             \
                                              __VA_ARGS__};                                                           \
    static const exo_error *prompt##_prompt(const args_t *args EXO_UNUSED, exo_get_prompt_result_t *result,           \
                                            const exo_context_t *context EXO_UNUSED)

/// Adds a message to a prompt.
EXO_API void exo_say_content(exo_get_prompt_result_t *result, exo_message_role_t role, exo_content_t content) {
    size_t count = result->messages.count;
    exo_prompt_message_t *messages = (exo_prompt_message_t *)exo_alloc_items(count + 1, sizeof *messages);
    if (count) memcpy(messages, result->messages.items, count * sizeof *messages);
    messages[count] = (exo_prompt_message_t){.role = role, .content = content};
    result->messages = (exo_prompt_message_t_list){messages, count + 1};
}

/// Adds a message that is a text to a prompt.
EXO_API void exo_say(exo_get_prompt_result_t *result, exo_message_role_t role, exo_text text) {
    exo_say_content(result, role, exo_content_text(text));
}

EXO_API int exo_handle_list_prompts(const exo_prompt *const *entries, size_t count) {
    exo_prompt_t *prompts = (exo_prompt_t *)exo_alloc_items(count, sizeof *prompts);
    for (size_t nth = 0; nth < count; nth++) {
        const exo_type *type = entries[nth]->arguments;
        const exo_field *fields = (const exo_field *)type->parts;
        exo_prompt_argument_t *arguments = (exo_prompt_argument_t *)exo_alloc_items(type->count, sizeof *arguments);
        for (size_t field = 0; field < type->count; field++) {
            arguments[field].name = exo_text_of(fields[field].name);
            arguments[field].description = exo_text_of(fields[field].doc);
            arguments[field].required = fields[field].presence == EXO_REQUIRED;
        }
        prompts[nth] = (exo_prompt_t){
            .name = exo_text_of(entries[nth]->name),
            .title = exo_text_of(entries[nth]->title),
            .description = exo_text_of(entries[nth]->description),
            .arguments = {arguments, type->count},
            .icons = entries[nth]->icons,
        };
    }
    exo_list_prompts_result_t result = {.prompts = {prompts, count}};
    return exo_end_with(&exo_list_prompts_result_t_type, &result);
}

EXO_API int exo_handle_get_prompt(const exo_prompt *const *entries, size_t count) {
    exo_get_prompt_input_t input;
    exo_text problem = exo_input_as(&exo_get_prompt_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    const exo_prompt *entry = NULL;
    for (size_t nth = 0; nth < count && !entry; nth++)
        if (exo_text_is(input.name, entries[nth]->name)) entry = entries[nth];
    exo_get_prompt_result_t result = {.error = NULL};
    const exo_error *error;
    if (!entry) {
        error = exo_fail_with(EXO_ERROR_CODE_NOT_FOUND, exo_format("there is no prompt `%.*s`", EXO_ARG(input.name)));
    } else {
        void *args = exo_new(entry->arguments);
        problem = exo_decode_new(exo_encode(&exo_text_map_type, &input.arguments), entry->arguments, args);
        error = problem.data ? exo_fail_with(EXO_ERROR_CODE_INVALID_INPUT,
                                             exo_format("the arguments do not fit: %.*s", EXO_ARG(problem)))
                             : entry->get(args, &result, &input.context);
    }
    if (error) result = (exo_get_prompt_result_t){.error = exo_effect_error_of(error)};
    else if (!result.description.data) result.description = exo_text_of(entry->description);
    return exo_end_with(&exo_get_prompt_result_t_type, &result);
}

#define EXO_PROMPT_REFERENCE(prompt) &prompt##_prompt_entry,

/// Declares the plugin's prompts by their names. Once in a plugin that has some.
#define EXO_PROMPTS(...)                                                                                              \
    static const exo_prompt *const exo_plugin_prompts[] = {EXO_FOR_EACH(EXO_PROMPT_REFERENCE, __VA_ARGS__)};          \
    EXO_EXPORT("handle_list_prompts") int handle_list_prompts(void);                                                  \
    int handle_list_prompts(void) {                                                                                   \
        return exo_handle_list_prompts(exo_plugin_prompts, sizeof exo_plugin_prompts / sizeof *exo_plugin_prompts);   \
    }                                                                                                                 \
    EXO_EXPORT("handle_get_prompt") int handle_get_prompt(void);                                                      \
    int handle_get_prompt(void) {                                                                                     \
        return exo_handle_get_prompt(exo_plugin_prompts, sizeof exo_plugin_prompts / sizeof *exo_plugin_prompts);     \
    }                                                                                                                 \
    EXO_END

// Completion.

/// The completion of an argument of a prompt, or of a variable of a resource template.
typedef struct {
    /// The prompt, or
    const char *prompt;
    /// the template.
    const char *uri_template;
    const char *argument;
    /// The values, up to a NULL: those that begin with what is written are given. Or
    const char *const *values;
    /// a function that gives them.
    const exo_error *(*complete)(const exo_complete_input_t *input, exo_completion_t *completion);
} exo_completion;

/// Values to complete, for `.values`.
#define EXO_VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

EXO_API bool exo_is_named(exo_text text, const char *name) {
    return name && text.data && exo_text_is(text, name);
}

EXO_API int exo_handle_complete(const exo_completion *entries, size_t count) {
    exo_complete_input_t input;
    exo_text problem = exo_input_as(&exo_complete_input_t_type, &input);
    if (problem.data) return exo_end_with_error(problem);
    exo_complete_result_t result = {.error = NULL};
    for (size_t nth = 0; nth < count; nth++) {
        const exo_completion *entry = &entries[nth];
        if (!exo_is_named(input.argument, entry->argument)) continue;
        if (!exo_is_named(input.prompt, entry->prompt) && !exo_is_named(input.uri_template, entry->uri_template))
            continue;
        if (entry->complete) {
            const exo_error *error = entry->complete(&input, &result.completion);
            if (error) result.error = exo_effect_error_of(error);
            break;
        }
        size_t all = 0, fitting = 0;
        while (entry->values && entry->values[all]) all++;
        exo_text *values = (exo_text *)exo_alloc_items(all, sizeof *values);
        for (size_t value = 0; value < all && fitting < 100; value++) {
            exo_text text = exo_text_of(entry->values[value]);
            if (exo_text_begins_with(text, input.value)) values[fitting++] = text;
        }
        result.completion.values = (exo_text_list){values, fitting};
        break;
    }
    return exo_end_with(&exo_complete_result_t_type, &result);
}

/// Declares what the plugin completes: `{.prompt = "greet", .argument = "name", .values = EXO_VALUES("Ada")}`, and so
/// on. Once in a plugin that completes something.
#define EXO_COMPLETIONS(...)                                                                                          \
    static const exo_completion exo_plugin_completions[] = {__VA_ARGS__};                                             \
    EXO_EXPORT("handle_complete") int handle_complete(void);                                                          \
    int handle_complete(void) {                                                                                       \
        return exo_handle_complete(exo_plugin_completions,                                                            \
                                   sizeof exo_plugin_completions / sizeof *exo_plugin_completions);                   \
    }                                                                                                                 \
    EXO_END

#endif
