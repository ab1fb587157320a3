/* The kernel of plugins in JavaScript: QuickJS-ng, Extism's plugin ABI, and what connects them.
 *
 * `exomonad-build` makes a plugin of it: it adds the script, the effects that the script uses and the exports that
 * the plugin has, in the place of the imports from `exomonad:kernel`. The script is run once, when the module is
 * initialised; exomonad stores the memory after that, and each call begins with a copy of it.
 *
 * QuickJS is included and not linked, for two reasons. It seeds its generator of random numbers from the time of day
 * when a context is made, and all calls of a stored plugin would draw the same numbers; here the seed is drawn when
 * the first number is. And the compiler sees that most of its interface is not used. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* How much of the stack in memory a script may use; an overflow of it is an exception in the script. The engine has
 * 512 KiB for the frames of WebAssembly, which are others, and whose overflow ends the call. Functions that recur with
 * little in memory have this much more of it (`kernel/build` puts it in), so that both kinds grow alike. */
#define DEEPEST_STACK (160 << 10)
#define KERNEL_FRAME        \
    char kernel_frame[256]; \
    __asm__ volatile("" ::"r"(kernel_frame) : "memory");

static bool is_creating_context = false;

/* The time of day; a constant while a context is made, which takes a seed from it. */
static int kernel_gettimeofday(struct timeval *time, void *zone) {
    if (is_creating_context) {
        time->tv_sec = 1;
        time->tv_usec = 0;
        return 0;
    }
    return gettimeofday(time, zone);
}
#define gettimeofday kernel_gettimeofday
#include "quickjs.c"
#undef gettimeofday

#define ENV(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
ENV(alloc) extern uint64_t host_alloc(uint64_t length);
ENV(free) extern void host_free(uint64_t offset);
ENV(length) extern uint64_t host_length(uint64_t offset);
ENV(load_u8) extern uint32_t host_load_u8(uint64_t offset);
ENV(load_u64) extern uint64_t host_load_u64(uint64_t offset);
ENV(store_u8) extern void host_store_u8(uint64_t offset, uint32_t value);
ENV(store_u64) extern void host_store_u64(uint64_t offset, uint64_t value);
ENV(input_offset) extern uint64_t host_input_offset(void);
ENV(input_length) extern uint64_t host_input_length(void);
ENV(output_set) extern void host_output_set(uint64_t offset, uint64_t length);
ENV(error_set) extern void host_error_set(uint64_t offset);
ENV(config_get) extern uint64_t host_config_get(uint64_t key);
ENV(var_get) extern uint64_t host_var_get(uint64_t key);
ENV(var_set) extern void host_var_set(uint64_t key, uint64_t value);
ENV(log_trace) extern void host_log_trace(uint64_t offset);
ENV(log_debug) extern void host_log_debug(uint64_t offset);
ENV(log_info) extern void host_log_info(uint64_t offset);
ENV(log_warn) extern void host_log_warn(uint64_t offset);
ENV(log_error) extern void host_log_error(uint64_t offset);

/* Functions that `exomonad-build` puts in the place of these imports. */
#define KERNEL(name) __attribute__((import_module("exomonad:kernel"), import_name(#name)))
KERNEL(script_length) extern uint32_t script_length(void);
KERNEL(script_read) extern void script_read(uint8_t *destination);
KERNEL(effect) extern uint64_t kernel_effect(uint32_t slot, uint64_t request);

#define EXPORT(name) __attribute__((export_name(#name), noinline, used))

/* Copies bytes of the host's memory. Exported by name, and never inlined, so that exomonad's engine can put one
 * `memory.copy` in the place of the body. */
EXPORT(exomonad_memory_read)
void exomonad_memory_read(uint64_t source, uint8_t *destination, uint32_t length) {
    uint32_t at = 0;
    for (; length - at >= 8; at += 8) {
        uint64_t word = host_load_u64(source + at);
        memcpy(destination + at, &word, 8);
    }
    for (; at < length; at++) destination[at] = (uint8_t)host_load_u8(source + at);
}

/* Copies bytes to the host's memory; see `exomonad_memory_read`. */
EXPORT(exomonad_memory_write)
void exomonad_memory_write(uint64_t destination, const uint8_t *source, uint32_t length) {
    uint32_t at = 0;
    for (; length - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, source + at, 8);
        host_store_u64(destination + at, word);
    }
    for (; at < length; at++) host_store_u8(destination + at, source[at]);
}

static JSRuntime *runtime;
static JSContext *context;
static JSValue kernel_object;
/* The reason why there is no script to call; it is told to whoever calls. */
static char *start_failure;

/* A block of the host's memory that holds these bytes. */
static uint64_t block_holding(const uint8_t *bytes, size_t length) {
    uint64_t offset = host_alloc(length);
    exomonad_memory_write(offset, bytes, (uint32_t)length);
    return offset;
}

/* A block that holds a value's text in UTF-8; 0 with an exception pending if it has none. Half of a surrogate pair
 * is no character, so U+FFFD, which takes as many bytes, stands in its place. */
static uint64_t block_of_text(JSContext *ctx, JSValueConst value) {
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, value);
    if (!text) return 0;
    const uint8_t *bytes = (const uint8_t *)text;
    uint8_t *mended = NULL;
    for (size_t at = 0; at + 2 < length; at++) {
        if (bytes[at] != 0xed || bytes[at + 1] < 0xa0) continue;
        if (!mended) {
            mended = malloc(length);
            if (!mended) {
                JS_FreeCString(ctx, text);
                JS_ThrowOutOfMemory(ctx);
                return 0;
            }
            memcpy(mended, bytes, length);
        }
        memcpy(mended + at, "\xef\xbf\xbd", 3);
    }
    uint64_t offset = block_holding(mended ? mended : bytes, length);
    free(mended);
    JS_FreeCString(ctx, text);
    return offset;
}

/* The text in the host's memory; bytes that are not UTF-8 become U+FFFD. */
static JSValue text_at(JSContext *ctx, uint64_t offset, uint64_t length) {
    if (length >= INT32_MAX) return JS_ThrowRangeError(ctx, "a text of %" PRIu64 " bytes is too long", length);
    char *bytes = malloc(length + 1);
    if (!bytes) return JS_ThrowOutOfMemory(ctx);
    exomonad_memory_read(offset, (uint8_t *)bytes, (uint32_t)length);
    JSValue text = JS_NewStringLen(ctx, bytes, length);
    free(bytes);
    return text;
}

/* The text of a block, which is freed. */
static JSValue take_text(JSContext *ctx, uint64_t offset) {
    if (!offset) return JS_UNDEFINED;
    JSValue text = text_at(ctx, offset, host_length(offset));
    host_free(offset);
    return text;
}

#define NATIVE(name) static JSValue name(JSContext *ctx, JSValueConst this_value, int argc, JSValueConst *argv)

NATIVE(native_input) { return text_at(ctx, host_input_offset(), host_input_length()); }

NATIVE(native_output) {
    uint64_t offset = block_of_text(ctx, argv[0]);
    if (!offset) return JS_EXCEPTION;
    host_output_set(offset, host_length(offset));
    return JS_UNDEFINED;
}

NATIVE(native_effect) {
    uint32_t slot;
    if (JS_ToUint32(ctx, &slot, argv[0])) return JS_EXCEPTION;
    uint64_t request = block_of_text(ctx, argv[1]);
    if (!request) return JS_EXCEPTION;
    uint64_t answer = kernel_effect(slot, request);
    host_free(request);
    return take_text(ctx, answer);
}

NATIVE(native_config) {
    uint64_t key = block_of_text(ctx, argv[0]);
    if (!key) return JS_EXCEPTION;
    uint64_t value = host_config_get(key);
    host_free(key);
    return take_text(ctx, value);
}

NATIVE(native_get_variable) {
    uint64_t key = block_of_text(ctx, argv[0]);
    if (!key) return JS_EXCEPTION;
    uint64_t offset = host_var_get(key);
    host_free(key);
    if (!offset) return JS_UNDEFINED;
    uint64_t length = host_length(offset);
    uint8_t *bytes = length < INT32_MAX ? malloc(length + 1) : NULL;
    if (!bytes) return JS_ThrowOutOfMemory(ctx);
    exomonad_memory_read(offset, bytes, (uint32_t)length);
    host_free(offset);
    JSValue array = JS_NewUint8ArrayCopy(ctx, bytes, length);
    free(bytes);
    return array;
}

NATIVE(native_set_variable) {
    uint64_t value = 0;
    if (!JS_IsUndefined(argv[1])) {
        size_t length;
        uint8_t *bytes = JS_GetUint8Array(ctx, &length, argv[1]);
        if (!bytes) return JS_EXCEPTION;
        value = block_holding(bytes, length);
    }
    uint64_t key = block_of_text(ctx, argv[0]);
    if (!key) return JS_EXCEPTION;
    host_var_set(key, value);
    host_free(key);
    if (value) host_free(value);
    return JS_UNDEFINED;
}

NATIVE(native_log) {
    int32_t level;
    if (JS_ToInt32(ctx, &level, argv[0])) return JS_EXCEPTION;
    uint64_t line = block_of_text(ctx, argv[1]);
    if (!line) return JS_EXCEPTION;
    switch (level) {
    case 0: host_log_trace(line); break;
    case 1: host_log_debug(line); break;
    case 2: host_log_info(line); break;
    case 3: host_log_warn(line); break;
    default: host_log_error(line);
    }
    return JS_UNDEFINED;
}

/* True if a text has 16 digits in a row: then it may be JSON with a whole number that no double is equal to. */
NATIVE(native_has_long_number) {
    size_t length, digits = 0;
    const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
    if (!text) return JS_EXCEPTION;
    for (size_t at = 0; at < length && digits < 16; at++)
        digits = text[at] >= '0' && text[at] <= '9' ? digits + 1 : 0;
    JS_FreeCString(ctx, text);
    return JS_NewBool(ctx, digits >= 16);
}

NATIVE(native_encode_utf8) {
    size_t length;
    const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
    if (!text) return JS_EXCEPTION;
    JSValue array = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)text, length);
    JS_FreeCString(ctx, text);
    return array;
}

NATIVE(native_decode_utf8) {
    size_t length;
    uint8_t *bytes = JS_GetUint8Array(ctx, &length, argv[0]);
    return bytes ? JS_NewStringLen(ctx, (const char *)bytes, length) : JS_EXCEPTION;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

NATIVE(native_encode_base64) {
    size_t length, out = 0;
    uint8_t *bytes = JS_GetUint8Array(ctx, &length, argv[0]);
    if (!bytes) return JS_EXCEPTION;
    char *text = malloc((length + 2) / 3 * 4 + 1);
    if (!text) return JS_ThrowOutOfMemory(ctx);
    for (size_t at = 0; at < length; at += 3) {
        size_t left = length - at;
        uint32_t three = bytes[at] << 16 | (left > 1 ? bytes[at + 1] << 8 : 0) | (left > 2 ? bytes[at + 2] : 0);
        text[out++] = base64_digits[three >> 18];
        text[out++] = base64_digits[three >> 12 & 63];
        text[out++] = left > 1 ? base64_digits[three >> 6 & 63] : '=';
        text[out++] = left > 2 ? base64_digits[three & 63] : '=';
    }
    JSValue value = JS_NewStringLen(ctx, text, out);
    free(text);
    return value;
}

/* The bytes of a text in base64 with its padding; undefined if it is none. */
NATIVE(native_decode_base64) {
    size_t length, out = 0;
    const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
    if (!text) return JS_EXCEPTION;
    uint8_t *bytes = length % 4 ? NULL : malloc(length / 4 * 3 + 1);
    bool is_base64 = bytes != NULL;
    for (size_t at = 0; is_base64 && at < length; at += 4) {
        bool is_last = at + 4 == length;
        size_t padding = is_last && text[at + 3] == '=' ? (text[at + 2] == '=' ? 2 : 1) : 0;
        uint32_t three = 0;
        for (size_t nth = 0; nth < 4; nth++) {
            const char *digit = nth < 4 - padding ? memchr(base64_digits, text[at + nth], 64) : base64_digits;
            is_base64 = is_base64 && digit;
            three = three << 6 | (digit ? (uint32_t)(digit - base64_digits) : 0);
        }
        /* Bits that belong to no byte have to be 0, so that there is one text for some bytes. */
        is_base64 = is_base64 && !(padding == 2 ? three & 0xffff : padding == 1 ? three & 0xff : 0);
        for (size_t nth = 0; nth < 3 - padding; nth++) bytes[out++] = (uint8_t)(three >> (16 - 8 * nth));
    }
    JS_FreeCString(ctx, text);
    JSValue value = is_base64 ? JS_NewUint8ArrayCopy(ctx, bytes, out) : JS_UNDEFINED;
    free(bytes);
    return value;
}

static bool is_seeded;

/* Makes the next random number draw a new seed. The engine calls it in each sandbox that is made from a stored
 * one, so that no two have the same seed. */
EXPORT(exomonad_reseed)
void exomonad_reseed(void) { is_seeded = false; }

/* `Math.random`, seeded by the host when it is first called. */
NATIVE(native_random) {
    if (!is_seeded) {
        uint64_t seed;
        if (getentropy(&seed, sizeof seed)) return JS_ThrowInternalError(ctx, "the host gives no random bytes");
        ctx->random_state = seed ? seed : 1;
        is_seeded = true;
    }
    return js_math_random(ctx, this_value, argc, argv);
}

/* Fills a Uint8Array with random bytes. */
NATIVE(native_fill_random) {
    size_t length;
    uint8_t *bytes = JS_GetUint8Array(ctx, &length, argv[0]);
    if (!bytes) return JS_EXCEPTION;
    for (size_t at = 0; at < length; at += 256) {
        size_t part = length - at < 256 ? length - at : 256;
        if (getentropy(bytes + at, part)) return JS_ThrowInternalError(ctx, "the host gives no random bytes");
    }
    return JS_UNDEFINED;
}

/* Milliseconds of a clock that only goes on. */
NATIVE(native_monotonic) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return JS_NewFloat64(ctx, (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6);
}

static const JSCFunctionListEntry natives[] = {
    JS_CFUNC_DEF("input", 0, native_input),
    JS_CFUNC_DEF("output", 1, native_output),
    JS_CFUNC_DEF("effect", 2, native_effect),
    JS_CFUNC_DEF("config", 1, native_config),
    JS_CFUNC_DEF("getVariable", 1, native_get_variable),
    JS_CFUNC_DEF("setVariable", 2, native_set_variable),
    JS_CFUNC_DEF("log", 2, native_log),
    JS_CFUNC_DEF("hasLongNumber", 1, native_has_long_number),
    JS_CFUNC_DEF("encodeUtf8", 1, native_encode_utf8),
    JS_CFUNC_DEF("decodeUtf8", 1, native_decode_utf8),
    JS_CFUNC_DEF("encodeBase64", 1, native_encode_base64),
    JS_CFUNC_DEF("decodeBase64", 1, native_decode_base64),
    JS_CFUNC_DEF("fillRandom", 1, native_fill_random),
    JS_CFUNC_DEF("monotonic", 0, native_monotonic),
};

/* An exception as a person reads it: the error with its message, and the functions that it came through. */
static char *described(JSContext *ctx, JSValueConst error) {
    const char *text = JS_ToCString(ctx, error);
    if (!text) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return strdup("an exception without a text");
    }
    JSValue stack = JS_IsObject(error) ? JS_GetPropertyStr(ctx, error, "stack") : JS_UNDEFINED;
    const char *frames = JS_IsString(stack) ? JS_ToCString(ctx, stack) : NULL;
    size_t length = strlen(text) + (frames ? strlen(frames) : 0) + 2;
    char *whole = malloc(length);
    if (whole) snprintf(whole, length, frames && *frames ? "%s\n%s" : "%s%s", text, frames ? frames : "");
    for (size_t end = whole ? strlen(whole) : 0; end && whole[end - 1] == '\n'; end--) whole[end - 1] = 0;
    if (frames) JS_FreeCString(ctx, frames);
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, stack);
    if (JS_HasException(ctx)) JS_FreeValue(ctx, JS_GetException(ctx));
    return whole ? whole : strdup("out of memory");
}

static int fail(const char *message) {
    host_error_set(block_holding((const uint8_t *)message, strlen(message)));
    return 1;
}

static int fail_by(JSContext *ctx, JSValue error) {
    char *message = described(ctx, error);
    JS_FreeValue(ctx, error);
    fail(message);
    free(message);
    return 1;
}

static int run_jobs(void) {
    JSContext *of_job;
    int ran;
    while ((ran = JS_ExecutePendingJob(runtime, &of_job)) > 0) {
    }
    return ran;
}

/* The body of every export: calls the script's function for it, by its number, and waits for its promise. */
EXPORT(exomonad_run)
int exomonad_run(int number) {
    if (start_failure) return fail(start_failure);
    JS_UpdateStackTop(runtime);
    JSValue argument = JS_NewInt32(context, number);
    JSValue run = JS_GetPropertyStr(context, kernel_object, "run");
    JSValue result = JS_Call(context, run, kernel_object, 1, &argument);
    JS_FreeValue(context, run);
    if (JS_IsException(result)) return fail_by(context, JS_GetException(context));
    if (run_jobs() < 0) return fail_by(context, JS_GetException(context));
    switch (JS_PromiseState(context, result)) {
    case JS_PROMISE_REJECTED: return fail_by(context, JS_PromiseResult(context, result));
    case JS_PROMISE_PENDING: return fail("the function awaits a promise that nothing will resolve: there are no timers "
                                         "and no events, and effects answer at once");
    default: return 0;
    }
}

static JSContext *new_context(void) {
    JSContext *made = JS_NewContextRaw(runtime);
    /* All of the language. The clock is read by `performance` when it is made, so that is made by the script. */
    if (!made || JS_AddIntrinsicBaseObjects(made) || JS_AddIntrinsicDate(made) || JS_AddIntrinsicEval(made) ||
        JS_AddIntrinsicRegExp(made) || JS_AddIntrinsicJSON(made) || JS_AddIntrinsicProxy(made) ||
        JS_AddIntrinsicMapSet(made) || JS_AddIntrinsicTypedArrays(made) || JS_AddIntrinsicPromise(made) ||
        JS_AddIntrinsicWeakRef(made) || JS_AddIntrinsicAToB(made))
        return NULL;
    return made;
}

/* Runs the script. What it leaves behind is what every call begins with. */
__attribute__((constructor)) static void start(void) {
    runtime = JS_NewRuntime();
    if (!runtime) abort();
    JS_SetMaxStackSize(runtime, DEEPEST_STACK);
    /* A sandbox lives for one call: collecting cycles would mostly touch memory that nothing else needs. */
    JS_SetGCThreshold(runtime, 16 << 20);
    is_creating_context = true;
    context = new_context();
    is_creating_context = false;
    if (!context) abort();

    JSValue global = JS_GetGlobalObject(context);
    kernel_object = JS_NewObject(context);
    JS_SetPropertyFunctionList(context, kernel_object, natives, countof(natives));
    JS_SetPropertyStr(context, global, "__exomonad", js_dup(kernel_object));
    JSValue math = JS_GetPropertyStr(context, global, "Math");
    JS_DefinePropertyValueStr(context, math, "random", JS_NewCFunction(context, native_random, "random", 0),
                              JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    JS_FreeValue(context, math);
    JS_FreeValue(context, global);

    uint32_t length = script_length();
    char *script = malloc(length + 1);
    if (!script) abort();
    script_read((uint8_t *)script);
    script[length] = 0;
    JSValue result = JS_Eval(context, script, length, "plugin.js", JS_EVAL_TYPE_GLOBAL);
    free(script);
    if (JS_IsException(result) || run_jobs() < 0) start_failure = described(context, JS_GetException(context));
    JS_FreeValue(context, result);
    JS_RunGC(runtime);
}
