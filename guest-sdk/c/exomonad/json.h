// JSON (RFC 8259): a reader that checks what it skips, and writers. Usable from C11 and from C++20.
//
// The reader never reads beyond the text, nests at most 128 deep, and refuses text that is not UTF-8 and surrogates
// that stand alone. Integers are exact; any JSON stays as it was written.
#ifndef EXOMONAD_JSON_H
#define EXOMONAD_JSON_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The deepest nesting of objects and lists that is read.
#define EXO_MAX_NESTING 128

/// A place in a value, for messages: a key of an object, or an index of a list.
typedef struct exo_path {
    const struct exo_path *up;
    exo_text key;
    size_t index;
} exo_path;

/// A text that is being read. After a failure `problem` is set, and every further read fails.
typedef struct {
    const char *at;
    const char *end;
    int nesting;
    const exo_path *path;
    exo_text problem;
} exo_reader;

EXO_API exo_reader exo_reader_of(const char *data, size_t length) {
    exo_reader reader;
    memset(&reader, 0, sizeof reader);
    reader.at = data ? data : "";
    reader.end = reader.at + (data ? length : 0);
    return reader;
}

EXO_API void exo_write_path(exo_writer *writer, const exo_path *path) {
    if (!path) {
        exo_write_char(writer, '$');
        return;
    }
    exo_write_path(writer, path->up);
    if (path->key.data) {
        exo_write_char(writer, '.');
        exo_write(writer, path->key.data, path->key.length);
    } else {
        exo_write_char(writer, '[');
        exo_write_unsigned(writer, path->index);
        exo_write_char(writer, ']');
    }
}

/// Fails with a message that begins with the place: `$.items[3].name: missing`. Returns false. The first failure
/// is the one that is kept.
__attribute__((format(printf, 2, 3))) EXO_API bool exo_read_fail(exo_reader *reader, const char *format, ...) {
    if (reader->problem.data) return false;
    exo_writer writer = {NULL, 0, 0};
    exo_write_path(&writer, reader->path);
    exo_write_string(&writer, ": ");
    va_list arguments;
    va_start(arguments, format);
    exo_write_format_list(&writer, format, arguments);
    va_end(arguments);
    reader->problem = exo_written(&writer);
    reader->at = reader->end;
    return false;
}

EXO_API void exo_skip_space(exo_reader *reader) {
    while (reader->at < reader->end &&
           (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
}

/// The next character that is no space; 0 at the end, or if it is a NUL, which no JSON has.
EXO_API char exo_peek(exo_reader *reader) {
    exo_skip_space(reader);
    return reader->at < reader->end ? *reader->at : 0;
}

/// Reads this character if it comes next.
EXO_API bool exo_take(exo_reader *reader, char character) {
    if (exo_peek(reader) != character || reader->at == reader->end) return false;
    reader->at++;
    return true;
}

EXO_API const char *exo_json_kind(char first) {
    switch (first) {
    case '{': return "an object";
    case '[': return "a list";
    case '"': return "a text";
    case 't':
    case 'f': return "a boolean";
    case 'n': return "null";
    case 0: return "nothing";
    default: return first == '-' || (first >= '0' && first <= '9') ? "a number" : "no JSON";
    }
}

/// Fails because something else was expected.
EXO_API bool exo_expected(exo_reader *reader, const char *what) {
    return exo_read_fail(reader, "expected %s, found %s", what, exo_json_kind(exo_peek(reader)));
}

/// The length of the UTF-8 character at `at`, which is before `end`; 0 if it is none.
EXO_API size_t exo_utf8_length(const char *at, const char *end) {
    const uint8_t *bytes = (const uint8_t *)at;
    size_t left = (size_t)(end - at);
    uint8_t first = bytes[0];
    if (first < 0x80) return 1;
    size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                    : first >= 0xE0 && first <= 0xEF ? 3
                    : first >= 0xF0 && first <= 0xF4 ? 4
                                                     : 0;
    if (length == 0 || left < length) return 0;
    uint8_t low = 0x80, high = 0xBF;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
    if (bytes[1] < low || bytes[1] > high) return 0;
    for (size_t next = 2; next < length; next++)
        if ((bytes[next] & 0xC0) != 0x80) return 0;
    return length;
}

/// Four hexadecimal digits; -1 if they are none.
EXO_API int exo_hex4(const char *at, const char *end) {
    if (end - at < 4) return -1;
    int value = 0;
    for (int nth = 0; nth < 4; nth++) {
        char digit = at[nth];
        int add = digit >= '0' && digit <= '9'   ? digit - '0'
                  : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                  : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                 : -1;
        if (add < 0) return -1;
        value = 16 * value + add;
    }
    return value;
}

/// Reads the characters of a string after its first quote, up to and with the last one. They are decoded into `into`
/// if that is given, which needs as much room as is left; returns the decoded length.
EXO_API bool exo_read_characters(exo_reader *reader, char *into, size_t *length) {
    const char *at = reader->at, *end = reader->end;
    size_t written = 0;
    for (;;) {
        const char *run = at;
        while (at < end && (uint8_t)*at >= 0x20 && (uint8_t)*at < 0x80 && *at != '"' && *at != '\\') at++;
        if (into && at > run) memcpy(into + written, run, (size_t)(at - run));
        written += (size_t)(at - run);
        if (at == end) return exo_read_fail(reader, "the text does not end");
        if (*at == '"') {
            reader->at = at + 1;
            *length = written;
            return true;
        }
        if ((uint8_t)*at < 0x20) return exo_read_fail(reader, "a control character in a text");
        if (*at != '\\') {
            size_t bytes = exo_utf8_length(at, end);
            if (!bytes) return exo_read_fail(reader, "the text is not UTF-8");
            if (into) memcpy(into + written, at, bytes);
            written += bytes;
            at += bytes;
            continue;
        }
        if (++at == end) return exo_read_fail(reader, "the text does not end");
        char escaped = *at++;
        char plain;
        switch (escaped) {
        case '"':
        case '\\':
        case '/': plain = escaped; break;
        case 'b': plain = '\b'; break;
        case 'f': plain = '\f'; break;
        case 'n': plain = '\n'; break;
        case 'r': plain = '\r'; break;
        case 't': plain = '\t'; break;
        case 'u': {
            int unit = exo_hex4(at, end);
            if (unit < 0) return exo_read_fail(reader, "an escape that is none");
            at += 4;
            uint32_t point = (uint32_t)unit;
            if (point >= 0xD800 && point <= 0xDFFF) {
                int low = end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? exo_hex4(at + 2, end) : -1;
                bool is_pair = point <= 0xDBFF && low >= 0xDC00 && low <= 0xDFFF;
                // In JSON that is only passed on a lone surrogate is as harmless as any other escape.
                if (!is_pair && into) return exo_read_fail(reader, "a surrogate that stands alone");
                if (is_pair) {
                    point = 0x10000 + ((point - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
                    at += 6;
                }
            }
            char utf8[4];
            size_t bytes;
            if (point < 0x80) {
                utf8[0] = (char)point;
                bytes = 1;
            } else if (point < 0x800) {
                utf8[0] = (char)(0xC0 | point >> 6);
                utf8[1] = (char)(0x80 | (point & 0x3F));
                bytes = 2;
            } else if (point < 0x10000) {
                utf8[0] = (char)(0xE0 | point >> 12);
                utf8[1] = (char)(0x80 | (point >> 6 & 0x3F));
                utf8[2] = (char)(0x80 | (point & 0x3F));
                bytes = 3;
            } else {
                utf8[0] = (char)(0xF0 | point >> 18);
                utf8[1] = (char)(0x80 | (point >> 12 & 0x3F));
                utf8[2] = (char)(0x80 | (point >> 6 & 0x3F));
                utf8[3] = (char)(0x80 | (point & 0x3F));
                bytes = 4;
            }
            // An escape is never shorter than what it stands for.
            if (into) memcpy(into + written, utf8, bytes);
            written += bytes;
            continue;
        }
        default: return exo_read_fail(reader, "an escape that is none");
        }
        if (into) into[written] = plain;
        written++;
    }
}

/// The length of the string that begins after the quote at the reader's place, up to its last quote, escapes not
/// decoded: an upper bound of its decoded length.
EXO_API size_t exo_raw_length(const exo_reader *reader) {
    const char *at = reader->at;
    while (at < reader->end && *at != '"') at += *at == '\\' && at + 1 < reader->end ? 2 : 1;
    return (size_t)((at < reader->end ? at : reader->end) - reader->at);
}

/// Reads a text.
EXO_API bool exo_read_text(exo_reader *reader, exo_text *text) {
    if (!exo_take(reader, '"')) return exo_expected(reader, "a text");
    char *into = (char *)exo_alloc_uncleared(exo_raw_length(reader) + 1);
    size_t length = 0;
    if (!exo_read_characters(reader, into, &length)) return false;
    into[length] = 0;
    text->data = into;
    text->length = length;
    return true;
}

/// Reads this word if it comes next.
EXO_API bool exo_take_word(exo_reader *reader, const char *word) {
    size_t length = strlen(word);
    exo_skip_space(reader);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) return false;
    reader->at += length;
    return true;
}

/// Reads `true` or `false`.
EXO_API bool exo_read_bool(exo_reader *reader, bool *value) {
    if (exo_take_word(reader, "true")) *value = true;
    else if (exo_take_word(reader, "false")) *value = false;
    else return exo_expected(reader, "true or false");
    return true;
}

/// Reads a number and leaves it as it was written. `is_integer` says if it has neither fraction nor exponent.
EXO_API bool exo_read_number_text(exo_reader *reader, exo_text *number, bool *is_integer) {
    exo_skip_space(reader);
    const char *at = reader->at, *end = reader->end;
    const char *begin = at;
    if (at < end && *at == '-') at++;
    if (at == end || *at < '0' || *at > '9') return exo_expected(reader, "a number");
    if (*at == '0') at++;
    else
        while (at < end && *at >= '0' && *at <= '9') at++;
    *is_integer = true;
    if (at < end && *at == '.') {
        *is_integer = false;
        const char *digits = ++at;
        while (at < end && *at >= '0' && *at <= '9') at++;
        if (at == digits) return exo_read_fail(reader, "a number that ends too early");
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        *is_integer = false;
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        const char *digits = at;
        while (at < end && *at >= '0' && *at <= '9') at++;
        if (at == digits) return exo_read_fail(reader, "a number that ends too early");
    }
    number->data = begin;
    number->length = (size_t)(at - begin);
    reader->at = at;
    return true;
}

/// Reads a whole number: its amount and its sign.
EXO_API bool exo_read_integer(exo_reader *reader, uint64_t *amount, bool *is_negative) {
    exo_text number = {NULL, 0};
    bool is_integer = false;
    if (!exo_read_number_text(reader, &number, &is_integer)) return false;
    if (!is_integer) return exo_read_fail(reader, "expected a whole number, found a fraction");
    const char *at = number.data, *end = number.data + number.length;
    *is_negative = *at == '-';
    if (*is_negative) at++;
    *amount = 0;
    for (; at < end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (*amount > (UINT64_MAX - digit) / 10) return exo_read_fail(reader, "the number is too large");
        *amount = 10 * *amount + digit;
    }
    return true;
}

/// Reads a whole number that is not negative, up to `most`.
EXO_API bool exo_read_unsigned(exo_reader *reader, uint64_t most, uint64_t *value) {
    bool is_negative = false;
    if (!exo_read_integer(reader, value, &is_negative)) return false;
    if (is_negative && *value) return exo_read_fail(reader, "the number is negative");
    if (*value > most) return exo_read_fail(reader, "the number is too large");
    return true;
}

/// Reads a whole number from `-most - 1` to `most`.
EXO_API bool exo_read_signed(exo_reader *reader, int64_t most, int64_t *value) {
    uint64_t amount = 0;
    bool is_negative = false;
    if (!exo_read_integer(reader, &amount, &is_negative)) return false;
    if (amount > (uint64_t)most + is_negative)
        return exo_read_fail(reader, is_negative ? "the number is too small" : "the number is too large");
    *value = (int64_t)(is_negative ? 0 - amount : amount);
    return true;
}

/// Begins a list or an object, if its bracket comes next and it does not nest too deep.
EXO_API bool exo_read_open(exo_reader *reader, char bracket) {
    if (!exo_take(reader, bracket)) return exo_expected(reader, bracket == '{' ? "an object" : "a list");
    if (++reader->nesting > EXO_MAX_NESTING) return exo_read_fail(reader, "nested deeper than 128");
    return true;
}

/// True if another item follows in a list or an object that was begun; `first` is true for the first one.
EXO_API bool exo_read_more(exo_reader *reader, char bracket, bool *first) {
    if (reader->problem.data) return false;
    if (exo_take(reader, bracket)) {
        reader->nesting--;
        return false;
    }
    if (!*first && !exo_take(reader, ',')) return exo_read_fail(reader, "a comma is missing, or a bracket");
    // After a comma something has to follow, and at the end of the text nothing does.
    if (reader->at == reader->end) return exo_read_fail(reader, "the JSON ends too early");
    *first = false;
    return true;
}

/// Reads a key and its colon.
EXO_API bool exo_read_key(exo_reader *reader, exo_text *key) {
    if (exo_peek(reader) != '"') return exo_expected(reader, "a key");
    if (!exo_read_text(reader, key)) return false;
    if (!exo_take(reader, ':')) return exo_read_fail(reader, "a colon is missing");
    return true;
}

/// Reads over any value, checking it.
EXO_API bool exo_skip_value(exo_reader *reader) {
    // The brackets that are open, as bits: without recursion, whatever nests.
    uint64_t is_object[EXO_MAX_NESTING / 64 + 1] = {0};
    int depth = 0;
    for (;;) {
        size_t ignored;
        exo_text number;
        bool is_integer;
        switch (exo_peek(reader)) {
        case '"':
            reader->at++;
            if (!exo_read_characters(reader, NULL, &ignored)) return false;
            break;
        case '{':
        case '[': {
            bool object = *reader->at == '{';
            reader->at++;
            if (reader->nesting + depth + 1 > EXO_MAX_NESTING) return exo_read_fail(reader, "nested deeper than 128");
            uint64_t bit = (uint64_t)1 << (depth % 64);
            if (object) is_object[depth / 64] |= bit;
            else is_object[depth / 64] &= ~bit;
            depth++;
            if (exo_peek(reader) == (object ? '}' : ']')) break;
            if (object) goto key;
            continue;
        }
        case 't':
        case 'f': {
            bool value;
            if (!exo_read_bool(reader, &value)) return false;
            break;
        }
        case 'n':
            if (!exo_take_word(reader, "null")) return exo_expected(reader, "a value");
            break;
        default:
            if (!exo_read_number_text(reader, &number, &is_integer)) {
                return false;
            }
        }
        for (;;) {
            if (depth == 0) return true;
            bool object = is_object[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
            char next = exo_peek(reader);
            if (next == (object ? '}' : ']')) {
                reader->at++;
                depth--;
                continue;
            }
            if (next != ',') return exo_read_fail(reader, "a comma is missing, or a bracket");
            reader->at++;
            if (object) goto key;
            break;
        }
        continue;
    key:
        if (!exo_take(reader, '"')) return exo_expected(reader, "a key");
        if (!exo_read_characters(reader, NULL, &ignored)) return false;
        if (!exo_take(reader, ':')) return exo_read_fail(reader, "a colon is missing");
    }
}

/// Reads any value as it was written, checking it. It is not copied.
EXO_API bool exo_read_json(exo_reader *reader, exo_json *json) {
    exo_skip_space(reader);
    const char *begin = reader->at;
    if (!exo_skip_value(reader)) return false;
    json->data = begin;
    json->length = (size_t)(reader->at - begin);
    return true;
}

/// Fails if anything but space is left.
EXO_API bool exo_read_end(exo_reader *reader) {
    if (reader->problem.data) return false;
    exo_skip_space(reader);
    return reader->at == reader->end || exo_read_fail(reader, "something follows the value");
}

/// True if the JSON is `null`, or there is none.
EXO_API bool exo_json_is_null(exo_json json) {
    return !json.data || (json.length == 4 && memcmp(json.data, "null", 4) == 0);
}

/// Checks that a text is JSON. Returns the problem; no text if there is none.
EXO_API exo_text exo_json_check(exo_json json) {
    exo_reader reader = exo_reader_of(json.data, json.length);
    if (exo_skip_value(&reader)) exo_read_end(&reader);
    return reader.problem;
}

/// Decodes base64 (RFC 4648), with or without its padding.
EXO_API bool exo_read_bytes(exo_reader *reader, exo_bytes *bytes) {
    exo_text text = {NULL, 0};
    if (!exo_read_text(reader, &text)) return false;
    size_t length = text.length;
    for (int padding = 0; padding < 2 && length % 4 != 1 && length && text.data[length - 1] == '='; padding++) length--;
    if (length % 4 == 1 || (text.length != length && text.length % 4 != 0))
        return exo_read_fail(reader, "not base64: its length is wrong");
    uint8_t *into = (uint8_t *)exo_alloc_uncleared(length / 4 * 3 + 3);
    size_t written = 0;
    uint32_t bits = 0;
    int count = 0;
    for (size_t nth = 0; nth < length; nth++) {
        char letter = text.data[nth];
        int value = letter >= 'A' && letter <= 'Z'   ? letter - 'A'
                    : letter >= 'a' && letter <= 'z' ? letter - 'a' + 26
                    : letter >= '0' && letter <= '9' ? letter - '0' + 52
                    : letter == '+'                  ? 62
                    : letter == '/'                  ? 63
                                                     : -1;
        if (value < 0) return exo_read_fail(reader, "not base64: a character that it does not have");
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            into[written++] = (uint8_t)(bits >> count);
        }
    }
    bytes->data = into;
    bytes->length = written;
    return true;
}

/// Writes a text in quotes. What is not UTF-8 becomes U+FFFD, so that the JSON is always valid.
EXO_API void exo_write_text(exo_writer *writer, exo_text text) {
    static const char hex[] = "0123456789abcdef";
    const char *at = text.data, *end = text.data ? text.data + text.length : NULL;
    exo_write_char(writer, '"');
    while (at < end) {
        const char *run = at;
        while (at < end && (uint8_t)*at >= 0x20 && (uint8_t)*at < 0x80 && *at != '"' && *at != '\\') at++;
        exo_write(writer, run, (size_t)(at - run));
        if (at == end) break;
        uint8_t byte = (uint8_t)*at;
        if (byte >= 0x80) {
            size_t length = exo_utf8_length(at, end);
            exo_write(writer, length ? at : "\xEF\xBF\xBD", length ? length : 3);
            at += length ? length : 1;
            continue;
        }
        at++;
        char plain = byte == '\n' ? 'n' : byte == '\r' ? 'r' : byte == '\t' ? 't' : byte >= 0x20 ? (char)byte : 0;
        exo_write_char(writer, '\\');
        if (plain) {
            exo_write_char(writer, plain);
        } else {
            exo_write(writer, "u00", 3);
            exo_write_char(writer, hex[byte >> 4]);
            exo_write_char(writer, hex[byte & 15]);
        }
    }
    exo_write_char(writer, '"');
}

/// Writes a C string in quotes.
EXO_API void exo_write_quoted(exo_writer *writer, const char *string) {
    exo_write_text(writer, exo_text_of(string));
}

/// Writes bytes as base64 in quotes.
EXO_API void exo_write_bytes(exo_writer *writer, exo_bytes bytes) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    exo_write_char(writer, '"');
    for (size_t at = 0; at < bytes.length; at += 3) {
        size_t left = bytes.length - at;
        uint32_t bits = (uint32_t)bytes.data[at] << 16;
        if (left > 1) bits |= (uint32_t)bytes.data[at + 1] << 8;
        if (left > 2) bits |= bytes.data[at + 2];
        exo_write_char(writer, letters[bits >> 18]);
        exo_write_char(writer, letters[bits >> 12 & 63]);
        exo_write_char(writer, left > 1 ? letters[bits >> 6 & 63] : '=');
        exo_write_char(writer, left > 2 ? letters[bits & 63] : '=');
    }
    exo_write_char(writer, '"');
}

#ifdef __cplusplus
}
#endif

#endif
