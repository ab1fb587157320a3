// Descriptions of C types: what decodes, encodes and documents them. C only.
//
// A type has one static table, `NAME_type`; one decoder, one encoder and one writer of JSON Schemas read these
// tables, so that a plugin grows by data and not by code. EXO_RECORD and EXO_ENUMERATION declare a type and its
// table at once.
#ifndef EXOMONAD_TYPE_H
#define EXOMONAD_TYPE_H

#include "json.h"

typedef enum {
    EXO_KIND_BOOL,
    EXO_KIND_SIGNED,
    EXO_KIND_UNSIGNED,
    EXO_KIND_TEXT,
    EXO_KIND_BYTES,
    EXO_KIND_JSON,
    EXO_KIND_LIST,
    EXO_KIND_MAP,
    EXO_KIND_RECORD,
    EXO_KIND_ENUMERATION,
    EXO_KIND_UNION,
    /// Decoded and encoded by functions of its own.
    EXO_KIND_CUSTOM,
} exo_kind;

typedef enum {
    EXO_REQUIRED,
    /// Absence is no value: see the table in exomonad/type.h.
    EXO_OPTIONAL,
    /// Absence is the type's empty value: false, 0, "", no items.
    EXO_EMPTY,
} exo_presence;

struct exo_type;

/// A field of a record.
typedef struct {
    /// Its name in JSON.
    const char *name;
    /// Its description, for JSON Schema.
    const char *doc;
    const struct exo_type *type;
    uint32_t offset;
    exo_presence presence;
} exo_field;

/// A constant of an enumeration.
typedef struct {
    const char *name;
    const char *doc;
} exo_constant;

/// An alternative of a union.
typedef struct {
    const char *name;
    /// The payload, or the record whose fields stand beside the tag; none if it has neither.
    const struct exo_type *type;
    uint32_t offset;
} exo_variant;

/// The functions of a type that is none of the other kinds.
typedef struct {
    bool (*decode)(exo_reader *reader, void *value);
    void (*encode)(exo_writer *writer, const void *value);
    /// Its JSON Schema, without the braces: `"type":"number"`. Or
    const char *schema;
    /// the type whose schema it has, of values that are held by others.
    const struct exo_type *inner;
    /// True if a value that may be absent is; NULL if an optional value is followed by `is_set`.
    bool (*is_absent)(const void *value);
} exo_custom;

/// A type. An enumeration is an `int` that counts its constants from 1, and 0 is none; a union begins with such an
/// `int`; a list is a pointer to its items and their number; a map is a list of keys and values.
typedef struct exo_type {
    uint8_t kind;
    /// The number of fields, constants or variants.
    uint16_t count;
    /// The size of a value in bytes; in a map's type that of an entry.
    uint32_t size;
    /// A list's or map's items.
    const struct exo_type *item;
    /// `exo_field`, `exo_constant` or `exo_variant`, or one `exo_custom`.
    const void *parts;
    /// A union's tag.
    const char *tag;
    /// A union's payload; none if the fields stand beside the tag.
    const char *payload;
    /// Makes a value in memory that is filled with zeros; NULL if those are one.
    void (*construct)(void *value);
    /// The content of a union's alternative: makes it, and finds it. NULL if it begins with an `int`.
    void *(*emplace)(void *value, int alternative);
    const void *(*content)(const void *value, int *alternative);
} exo_type;

/// Any list, as the decoder sees it.
typedef struct {
    const void *items;
    size_t count;
} exo_any_list;

// How an optional field is declared, by its type:
//
//   text, bytes, JSON, list, map   as if it were required; absent without `data` or `items`
//   enumeration                    as if it were required; absent as 0
//   bool, number                   exo_optional_bool, exo_optional_uint64_t, …: absent without `is_set`
//   record, union                  a pointer; absent as NULL

#define EXO_OPTIONAL_OF(type)                                                                                         \
    typedef struct {                                                                                                  \
        type value;                                                                                                   \
        bool is_set;                                                                                                  \
    } exo_optional_##type

EXO_OPTIONAL_OF(bool);
EXO_OPTIONAL_OF(int16_t);
EXO_OPTIONAL_OF(int32_t);
EXO_OPTIONAL_OF(int64_t);
EXO_OPTIONAL_OF(uint16_t);
EXO_OPTIONAL_OF(uint32_t);
EXO_OPTIONAL_OF(uint64_t);
EXO_OPTIONAL_OF(double);

// Of these absence is a value of the type itself.
typedef exo_text exo_optional_exo_text;
typedef exo_bytes exo_optional_exo_bytes;
typedef exo_json exo_optional_exo_json;

// `bool` is a macro until C23.
#define exo_optional__Bool exo_optional_bool
#define _Bool_type bool_type

/// The value of an optional bool or number: `.limit = EXO_SOME(10)`.
#define EXO_SOME(value) {(value), true}

/// A list of items that are written out: `.labels = EXO_LIST(exo_text, EXO_TEXT("a"), EXO_TEXT("b"))`.
#define EXO_LIST(item, ...)                                                                                           \
    {(const item[]){__VA_ARGS__}, sizeof((const item[]){__VA_ARGS__}) / sizeof(item)}

#define EXO_SCALAR_TYPE(name, of_kind)                                                                                \
    typedef struct {                                                                                                  \
        const name *items;                                                                                            \
        size_t count;                                                                                                 \
    } name##_list;                                                                                                    \
    static const exo_type name##_type = {.kind = of_kind, .size = sizeof(name)};                                      \
    static const exo_type name##_list_type = {.kind = EXO_KIND_LIST, .size = sizeof(name##_list), .item = &name##_type}

EXO_SCALAR_TYPE(bool, EXO_KIND_BOOL);
EXO_SCALAR_TYPE(int16_t, EXO_KIND_SIGNED);
EXO_SCALAR_TYPE(int32_t, EXO_KIND_SIGNED);
EXO_SCALAR_TYPE(int64_t, EXO_KIND_SIGNED);
EXO_SCALAR_TYPE(uint16_t, EXO_KIND_UNSIGNED);
EXO_SCALAR_TYPE(uint32_t, EXO_KIND_UNSIGNED);
EXO_SCALAR_TYPE(uint64_t, EXO_KIND_UNSIGNED);
EXO_SCALAR_TYPE(exo_text, EXO_KIND_TEXT);
EXO_SCALAR_TYPE(exo_bytes, EXO_KIND_BYTES);
EXO_SCALAR_TYPE(exo_json, EXO_KIND_JSON);

typedef exo_text_list exo_optional_exo_text_list;
typedef exo_json_list exo_optional_exo_json_list;
typedef uint64_t_list exo_optional_uint64_t_list;

/// An entry of a map of texts.
typedef struct {
    exo_text key;
    exo_text value;
} exo_text_entry;

/// A map of texts, in the order in which it is written.
typedef struct {
    const exo_text_entry *items;
    size_t count;
} exo_text_map;

/// An entry of a map of any JSON.
typedef struct {
    exo_text key;
    exo_json value;
} exo_json_entry;

/// A map of any JSON, in the order in which it is written.
typedef struct {
    const exo_json_entry *items;
    size_t count;
} exo_json_map;

typedef exo_text_map exo_optional_exo_text_map;
typedef exo_json_map exo_optional_exo_json_map;

static const exo_type exo_text_map_type = {
    .kind = EXO_KIND_MAP, .size = sizeof(exo_text_entry), .item = &exo_text_type};
static const exo_type exo_json_map_type = {
    .kind = EXO_KIND_MAP, .size = sizeof(exo_json_entry), .item = &exo_json_type};

/// The value of a key; no text if the map does not have it.
EXO_API exo_text exo_text_map_get(exo_text_map map, const char *key) {
    for (size_t nth = 0; nth < map.count; nth++)
        if (exo_text_is(map.items[nth].key, key)) return map.items[nth].value;
    return (exo_text){NULL, 0};
}

// Decoding.

EXO_API bool exo_decode_value(exo_reader *reader, const exo_type *type, void *value);

EXO_API size_t exo_size_of(const exo_type *type) {
    return type->kind == EXO_KIND_MAP ? sizeof(exo_any_list) : type->size;
}

EXO_API bool exo_decode_items(exo_reader *reader, const exo_type *type, exo_any_list *list) {
    bool is_map = type->kind == EXO_KIND_MAP, first = true;
    char end = is_map ? '}' : ']';
    size_t size = is_map ? type->size : exo_size_of(type->item), offset = is_map ? sizeof(exo_text) : 0;
    size_t capacity = 0, count = 0;
    char *items = NULL;
    if (!exo_read_open(reader, is_map ? '{' : '[')) return false;
    exo_path here = {reader->path, {NULL, 0}, 0};
    reader->path = &here;
    while (exo_read_more(reader, end, &first)) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            char *more = (char *)exo_alloc_items(capacity, size);
            if (count) memcpy(more, items, count * size);
            items = more;
        }
        char *item = items + count * size;
        here.index = count;
        if (is_map) {
            exo_text key = {NULL, 0};
            if (!exo_read_key(reader, &key)) break;
            here.key = key;
            // Of a key that is there twice the last one counts.
            size_t same = 0;
            while (same < count && !exo_text_equals(*(exo_text *)(items + same * size), key)) same++;
            if (same < count) {
                item = items + same * size;
                count--;
            }
            memcpy(item, &key, sizeof key);
        }
        if (!exo_decode_value(reader, type->item, item + offset)) break;
        here.key.data = NULL;
        count++;
    }
    reader->path = here.up;
    // An empty list is not absent.
    list->items = items ? (const void *)items : "";
    list->count = count;
    return !reader->problem.data;
}

EXO_API bool exo_take_null(exo_reader *reader) { return exo_peek(reader) == 'n' && exo_take_word(reader, "null"); }

EXO_API bool exo_decode_field(exo_reader *reader, const exo_field *field, char *record) {
    void *place = record + field->offset;
    const exo_type *type = field->type;
    if (field->presence != EXO_REQUIRED && exo_take_null(reader)) return true;
    if (field->presence == EXO_OPTIONAL) {
        switch (type->kind) {
        case EXO_KIND_RECORD:
        case EXO_KIND_UNION: {
            void *inner = exo_alloc(type->size);
            memcpy(place, &inner, sizeof inner);
            place = inner;
            break;
        }
        case EXO_KIND_BOOL:
        case EXO_KIND_SIGNED:
        case EXO_KIND_UNSIGNED: *((bool *)place + type->size) = true; break;
        case EXO_KIND_CUSTOM:
            if (!((const exo_custom *)type->parts)->is_absent) *((bool *)place + type->size) = true;
            break;
        default: break;
        }
    }
    return exo_decode_value(reader, type, place);
}

EXO_API bool exo_decode_record(exo_reader *reader, const exo_type *type, char *record) {
    const exo_field *fields = (const exo_field *)type->parts;
    uint64_t seen[2] = {0, 0};
    bool first = true;
    if (!exo_read_open(reader, '{')) return false;
    exo_path here = {reader->path, {NULL, 0}, 0};
    while (exo_read_more(reader, '}', &first)) {
        exo_text key = {NULL, 0};
        if (!exo_read_key(reader, &key)) return false;
        size_t nth = 0;
        while (nth < type->count && !exo_text_is(key, fields[nth].name)) nth++;
        here.key = key;
        reader->path = &here;
        // Unknown fields are ignored: the contract grows by additions.
        bool is_read = nth == type->count ? exo_skip_value(reader) : exo_decode_field(reader, &fields[nth], record);
        reader->path = here.up;
        if (!is_read) return false;
        if (nth < type->count) seen[nth / 64 & 1] |= (uint64_t)1 << (nth % 64);
    }
    if (reader->problem.data) return false;
    for (size_t nth = 0; nth < type->count; nth++) {
        if (fields[nth].presence != EXO_REQUIRED || seen[nth / 64 & 1] >> (nth % 64) & 1) continue;
        here.key = exo_text_of(fields[nth].name);
        reader->path = &here;
        exo_read_fail(reader, "missing");
        reader->path = here.up;
        return false;
    }
    return true;
}

EXO_API bool exo_decode_union(exo_reader *reader, const exo_type *type, char *value) {
    const exo_variant *variants = (const exo_variant *)type->parts;
    exo_text tag = {NULL, 0};
    exo_json payload = {NULL, 0};
    exo_reader whole = *reader;
    bool first = true;
    // The tag may come after what it decides on.
    if (!exo_read_open(reader, '{')) return false;
    exo_path here = {reader->path, exo_text_of(type->tag), 0};
    while (exo_read_more(reader, '}', &first)) {
        exo_text key = {NULL, 0};
        if (!exo_read_key(reader, &key)) return false;
        if (exo_text_is(key, type->tag)) {
            reader->path = &here;
            if (!exo_read_text(reader, &tag)) {
                reader->path = here.up;
                return false;
            }
            reader->path = here.up;
        } else if (type->payload && exo_text_is(key, type->payload)) {
            if (!exo_read_json(reader, &payload)) return false;
        } else if (!exo_skip_value(reader)) {
            return false;
        }
    }
    if (reader->problem.data) return false;
    int nth = 0;
    while (nth < type->count && !exo_text_is(tag, variants[nth].name)) nth++;
    const char *problem = NULL;
    if (!tag.data) problem = "missing";
    else if (nth == type->count) problem = "not one of the contract's: ";
    if (problem) {
        reader->path = &here;
        exo_read_fail(reader, "%s%.*s", problem, EXO_ARG(tag));
        reader->path = here.up;
        return false;
    }
    const exo_variant *variant = &variants[nth];
    nth++;
    void *content = value + variant->offset;
    if (type->emplace) content = type->emplace(value, nth);
    else memcpy(value, &nth, sizeof nth);
    if (!variant->type) return true;
    if (!type->payload) {
        bool is_read = exo_decode_value(&whole, variant->type, content);
        reader->problem = whole.problem;
        return is_read;
    }
    here.key = exo_text_of(type->payload);
    exo_reader inner = exo_reader_of(payload.data, payload.length);
    inner.path = &here;
    inner.nesting = whole.nesting + 1;
    bool is_read = payload.data ? exo_decode_value(&inner, variant->type, content)
                                : exo_read_fail(&inner, "missing");
    reader->problem = inner.problem;
    return is_read;
}

/// Reads a value of this type to a place that is filled with zeros.
EXO_API bool exo_decode_value(exo_reader *reader, const exo_type *type, void *value) {
    switch ((exo_kind)type->kind) {
    case EXO_KIND_BOOL: return exo_read_bool(reader, (bool *)value);
    case EXO_KIND_SIGNED: {
        int64_t number = 0;
        if (!exo_read_signed(reader, INT64_MAX >> (64 - 8 * type->size), &number)) return false;
        // Little-endian, as WebAssembly and every machine that tests run on.
        memcpy(value, &number, type->size);
        return true;
    }
    case EXO_KIND_UNSIGNED: {
        uint64_t number = 0;
        if (!exo_read_unsigned(reader, UINT64_MAX >> (64 - 8 * type->size), &number)) return false;
        memcpy(value, &number, type->size);
        return true;
    }
    case EXO_KIND_TEXT: return exo_read_text(reader, (exo_text *)value);
    case EXO_KIND_BYTES: return exo_read_bytes(reader, (exo_bytes *)value);
    case EXO_KIND_JSON: return exo_read_json(reader, (exo_json *)value);
    case EXO_KIND_LIST:
    case EXO_KIND_MAP: return exo_decode_items(reader, type, (exo_any_list *)value);
    case EXO_KIND_RECORD: return exo_decode_record(reader, type, (char *)value);
    case EXO_KIND_ENUMERATION: {
        const exo_constant *constants = (const exo_constant *)type->parts;
        exo_text name = {NULL, 0};
        if (!exo_read_text(reader, &name)) return false;
        int nth = 0;
        while (nth < type->count && !exo_text_is(name, constants[nth].name)) nth++;
        if (nth == type->count) return exo_read_fail(reader, "not one of the constants: %.*s", EXO_ARG(name));
        nth++;
        memcpy(value, &nth, sizeof nth);
        return true;
    }
    case EXO_KIND_UNION: return exo_decode_union(reader, type, (char *)value);
    case EXO_KIND_CUSTOM: return ((const exo_custom *)type->parts)->decode(reader, value);
    }
    return false;
}

/// A value of a type, for the rest of the call.
EXO_API void *exo_new(const exo_type *type) {
    void *value = exo_alloc(exo_size_of(type));
    if (type->construct) type->construct(value);
    return value;
}

/// Decodes JSON to a value that was made by `exo_new`. Returns the problem; no text if there is none.
EXO_API exo_text exo_decode_new(exo_json json, const exo_type *type, void *value) {
    exo_reader reader = exo_reader_of(json.data, json.length);
    if (exo_decode_value(&reader, type, value)) exo_read_end(&reader);
    return reader.problem;
}

/// Decodes JSON. Returns the problem, which begins with its place; no text if there is none. `value` is filled with
/// zeros first.
EXO_API exo_text exo_decode(exo_json json, const exo_type *type, void *value) {
    // Zeros are a value of C's types; one of C++'s is there already.
    if (!type->construct) memset(value, 0, exo_size_of(type));
    return exo_decode_new(json, type, value);
}

// Encoding.

EXO_API void exo_encode_value(exo_writer *writer, const exo_type *type, const void *value);

/// True if an optional field is absent, or one whose absence is the empty value has that. It tells where the value
/// is otherwise.
EXO_API bool exo_is_absent(const exo_field *field, const char *record, const void **value) {
    const char *place = record + field->offset;
    const exo_type *type = field->type;
    bool is_optional = field->presence == EXO_OPTIONAL;
    *value = place;
    if (field->presence == EXO_REQUIRED) return false;
    switch ((exo_kind)type->kind) {
    case EXO_KIND_TEXT:
    case EXO_KIND_BYTES: return is_optional ? !((const exo_text *)place)->data : !((const exo_text *)place)->length;
    case EXO_KIND_JSON:
        return is_optional ? !((const exo_json *)place)->data : exo_json_is_null(*(const exo_json *)place);
    case EXO_KIND_LIST:
    case EXO_KIND_MAP:
        return is_optional ? !((const exo_any_list *)place)->items : !((const exo_any_list *)place)->count;
    case EXO_KIND_RECORD:
    case EXO_KIND_UNION: {
        if (!is_optional) return false;
        const void *inner;
        memcpy(&inner, place, sizeof inner);
        *value = inner;
        return !inner;
    }
    case EXO_KIND_ENUMERATION: {
        int constant;
        memcpy(&constant, place, sizeof constant);
        return constant == 0;
    }
    case EXO_KIND_BOOL:
    case EXO_KIND_SIGNED:
    case EXO_KIND_UNSIGNED:
    case EXO_KIND_CUSTOM:
        if (type->kind == EXO_KIND_CUSTOM && ((const exo_custom *)type->parts)->is_absent)
            return ((const exo_custom *)type->parts)->is_absent(place);
        if (is_optional) return !*((const bool *)place + type->size);
        for (size_t nth = 0; nth < type->size; nth++)
            if (place[nth]) return false;
        return true;
    }
    return false;
}

/// Writes the fields of a record, the first one after a comma if `comes_after`.
EXO_API void exo_encode_fields(exo_writer *writer, const exo_type *type, const char *record, bool comes_after) {
    const exo_field *fields = (const exo_field *)type->parts;
    for (size_t nth = 0; nth < type->count; nth++) {
        const void *value;
        if (exo_is_absent(&fields[nth], record, &value)) continue;
        if (comes_after) exo_write_char(writer, ',');
        comes_after = true;
        exo_write_quoted(writer, fields[nth].name);
        exo_write_char(writer, ':');
        exo_encode_value(writer, fields[nth].type, value);
    }
}

/// Writes a value of this type as JSON. What has no value where one is required is written as the empty value, or
/// `null`: the host then says what is wrong.
EXO_API void exo_encode_value(exo_writer *writer, const exo_type *type, const void *value) {
    switch ((exo_kind)type->kind) {
    case EXO_KIND_BOOL: exo_write_string(writer, *(const bool *)value ? "true" : "false"); break;
    case EXO_KIND_SIGNED: {
        uint64_t number = 0;
        memcpy(&number, value, type->size);
        unsigned unused = 64 - 8 * type->size;
        exo_write_signed(writer, (int64_t)(number << unused) >> unused);
        break;
    }
    case EXO_KIND_UNSIGNED: {
        uint64_t number = 0;
        memcpy(&number, value, type->size);
        exo_write_unsigned(writer, number);
        break;
    }
    case EXO_KIND_TEXT: exo_write_text(writer, *(const exo_text *)value); break;
    case EXO_KIND_BYTES: exo_write_bytes(writer, *(const exo_bytes *)value); break;
    case EXO_KIND_JSON: {
        exo_json json = *(const exo_json *)value;
        exo_write(writer, json.data ? json.data : "null", json.data ? json.length : 4);
        break;
    }
    case EXO_KIND_LIST:
    case EXO_KIND_MAP: {
        const exo_any_list *list = (const exo_any_list *)value;
        bool is_map = type->kind == EXO_KIND_MAP;
        size_t size = is_map ? type->size : exo_size_of(type->item);
        exo_write_char(writer, is_map ? '{' : '[');
        for (size_t nth = 0; nth < list->count; nth++) {
            const char *item = (const char *)list->items + nth * size;
            if (nth) exo_write_char(writer, ',');
            if (is_map) {
                exo_write_text(writer, *(const exo_text *)item);
                exo_write_char(writer, ':');
                item += sizeof(exo_text);
            }
            exo_encode_value(writer, type->item, item);
        }
        exo_write_char(writer, is_map ? '}' : ']');
        break;
    }
    case EXO_KIND_RECORD:
        exo_write_char(writer, '{');
        exo_encode_fields(writer, type, (const char *)value, false);
        exo_write_char(writer, '}');
        break;
    case EXO_KIND_ENUMERATION: {
        int constant;
        memcpy(&constant, value, sizeof constant);
        if (constant < 1 || constant > type->count) exo_write_string(writer, "null");
        else exo_write_quoted(writer, ((const exo_constant *)type->parts)[constant - 1].name);
        break;
    }
    case EXO_KIND_UNION: {
        int kind;
        const char *payload = NULL;
        if (type->content) payload = (const char *)type->content(value, &kind);
        else memcpy(&kind, value, sizeof kind);
        if (kind < 1 || kind > type->count) {
            exo_write_string(writer, "null");
            break;
        }
        const exo_variant *variant = &((const exo_variant *)type->parts)[kind - 1];
        if (!type->content) payload = (const char *)value + variant->offset;
        exo_write_char(writer, '{');
        exo_write_quoted(writer, type->tag);
        exo_write_char(writer, ':');
        exo_write_quoted(writer, variant->name);
        if (variant->type && type->payload) {
            exo_write_char(writer, ',');
            exo_write_quoted(writer, type->payload);
            exo_write_char(writer, ':');
            exo_encode_value(writer, variant->type, payload);
        } else if (variant->type) {
            exo_encode_fields(writer, variant->type, payload, true);
        }
        exo_write_char(writer, '}');
        break;
    }
    case EXO_KIND_CUSTOM: ((const exo_custom *)type->parts)->encode(writer, value); break;
    }
}

/// A value as JSON.
EXO_API exo_json exo_encode(const exo_type *type, const void *value) {
    exo_writer writer = {NULL, 0, 0};
    exo_encode_value(&writer, type, value);
    exo_text text = exo_written(&writer);
    return (exo_json){text.data, text.length};
}

/// The name of an enumeration's constant; `NULL` if it is none.
EXO_API const char *exo_constant_name(const exo_type *type, int constant) {
    if (constant < 1 || constant > type->count) return NULL;
    return ((const exo_constant *)type->parts)[constant - 1].name;
}

// JSON Schema.

EXO_API void exo_write_schema_of(exo_writer *writer, const exo_type *type, const char *doc) {
    exo_write_char(writer, '{');
    switch ((exo_kind)type->kind) {
    case EXO_KIND_BOOL: exo_write_string(writer, "\"type\":\"boolean\""); break;
    case EXO_KIND_SIGNED:
        exo_write_format(writer, "\"type\":\"integer\",\"minimum\":%lld,\"maximum\":%lld",
                         (long long)(INT64_MIN >> (64 - 8 * type->size)),
                         (long long)(INT64_MAX >> (64 - 8 * type->size)));
        break;
    case EXO_KIND_UNSIGNED:
        exo_write_format(writer, "\"type\":\"integer\",\"minimum\":0,\"maximum\":%llu",
                         (unsigned long long)(UINT64_MAX >> (64 - 8 * type->size)));
        break;
    case EXO_KIND_TEXT: exo_write_string(writer, "\"type\":\"string\""); break;
    case EXO_KIND_BYTES: exo_write_string(writer, "\"type\":\"string\",\"contentEncoding\":\"base64\""); break;
    case EXO_KIND_JSON: break;
    case EXO_KIND_LIST:
        exo_write_string(writer, "\"type\":\"array\",\"items\":");
        exo_write_schema_of(writer, type->item, NULL);
        break;
    case EXO_KIND_MAP:
        exo_write_string(writer, "\"type\":\"object\",\"additionalProperties\":");
        exo_write_schema_of(writer, type->item, NULL);
        break;
    case EXO_KIND_RECORD: {
        const exo_field *fields = (const exo_field *)type->parts;
        exo_write_string(writer, "\"type\":\"object\",\"properties\":{");
        for (size_t nth = 0; nth < type->count; nth++) {
            if (nth) exo_write_char(writer, ',');
            exo_write_quoted(writer, fields[nth].name);
            exo_write_char(writer, ':');
            exo_write_schema_of(writer, fields[nth].type, fields[nth].doc);
        }
        bool has_required = false;
        exo_write_char(writer, '}');
        for (size_t nth = 0; nth < type->count; nth++) {
            if (fields[nth].presence != EXO_REQUIRED) continue;
            exo_write_string(writer, has_required ? "," : ",\"required\":[");
            has_required = true;
            exo_write_quoted(writer, fields[nth].name);
        }
        exo_write_string(writer, has_required ? "]" : "");
        exo_write_string(writer, ",\"additionalProperties\":false");
        break;
    }
    case EXO_KIND_ENUMERATION: {
        const exo_constant *constants = (const exo_constant *)type->parts;
        exo_write_string(writer, "\"type\":\"string\",\"enum\":[");
        for (size_t nth = 0; nth < type->count; nth++) {
            if (nth) exo_write_char(writer, ',');
            exo_write_quoted(writer, constants[nth].name);
        }
        exo_write_char(writer, ']');
        break;
    }
    case EXO_KIND_UNION: exo_write_string(writer, "\"type\":\"object\""); break;
    case EXO_KIND_CUSTOM: {
        const exo_custom *custom = (const exo_custom *)type->parts;
        if (custom->schema) exo_write_string(writer, custom->schema);
        if (type->item) {
            exo_write_string(writer, "\"type\":\"array\",\"items\":");
            exo_write_schema_of(writer, type->item, NULL);
        }
        if (custom->inner) {
            // What holds the value has no schema of its own.
            writer->length--;
            exo_write_schema_of(writer, custom->inner, NULL);
            writer->length--;
        }
        break;
    }
    }
    if (doc && *doc) {
        if (writer->data[writer->length - 1] != '{') exo_write_char(writer, ',');
        exo_write_string(writer, "\"description\":");
        exo_write_quoted(writer, doc);
    }
    exo_write_char(writer, '}');
}

/// The JSON Schema of a type: of a tool's arguments, a workflow's input, a signal's payload.
EXO_API exo_json exo_schema(const exo_type *type) {
    exo_writer writer = {NULL, 0, 0};
    exo_write_schema_of(&writer, type, NULL);
    exo_text text = exo_written(&writer);
    return (exo_json){text.data, text.length};
}

/* Types of a plugin's own.

       #define GREET_ARGS(X, T)                                             \
           X(T, required, exo_text, name, "The name.")                      \
           X(T, optional, uint64_t, times, "How often; once when absent.")
       EXO_RECORD(greet_args, GREET_ARGS);

   declares `greet_args`, a struct, and `greet_args_type`, its table. A field is `required`, `optional`, or `empty` if
   absence is the same as the empty value. Its type is bool, int16_t … uint64_t, double, exo_text, exo_bytes, exo_json,
   exo_text_map, exo_json_map, a record or an enumeration, or a list of one: exo_text_list, NAME_list. */

/// Declares a record and its table, from a list of its fields.
#define EXO_RECORD(record, fields)                                                                                    \
    typedef struct record {                                                                                           \
        fields(EXO_RECORD_MEMBER, record)                                                                             \
    } record;                                                                                                         \
    typedef const record *exo_optional_##record;                                                                      \
    EXO_RECORD_LIST(record);                                                                                          \
    static const exo_field record##_fields[] = {fields(EXO_RECORD_FIELD, record)};                                    \
    EXO_UNUSED static const exo_type record##_type = {.kind = EXO_KIND_RECORD,                                                   \
                                           .count = sizeof record##_fields / sizeof(exo_field),                       \
                                           .size = sizeof(record),                                                    \
                                           .parts = record##_fields};                                                 \
    EXO_UNUSED static const exo_type record##_list_type = {                                                                      \
        .kind = EXO_KIND_LIST, .size = sizeof(record##_list), .item = &record##_type}

#define EXO_RECORD_LIST(record)                                                                                       \
    typedef struct {                                                                                                  \
        const record *items;                                                                                          \
        size_t count;                                                                                                 \
    } record##_list
#define EXO_RECORD_MEMBER(record, presence, type, name, doc) EXO_MEMBER_##presence(type, name)
#define EXO_MEMBER_required(type, name) type name;
#define EXO_MEMBER_empty(type, name) type name;
#define EXO_MEMBER_optional(type, name) exo_optional_##type name;
#define EXO_RECORD_FIELD(record, presence, type, name, doc)                                                           \
    {#name, doc, &type##_type, offsetof(record, name), EXO_PRESENCE_##presence},
#define EXO_PRESENCE_required EXO_REQUIRED
#define EXO_PRESENCE_empty EXO_EMPTY
#define EXO_PRESENCE_optional EXO_OPTIONAL

/// Declares an enumeration and its table, from a list of its constants: `X(T, red, "Like a tomato.")` declares
/// `color_red`, whose name in JSON is `red`.
#define EXO_ENUMERATION(enumeration, constants)                                                                       \
    typedef enum { enumeration##_none, constants(EXO_ENUMERATION_MEMBER, enumeration) } enumeration;                  \
    typedef enumeration exo_optional_##enumeration;                                                                   \
    EXO_RECORD_LIST(enumeration);                                                                                     \
    static const exo_constant enumeration##_constants[] = {constants(EXO_ENUMERATION_CONSTANT, enumeration)};         \
    EXO_UNUSED static const exo_type enumeration##_type = {.kind = EXO_KIND_ENUMERATION,                                         \
                                                .count = sizeof enumeration##_constants / sizeof(exo_constant),       \
                                                .size = sizeof(enumeration),                                          \
                                                .parts = enumeration##_constants};                                    \
    EXO_UNUSED static const exo_type enumeration##_list_type = {                                                                 \
        .kind = EXO_KIND_LIST, .size = sizeof(enumeration##_list), .item = &enumeration##_type}

#define EXO_ENUMERATION_MEMBER(enumeration, name, doc) enumeration##_##name,
#define EXO_ENUMERATION_CONSTANT(enumeration, name, doc) {#name, doc},

/// Nothing: the arguments of a tool that takes none, or the result of one that has none.
typedef struct {
    char unused;
} exo_nothing;

static const exo_type exo_nothing_type = {.kind = EXO_KIND_RECORD, .size = sizeof(exo_nothing)};

// Numbers with fractions. They take the C library's strtod and snprintf, and only plugins that have some pay for it.

#include <stdio.h>
#include <stdlib.h>

EXO_API bool exo_decode_double(exo_reader *reader, void *value) {
    exo_text number = {NULL, 0};
    bool is_integer = false;
    if (!exo_read_number_text(reader, &number, &is_integer)) return false;
    double parsed = strtod(exo_copy(number.data, number.length), NULL);
    if (parsed - parsed != 0) return exo_read_fail(reader, "the number is too large");
    memcpy(value, &parsed, sizeof parsed);
    return true;
}

/// Writes the shortest digits that are read as the same number. JSON has no infinity and no NaN: they are `null`.
EXO_API void exo_encode_double(exo_writer *writer, const void *value) {
    double number;
    memcpy(&number, value, sizeof number);
    char digits[32] = "null";
    for (int precision = 15; number - number == 0 && precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (strtod(digits, NULL) == number) break;
    }
    exo_write_string(writer, digits);
}

static const exo_custom exo_double_functions = {
    .decode = exo_decode_double, .encode = exo_encode_double, .schema = "\"type\":\"number\""};

typedef struct {
    const double *items;
    size_t count;
} double_list;

static const exo_type double_type = {
    .kind = EXO_KIND_CUSTOM, .size = sizeof(double), .parts = &exo_double_functions};
static const exo_type double_list_type = {.kind = EXO_KIND_LIST, .size = sizeof(double_list), .item = &double_type};

#endif
