// Results, errors and effects in C++.
#ifndef EXOMONAD_EFFECT_HPP
#define EXOMONAD_EFFECT_HPP

#include "types.hpp"

namespace exomonad {

/// A failure: of an effect, or the plugin's own.
struct Error {
    /// The message: the attempt, its object, the failure, and the remedy.
    std::string message{};
    /// The kind of failure: decide on this. Failures of the plugin's own have none unless they are given one.
    std::optional<ErrorCode> code{};
    /// Details for a program; their shape depends on the code.
    std::optional<Json> details{};
    /// A workflow's own code, in the place of `code`.
    std::string name{};
    /// True if it is no failure: a workflow goes on as a new run, with the details as its input.
    bool continues_as_new = false;
};

/// A failure of the plugin's own: `return exomonad::fail("no " + name)`.
inline Error fail(std::string message) {
    Error error;
    error.message = std::move(message);
    return error;
}

/// A value, or the error that there is instead.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    /// True if there is a value.
    explicit operator bool() const { return held_.index() == 0; }
    /// The value. Ends the call if there is none.
    T &operator*() & { return value(); }
    const T &operator*() const & { return const_cast<Result *>(this)->value(); }
    T &&operator*() && { return std::move(value()); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &const_cast<Result *>(this)->value(); }
    /// The error. Ends the call if there is none.
    Error &error() {
        Error *error = std::get_if<1>(&held_);
        if (!error) exo_crash("the error of a result that has a value");
        return *error;
    }
    const Error &error() const { return const_cast<Result *>(this)->error(); }

  private:
    T &value() {
        T *value = std::get_if<0>(&held_);
        if (!value) {
            const std::string message = "the value of a result that is an error: " + error().message;
            exo_crash(message.c_str());
        }
        return *value;
    }
    std::variant<T, Error> held_;
};

/// Success without a value.
template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}
    explicit operator bool() const { return !error_; }
    void operator*() const {}
    Error &error() {
        if (!error_) exo_crash("the error of a result that has none");
        return *error_;
    }
    const Error &error() const { return const_cast<Result *>(this)->error(); }

  private:
    std::optional<Error> error_;
};

/// The value of a result, or returns its error from the function that it stands in: `auto branch =
/// EXOMONAD_TRY(exomonad::git::get_branch());`
#define EXOMONAD_TRY(expression)                                                                                      \
    __extension__({                                                                                                   \
        auto exo_result = (expression);                                                                               \
        if (!exo_result) return std::move(exo_result.error());                                                        \
        *std::move(exo_result);                                                                                       \
    })

template <class T>
Result<T> Json::as() const {
    T value{};
    exo_text problem = exo_decode_new({text.data(), text.size()}, &Codec<T>::type, &value);
    if (problem.data) return fail(detail::string_of(problem));
    return value;
}

namespace detail {

inline Error error_of(const exo_error *error) {
    Error made = fail(string_of(error->message));
    if (error->code) made.code = static_cast<ErrorCode>(static_cast<int>(error->code));
    if (error->details.data) made.details = Json{std::string(error->details.data, error->details.length)};
    made.name = string_of(error->name);
    made.continues_as_new = error->continues_as_new;
    return made;
}

inline const exo_error *to_c(const Error &error) {
    auto *made = static_cast<exo_error *>(exo_alloc(sizeof(exo_error)));
    if (error.code) made->code = static_cast<exo_error_code_t>(static_cast<int>(*error.code));
    made->message = kept(error.message);
    if (error.details) {
        exo_text text = kept(error.details->text);
        made->details = {text.data, text.length};
    }
    if (!error.name.empty()) made->name = kept(error.name);
    made->continues_as_new = error.continues_as_new;
    return made;
}

template <class Answer>
Result<Answer> answer_of(const char *function, exo_text text) {
    Answer answer{};
    const exo_error *error = exo_decode_answer(function, &Codec<Answer>::type, text, &answer);
    if (error) return error_of(error);
    return answer;
}

}  // namespace detail

#ifdef __wasm__
#define EXOMONAD_PERFORM(host_function, Answer, request)                                                              \
    ::exomonad::detail::answer_of<Answer>(#host_function, [&] {                                                       \
        exo_json exo_request = ::exomonad::detail::encode(request);                                                   \
        return exo_take_block(exo_import_##host_function(exo_block_of(exo_request.data, exo_request.length)));        \
    }())
#else
#define EXOMONAD_PERFORM(host_function, Answer, request)                                                              \
    ::exomonad::detail::answer_of<Answer>(                                                                            \
        #host_function, exo_host_perform(&exo_effect_##host_function, ::exomonad::detail::encode(request)))
#endif

namespace detail {
template <class Request>
struct Startable;
}

#define EXOMONAD_STARTABLE(host_function, Request, AnswerOfIt)                                                        \
    template <>                                                                                                       \
    struct detail::Startable<Request> {                                                                               \
        using Answer = AnswerOfIt;                                                                                    \
        static const exo_effect &effect() {                                                                           \
            EXO_IMPORTS(host_function);                                                                               \
            return exo_effect_##host_function;                                                                        \
        }                                                                                                             \
    };

}  // namespace exomonad

#endif
