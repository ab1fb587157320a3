// A host for native tests of a plugin: functions of the test answer effects, requests are recorded, keys and values
// stay in memory, the clock stands still. C and C++; exomonad.h and exomonad.hpp include it outside WebAssembly.
//
//     exo_fake_reset();
//     exo_fake_answer("git_get_branch", "{\"head\":\"branch\",\"branch\":\"main\"}");
//     exo_text output = exo_fake_call(handle_mcp_call, "{\"name\":\"greet\",…}");
#ifndef EXOMONAD_TESTING_H
#define EXOMONAD_TESTING_H

#include <assert.h>

#include "json.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Answers an effect: from the request's JSON to the JSON of the answer's payload. One that fails returns
/// `exo_fake_error(…)`.
typedef exo_json (*exo_fake_function)(exo_json request, void *state);

/// A request, as it was made.
typedef struct {
    const char *function;
    exo_json request;
} exo_fake_request;

typedef struct {
    exo_text key;
    exo_text value;
} exo_fake_entry;

#define EXO_FAKE_MOST 256

struct exo_fake_host {
    struct {
        const char *function;
        exo_fake_function answer;
        void *state;
        exo_json fixed;
    } answers[EXO_FAKE_MOST];
    size_t answer_count;
    struct {
        const char *capability;
        const char *function;
    } known[EXO_FAKE_MOST];
    size_t known_count;
    exo_fake_request requests[4 * EXO_FAKE_MOST];
    size_t request_count;
    exo_fake_entry kv[EXO_FAKE_MOST];
    size_t kv_count;
    exo_fake_entry config[EXO_FAKE_MOST];
    size_t config_count;
    exo_fake_entry variables[EXO_FAKE_MOST];
    size_t variable_count;
    /// Signals that a workflow has not taken yet: the name and the payload's JSON.
    exo_fake_entry signals[EXO_FAKE_MOST];
    size_t signal_count;
    exo_text input;
    exo_text output;
    exo_text error;
    /// The state that a workflow has published last.
    exo_json state;
    exo_text started[EXO_FAKE_MOST];
    size_t started_count;
    int64_t unix_millis;
    uint64_t random;
};

__attribute__((weak)) struct exo_fake_host exo_fake_host;

/// Begins a test: forgets everything, and frees what was allocated. The clock is at 2026-01-01T00:00:00Z.
EXO_API void exo_fake_reset(void) {
    exo_arena_reset();
    memset(&exo_fake_host, 0, sizeof exo_fake_host);
    exo_fake_host.unix_millis = INT64_C(1767225600000);
}

/// The JSON of a failed effect, for an `exo_fake_function`.
EXO_API exo_json exo_fake_error(const char *code, const char *message) {
    exo_writer writer = {NULL, 0, 0};
    exo_write_string(&writer, "!{\"code\":");
    exo_write_quoted(&writer, code);
    exo_write_string(&writer, ",\"message\":");
    exo_write_quoted(&writer, message);
    exo_write_char(&writer, '}');
    exo_text text = exo_written(&writer);
    exo_json json = {text.data, text.length};
    return json;
}

/// Answers an effect by a function, by the name of its host function.
EXO_API void exo_fake_on(const char *function, exo_fake_function answer, void *state) {
    struct exo_fake_host *host = &exo_fake_host;
    assert(host->answer_count < EXO_FAKE_MOST);
    host->answers[host->answer_count].function = function;
    host->answers[host->answer_count].answer = answer;
    host->answers[host->answer_count++].state = state;
}

/// Answers an effect always by the same payload.
EXO_API void exo_fake_answer(const char *function, const char *payload) {
    struct exo_fake_host *host = &exo_fake_host;
    exo_fake_on(function, NULL, NULL);
    host->answers[host->answer_count - 1].fixed = exo_json_of(payload);
}

/// Fails an effect always by the same error.
EXO_API void exo_fake_failure(const char *function, const char *code, const char *message) {
    struct exo_fake_host *host = &exo_fake_host;
    exo_fake_on(function, NULL, NULL);
    host->answers[host->answer_count - 1].fixed = exo_fake_error(code, message);
}

EXO_API exo_fake_entry *exo_fake_find(exo_fake_entry *entries, size_t count, exo_text key) {
    for (size_t nth = 0; nth < count; nth++)
        if (exo_text_equals(entries[nth].key, key)) return &entries[nth];
    return NULL;
}

EXO_API exo_text exo_fake_kept(exo_text text) {
    exo_text kept = {exo_copy(text.data, text.length), text.length};
    return kept;
}

/// Sets an entry; without a value it is removed. The entries stay in the order of their keys.
EXO_API void exo_fake_set(exo_fake_entry *entries, size_t *count, exo_text key, exo_text value) {
    exo_fake_entry *found = exo_fake_find(entries, *count, key);
    if (found && value.data) {
        found->value = exo_fake_kept(value);
    } else if (found) {
        size_t nth = (size_t)(found - entries);
        memmove(found, found + 1, (*count - nth - 1) * sizeof *found);
        --*count;
    } else if (value.data) {
        assert(*count < EXO_FAKE_MOST);
        size_t nth = *count;
        while (nth > 0) {
            exo_text before = entries[nth - 1].key;
            size_t common = before.length < key.length ? before.length : key.length;
            int order = common ? memcmp(before.data, key.data, common) : 0;
            if (order < 0 || (order == 0 && before.length <= key.length)) break;
            nth--;
        }
        memmove(entries + nth + 1, entries + nth, (*count - nth) * sizeof *entries);
        entries[nth].key = exo_fake_kept(key);
        entries[nth].value = exo_fake_kept(value);
        ++*count;
    }
}

/// Sets a value of the role's configuration.
EXO_API void exo_fake_config(const char *key, const char *value) {
    exo_fake_set(exo_fake_host.config, &exo_fake_host.config_count, exo_text_of(key), exo_text_of(value));
}

/// Sets a key of the key-value store to a JSON value.
EXO_API void exo_fake_kv(const char *key, const char *value) {
    exo_fake_set(exo_fake_host.kv, &exo_fake_host.kv_count, exo_text_of(key), exo_text_of(value));
}

/// The JSON value of a key of the key-value store; none if it has none.
EXO_API exo_json exo_fake_kv_value(const char *key) {
    exo_fake_entry *found = exo_fake_find(exo_fake_host.kv, exo_fake_host.kv_count, exo_text_of(key));
    exo_json json = {found ? found->value.data : NULL, found ? found->value.length : 0};
    return json;
}

/// Sends a signal to the workflow that is run next.
EXO_API void exo_fake_signal(const char *name, const char *payload) {
    assert(exo_fake_host.signal_count < EXO_FAKE_MOST);
    exo_fake_entry entry = {exo_text_of(name), exo_text_of(payload)};
    exo_fake_host.signals[exo_fake_host.signal_count++] = entry;
}

/// The request made to this host function, the first one at 0; no JSON if there was none.
EXO_API exo_json exo_fake_request_to(const char *function, size_t nth) {
    for (size_t at = 0; at < exo_fake_host.request_count; at++)
        if (strcmp(exo_fake_host.requests[at].function, function) == 0 && nth-- == 0)
            return exo_fake_host.requests[at].request;
    exo_json none = {NULL, 0};
    return none;
}

/// Calls an export with an input. Returns its output; no text if it failed, and then `exo_fake_host.error` says why.
EXO_API exo_text exo_fake_call(int (*handle)(void), const char *input) {
    exo_text none = {NULL, 0};
    exo_fake_host.input = exo_text_of(input);
    exo_fake_host.output = none;
    exo_fake_host.error = none;
    return handle() == 0 ? exo_fake_host.output : none;
}

// The host's functions.

__attribute__((weak)) exo_text exo_input(void) { return exo_fake_host.input; }

__attribute__((weak)) void exo_set_output(const void *data, size_t length) {
    exo_text output = {exo_copy(data, length), length};
    exo_fake_host.output = output;
}

__attribute__((weak)) void exo_host_set_error(const char *message, size_t length) {
    exo_text error = {exo_copy(message, length), length};
    exo_fake_host.error = error;
}

__attribute__((weak)) exo_text exo_config(const char *key) {
    exo_fake_entry *found = exo_fake_find(exo_fake_host.config, exo_fake_host.config_count, exo_text_of(key));
    exo_text none = {NULL, 0};
    return found ? found->value : none;
}

__attribute__((weak)) exo_bytes exo_variable(const char *key) {
    exo_fake_entry *found = exo_fake_find(exo_fake_host.variables, exo_fake_host.variable_count, exo_text_of(key));
    exo_bytes bytes = {found ? (const uint8_t *)found->value.data : NULL, found ? found->value.length : 0};
    return bytes;
}

__attribute__((weak)) void exo_set_variable(const char *key, exo_bytes value) {
    exo_text text = {(const char *)value.data, value.length};
    exo_fake_set(exo_fake_host.variables, &exo_fake_host.variable_count, exo_text_of(key), text);
}

// Effects that the host answers by itself.

/// The value of a key of a request, as JSON; none if it has no such key.
EXO_API exo_json exo_fake_member(exo_json object, const char *name) {
    exo_reader reader = exo_reader_of(object.data, object.length);
    exo_json none = {NULL, 0};
    bool first = true;
    if (!exo_read_open(&reader, '{')) return none;
    while (exo_read_more(&reader, '}', &first)) {
        exo_text key = {NULL, 0};
        exo_json value = none;
        if (!exo_read_key(&reader, &key) || !exo_read_json(&reader, &value)) return none;
        if (exo_text_is(key, name)) return value;
    }
    return none;
}

EXO_API exo_text exo_fake_text(exo_json object, const char *name) {
    exo_json value = exo_fake_member(object, name);
    exo_reader reader = exo_reader_of(value.data, value.length);
    exo_text text = {NULL, 0};
    if (value.data && value.length && value.data[0] == '"') exo_read_text(&reader, &text);
    return text;
}

EXO_API uint64_t exo_fake_number(exo_json object, const char *name, uint64_t otherwise) {
    exo_json value = exo_fake_member(object, name);
    exo_reader reader = exo_reader_of(value.data, value.length);
    uint64_t number = otherwise;
    if (value.data && value.length && value.data[0] != 'n') exo_read_unsigned(&reader, UINT64_MAX, &number);
    return number;
}

/// `2026-01-01T00:00:00.000Z`, by Howard Hinnant's `civil_from_days`
/// (https://howardhinnant.github.io/date_algorithms.html).
EXO_API void exo_fake_iso8601(exo_writer *writer, int64_t unix_millis) {
    int64_t days = unix_millis / 86400000, millis = unix_millis % 86400000;
    if (millis < 0) days--, millis += 86400000;
    int64_t shifted = days + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    char text[64];
    snprintf(text, sizeof text, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld.%03lldZ", (long long)year,
             (long long)month, (long long)day, (long long)(millis / 3600000), (long long)(millis / 60000 % 60),
             (long long)(millis / 1000 % 60), (long long)(millis % 1000));
    exo_write_string(writer, text);
}

EXO_API void exo_fake_list(exo_writer *writer, exo_json request) {
    exo_text prefix = exo_fake_text(request, "prefix"), after = exo_fake_text(request, "after"), last = {NULL, 0};
    uint64_t limit = exo_fake_number(request, "limit", 100), count = 0;
    bool is_past = !after.data, has_more = false;
    exo_write_string(writer, "{\"keys\":[");
    for (size_t nth = 0; nth < exo_fake_host.kv_count; nth++) {
        exo_text key = exo_fake_host.kv[nth].key;
        bool is_after = is_past;
        if (!is_past && exo_text_equals(key, after)) is_past = true;
        if (!is_after || !exo_text_begins_with(key, prefix)) continue;
        if (count == limit) {
            has_more = true;
            break;
        }
        if (count++) exo_write_char(writer, ',');
        exo_write_text(writer, key);
        last = key;
    }
    exo_write_char(writer, ']');
    if (has_more && last.data) {
        exo_write_string(writer, ",\"next\":");
        exo_write_text(writer, last);
    }
    exo_write_char(writer, '}');
}

/// The next handle that a wait names and has come, or the next signal of a name that it takes.
EXO_API void exo_fake_wait(exo_writer *writer, exo_json request) {
    exo_json handles = exo_fake_member(request, "handles"), signals = exo_fake_member(request, "signals");
    exo_reader reader = exo_reader_of(handles.data, handles.length);
    bool first = true, has_one = false, all = exo_fake_member(request, "all").length == 4;
    exo_write_string(writer, "{\"arrivals\":[");
    if (handles.data && exo_read_open(&reader, '[')) {
        while (exo_read_more(&reader, ']', &first)) {
            uint64_t id = 0;
            if (!exo_read_unsigned(&reader, UINT64_MAX, &id)) break;
            if (id >= exo_fake_host.started_count || (has_one && !all)) continue;
            if (has_one) exo_write_char(writer, ',');
            has_one = true;
            exo_write_format(writer, "{\"handle\":%llu,\"value\":%s}", (unsigned long long)id,
                             exo_fake_host.started[id].data);
        }
    }
    reader = exo_reader_of(signals.data, signals.length);
    first = true;
    if (!has_one && signals.data && exo_read_open(&reader, '[')) {
        while (!has_one && exo_read_more(&reader, ']', &first)) {
            exo_text name = {NULL, 0};
            if (!exo_read_text(&reader, &name)) break;
            for (size_t nth = 0; nth < exo_fake_host.signal_count && !has_one; nth++) {
                if (!exo_text_equals(exo_fake_host.signals[nth].key, name)) continue;
                has_one = true;
                exo_write_string(writer, "{\"signal\":");
                exo_write_text(writer, name);
                exo_write_format(writer, ",\"value\":%s}", exo_fake_host.signals[nth].value.data);
                exo_fake_host.signal_count--;
                memmove(&exo_fake_host.signals[nth], &exo_fake_host.signals[nth + 1],
                        (exo_fake_host.signal_count - nth) * sizeof *exo_fake_host.signals);
            }
        }
    }
    exo_write_string(writer, "]}");
    if (!has_one) exo_fake_host.unix_millis += (int64_t)exo_fake_number(request, "timeoutMillis", 0);
}

EXO_API exo_text exo_fake_perform(const char *function, exo_json request);

/// True if the host has an answer of its own.
EXO_API bool exo_fake_default(exo_writer *writer, const char *function, exo_json request) {
    struct exo_fake_host *host = &exo_fake_host;
#define EXO_FAKE_IS(name) (strcmp(function, name) == 0)
    if (EXO_FAKE_IS("log") || EXO_FAKE_IS("emit_event") || EXO_FAKE_IS("mcp_progress") || EXO_FAKE_IS("mcp_log") ||
        EXO_FAKE_IS("mcp_notify") || EXO_FAKE_IS("workflow_cancel")) {
        exo_write_string(writer, "{}");
    } else if (EXO_FAKE_IS("kv_get")) {
        exo_fake_entry *found = exo_fake_find(host->kv, host->kv_count, exo_fake_text(request, "key"));
        exo_write_format(writer, "{\"found\":%s", found ? "true" : "false");
        if (found) exo_write_format(writer, ",\"value\":%s", found->value.data);
        exo_write_char(writer, '}');
    } else if (EXO_FAKE_IS("kv_set")) {
        exo_json value = exo_fake_member(request, "value");
        exo_text text = {value.data ? value.data : "null", value.data ? value.length : 4};
        exo_fake_set(host->kv, &host->kv_count, exo_fake_text(request, "key"), text);
        exo_write_string(writer, "{}");
    } else if (EXO_FAKE_IS("kv_delete")) {
        exo_text key = exo_fake_text(request, "key"), none = {NULL, 0};
        exo_write_format(writer, "{\"existed\":%s}", exo_fake_find(host->kv, host->kv_count, key) ? "true" : "false");
        exo_fake_set(host->kv, &host->kv_count, key, none);
    } else if (EXO_FAKE_IS("kv_list")) {
        exo_fake_list(writer, request);
    } else if (EXO_FAKE_IS("clock_now")) {
        exo_write_format(writer, "{\"unixMillis\":%lld,\"iso8601\":\"", (long long)host->unix_millis);
        exo_fake_iso8601(writer, host->unix_millis);
        uint64_t nanos = host->unix_millis > 0 ? (uint64_t)host->unix_millis * 1000000 : 0;
        exo_write_format(writer, "\",\"monotonicNanos\":%llu}", (unsigned long long)nanos);
    } else if (EXO_FAKE_IS("sleep") || EXO_FAKE_IS("workflow_sleep")) {
        host->unix_millis += (int64_t)exo_fake_number(request, "millis", 0);
        exo_write_string(writer, "{}");
    } else if (EXO_FAKE_IS("random_bytes")) {
        // The same bytes in every run (SplitMix64).
        size_t length = (size_t)exo_fake_number(request, "length", 0);
        uint8_t *data = (uint8_t *)exo_alloc(length + 1);
        for (size_t nth = 0; nth < length; nth++) {
            host->random += UINT64_C(0x9E3779B97F4A7C15);
            data[nth] = (uint8_t)((host->random ^ host->random >> 30) * UINT64_C(0xBF58476D1CE4E5B9) >> 56);
        }
        exo_bytes bytes = {data, length};
        exo_write_string(writer, "{\"bytes\":");
        exo_write_bytes(writer, bytes);
        exo_write_char(writer, '}');
    } else if (EXO_FAKE_IS("workflow_set_state")) {
        host->state = exo_fake_member(request, "state");
        exo_write_string(writer, "{}");
    } else if (EXO_FAKE_IS("workflow_patched")) {
        exo_write_string(writer, "{\"applies\":true}");
    } else if (EXO_FAKE_IS("workflow_wait")) {
        exo_fake_wait(writer, request);
    } else if (EXO_FAKE_IS("workflow_start")) {
        // What is started beside a workflow is done at once.
        exo_text capability = exo_fake_text(request, "effect");
        for (size_t nth = 0; nth < host->known_count; nth++) {
            if (!exo_text_is(capability, host->known[nth].capability)) continue;
            assert(host->started_count < EXO_FAKE_MOST);
            size_t id = host->started_count++;
            host->started[id] = exo_fake_perform(host->known[nth].function, exo_fake_member(request, "request"));
            exo_write_format(writer, "{\"handle\":%zu}", id);
            return true;
        }
        return false;
    } else {
        return false;
    }
#undef EXO_FAKE_IS
    return true;
}

/// Performs an effect: the test's answer, or else the host's own.
EXO_API exo_text exo_fake_perform(const char *function, exo_json request) {
    struct exo_fake_host *host = &exo_fake_host;
    assert(host->request_count < 4 * EXO_FAKE_MOST);
    host->requests[host->request_count].function = function;
    host->requests[host->request_count++].request = request;
    exo_writer writer = {NULL, 0, 0};
    exo_json payload = {NULL, 0};
    // The answer that was set last counts.
    for (size_t nth = host->answer_count; nth-- > 0 && !payload.data;) {
        if (strcmp(host->answers[nth].function, function) != 0) continue;
        payload = host->answers[nth].answer ? host->answers[nth].answer(request, host->answers[nth].state)
                                            : host->answers[nth].fixed;
    }
    if (!payload.data && exo_fake_default(&writer, function, request)) {
        exo_text text = exo_written(&writer);
        payload = exo_json_of(text.data);
    }
    if (!payload.data)
        payload = exo_fake_error("not_configured", "the fake host has no answer for this; exo_fake_on gives it one");
    bool is_error = payload.data[0] == '!';
    exo_writer answer = {NULL, 0, 0};
    exo_write_format(&answer, "{\"kind\":\"%s\",\"payload\":%s}", is_error ? "Error" : "Success",
                     payload.data + is_error);
    return exo_written(&answer);
}

/// Remembers an effect, so that a workflow can start it by its capability.
EXO_API void exo_fake_knows(const char *capability, const char *function) {
    struct exo_fake_host *host = &exo_fake_host;
    assert(host->known_count < EXO_FAKE_MOST);
    host->known[host->known_count].capability = capability;
    host->known[host->known_count++].function = function;
}

#ifdef EXOMONAD_EFFECT_H
__attribute__((weak)) exo_text exo_host_perform(const exo_effect *effect, exo_json request) {
    return exo_fake_perform(effect->function, request);
}

__attribute__((weak)) void exo_host_knows(const exo_effect *effect) {
    exo_fake_knows(effect->capability, effect->function);
}
#endif

#ifdef __cplusplus
}
#endif

#endif
