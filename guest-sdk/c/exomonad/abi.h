// Extism's plugin ABI (https://extism.org/docs/concepts/memory), the memory of a call, and texts.
//
// Usable from C11 and from C++20. All copies between the module and the host's memory go through two functions
// that are exported by name; exomonad's engine replaces each by one memory.copy, under any other Extism host
// their own bodies run.
#ifndef EXOMONAD_ABI_H
#define EXOMONAD_ABI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef __wasm__
#include <stdio.h>
#include <stdlib.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define EXO_UNUSED __attribute__((unused))

// The headers' functions. Not `inline`, which makes compilers copy them to wherever they are called: a plugin would
// be twice as large.
#define EXO_API EXO_UNUSED static

/// The SDK's version.
#define EXO_VERSION "0.1.0"

/// A text: UTF-8, and a NUL after it that does not count. No `data` is no text.
typedef struct {
    const char *data;
    size_t length;
} exo_text;

/// Bytes; base64 in JSON. No `data` is no bytes.
typedef struct {
    const uint8_t *data;
    size_t length;
} exo_bytes;

/// Any JSON, as it was written. No `data` is no value.
typedef struct {
    const char *data;
    size_t length;
} exo_json;

/// A text from a string literal, also in initialisers of statics.
#define EXO_TEXT(literal) {(literal), sizeof(literal) - 1}

/// The text of a C string; none of `NULL`. It is not copied.
EXO_API exo_text exo_text_of(const char *string) {
    exo_text text = {string, string ? strlen(string) : 0};
    return text;
}

/// JSON that was written by hand. It is neither copied nor checked.
EXO_API exo_json exo_json_of(const char *string) {
    exo_json json = {string, string ? strlen(string) : 0};
    return json;
}

/// True if both have the same characters; no text is equal to the empty one.
EXO_API bool exo_text_equals(exo_text one, exo_text other) {
    return one.length == other.length && (one.length == 0 || memcmp(one.data, other.data, one.length) == 0);
}

/// True if the text has these characters.
EXO_API bool exo_text_is(exo_text text, const char *string) {
    return exo_text_equals(text, exo_text_of(string));
}

/// True if the text begins with the other one.
EXO_API bool exo_text_begins_with(exo_text text, exo_text beginning) {
    exo_text head = {text.data, beginning.length};
    return text.length >= beginning.length && exo_text_equals(head, beginning);
}

// The host.

#ifdef __wasm__

#define EXO_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

EXO_IMPORT("extism:host/env", "alloc") uint64_t exo_env_alloc(uint64_t length);
EXO_IMPORT("extism:host/env", "free") void exo_env_free(uint64_t offset);
EXO_IMPORT("extism:host/env", "length") uint64_t exo_env_length(uint64_t offset);
EXO_IMPORT("extism:host/env", "load_u8") uint8_t exo_env_load_u8(uint64_t offset);
EXO_IMPORT("extism:host/env", "load_u64") uint64_t exo_env_load_u64(uint64_t offset);
EXO_IMPORT("extism:host/env", "store_u8") void exo_env_store_u8(uint64_t offset, uint8_t value);
EXO_IMPORT("extism:host/env", "store_u64") void exo_env_store_u64(uint64_t offset, uint64_t value);
EXO_IMPORT("extism:host/env", "input_offset") uint64_t exo_env_input_offset(void);
EXO_IMPORT("extism:host/env", "input_length") uint64_t exo_env_input_length(void);
EXO_IMPORT("extism:host/env", "output_set") void exo_env_output_set(uint64_t offset, uint64_t length);
EXO_IMPORT("extism:host/env", "error_set") void exo_env_error_set(uint64_t offset);
EXO_IMPORT("extism:host/env", "config_get") uint64_t exo_env_config_get(uint64_t key);
EXO_IMPORT("extism:host/env", "var_get") uint64_t exo_env_var_get(uint64_t key);
EXO_IMPORT("extism:host/env", "var_set") void exo_env_var_set(uint64_t key, uint64_t value);

// Weak: one definition is left of several files, and none is ever inlined.
#define EXO_EXPORT(name) __attribute__((export_name(name), used))

EXO_EXPORT("exomonad_memory_read")
__attribute__((weak, noinline)) void exomonad_memory_read(uint64_t source, uint8_t *destination, size_t length) {
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word = exo_env_load_u64(source + at);
        memcpy(destination + at, &word, 8);
    }
    for (; at < length; at++) destination[at] = exo_env_load_u8(source + at);
}

EXO_EXPORT("exomonad_memory_write")
__attribute__((weak, noinline)) void exomonad_memory_write(uint64_t destination, const uint8_t *source, size_t length) {
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word;
        memcpy(&word, source + at, 8);
        exo_env_store_u64(destination + at, word);
    }
    for (; at < length; at++) exo_env_store_u8(destination + at, source[at]);
}

/// A new block of the host's memory with these bytes.
EXO_API uint64_t exo_block_of(const void *data, size_t length) {
    uint64_t offset = exo_env_alloc(length);
    exomonad_memory_write(offset, (const uint8_t *)data, length);
    return offset;
}

EXO_API void exo_host_set_error(const char *message, size_t length) {
    exo_env_error_set(exo_block_of(message, length));
}

#else

// The host of native tests; see testing.h.
void exo_host_set_error(const char *message, size_t length);

#endif

/// Ends the call with a message for the host's log, as a crash.
__attribute__((noreturn)) EXO_API void exo_crash(const char *message) {
    exo_host_set_error(message, strlen(message));
#ifdef __wasm__
    __builtin_trap();
#else
    fprintf(stderr, "exo_crash: %s\n", message);
    abort();
#endif
}

// The memory of a call. A call has a sandbox of its own, which is gone when it ends: nothing is ever freed.

#ifdef __wasm__

struct exo_arena {
    uint8_t *next;
    uint8_t *end;
};

__attribute__((weak)) struct exo_arena exo_arena;
__attribute__((weak, aligned(16))) uint8_t exo_arena_first[32 * 1024];

/// Memory for the rest of the call, aligned for every type, with any content.
EXO_API void *exo_alloc_uncleared(size_t size) {
    if (size > SIZE_MAX - 64 * 1024) exo_crash("out of memory");
    size = (size + 15) & ~(size_t)15;
    if (!exo_arena.next) {
        exo_arena.next = exo_arena_first;
        exo_arena.end = exo_arena_first + sizeof exo_arena_first;
    }
    if (size > (size_t)(exo_arena.end - exo_arena.next)) {
        size_t pages = size / 65536 + 4;
        size_t before = __builtin_wasm_memory_grow(0, pages);
        if (before == SIZE_MAX) exo_crash("out of memory");
        uint8_t *fresh = (uint8_t *)(before * 65536);
        // Neighbours are one piece, unless malloc has grown the memory meanwhile.
        if (fresh != exo_arena.end) exo_arena.next = fresh;
        exo_arena.end = fresh + pages * 65536;
    }
    uint8_t *at = exo_arena.next;
    exo_arena.next += size;
    return at;
}

#else

// Natively each piece is malloc's, so that sanitizers see its bounds.
struct exo_arena_piece {
    struct exo_arena_piece *before;
    size_t size;
};

__attribute__((weak)) struct exo_arena_piece *exo_arena_pieces;

EXO_API void *exo_alloc_uncleared(size_t size) {
    size_t header = (sizeof(struct exo_arena_piece) + 15) & ~(size_t)15;
    if (size > SIZE_MAX / 2) exo_crash("out of memory");
    struct exo_arena_piece *piece = (struct exo_arena_piece *)malloc(header + size);
    if (!piece) exo_crash("out of memory");
    piece->before = exo_arena_pieces;
    piece->size = size;
    exo_arena_pieces = piece;
    return (uint8_t *)piece + header;
}

/// Frees what was allocated since the last call of it: for tests, where no sandbox ends.
EXO_API void exo_arena_reset(void) {
    while (exo_arena_pieces) {
        struct exo_arena_piece *piece = exo_arena_pieces;
        exo_arena_pieces = piece->before;
        free(piece);
    }
}

#endif

/// Memory for the rest of the call, aligned for every type, filled with zeros.
EXO_API void *exo_alloc(size_t size) {
    void *memory = exo_alloc_uncleared(size);
    if (size) memset(memory, 0, size);
    return memory;
}

/// Memory for `count` items of `size` bytes, filled with zeros. A product that is too large ends the call.
EXO_API void *exo_alloc_items(size_t count, size_t size) {
    if (size && count > SIZE_MAX / 2 / size) exo_crash("out of memory");
    return exo_alloc(count * size);
}

/// A copy of these bytes, with a NUL after them.
EXO_API char *exo_copy(const void *data, size_t length) {
    char *copy = (char *)exo_alloc_uncleared(length + 1);
    if (length) memcpy(copy, data, length);
    copy[length] = 0;
    return copy;
}

// A text that grows.

/// A text that is being written.
typedef struct {
    char *data;
    size_t length;
    size_t capacity;
} exo_writer;

/// Makes room for more bytes, and returns the place where they begin.
EXO_API char *exo_write_room(exo_writer *writer, size_t more) {
    if (more > writer->capacity - writer->length) {
        if (more > SIZE_MAX / 4 - writer->length) exo_crash("out of memory");
        size_t capacity = 2 * writer->capacity + more + 256;
        char *data = (char *)exo_alloc_uncleared(capacity);
        if (writer->length) memcpy(data, writer->data, writer->length);
        writer->data = data;
        writer->capacity = capacity;
    }
    return writer->data + writer->length;
}

EXO_API void exo_write(exo_writer *writer, const void *data, size_t length) {
    char *room = exo_write_room(writer, length);
    if (length) memcpy(room, data, length);
    writer->length += length;
}

EXO_API void exo_write_char(exo_writer *writer, char character) {
    *exo_write_room(writer, 1) = character;
    writer->length++;
}

EXO_API void exo_write_string(exo_writer *writer, const char *string) {
    exo_write(writer, string, strlen(string));
}

EXO_API void exo_write_unsigned(exo_writer *writer, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    exo_write(writer, digits + at, sizeof digits - at);
}

EXO_API void exo_write_signed(exo_writer *writer, int64_t number) {
    if (number < 0) exo_write_char(writer, '-');
    exo_write_unsigned(writer, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

/// What was written, with a NUL after it.
EXO_API exo_text exo_written(exo_writer *writer) {
    *exo_write_room(writer, 1) = 0;
    exo_text text = {writer->data, writer->length};
    return text;
}

/// For `%.*s`: the length and the characters of a text.
#define EXO_ARG(text) (int)(text).length, (text).data ? (text).data : ""

/// Writes as `printf` does: `%s`, `%.*s`, `%c`, `%d`, `%u`, `%ld`, `%lu`, `%lld`, `%llu`, `%zu`, `%%`. The host's
/// `printf` would be larger than most plugins.
__attribute__((format(printf, 2, 0))) EXO_API void exo_write_format_list(exo_writer *writer, const char *format,
                                                                              va_list arguments) {
    for (; *format; format++) {
        if (*format != '%') {
            exo_write_char(writer, *format);
            continue;
        }
        int longs = 0;
        bool is_bounded = false, is_size = false;
        int bound = 0;
        format++;
        if (format[0] == '.' && format[1] == '*') {
            is_bounded = true;
            bound = va_arg(arguments, int);
            format += 2;
        }
        for (; *format == 'l'; format++) longs++;
        if (*format == 'z') is_size = true, format++;
        switch (*format) {
        case 's': {
            const char *string = va_arg(arguments, const char *);
            if (!string) string = "(none)";
            exo_write(writer, string, is_bounded && bound >= 0 ? (size_t)bound : strlen(string));
            break;
        }
        case 'c': exo_write_char(writer, (char)va_arg(arguments, int)); break;
        case 'd':
        case 'i':
            exo_write_signed(writer, longs >= 2   ? va_arg(arguments, long long)
                                     : longs == 1 ? va_arg(arguments, long)
                                                  : va_arg(arguments, int));
            break;
        case 'u':
            exo_write_unsigned(writer, is_size      ? va_arg(arguments, size_t)
                                       : longs >= 2 ? va_arg(arguments, unsigned long long)
                                       : longs == 1 ? va_arg(arguments, unsigned long)
                                                    : va_arg(arguments, unsigned));
            break;
        case 0: return;
        default: exo_write_char(writer, *format);
        }
    }
}

__attribute__((format(printf, 2, 3))) EXO_API void exo_write_format(exo_writer *writer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    exo_write_format_list(writer, format, arguments);
    va_end(arguments);
}

/// A text as `printf` would write it; see `exo_write_format_list` for what it knows.
__attribute__((format(printf, 1, 2))) EXO_API exo_text exo_format(const char *format, ...) {
    exo_writer writer = {NULL, 0, 0};
    va_list arguments;
    va_start(arguments, format);
    exo_write_format_list(&writer, format, arguments);
    va_end(arguments);
    return exo_written(&writer);
}

// The call.

#ifdef __wasm__

/// The block's bytes, which is freed; none at 0, by which the host says that there is nothing.
EXO_API exo_text exo_take_block(uint64_t offset) {
    exo_text text = {NULL, 0};
    if (!offset) return text;
    size_t length = (size_t)exo_env_length(offset);
    char *data = (char *)exo_alloc_uncleared(length + 1);
    exomonad_memory_read(offset, (uint8_t *)data, length);
    data[length] = 0;
    exo_env_free(offset);
    text.data = data;
    text.length = length;
    return text;
}

/// The input of the call.
EXO_API exo_text exo_input(void) {
    size_t length = (size_t)exo_env_input_length();
    char *data = (char *)exo_alloc_uncleared(length + 1);
    exomonad_memory_read(exo_env_input_offset(), (uint8_t *)data, length);
    data[length] = 0;
    exo_text input = {data, length};
    return input;
}

/// Sets the output of the call.
EXO_API void exo_set_output(const void *data, size_t length) {
    exo_env_output_set(exo_block_of(data, length), length);
}

/// A value of the role's configuration; no text if there is none.
EXO_API exo_text exo_config(const char *key) {
    uint64_t block = exo_block_of(key, strlen(key));
    exo_text value = exo_take_block(exo_env_config_get(block));
    exo_env_free(block);
    return value;
}

/// A variable of Extism's: bytes that stay with the plugin's instance. No bytes if there is none.
EXO_API exo_bytes exo_variable(const char *key) {
    uint64_t block = exo_block_of(key, strlen(key));
    exo_text value = exo_take_block(exo_env_var_get(block));
    exo_env_free(block);
    exo_bytes bytes = {(const uint8_t *)value.data, value.length};
    return bytes;
}

/// Sets a variable; no bytes remove it.
EXO_API void exo_set_variable(const char *key, exo_bytes value) {
    uint64_t block = exo_block_of(key, strlen(key));
    uint64_t content = value.data ? exo_block_of(value.data, value.length) : 0;
    exo_env_var_set(block, content);
    exo_env_free(block);
    if (content) exo_env_free(content);
}

#else

exo_text exo_input(void);
void exo_set_output(const void *data, size_t length);
exo_text exo_config(const char *key);
exo_bytes exo_variable(const char *key);
void exo_set_variable(const char *key, exo_bytes value);

#endif

#ifdef __cplusplus
}
#endif

#endif
