// Decoding and encoding of C++ types: `Codec<T>::type` is the table of a type, as type.h has them.
#ifndef EXOMONAD_CODEC_HPP
#define EXOMONAD_CODEC_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wmissing-designated-field-initializers"
#pragma GCC diagnostic ignored "-Wc99-extensions"
#endif

#include "workflow.h"

namespace exomonad {

/// The table of a type, `Codec<T>::type`. The contract's types have one, and those of EXOMONAD_RECORD and
/// EXOMONAD_ENUMERATION.
template <class T>
struct Codec;

/// Bytes; base64 in JSON.
using Bytes = std::vector<std::uint8_t>;

namespace detail {

inline exo_text text_of(std::string_view text) { return {text.data() ? text.data() : "", text.size()}; }
inline std::string string_of(exo_text text) { return text.data ? std::string(text.data, text.length) : std::string(); }

/// A text that lives as long as the call.
inline exo_text kept(std::string_view text) { return {exo_copy(text.data(), text.size()), text.size()}; }

template <class T>
void construct(void *place) {
    new (place) T();
}

template <class T>
constexpr exo_type record_type(const exo_field *fields, std::uint16_t count) {
    exo_type type{};
    type.kind = EXO_KIND_RECORD;
    type.count = count;
    type.size = sizeof(T);
    type.parts = fields;
    type.construct = construct<T>;
    return type;
}

constexpr exo_type enumeration_type(const exo_constant *constants, std::uint16_t count) {
    exo_type type{};
    type.kind = EXO_KIND_ENUMERATION;
    type.count = count;
    type.size = sizeof(int);
    type.parts = constants;
    return type;
}

constexpr exo_type scalar_type(exo_kind kind, std::uint32_t size) {
    exo_type type{};
    type.kind = static_cast<std::uint8_t>(kind);
    type.size = size;
    return type;
}

template <class T>
constexpr exo_type custom_type(const exo_custom *custom) {
    exo_type type{};
    type.kind = EXO_KIND_CUSTOM;
    type.size = sizeof(T);
    type.parts = custom;
    type.construct = construct<T>;
    return type;
}

/// The place of an alternative's content: its payload, or the alternative itself if it has fields.
template <class Alternative>
void *content_of(Alternative &alternative) {
    if constexpr (requires { alternative.payload; }) return &alternative.payload;
    else return &alternative;
}

template <class T>
void *emplace(void *value, int alternative) {
    auto &held = static_cast<T *>(value)->value;
    void *content = nullptr;
    [&]<std::size_t... Index>(std::index_sequence<Index...>) {
        (void)((alternative == static_cast<int>(Index) + 1 &&
                (content = content_of(held.template emplace<Index>()), true)) ||
               ...);
    }(std::make_index_sequence<std::variant_size_v<std::remove_reference_t<decltype(held)>>>());
    return content;
}

template <class T>
const void *content(const void *value, int *alternative) {
    // Reading only: the place is the same as for writing.
    auto &held = const_cast<T *>(static_cast<const T *>(value))->value;
    *alternative = static_cast<int>(held.index()) + 1;
    const void *found = nullptr;
    [&]<std::size_t... Index>(std::index_sequence<Index...>) {
        (void)((held.index() == Index && (found = content_of(*std::get_if<Index>(&held)), true)) || ...);
    }(std::make_index_sequence<std::variant_size_v<std::remove_reference_t<decltype(held)>>>());
    return found;
}

template <class T>
constexpr exo_type union_type(const exo_variant *variants, std::uint16_t count, const char *tag, const char *payload) {
    exo_type type{};
    type.kind = EXO_KIND_UNION;
    type.count = count;
    type.size = sizeof(T);
    type.parts = variants;
    type.tag = tag;
    type.payload = payload;
    type.construct = construct<T>;
    type.emplace = emplace<T>;
    type.content = content<T>;
    return type;
}

/// The JSON of a value, which lives as long as the call.
template <class T>
exo_json encode(const T &value) {
    return exo_encode(&Codec<T>::type, &value);
}

}  // namespace detail

#define EXOMONAD_SCALAR(T, kind)                                                                                      \
    template <>                                                                                                       \
    struct Codec<T> {                                                                                                 \
        static constexpr exo_type type = detail::scalar_type(kind, sizeof(T));                                        \
    };

EXOMONAD_SCALAR(bool, EXO_KIND_BOOL)
EXOMONAD_SCALAR(std::int16_t, EXO_KIND_SIGNED)
EXOMONAD_SCALAR(std::int32_t, EXO_KIND_SIGNED)
EXOMONAD_SCALAR(std::int64_t, EXO_KIND_SIGNED)
EXOMONAD_SCALAR(std::uint16_t, EXO_KIND_UNSIGNED)
EXOMONAD_SCALAR(std::uint32_t, EXO_KIND_UNSIGNED)
EXOMONAD_SCALAR(std::uint64_t, EXO_KIND_UNSIGNED)

template <>
struct Codec<double> {
    static constexpr exo_custom custom = {exo_decode_double, exo_encode_double, "\"type\":\"number\"", nullptr, nullptr};
    static constexpr exo_type type = detail::custom_type<double>(&custom);
};

template <>
struct Codec<std::string> {
    static bool decode(exo_reader *reader, void *value) {
        exo_text text{};
        if (!exo_read_text(reader, &text)) return false;
        static_cast<std::string *>(value)->assign(text.data, text.length);
        return true;
    }
    static void encode(exo_writer *writer, const void *value) {
        exo_write_text(writer, detail::text_of(*static_cast<const std::string *>(value)));
    }
    static bool is_absent(const void *value) { return static_cast<const std::string *>(value)->empty(); }
    static constexpr exo_custom custom = {decode, encode, "\"type\":\"string\"", nullptr, is_absent};
    static constexpr exo_type type = detail::custom_type<std::string>(&custom);
};

template <>
struct Codec<Bytes> {
    static bool decode(exo_reader *reader, void *value) {
        exo_bytes bytes{};
        if (!exo_read_bytes(reader, &bytes)) return false;
        static_cast<Bytes *>(value)->assign(bytes.data, bytes.data + bytes.length);
        return true;
    }
    static void encode(exo_writer *writer, const void *value) {
        const auto &bytes = *static_cast<const Bytes *>(value);
        exo_write_bytes(writer, {bytes.data(), bytes.size()});
    }
    static bool is_absent(const void *value) { return static_cast<const Bytes *>(value)->empty(); }
    static constexpr exo_custom custom = {decode, encode, "\"type\":\"string\",\"contentEncoding\":\"base64\"", nullptr,
                                          is_absent};
    static constexpr exo_type type = detail::custom_type<Bytes>(&custom);
};

template <class T>
struct Codec<std::vector<T>> {
    static bool decode(exo_reader *reader, void *value) {
        auto &items = *static_cast<std::vector<T> *>(value);
        bool first = true;
        if (!exo_read_open(reader, '[')) return false;
        exo_path here = {reader->path, {nullptr, 0}, 0};
        reader->path = &here;
        items.clear();
        while (exo_read_more(reader, ']', &first)) {
            here.index = items.size();
            if (!exo_decode_value(reader, &Codec<T>::type, &items.emplace_back())) break;
        }
        reader->path = here.up;
        return !reader->problem.data;
    }
    static void encode(exo_writer *writer, const void *value) {
        char before = '[';
        for (const T &item : *static_cast<const std::vector<T> *>(value)) {
            exo_write_char(writer, before);
            before = ',';
            exo_encode_value(writer, &Codec<T>::type, &item);
        }
        exo_write_string(writer, before == '[' ? "[]" : "]");
    }
    static bool is_absent(const void *value) { return static_cast<const std::vector<T> *>(value)->empty(); }
    static constexpr exo_custom custom = {decode, encode, nullptr, nullptr, is_absent};
    static constexpr exo_type type = [] {
        exo_type type = detail::custom_type<std::vector<T>>(&custom);
        type.item = &Codec<T>::type;
        return type;
    }();
};

template <class T>
struct Codec<std::map<std::string, T>> {
    using Map = std::map<std::string, T>;
    static bool decode(exo_reader *reader, void *value) {
        auto &map = *static_cast<Map *>(value);
        bool first = true;
        if (!exo_read_open(reader, '{')) return false;
        exo_path here = {reader->path, {nullptr, 0}, 0};
        map.clear();
        while (exo_read_more(reader, '}', &first)) {
            exo_text key{};
            if (!exo_read_key(reader, &key)) return false;
            here.key = key;
            reader->path = &here;
            bool is_read = exo_decode_value(reader, &Codec<T>::type, &map[detail::string_of(key)]);
            reader->path = here.up;
            if (!is_read) return false;
        }
        return !reader->problem.data;
    }
    static void encode(exo_writer *writer, const void *value) {
        char before = '{';
        for (const auto &[key, item] : *static_cast<const Map *>(value)) {
            exo_write_char(writer, before);
            before = ',';
            exo_write_text(writer, detail::text_of(key));
            exo_write_char(writer, ':');
            exo_encode_value(writer, &Codec<T>::type, &item);
        }
        exo_write_string(writer, before == '{' ? "{}" : "}");
    }
    static bool is_absent(const void *value) { return static_cast<const Map *>(value)->empty(); }
    static constexpr exo_custom custom = {decode, encode, "\"type\":\"object\"", nullptr, is_absent};
    static constexpr exo_type type = detail::custom_type<Map>(&custom);
};

template <class T>
struct Codec<std::optional<T>> {
    using Optional = std::optional<T>;
    static bool decode(exo_reader *reader, void *value) {
        auto &optional = *static_cast<Optional *>(value);
        if (exo_take_null(reader)) {
            optional.reset();
            return true;
        }
        return exo_decode_value(reader, &Codec<T>::type, &optional.emplace());
    }
    static void encode(exo_writer *writer, const void *value) {
        const auto &optional = *static_cast<const Optional *>(value);
        if (optional) exo_encode_value(writer, &Codec<T>::type, &*optional);
        else exo_write_string(writer, "null");
    }
    static bool is_absent(const void *value) { return !*static_cast<const Optional *>(value); }
    static constexpr exo_custom custom = {decode, encode, nullptr, &Codec<T>::type, is_absent};
    static constexpr exo_type type = detail::custom_type<Optional>(&custom);
};

template <class T>
class Result;

/// Any JSON, as it was written: its numbers keep all their digits.
struct Json {
    /// The JSON text.
    std::string text = "null";

    /// The JSON of a value.
    template <class T>
    static Json of(const T &value) {
        exo_json json = detail::encode(value);
        return {std::string(json.data, json.length)};
    }

    /// The value, decoded.
    template <class T>
    Result<T> as() const;

    /// True if it is `null`.
    bool is_null() const { return text.empty() || text == "null"; }
};

template <>
struct Codec<Json> {
    static bool decode(exo_reader *reader, void *value) {
        exo_json json{};
        if (!exo_read_json(reader, &json)) return false;
        static_cast<Json *>(value)->text.assign(json.data, json.length);
        return true;
    }
    static void encode(exo_writer *writer, const void *value) {
        const auto &json = *static_cast<const Json *>(value);
        if (json.text.empty()) exo_write_string(writer, "null");
        else exo_write(writer, json.text.data(), json.text.size());
    }
    static bool is_absent(const void *value) { return static_cast<const Json *>(value)->is_null(); }
    static constexpr exo_custom custom = {decode, encode, "", nullptr, is_absent};
    static constexpr exo_type type = detail::custom_type<Json>(&custom);
};

/// Nothing: the arguments of a tool that takes none, or the result of one that has none.
struct Nothing {};

template <>
struct Codec<Nothing> {
    static constexpr exo_type type = detail::record_type<Nothing>(nullptr, 0);
};

// Types of a plugin's own.

#define EXOMONAD_FIELD_OF(name, doc)                                                                                  \
    {#name, doc, &::exomonad::Codec<decltype(Self::name)>::type, offsetof(Self, name),                                \
     ::exomonad::detail::is_optional<decltype(Self::name)> ? EXO_OPTIONAL : EXO_REQUIRED},
#define EXOMONAD_FIELD(field) EXOMONAD_FIELD_OF field

/// Declares the fields of a struct, each with its description, outside of any namespace:
///
///     struct GreetArgs { std::string name; };
///     EXOMONAD_RECORD(GreetArgs, (name, "The name."))
///
/// A `std::optional` may be absent; all others are required.
#define EXOMONAD_RECORD(record, ...)                                                                                  \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Winvalid-offsetof\"")                           \
    template <>                                                                                                       \
    struct exomonad::Codec<record> {                                                                                  \
        using Self = record;                                                                                          \
        static constexpr exo_field fields[] = {EXO_FOR_EACH(EXOMONAD_FIELD, __VA_ARGS__)};                            \
        static constexpr exo_type type =                                                                              \
            ::exomonad::detail::record_type<record>(fields, sizeof fields / sizeof *fields);                          \
    };                                                                                                                \
    _Pragma("GCC diagnostic pop")

#define EXOMONAD_CONSTANT(name) {#name, nullptr},

/// Declares the constants of an `enum class` whose values count from 1, in their order: `enum class Color : int { red
/// = 1, green };` and `EXOMONAD_ENUMERATION(Color, red, green)`.
#define EXOMONAD_ENUMERATION(enumeration, ...)                                                                        \
    template <>                                                                                                       \
    struct exomonad::Codec<enumeration> {                                                                             \
        static_assert(sizeof(enumeration) == sizeof(int));                                                            \
        static constexpr exo_constant constants[] = {EXO_FOR_EACH(EXOMONAD_CONSTANT, __VA_ARGS__)};                   \
        static constexpr exo_type type =                                                                              \
            ::exomonad::detail::enumeration_type(constants, sizeof constants / sizeof *constants);                    \
    };

namespace detail {
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
}  // namespace detail

/// The name of an enumeration's constant, in JSON.
template <class T>
std::string_view name_of(T constant) {
    const char *name = exo_constant_name(&Codec<T>::type, static_cast<int>(constant));
    return name ? name : "";
}

}  // namespace exomonad

#pragma GCC diagnostic pop

#endif
