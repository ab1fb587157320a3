// Tests of the SDK in C++: `tests/run`.
#include <exomonad.hpp>

#include <cstdio>

using namespace exomonad;

static int failures;

#define CHECK(condition) \
    ((condition) ? (void)0 : (void)(failures++, std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)))
#define CHECK_TEXT(text, expected) check_text(text, expected, __LINE__)

static void check_text(const std::string &text, const std::string &expected, int line) {
    if (text == expected) return;
    failures++;
    std::printf("%s:%d: got %s\n    expected %s\n", __FILE__, line, text.c_str(), expected.c_str());
}

enum class Color : int { red = 1, green };
EXOMONAD_ENUMERATION(Color, red, green)

struct Example {
    std::string name;
    std::optional<std::uint64_t> count{};
    std::optional<Color> shade{};
    std::vector<std::int32_t> numbers{};
    std::optional<std::map<std::string, std::string>> labels{};
    std::optional<Bytes> bytes{};
    std::optional<Json> any{};
};
EXOMONAD_RECORD(Example, (name, "The name."), (count, ""), (shade, ""), (numbers, "Some."), (labels, ""), (bytes, ""), (any, ""))

static std::string again(const std::string &text) {
    auto value = Json{text}.as<Example>();
    return value ? Json::of(*value).text : value.error().message;
}

static void what_is_decoded_is_encoded_again() {
    std::string full = R"({"name":"a\"ü","count":18446744073709551615,"shade":"green","numbers":[-1,2],"labels":{"a":"b"},"bytes":"AQI=","any":[1.50,12345678901234567890]})";
    CHECK_TEXT(again(full), full);
    CHECK_TEXT(again(R"({"name":"","numbers":[],"count":null,"more":1})"), R"({"name":"","numbers":[]})");
    CHECK_TEXT(again(R"({"name":"a"})"), "$.numbers: missing");
    CHECK_TEXT(again(R"({"name":"a","numbers":[1,"x"]})"), "$.numbers[1]: expected a number, found a text");
    CHECK_TEXT(again(R"({"name":"a","numbers":[],"labels":{"k":1}})"), "$.labels.k: expected a text, found a number");
    CHECK(!exo_json_check(exo_schema(&Codec<Example>::type)).data);
}

static void unions_hold_a_variant() {
    auto content = Json{R"({"text":"x","type":"text"})"}.as<Content>();
    CHECK(content && std::get<Content::Text>(content->value).text == "x");
    CHECK_TEXT(Json::of(Content{Content::Text{.text = "y"}}).text, R"({"type":"text","text":"y"})");
    auto target = Json{R"({"payload":{"ref":"HEAD"},"kind":"Against"})"}.as<DiffTarget>();
    CHECK(target && std::holds_alternative<DiffTarget::Against>(target->value));
    CHECK_TEXT(Json{R"({"kind":"Beside"})"}.as<DiffTarget>().error().message, "$.kind: not one of the contract's: Beside");
}

struct Name {
    std::string name;
};
EXOMONAD_RECORD(Name, (name, "The name."))
struct Text {
    std::string text;
};
EXOMONAD_RECORD(Text, (text, "The text."))

static Result<Text> greet(const Name &args) {
    auto answer = EXOMONAD_TRY(git::get_branch());
    return Text{"Hello " + args.name + " on " + answer.branch.value_or("nowhere")};
}
static Result<std::string> who(const Nothing &, const Context &context) { return context.role; }
static Result<void> refuse() { return fail("no, thanks"); }

EXOMONAD_PLUGIN("test", "1.0.0", tool<greet>("greet", "Greets.", {.read_only = true}), tool<who>("who", "The role."),
                tool<refuse>("refuse", "Refuses."))

static Result<Text> flow(const Name &input, Run<Text> &run) {
    EXOMONAD_TRY(run.set_state({"begun"}));
    auto started = EXOMONAD_TRY(run.start(KvSet{.key = "greeted", .value = Json::of(input.name)}));
    EXOMONAD_TRY(run.wait(started));
    auto payload = EXOMONAD_TRY(run.wait_signal<std::string>("go"));
    if (payload == "fail") return workflow_fail("own_code", "as asked");
    if (payload == "again") return run.continue_as_new(input);
    return Text{payload};
}
EXOMONAD_WORKFLOWS(workflow_of<flow>("flow", "Flows."))

#define CONTEXT R"("context":{"role":"r","callId":"c"}})"

static std::string output(int (*handle)(), const char *input) { return detail::string_of(exo_fake_call(handle, input)); }

static void tools_perform_effects_and_fail_as_results() {
    exo_fake_reset();
    exo_fake_answer("git_get_branch", R"({"head":"branch","branch":"main"})");
    CHECK_TEXT(output(handle_mcp_call, R"({"name":"greet","arguments":{"name":"Ada"},)" CONTEXT),
               R"({"content":[{"type":"text","text":"{\"text\":\"Hello Ada on main\"}"}],"structuredContent":{"text":"Hello Ada on main"}})");
    CHECK_TEXT(output(handle_mcp_call, R"({"name":"who",)" CONTEXT), R"({"content":[{"type":"text","text":"r"}]})");
    CHECK_TEXT(output(handle_mcp_call, R"({"name":"refuse",)" CONTEXT),
               R"({"content":[{"type":"text","text":"no, thanks"}],"isError":true})");
    exo_fake_failure("git_get_branch", "not_found", "no repository");
    CHECK(greet({"Ada"}).error().code == ErrorCode::NotFound);
}

static void a_workflow_runs_to_its_end() {
    exo_fake_reset();
    const char *input = R"({"workflow":"flow","input":{"name":"Ada"},"workflowId":"w","runId":"r",)" CONTEXT;
    exo_fake_signal("go", "\"now\"");
    CHECK_TEXT(output(handle_workflow, input), R"({"end":"completed","output":{"text":"now"}})");
    exo_fake_signal("go", "\"fail\"");
    CHECK_TEXT(output(handle_workflow, input), R"({"end":"failed","failure":{"code":"own_code","message":"as asked"}})");
    exo_fake_signal("go", "\"again\"");
    CHECK_TEXT(output(handle_workflow, input), R"({"end":"continue_as_new","input":{"name":"Ada"}})");
}

int main() {
    what_is_decoded_is_encoded_again();
    unions_hold_a_variant();
    tools_perform_effects_and_fail_as_results();
    a_workflow_runs_to_its_end();
    exo_arena_reset();
    std::puts(failures ? "FAILED" : "ok");
    return failures != 0;
}
